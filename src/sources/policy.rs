//! The minimum permissions in one store for the secrets of a manifest, as text to paste.

use super::options::Options;
use crate::error::{Code, Error};
use crate::manifest::{Manifest, Reference, SourceId};
use crate::secret::SecretName;
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

/// Refuses a name that would allow more than the one thing it names.
pub(super) fn refuse(id: &SourceId, name: &str, why: &str, help: &str) -> Error {
    Error::new(Code::ReferenceInvalid, format!("no policy for {id} names just {}: {why}", visible(name)))
        .help(help)
}

impl<'a> Needs<'a> {
    pub(super) fn new(options: &'a Options, manifest: &'a Manifest, batch: bool) -> Self {
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
