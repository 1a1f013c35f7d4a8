//! The minimum permissions in every store for the secrets of a manifest. No store is asked.

use super::kind::SourceKind;
use super::opening::candidates;
use super::options::Options;
use super::policy::{Needs, Policy};
use super::registry::SOURCES;
use crate::error::{Code, Error, Result};
use crate::manifest::Manifest;
use crate::settings::Settings;
use crate::visible::visible;

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
