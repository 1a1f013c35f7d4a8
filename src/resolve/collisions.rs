//! Secrets with the same conventional place: a store may distinguish fewer names than we do (Azure Key Vault has no `_` and
//! ignores case).

use std::collections::BTreeMap;

use super::{Answers, item};
use crate::diagnostic::Diagnostic;
use crate::manifest::{Manifest, Reference, Secret};
use crate::sources::{Reply, Source};

/// Each pair of secrets that would get the same value from the same place by accident. If nothing is found there, it is
/// not a problem.
pub(super) fn problems(
    manifest: &Manifest,
    sources: &[Box<dyn Source>],
    answers: &Answers,
) -> Vec<Diagnostic> {
    let mut places: BTreeMap<Reference, &Secret> = BTreeMap::new();
    let mut problems = Vec::new();
    for secret in manifest.secrets.iter().filter(|secret| secret.is_conventional()) {
        for source in sources {
            let place = source.conventional(&secret.name, &manifest.scope);
            let found = answers.get(&(place.source.clone(), item(&place)));
            let Some(Reply::Found(_)) = found else { continue };
            if let Some(first) = places.get(&place) {
                let (one, other) = (&first.name, &secret.name);
                let problem = Diagnostic::new(format!("{one} and {other} both resolve to {place}"));
                problems.push(problem.help(format!(
                    "Rename one of them, or write where it is stored: `{other} = {}:…`.",
                    place.source
                )));
            } else {
                places.insert(place, secret);
            }
        }
    }
    problems
}
