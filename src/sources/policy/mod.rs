//! The least that each store must allow for what a manifest declares, as text to paste. No store is asked.

mod aws;
mod azure;
mod onepassword;
mod vault;

use super::catalog::SourceKind;
use super::opening::candidates;
use super::options::Options;
use crate::error::{Code, Error, Result};
use crate::manifest::{Manifest, Reference, SourceId};
use crate::secret::SecretName;
use crate::settings::Settings;

/// What one store must allow.
pub struct Policy {
    /// The source.
    pub id: SourceId,
    /// What the text is, and where it belongs.
    pub title: String,
    /// The text.
    pub text: String,
}

/// What a policy is made for.
struct Needs<'a> {
    options: &'a Options,
    manifest: &'a Manifest,
    /// Whether many secrets shall be read with one request, where a store asks for a permission for that.
    batch: bool,
    /// What the manifest's references name, without imports.
    references: Vec<&'a Reference>,
    /// Imports of this source.
    imports: Vec<&'a Reference>,
}

/// The policies for every store that the manifest, an input or `sources` names, or for `only` that one.
///
/// # Errors
/// `source-unknown` when there is no such store.
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
    // Where nobody names a store, those count of which variables speak.
    let is_any_named = stores.iter().any(|(_, options)| options.named);
    stores.retain(|(kind, options)| if is_any_named { options.named } else { options.is_spoken_of(kind) });
    let all: Vec<Policy> =
        stores.iter().filter_map(|(kind, options)| of(kind, &Needs::new(options, manifest, batch))).collect();
    if all.is_empty() {
        let fact = match only {
            Some(_) => "there is no store of this name that has policies",
            None => "no store is named that has policies",
        };
        return Err(Error::new(Code::SourceUnknown, fact).hint(
            "Name one: `claude-secrets policy aws` (or vault, azure, onepassword), or put it into the manifest's `sources`.",
        ));
    }
    Ok(all)
}

fn of(kind: &SourceKind, needs: &Needs<'_>) -> Option<Policy> {
    match kind.name {
        "aws" => Some(aws::policy(needs)),
        "vault" => Some(vault::policy(needs)),
        "azure" => Some(azure::policy(needs)),
        "onepassword" => Some(onepassword::policy(needs)),
        _ => None,
    }
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

    /// The secrets that are looked for at their conventional places.
    fn conventional(&self) -> impl Iterator<Item = &SecretName> {
        self.manifest.secrets.iter().filter(|secret| secret.is_conventional()).map(|secret| &secret.name)
    }

    fn policy(&self, title: impl Into<String>, text: String) -> Policy {
        Policy { id: self.options.id.clone(), title: title.into(), text }
    }
}

/// Sorted, each once.
fn distinct(mut texts: Vec<String>) -> Vec<String> {
    texts.sort();
    texts.dedup();
    texts
}
