//! Who has each secret, who wins, and what is wrong: asks all sources at once and merges by priority.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;

use crate::error::{Code, Error, Problem, Result};
use crate::manifest::{Manifest, Reference, Secret, SourceId};
use crate::secret::{SecretName, SecretValue};
use crate::settings::Settings;
use crate::sources::field::{Field, pick};
use crate::sources::{Found, Item, Refusal, Reply, SOURCES, Source};

/// Where a secret's value came from.
#[derive(Clone)]
pub struct Origin {
    /// The winning source.
    pub source: SourceId,
    /// The reference that was asked.
    pub reference: Reference,
    /// Where exactly the source had it.
    pub place: String,
    /// The version that the store names.
    pub version: Option<String>,
    /// When the value was written.
    pub changed: Option<SystemTime>,
    /// When it expires.
    pub expires: Option<SystemTime>,
}

/// A source that has the secret as well and lost.
#[derive(Clone)]
pub struct Shadowed {
    /// The source.
    pub source: SourceId,
    /// Whether its value is another one.
    pub differs: bool,
}

/// How a secret ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// A source had it.
    Found,
    /// No source had it, and the manifest has a default.
    Default,
    /// No source had it, and it is optional.
    Absent,
    /// No source had it, and it is required.
    Missing,
    /// A source above the others refused.
    Denied,
    /// A source above the others could not be read.
    Failed,
    /// The value breaks a rule of the manifest.
    Invalid,
}

/// One secret after all sources were asked. It has no `Debug`: it holds the value.
pub struct Resolved {
    /// The declaration.
    pub secret: Secret,
    /// How it ended.
    pub state: State,
    /// The value, when it was found or has a default.
    pub value: Option<SecretValue>,
    /// Where the value came from; `None` for a default.
    pub origin: Option<Origin>,
    /// Who else has it.
    pub shadowed: Vec<Shadowed>,
}

/// Something worth saying, with its remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The fact.
    pub text: String,
    /// The remedy.
    pub remedy: Option<String>,
}

/// All secrets, and everything that is wrong with them.
pub struct Resolution {
    /// In the order in which they were declared.
    pub secrets: Vec<Resolved>,
    /// What is to be warned of.
    pub warnings: Vec<Warning>,
    /// Facts that change nothing, such as a failed source below the winner.
    pub notes: Vec<String>,
    /// Whether a secret is missing or a source was passed over with the user's leave.
    pub degraded: bool,
    problems: Vec<(Code, Problem)>,
    seen: Vec<(SecretName, SecretValue)>,
}

impl Resolution {
    /// Every value that any source handed out for a sensitive secret, for the masks: also those that lost.
    pub fn values(&self) -> impl Iterator<Item = (&SecretName, &SecretValue)> {
        self.seen.iter().map(|(name, value)| (name, value))
    }

    /// The secrets that have a value.
    pub fn available(&self) -> impl Iterator<Item = (&Secret, &SecretValue)> {
        self.secrets
            .iter()
            .filter_map(|resolved| Some((&resolved.secret, resolved.value.as_ref()?)))
    }

    /// The value of a secret that is not sensitive, when it is text.
    pub fn plain_text(&self, name: &SecretName) -> Option<String> {
        let resolved = self
            .secrets
            .iter()
            .find(|r| r.secret.name == *name && !r.secret.sensitive)?;
        String::from_utf8(resolved.value.as_ref()?.expose().to_vec()).ok()
    }

    /// All problems as one error, if there is any. Call it after the masks are in force.
    pub fn check(&self) -> Result<()> {
        let grave = [
            Code::SourceDenied,
            Code::SourceFailed,
            Code::SecretsMissing,
            Code::SecretInvalid,
        ];
        let Some(code) = grave
            .into_iter()
            .find(|code| self.problems.iter().any(|(c, _)| c == code))
        else {
            return Ok(());
        };
        let count = self.problems.len();
        let fact = if count == 1 {
            "1 secret has a problem".to_owned()
        } else {
            format!("{count} secrets have problems")
        };
        Err(Error::new(code, fact)
            .problems(self.problems.iter().map(|(_, problem)| problem.clone()).collect()))
    }
}

/// Asks every source at the same time, each once for all that it may have, and merges the answers (design rules 1 to 4).
pub async fn resolve(manifest: Manifest, sources: &[Box<dyn Source>], settings: &Settings) -> Resolution {
    let plans: Vec<Vec<Reference>> = manifest
        .secrets
        .iter()
        .map(|secret| match &secret.from {
            Some(references) => references.clone(),
            None => sources
                .iter()
                .map(|source| source.conventional(&secret.name, &manifest.scope))
                .collect(),
        })
        .collect();
    let answers = ask(&plans, sources, settings.timeout).await;
    let mut all = Resolution {
        secrets: Vec::new(),
        warnings: Vec::new(),
        notes: Vec::new(),
        degraded: false,
        problems: Vec::new(),
        seen: Vec::new(),
    };
    let merge = Merge {
        sources,
        answers: &answers,
        settings,
    };
    for (secret, references) in manifest.secrets.into_iter().zip(plans) {
        let resolved = merge.one(secret, &references, &mut all);
        all.secrets.push(resolved);
    }
    for source in sources {
        let asked: Vec<Item> = answers
            .keys()
            .filter(|(id, _)| id == source.id())
            .map(|(_, item)| item.clone())
            .collect();
        let remarks = source.remarks(&asked).into_iter();
        all.warnings.extend(remarks.map(|remark| Warning {
            text: remark.text,
            remedy: remark.remedy,
        }));
    }
    all
}

type Answers = BTreeMap<(SourceId, Item), Reply>;

fn item(reference: &Reference) -> Item {
    Item {
        name: reference.item.clone(),
        version: reference.version.clone(),
    }
}

async fn ask(plans: &[Vec<Reference>], sources: &[Box<dyn Source>], timeout: Duration) -> Answers {
    let asked = sources.iter().map(|source| async move {
        // Two references to one item are one question.
        let items: BTreeSet<Item> = plans
            .iter()
            .flatten()
            .filter(|reference| reference.source == *source.id())
            .map(item)
            .collect();
        let items: Vec<Item> = items.into_iter().collect();
        if items.is_empty() {
            return (source.id(), Vec::new());
        }
        let replies = match tokio::time::timeout(timeout, source.read(&items)).await {
            Ok(replies) => replies,
            Err(_) => items.iter().map(|_| late(source.id(), timeout)).collect(),
        };
        (source.id(), items.into_iter().zip(replies).collect())
    });
    let mut answers = Answers::new();
    for (id, replies) in join_all(asked).await {
        answers.extend(
            replies
                .into_iter()
                .map(|(item, reply)| ((id.clone(), item), reply)),
        );
    }
    answers
}

fn late(id: &SourceId, timeout: Duration) -> Reply {
    Reply::Failed(Refusal {
        fact: format!(
            "{id} did not answer within {}",
            humantime::format_duration(timeout)
        ),
        remedy: "Look at the store, or give it more time with `timeout`.".to_owned(),
    })
}

/// What one reference gave, once its field was picked.
enum Outcome<'a> {
    Found(SecretValue, &'a Found),
    Absent(String),
    Denied(Refusal),
    Failed(Refusal),
}

struct Merge<'a> {
    sources: &'a [Box<dyn Source>],
    answers: &'a Answers,
    settings: &'a Settings,
}

impl Merge<'_> {
    fn one(&self, secret: Secret, references: &[Reference], all: &mut Resolution) -> Resolved {
        let mut resolved = Resolved {
            secret,
            state: State::Found,
            value: None,
            origin: None,
            shadowed: Vec::new(),
        };
        let mut winner: Option<(SecretValue, Origin)> = None;
        let mut looked = Vec::new();
        let mut blocked: Option<State> = None;
        for reference in references {
            let name = &resolved.secret.name;
            let (state, refusal) = match self.outcome(reference) {
                Outcome::Found(value, found) => {
                    if resolved.secret.sensitive {
                        all.seen.push((name.clone(), value.clone()));
                    }
                    match &winner {
                        None => winner = Some((value, origin(reference, found))),
                        Some((best, _)) => resolved.shadowed.push(Shadowed {
                            source: reference.source.clone(),
                            differs: *best != value,
                        }),
                    }
                    continue;
                }
                Outcome::Absent(place) => {
                    looked.push(place);
                    continue;
                }
                Outcome::Denied(refusal) => (State::Denied, refusal),
                Outcome::Failed(refusal) => (State::Failed, refusal),
            };
            if winner.is_some() {
                all.notes.push(format!(
                    "{name}: {} (a source below the winner: nothing changes)",
                    refusal.fact
                ));
            } else if self.settings.next_on_source_error {
                all.degraded = true;
                all.warnings.push(Warning {
                    text: format!(
                        "{name}: {}; passed over, since on-source-error is `next`",
                        refusal.fact
                    ),
                    remedy: Some(refusal.remedy),
                });
            } else {
                blocked.get_or_insert(state);
                let code = if state == State::Denied {
                    Code::SourceDenied
                } else {
                    Code::SourceFailed
                };
                all.problems
                    .push((code, blocking(&resolved.secret, reference, references, &refusal)));
            }
        }
        if let Some(state) = blocked {
            resolved.state = state;
            return resolved;
        }
        match winner {
            Some((raw, origin)) => self.accept(&mut resolved, raw, origin, all),
            None => self.without(&mut resolved, &looked, all),
        }
        resolved
    }

    fn outcome(&self, reference: &Reference) -> Outcome<'_> {
        let Some(reply) = self.answers.get(&(reference.source.clone(), item(reference))) else {
            return not_there(reference);
        };
        match reply {
            Reply::Absent(place) => Outcome::Absent(place.clone()),
            Reply::Denied(refusal) => Outcome::Denied(refusal.clone()),
            Reply::Failed(refusal) => Outcome::Failed(refusal.clone()),
            Reply::Found(found) => match &reference.field {
                None => Outcome::Found(found.value.clone(), found),
                Some(name) => match pick(&found.value, name) {
                    Field::Value(value) => Outcome::Found(value, found),
                    Field::Null => Outcome::Absent(format!("{reference} (null)")),
                    Field::Missing(names) => Outcome::Failed(Refusal {
                        fact: format!(
                            "{reference}: there is no field `{name}`; the fields are: {}",
                            names.join(", ")
                        ),
                        remedy: "Correct the part after `#` of the reference.".to_owned(),
                    }),
                    Field::NotAnObject => Outcome::Failed(Refusal {
                        fact: format!(
                            "{reference}: the value is no JSON object ({})",
                            found.value.shape()
                        ),
                        remedy: "Leave `#field` out of the reference, or store a JSON object.".to_owned(),
                    }),
                },
            },
        }
    }

    /// Holds the winner against the manifest's rules and against the values that lost.
    fn accept(&self, resolved: &mut Resolved, raw: SecretValue, origin: Origin, all: &mut Resolution) {
        let name = resolved.secret.name.clone();
        self.compare_with_shadowed(resolved, &origin, all);
        match resolved.secret.accept(raw) {
            Ok(value) => {
                if resolved.secret.sensitive {
                    all.seen.push((name, value.clone()));
                }
                resolved.value = Some(value);
            }
            Err(fact) => {
                resolved.state = State::Invalid;
                let problem = Problem::new(format!("{name} from {}: {fact}", origin.place));
                all.problems.push((
                    Code::SecretInvalid,
                    problem.remedy(format!(
                        "Correct the value in {}, or the rule in the manifest.",
                        origin.source
                    )),
                ));
            }
        }
        resolved.origin = Some(origin);
    }

    /// A stale copy somewhere is a warning; where it wins over a store because it is a file lying here, an error, since
    /// that is how old keys get deployed (design rule 2).
    fn compare_with_shadowed(&self, resolved: &Resolved, origin: &Origin, all: &mut Resolution) {
        let different: Vec<String> = resolved
            .shadowed
            .iter()
            .filter(|s| s.differs)
            .map(|s| s.source.to_string())
            .collect();
        if different.is_empty() {
            return;
        }
        let (name, losers) = (&resolved.secret.name, different.join(" and "));
        let text = format!(
            "{name} comes from {} ({}), and {losers} has another value",
            origin.source, origin.place
        );
        let remedy = format!(
            "Remove the stale copy, or say which one counts: `{name} = {} | …` in `secrets`, or `from` in the manifest.",
            origin.reference
        );
        let local = self
            .sources
            .iter()
            .any(|s| *s.id() == origin.source && s.is_local_file());
        if local && resolved.secret.from.is_none() {
            all.problems
                .push((Code::SecretInvalid, Problem::new(text).remedy(remedy)));
        } else {
            all.warnings.push(Warning {
                text,
                remedy: Some(remedy),
            });
        }
    }

    fn without(&self, resolved: &mut Resolved, looked: &[String], all: &mut Resolution) {
        let secret = &resolved.secret;
        if let Some(value) = secret
            .default
            .clone()
            .and_then(|default| secret.accept(default).ok())
        {
            if secret.sensitive {
                all.seen.push((secret.name.clone(), value.clone()));
            }
            resolved.value = Some(value);
            resolved.state = State::Default;
        } else if !secret.required {
            resolved.state = State::Absent;
        } else {
            resolved.state = State::Missing;
            let (fact, remedy) = missing(secret, looked);
            if self.settings.missing_is_warning {
                all.degraded = true;
                all.warnings.push(Warning {
                    text: fact,
                    remedy: Some(remedy),
                });
            } else {
                all.problems
                    .push((Code::SecretsMissing, Problem::new(fact).remedy(remedy)));
            }
        }
    }
}

fn origin(reference: &Reference, found: &Found) -> Origin {
    Origin {
        source: reference.source.clone(),
        reference: reference.clone(),
        place: found.place.clone(),
        version: found.version.clone(),
        changed: found.changed,
        expires: found.expires,
    }
}

/// A reference to a source that this run does not have. A file that is not there surely has nothing; a store that is
/// not configured may well have the newer value.
fn not_there<'a>(reference: &Reference) -> Outcome<'a> {
    let id = &reference.source;
    if SOURCES.iter().any(|kind| kind.local && kind.name == id.as_str()) {
        return Outcome::Absent(format!("{reference} (there is no {id} here)"));
    }
    Outcome::Failed(Refusal {
        fact: format!("{reference}: the source {id} is not configured, or not among `sources`"),
        remedy: format!("Configure {id}, add it to `sources`, or take the reference out of `from`."),
    })
}

/// Why a secret has no value because of a source above the winner, with both ways out as text to paste.
fn blocking(secret: &Secret, reference: &Reference, references: &[Reference], refusal: &Refusal) -> Problem {
    let others: Vec<String> = references
        .iter()
        .filter(|other| *other != reference)
        .map(ToString::to_string)
        .collect();
    let mut remedy = refusal.remedy.clone();
    if !others.is_empty() {
        let _ = write!(
            remedy,
            "\nOr, when the secret is not kept there, say so: `{} = {}`",
            secret.name,
            others.join(" | ")
        );
    }
    Problem::new(format!("{}: {}", secret.name, refusal.fact)).remedy(remedy)
}

fn missing(secret: &Secret, looked: &[String]) -> (String, String) {
    let about = secret
        .description
        .as_ref()
        .map(|text| format!(" ({text})"))
        .unwrap_or_default();
    let places = if looked.is_empty() {
        "no source is configured".to_owned()
    } else {
        format!("looked at: {}", looked.join("; "))
    };
    (
        format!("{}{about} was not found; {places}", secret.name),
        format!(
            "Under GitHub Actions: `env: {{ {name}: ${{{{ secrets.{name} }}}} }}` at the step (an unset secret arrives empty). Optional: `{name}?`.",
            name = secret.name
        ),
    )
}
