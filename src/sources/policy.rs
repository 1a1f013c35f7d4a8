//! The minimum permissions in each store for the secrets of a manifest, as text to paste. No store is asked.

use super::opening::candidates;
use super::options::Options;
use super::registry::{SOURCES, SourceKind};
use crate::error::{Code, Error, Result};
use crate::manifest::{Manifest, Reference, SourceId};
use crate::secret::SecretName;
use crate::settings::Settings;
use crate::visible::visible;

/// The permissions in one store.
pub struct Policy {
    /// The source.
    pub id: SourceId,
    /// What the text is, and where it is used.
    pub title: String,
    /// The text.
    pub text: String,
}

/// What a policy is for.
pub(super) struct Needs<'a> {
    pub(super) options: &'a Options,
    pub(super) manifest: &'a Manifest,
    /// Whether batches are allowed, in a store that needs a permission for them.
    pub(super) batch: bool,
    /// The items in the manifest's references, without imports.
    pub(super) references: Vec<&'a Reference>,
    /// Imports of this source.
    pub(super) imports: Vec<&'a Reference>,
}

/// The policies for every store that the manifest, an input or `sources` names, or for `only`.
///
/// # Errors
/// `source-unknown` if there is no such store; `reference-invalid` if a name would allow more than it says.
pub fn policies(
    settings: &Settings,
    manifest: &Manifest,
    only: Option<&str>,
    batch: bool,
) -> Result<Vec<Policy>> {
    let mut stores = Vec::new();
    for (kind, id) in candidates(&manifest.sources)? {
        let mut options = Options::new(&id, kind, settings, manifest);
        options.named |= only.is_some();
        if only.is_none_or(|only| only == id.as_str()) {
            stores.push((kind, options));
        }
    }
    // If nothing names a store, those that are configured by variables count.
    let is_any_named = stores.iter().any(|(_, options)| options.named);
    stores.retain(|(kind, options)| if is_any_named { options.named } else { options.is_configured(kind) });
    let made = stores
        .iter()
        .filter_map(|(kind, options)| of(kind, &Needs::new(options, manifest, batch)).transpose());
    let all: Vec<Policy> = made.collect::<Result<_>>()?;
    if all.is_empty() {
        let fact = match only {
            Some(_) => "no store of this name has policies",
            None => "no store with policies is configured",
        };
        let with_policy = SOURCES.iter().filter(|kind| kind.policy.is_some());
        let names: Vec<&str> = with_policy.map(|kind| kind.name).collect();
        return Err(Error::new(Code::SourceUnknown, fact).help(format!(
            "Name one of {} (`claude-secrets policy aws`), or add a store to the manifest's `sources`.",
            names.join(", ")
        )));
    }
    Ok(all)
}

fn of(kind: &SourceKind, needs: &Needs<'_>) -> Result<Option<Policy>> {
    let Some(policy) = kind.policy else { return Ok(None) };
    let policy = policy(needs)?;
    // A text is pasted: what cannot be seen in it may do something else there.
    let hidden = policy.text.lines().any(|line| visible(line) != line);
    if hidden {
        let fact = format!("a name for the policy of {} contains characters that cannot be seen", policy.id);
        return Err(Error::new(Code::ReferenceInvalid, fact).help(
            "Take them out of the references, the prefix, the environment and the settings of the source.",
        ));
    }
    Ok(Some(policy))
}

/// Refuses a name that would allow more than the one thing it names.
pub(super) fn refuse(id: &SourceId, name: &str, why: &str, help: &str) -> Error {
    Error::new(Code::ReferenceInvalid, format!("no policy for {id} names just {}: {why}", visible(name)))
        .help(help)
}

impl<'a> Needs<'a> {
    fn new(options: &'a Options, manifest: &'a Manifest, batch: bool) -> Self {
        let own = |reference: &&Reference| reference.source == options.id;
        let references = manifest.secrets.iter().flat_map(|secret| secret.from.iter().flatten());
        Self {
            options,
            manifest,
            batch,
            references: references.filter(own).collect(),
            imports: manifest.imports.iter().filter(own).collect(),
        }
    }

    /// The secrets that are looked up at their conventional places.
    pub(super) fn conventional(&self) -> impl Iterator<Item = &SecretName> {
        self.manifest.secrets.iter().filter(|secret| secret.is_conventional()).map(|secret| &secret.name)
    }

    pub(super) fn policy(&self, title: impl Into<String>, text: String) -> Policy {
        Policy { id: self.options.id.clone(), title: title.into(), text }
    }
}

/// Sorted, each once.
pub(super) fn distinct(mut texts: Vec<String>) -> Vec<String> {
    texts.sort();
    texts.dedup();
    texts
}
