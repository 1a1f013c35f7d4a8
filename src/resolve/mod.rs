//! Asks all sources at once and merges their replies by priority: which source has each secret, which one wins, and what
//! is wrong.

mod collisions;
mod composed;
mod freshness;
mod import;
mod merge;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use tokio::time::Instant;

pub use self::composed::TEMPLATE;
pub use self::import::import;
use self::merge::Merge;
use crate::count::count;
use crate::diagnostic::Diagnostic;
use crate::error::{Code, Error, Result};
use crate::manifest::{Manifest, Reference, Secret, SourceId};
use crate::progress;
use crate::secret::{SecretName, SecretValue};
use crate::settings::Settings;
use crate::sources::{self, Item, Reply, Source};

/// How much longer than `timeout` a source may take, so that it can report itself what timed out.
const GRACE: Duration = Duration::from_secs(1);

/// Where a secret's value came from.
#[derive(Clone)]
pub struct Origin {
    /// The winning source.
    pub source: SourceId,
    /// The reference that was asked.
    pub reference: Reference,
    /// Where exactly the source had it.
    pub place: String,
    /// The version in the store.
    pub version: Option<String>,
    /// When the value was written.
    pub changed: Option<SystemTime>,
    /// When it expires.
    pub expires: Option<SystemTime>,
}

/// A source of lower priority that also has the secret.
#[derive(Clone)]
pub struct Shadowed {
    /// The source.
    pub source: SourceId,
    /// Whether its value is different.
    pub differs: bool,
}

/// The outcome for a secret.
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
    /// A source of higher priority refused access.
    Denied,
    /// A source of higher priority could not be read.
    Failed,
    /// The value violates a rule of the manifest.
    Invalid,
}

/// One secret after all sources were asked. It has no `Debug`, because it contains the value.
pub struct Resolved {
    /// The declaration.
    pub secret: Secret,
    /// Its outcome.
    pub state: State,
    /// The value, if it was found or has a default.
    pub value: Option<SecretValue>,
    /// Where the value came from; `None` for a default.
    pub origin: Option<Origin>,
    /// The other sources that have it.
    pub shadowed: Vec<Shadowed>,
    /// Whether its value is unknown although it should have one: there is a problem with it, or another source may have it.
    pub is_open: bool,
}

/// What asking one source took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The source.
    pub source: SourceId,
    /// How many items it was asked for.
    pub items: usize,
    /// How many of them it had.
    pub found: usize,
    /// The requests that it made, and the programs that it started.
    pub calls: u32,
    /// How long it took, logging in and out included.
    pub time: Duration,
}

impl Resolution {
    /// Adds what was asked of sources before: what imports took.
    pub fn add_asked(&mut self, before: Vec<Asked>) {
        for more in before {
            match self.asked.iter_mut().find(|asked| asked.source == more.source) {
                Some(asked) => {
                    asked.calls += more.calls;
                    asked.time += more.time;
                }
                None => self.asked.push(more),
            }
        }
    }
}

/// All secrets, and all problems with them. The default is empty.
#[derive(Default)]
pub struct Resolution {
    /// In the order in which they were declared.
    pub secrets: Vec<Resolved>,
    /// The warnings.
    pub warnings: Vec<Diagnostic>,
    /// Facts that change nothing, such as a failed source of lower priority.
    pub notes: Vec<String>,
    /// Whether a secret is missing or a source was skipped, as the user's settings allow.
    pub degraded: bool,
    /// What asking each source took, highest priority first; without those that were asked for nothing.
    pub asked: Vec<Asked>,
    problems: Vec<(Code, Diagnostic)>,
    seen: Vec<(SecretName, SecretValue)>,
}

impl Resolution {
    /// Every value that any source returned for a sensitive secret, for the masks: also the shadowed ones.
    pub fn values(&self) -> impl Iterator<Item = (&SecretName, &SecretValue)> {
        self.seen.iter().map(|(name, value)| (name, value))
    }

    /// Every declared secret, with a value or without.
    pub fn declared(&self) -> Vec<&Secret> {
        self.secrets.iter().map(|resolved| &resolved.secret).collect()
    }

    /// The secrets that have a value.
    pub fn available(&self) -> impl Iterator<Item = (&Secret, &SecretValue)> {
        self.secrets.iter().filter_map(|resolved| Some((&resolved.secret, resolved.value.as_ref()?)))
    }

    /// The secrets that have no value, and nothing is wrong with that: they are optional, or may be missing.
    pub fn absent(&self) -> impl Iterator<Item = &Secret> {
        let is_absent = |resolved: &&Resolved| resolved.value.is_none() && !resolved.is_open;
        self.secrets.iter().filter(is_absent).map(|resolved| &resolved.secret)
    }

    /// Their names.
    pub fn absent_names(&self) -> BTreeSet<&SecretName> {
        self.absent().map(|secret| &secret.name).collect()
    }

    /// The values of the secrets that are not sensitive, where they are text.
    pub fn plain_texts(&self) -> BTreeMap<&SecretName, String> {
        let plain = self.available().filter(|(secret, _)| !secret.sensitive);
        plain
            .filter_map(|(secret, value)| {
                Some((&secret.name, String::from_utf8(value.expose().to_vec()).ok()?))
            })
            .collect()
    }

    /// All problems as one error, if there is any. Call it after the masks are in force.
    pub fn check(&self) -> Result<()> {
        let grave = [
            Code::SecretNamesCollide,
            Code::SourceDenied,
            Code::SourceFailed,
            Code::SecretsMissing,
            Code::SecretInvalid,
        ];
        let Some(code) = grave.into_iter().find(|code| self.problems.iter().any(|(c, _)| c == code)) else {
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

/// Asks every source at the same time, each once for everything it may have, and merges the answers (design rules 1 to 4).
pub async fn resolve(manifest: Manifest, sources: &[Box<dyn Source>], settings: &Settings) -> Resolution {
    let mut plans: Vec<Vec<Reference>> = manifest
        .secrets
        .iter()
        .map(|secret| match &secret.from {
            Some(references) => references.clone(),
            None if !secret.is_conventional() => Vec::new(),
            None => sources.iter().map(|source| source.conventional(&secret.name, &manifest.scope)).collect(),
        })
        .collect();
    let (answers, asked) = ask(&plans, sources, settings).await;
    let mut all = Resolution { asked, ..Resolution::default() };
    let collisions = collisions::problems(&manifest, sources, &answers);
    all.problems.extend(collisions.into_iter().map(|problem| (Code::SecretNamesCollide, problem)));
    pass_over_ambient(&mut plans, sources, &answers, &mut all);
    let merge = Merge::new(sources, &answers, settings);
    for (secret, references) in manifest.secrets.into_iter().zip(plans) {
        let (problems, warnings) = (all.problems.len(), all.warnings.len());
        let mut resolved = if secret.template.is_some() {
            composed::waiting(secret)
        } else {
            merge.one(secret, &references, &mut all)
        };
        resolved.is_open = all.problems.len() > problems;
        let place = &resolved.secret.place;
        all.problems[problems..].iter_mut().for_each(|(_, problem)| problem.place = Some(place.clone()));
        all.warnings[warnings..].iter_mut().for_each(|warning| warning.place = Some(place.clone()));
        all.secrets.push(resolved);
    }
    composed::compose(&mut all, settings.missing_is_warning);
    for source in sources {
        let asked: Vec<Item> =
            answers.keys().filter(|(id, _)| id == source.id()).map(|(_, item)| item.clone()).collect();
        let remarks = source.remarks(&asked).into_iter();
        all.warnings.extend(remarks);
    }
    all
}

/// Closes sources that are no longer needed: after imports only, or when a run ends early.
pub async fn close(sources: &[Box<dyn Source>]) {
    join_all(sources.iter().map(|source| source.close())).await;
}

type Answers = BTreeMap<(SourceId, Item), Reply>;

fn item(reference: &Reference) -> Item {
    Item { name: reference.item.clone(), version: reference.version.clone() }
}

/// Asks all sources at the same time; afterwards those whose reads are metered, one after the other, each for what nothing
/// above it had.
async fn ask(
    plans: &[Vec<Reference>],
    sources: &[Box<dyn Source>],
    settings: &Settings,
) -> (Answers, Vec<Asked>) {
    let until = Instant::now() + settings.timeout + GRACE;
    let (metered, others): (Vec<_>, Vec<_>) = sources.iter().partition(|source| source.is_metered());
    let asked = others.iter().map(|source| {
        let items = items_of(source.as_ref(), plans.iter().flatten());
        ask_one(source.as_ref(), items, settings.timeout, until)
    });
    let (answers, mut all): (Vec<Answers>, Vec<Option<Asked>>) = join_all(asked).await.into_iter().unzip();
    let mut answers: Answers = answers.into_iter().flatten().collect();
    for source in metered {
        let items = {
            let merge = Merge::new(sources, &answers, settings);
            let open = plans.iter().flat_map(|plan| merge.before_winner(plan));
            items_of(source.as_ref(), open)
        };
        let (more, asked) = ask_one(source.as_ref(), items, settings.timeout, until).await;
        answers.extend(more);
        all.push(asked);
    }
    let place = |asked: &Asked| sources.iter().position(|source| *source.id() == asked.source);
    let mut all: Vec<Asked> = all.into_iter().flatten().collect();
    all.sort_by_key(place);
    (answers, all)
}

/// The items that a source is asked for. Two references to one item are one request.
fn items_of<'r>(source: &dyn Source, references: impl Iterator<Item = &'r Reference>) -> BTreeSet<Item> {
    references.filter(|reference| reference.source == *source.id()).map(item).collect()
}

/// Asks a source for all its items, and closes it: it is asked once.
async fn ask_one(
    source: &dyn Source,
    items: BTreeSet<Item>,
    timeout: Duration,
    until: Instant,
) -> (Answers, Option<Asked>) {
    let items: Vec<Item> = items.into_iter().collect();
    // A source that goes over the network keeps the deadline itself, and so loses only what did not come in time. One that
    // is asked for nothing may have been asked before, by an import.
    let start = Instant::now();
    let work = async {
        let replies = if items.is_empty() {
            Vec::new()
        } else {
            let _shown = progress::begin(&format!("{}: {}", source.id(), count(items.len(), "secret")));
            let replies = tokio::time::timeout_at(until, source.read(&items)).await;
            let late = |_: &Item| Reply::Failed(late(source.id(), timeout));
            replies.unwrap_or_else(|_| items.iter().map(late).collect())
        };
        source.close().await;
        replies
    };
    let (replies, calls) = sources::counted(work).await;
    let asked = (!items.is_empty()).then(|| Asked {
        source: source.id().clone(),
        items: items.len(),
        found: replies.iter().filter(|reply| matches!(reply, Reply::Found(_))).count(),
        calls,
        time: start.elapsed(),
    });
    let of_item = |item: Item| (source.id().clone(), item);
    (items.into_iter().map(of_item).zip(replies).collect(), asked)
}

fn late(id: &SourceId, timeout: Duration) -> Diagnostic {
    Diagnostic::with_help(
        format!("{id} did not answer within {}", humantime::format_duration(timeout)),
        "Check the store, or increase `timeout`.",
    )
}

/// Skips sources that nothing names, that have only ambient credentials, and that deny everything (design rule 1).
fn pass_over_ambient(
    plans: &mut [Vec<Reference>],
    sources: &[Box<dyn Source>],
    answers: &Answers,
    all: &mut Resolution,
) {
    for source in sources.iter().filter(|source| source.is_ambient()) {
        let mut own = answers.iter().filter(|((id, _), _)| id == source.id()).map(|(_, reply)| reply);
        let Some(Reply::Denied(first)) = own.next() else { continue };
        if !own.all(|reply| matches!(reply, Reply::Denied(_))) {
            continue;
        }
        let id = source.id();
        for plan in &mut *plans {
            plan.retain(|reference| reference.source != *id);
        }
        all.warnings.push(Diagnostic::with_help(format!(
                "skipping {id}: only ambient credentials, and every read denied ({})",
                first.fact
            ), format!(
                "To use {id}, add `sources: {{ {id}: {{ … }} }}` to the manifest. To exclude it, list the other sources in the input `sources`."
            )));
    }
}
