//! Merges the sources' replies for one secret: which source wins, which are shadowed, and which block (design rules 1, 2
//! and 3).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::rc::Rc;
use std::time::SystemTime;

use super::{Answers, Origin, Resolution, Resolved, Shadowed, State, freshness, item};
use crate::diagnostic::Diagnostic;
use crate::error::Code;
use crate::files::LARGEST_VALUES;
use crate::manifest::{Encoding, Reference, Secret, SourceId};
use crate::nearest::meant;
use crate::secret::SecretValue;
use crate::settings::Settings;
use crate::sources::field::{Field, Fields};
use crate::sources::{DATES, Found, Item, Reply, SOURCES, Source};

/// The result of one reference, after its field was selected.
enum Outcome<'a> {
    Found(SecretValue, &'a Found),
    Absent(String),
    Denied(Diagnostic),
    Failed(Diagnostic),
}

/// The input of a merge.
pub(super) struct Merge<'a> {
    pub(super) sources: &'a [Box<dyn Source>],
    pub(super) answers: &'a Answers,
    pub(super) settings: &'a Settings,
    /// The fields of items that references take fields of.
    fields: RefCell<BTreeMap<(SourceId, Item), Rc<Fields>>>,
}

impl<'a> Merge<'a> {
    pub(super) fn new(sources: &'a [Box<dyn Source>], answers: &'a Answers, settings: &'a Settings) -> Self {
        Self { sources, answers, settings, fields: RefCell::default() }
    }

    /// Merges one secret by its references, which are in the order of priority.
    pub(super) fn one(&self, secret: Secret, references: &[Reference], all: &mut Resolution) -> Resolved {
        let mut resolved = Resolved {
            secret,
            state: State::Found,
            value: None,
            origin: None,
            shadowed: Vec::new(),
            is_open: false,
        };
        let mut winner: Option<(SecretValue, Origin)> = None;
        let mut looked = Vec::new();
        let mut blocked: Option<State> = None;
        for reference in references {
            if winner.is_some() && self.is_spared(reference) {
                continue;
            }
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
                            differs: !same(&resolved.secret, best, &value),
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
                    "{name}: {} (ignored: a source of higher priority has the secret)",
                    refusal.fact
                ));
            } else if self.settings.next_on_source_error {
                all.degraded = true;
                let text = format!("{name}: {}; skipped, because on-source-error is `next`", refusal.fact);
                all.warnings.push(Diagnostic { fact: text, ..refusal });
            } else {
                blocked.get_or_insert(state);
                let code = if state == State::Denied { Code::SourceDenied } else { Code::SourceFailed };
                all.problems.push((code, blocking(&resolved.secret, reference, references, &refusal)));
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

    /// The references before the first one that has a value: only these can still change the result.
    pub(super) fn before_winner<'r>(&self, references: &'r [Reference]) -> &'r [Reference] {
        let has = |reference: &Reference| matches!(self.outcome(reference), Outcome::Found(..));
        &references[..references.iter().position(has).unwrap_or(references.len())]
    }

    /// Whether a source was not asked for this, because one of higher priority had the secret.
    fn is_spared(&self, reference: &Reference) -> bool {
        let is_there = self.sources.iter().any(|source| *source.id() == reference.source);
        is_there && !self.answers.contains_key(&(reference.source.clone(), item(reference)))
    }

    fn outcome(&self, reference: &Reference) -> Outcome<'_> {
        let Some(reply) = self.answers.get(&(reference.source.clone(), item(reference))) else {
            return not_there(reference);
        };
        match reply {
            Reply::Absent(place) => Outcome::Absent(place.clone()),
            Reply::Denied(refusal) => Outcome::Denied(refusal.clone()),
            Reply::Failed(refusal) => Outcome::Failed(refusal.clone()),
            // It is refused in any case; masking it first would only cost memory and time.
            Reply::Found(found) if found.value.expose().len() as u64 > LARGEST_VALUES => {
                Outcome::Failed(Diagnostic::with_help(
                    format!("{reference}: the value is larger than 4 MiB"),
                    "Check the reference. At most 1 MiB can be delivered.",
                ))
            }
            Reply::Found(found) => match reference.field.as_deref().or_else(|| self.default_field(reference))
            {
                None => Outcome::Found(found.value.clone(), found),
                Some(name) => match self.fields(reference, found).pick(name) {
                    Field::Value(value) => Outcome::Found(value, found),
                    Field::Null => Outcome::Absent(format!("{reference} (null)")),
                    Field::Missing(names) => Outcome::Failed(Diagnostic::with_help(
                        format!(
                            "{reference}: there is no field `{name}`; the fields are: {}",
                            names.join(", ")
                        ),
                        match meant(name, names.iter().map(String::as_str)) {
                            Some(field) => format!("Did you mean `#{field}`?"),
                            None => "Correct the part after `#` of the reference.".to_owned(),
                        },
                    )),
                    Field::NotAnObject => Outcome::Failed(Diagnostic::with_help(
                        format!("{reference}: the value is not a JSON object ({})", found.value.shape()),
                        "Remove `#field` from the reference, or store a JSON object.",
                    )),
                },
            },
        }
    }

    /// The fields of an item, which is read once: ten thousand may be taken out of it.
    fn fields(&self, reference: &Reference, found: &Found) -> Rc<Fields> {
        let place = (reference.source.clone(), item(reference));
        let mut all = self.fields.borrow_mut();
        all.entry(place).or_insert_with(|| Rc::new(Fields::of(&found.value))).clone()
    }

    fn default_field(&self, reference: &Reference) -> Option<&str> {
        self.sources.iter().find(|source| *source.id() == reference.source)?.default_field()
    }

    /// Checks the winner against the manifest's rules and compares it with the shadowed values.
    fn accept(&self, resolved: &mut Resolved, raw: SecretValue, origin: Origin, all: &mut Resolution) {
        let name = resolved.secret.name.clone();
        self.compare_with_shadowed(resolved, &origin, all);
        if let Some(problem) = unresolved(&resolved.secret, &raw, &origin) {
            resolved.state = State::Invalid;
            resolved.origin = Some(origin);
            all.problems.push((Code::SecretInvalid, problem));
            return;
        }
        let encoded = is_encoded(&resolved.secret, &raw);
        match resolved.secret.accept(raw) {
            Ok(value) => {
                all.warnings.extend(freshness::warning(&resolved.secret, &origin, self.settings.max_age));
                if resolved.secret.sensitive {
                    all.seen.push((name, value.clone()));
                }
                resolved.value = Some(value);
            }
            Err(fact) => {
                resolved.state = State::Invalid;
                let problem = Diagnostic::new(format!("{name} from {}: {fact}", origin.place));
                let help = if encoded {
                    format!("The value is base64-encoded: set `encoding: base64` for {name} in the manifest.")
                } else {
                    format!("Correct the value in {}, or the rule in the manifest.", origin.source)
                };
                all.problems.push((Code::SecretInvalid, problem.help(help)));
            }
        }
        resolved.origin = Some(origin);
    }

    /// An outdated copy is a warning. If it wins over a store because it is a local file, it is an error: that is how old
    /// keys get deployed (design rule 2).
    fn compare_with_shadowed(&self, resolved: &Resolved, origin: &Origin, all: &mut Resolution) {
        let different: Vec<String> =
            resolved.shadowed.iter().filter(|s| s.differs).map(|s| s.source.to_string()).collect();
        if different.is_empty() {
            return;
        }
        let (name, losers) = (&resolved.secret.name, different.join(" and "));
        let text = format!(
            "{name} comes from {} ({}), but the value in {losers} is different",
            origin.source, origin.place
        );
        let help = format!(
            "Remove the outdated copy, or choose one: `{name} = {} | …` in `secrets`, or `from` in the manifest.",
            origin.reference
        );
        let local = self.sources.iter().any(|s| *s.id() == origin.source && s.is_local_file());
        if local && resolved.secret.from.is_none() {
            all.problems.push((Code::SecretInvalid, Diagnostic::new(text).help(help)));
        } else {
            all.warnings.push(Diagnostic::with_help(text, help));
        }
    }

    fn without(&self, resolved: &mut Resolved, looked: &[String], all: &mut Resolution) {
        let secret = &resolved.secret;
        if let Some(value) = secret.default.clone().and_then(|default| secret.accept(default).ok()) {
            if secret.sensitive {
                all.seen.push((secret.name.clone(), value.clone()));
            }
            resolved.value = Some(value);
            resolved.state = State::Default;
        } else if !secret.required {
            resolved.state = State::Absent;
        } else {
            resolved.state = State::Missing;
            let (fact, help) = missing(secret, looked);
            if self.settings.missing_is_warning {
                all.degraded = true;
                all.warnings.push(Diagnostic::with_help(fact, help));
            } else {
                all.problems.push((Code::SecretsMissing, Diagnostic::new(fact).help(help)));
            }
        }
    }
}

/// A value that is nothing but a 1Password reference (`op://vault/item/field`): 1Password's own tools replace it with the
/// secret, and a program that gets the reference itself would use it as the secret.
fn unresolved(secret: &Secret, raw: &SecretValue, origin: &Origin) -> Option<Diagnostic> {
    let is_meant = secret.rules.starts_with.as_deref().is_some_and(|start| start.starts_with("op:"));
    let text = std::str::from_utf8(raw.expose()).ok().filter(|text| text.starts_with("op://"))?;
    Reference::parse(text).ok().filter(|reference| !reference.is_wildcard() && !is_meant)?;
    let name = &secret.name;
    let fact = format!("{name} from {} is a 1Password reference instead of the secret", origin.place);
    let help = format!(
        "Write the reference as `{name} = op://…` in `secrets`, or as `from` in the manifest. (If this text is the \
         secret itself, set `starts-with: op://`.)"
    );
    Some(Diagnostic::new(fact).help(help))
}

/// Whether a value that violates the rules of its secret is the base64 encoding of one that does not.
fn is_encoded(secret: &Secret, raw: &SecretValue) -> bool {
    let mut decoded = secret.clone();
    decoded.rules.encoding = Some(Encoding::Base64);
    let is_described = secret.rules.starts_with.is_some() || secret.rules.matches.is_some();
    is_described && secret.rules.encoding.is_none() && decoded.accept(raw.clone()).is_ok()
}

/// Whether two values are the same secret, as the manifest wants it (trimmed, decoded).
fn same(secret: &Secret, a: &SecretValue, b: &SecretValue) -> bool {
    a == b || matches!((secret.accept(a.clone()), secret.accept(b.clone())), (Ok(a), Ok(b)) if a == b)
}

fn origin(reference: &Reference, found: &Found) -> Origin {
    // A time that cannot be written as a date counts as never.
    let end = SystemTime::UNIX_EPOCH + DATES;
    Origin {
        source: reference.source.clone(),
        reference: reference.clone(),
        place: found.place.clone(),
        version: found.version.clone(),
        changed: found.changed.filter(|time| *time < end),
        expires: found.expires.filter(|time| *time < end),
    }
}

/// A reference to a source that this run does not have. A local file that does not exist has no value; a store that is
/// not configured may have a newer one.
fn not_there<'a>(reference: &Reference) -> Outcome<'a> {
    let id = &reference.source;
    if SOURCES.iter().any(|kind| kind.local && kind.name == id.as_str()) {
        return Outcome::Absent(format!("{reference} (no {id} source here)"));
    }
    Outcome::Failed(Diagnostic::with_help(
        format!("{reference}: the source {id} is not configured, or not in `sources`"),
        format!("Configure {id}, add it to `sources`, or remove the reference from `from`."),
    ))
}

/// Why a source of higher priority leaves a secret without a value, with both remedies as text to paste.
fn blocking(
    secret: &Secret,
    reference: &Reference,
    references: &[Reference],
    refusal: &Diagnostic,
) -> Diagnostic {
    let others: Vec<String> =
        references.iter().filter(|other| *other != reference).map(ToString::to_string).collect();
    let mut help = refusal.help.clone().unwrap_or_default();
    if !others.is_empty() {
        let _ = write!(
            help,
            "\nOr, if the secret is not stored there, exclude it: `{} = {}`",
            secret.name,
            others.join(" | ")
        );
    }
    Diagnostic::new(format!("{}: {}", secret.name, refusal.fact)).help(help)
}

fn missing(secret: &Secret, looked: &[String]) -> (String, String) {
    let about = secret.description.as_ref().map(|text| format!(" ({text})")).unwrap_or_default();
    let places = if looked.is_empty() {
        "no source is configured".to_owned()
    } else {
        format!("looked at: {}", looked.join("; "))
    };
    (
        format!("{}{about} was not found; {places}", secret.name),
        format!(
            "In GitHub Actions, add `env: {{ {name}: ${{{{ secrets.{name} }}}} }}` to the step (a secret that does not exist arrives empty). To make it optional: `{name}?`.",
            name = secret.name
        ),
    )
}
