//! Which service gets which secrets, as the manifest's `services` says, with every name checked.

use std::collections::{BTreeMap, BTreeSet};

use super::at::{At, Entries};
use super::check::number_of;
use super::document::GrantEntry;
use super::finding::{Finding, Findings, meant, named};
use super::{Grant, VariableGrant};
use crate::error::Code;
use crate::secret::SecretName;

/// Reads the map. `known` are the declared names; with `more_to_come` other names may yet be imported.
pub(super) fn grants(
    entries: &Entries<GrantEntry>,
    known: &[&str],
    more_to_come: bool,
    findings: &mut Findings<'_>,
) -> BTreeMap<String, Grant> {
    let mut grants = BTreeMap::new();
    for (service, entry) in &entries.0 {
        let (Some((service, mark)), Some(entry)) = (service.get(), &entry.value) else {
            continue;
        };
        if service.is_empty() {
            findings.add(mark, Finding::new(Code::ManifestInvalid, "a service's name is empty"));
        }
        let importable = |name: &str| more_to_come && SecretName::parse(name).is_ok();
        let mut secrets = Vec::new();
        let mut seen = BTreeSet::new();
        for (name, mark) in entry.secrets.value.iter().flatten().filter_map(At::get) {
            if !known.contains(&name.as_str()) && !importable(name) {
                findings.add(mark, undeclared(name, service, known));
            } else if seen.insert(name) {
                secrets.extend(SecretName::parse(name));
            } else {
                let fact = format!("{name} is there twice for the service {}", named(service));
                findings.add(mark, Finding::new(Code::ManifestInvalid, fact).remedy("Keep one of the two."));
            }
        }
        let mut variables = BTreeMap::new();
        for (variable, how) in entry.variables.value.iter().flat_map(|entries| &entries.0) {
            let (Some((variable, mark)), Some(how)) = (variable.get(), &how.value) else {
                continue;
            };
            let secret = how.secret.value.as_deref();
            if let Some(name) = secret.filter(|name| !known.contains(name) && !importable(name)) {
                findings.add(mark, undeclared(name, service, known));
                continue;
            }
            let secret = secret.and_then(|name| SecretName::parse(name).ok());
            // A variable that takes a secret is a grant of it.
            secrets.extend(secret.clone().filter(|name| !secrets.contains(name)));
            let grant = VariableGrant { secret, deliver: how.deliver.value };
            variables.insert(variable.clone(), grant);
        }
        let grant = Grant {
            secrets,
            uid: number_of(&entry.uid),
            gid: number_of(&entry.gid),
            deliver: entry.deliver.value,
            variables,
        };
        grants.insert(service.clone(), grant);
    }
    grants
}

fn undeclared(name: &str, service: &str, known: &[&str]) -> Finding {
    let fact = format!("the service {} gets a secret that is not declared, {}", named(service), named(name));
    match meant(name, known.iter().copied()) {
        Some(word) => Finding::new(Code::ManifestInvalid, format!("{fact}; did you mean `{word}`?")),
        None => Finding::new(Code::ManifestInvalid, fact)
            .remedy("Declare it: add its name, with a colon after it, below `secrets`."),
    }
}
