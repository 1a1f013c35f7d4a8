//! Which service gets which secrets, as the manifest's `services` says, with every name checked.

use std::collections::{BTreeMap, BTreeSet};

use super::at::{At, Entries};
use super::document::GrantEntry;
use super::finding::{Finding, Findings, named};
use super::{Grant, VariableGrant, WorkersGrant};
use crate::error::Code;
use crate::nearest::meant;
use crate::secret::SecretName;

/// Reads the map. `known` are the declared names; with `more_to_come`, an import may add others.
pub(super) fn grants(
    entries: &Entries<GrantEntry>,
    known: &BTreeSet<&str>,
    more_to_come: bool,
    findings: &mut Findings<'_>,
) -> BTreeMap<String, Grant> {
    let mut grants = BTreeMap::new();
    for (service, entry) in &entries.0 {
        let (Some((service, mark)), Some(entry)) = (service.get(), &entry.value) else {
            continue;
        };
        if service.is_empty() {
            findings.add(mark, Finding::new(Code::ManifestInvalid, "a service name is empty"));
        }
        let importable = |name: &str| more_to_come && SecretName::parse(name).is_ok();
        let reader = Names { service, known, importable: &importable };
        let mut secrets = reader.read(&entry.secrets, findings);
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
        let workers = workers(entry, &reader, findings);
        // What is passed on is granted.
        for name in workers.iter().flat_map(|workers| workers.secrets.iter().flatten()) {
            secrets.extend(Some(name.clone()).filter(|name| !secrets.contains(name)));
        }
        let grant = Grant {
            secrets,
            uid: entry.uid.number(),
            gid: entry.gid.number(),
            deliver: entry.deliver.value,
            variables,
            workers,
        };
        grants.insert(service.clone(), grant);
    }
    grants
}

/// Reads lists of secrets of one service.
struct Names<'a> {
    service: &'a str,
    known: &'a BTreeSet<&'a str>,
    /// Whether an import may still add a name that is not known.
    importable: &'a dyn Fn(&str) -> bool,
}

impl Names<'_> {
    fn read(&self, list: &At<Vec<At<String>>>, findings: &mut Findings<'_>) -> Vec<SecretName> {
        let service = self.service;
        let mut secrets = Vec::new();
        let mut seen = BTreeSet::new();
        for (name, mark) in list.value.iter().flatten().filter_map(At::get) {
            if !self.known.contains(name.as_str()) && !(self.importable)(name) {
                findings.add(mark, undeclared(name, service, self.known));
                // Read as it was meant, to avoid a second error that no service uses that secret.
                let meant = meant(name, self.known.iter().copied());
                secrets.extend(meant.and_then(|name| SecretName::parse(name).ok()));
            } else if seen.insert(name) {
                secrets.extend(SecretName::parse(name));
            } else {
                let fact = format!("{name} is listed twice for the service {}", named(service));
                findings.add(mark, Finding::new(Code::ManifestInvalid, fact).help("Remove one of the two."));
            }
        }
        secrets
    }
}

/// What a service passes on to workers, if it starts any.
fn workers(entry: &GrantEntry, names: &Names<'_>, findings: &mut Findings<'_>) -> Option<WorkersGrant> {
    let starts = entry.starts_workers.value == Some(true);
    let Some((workers, at)) = entry.workers.get() else {
        return starts.then(WorkersGrant::default);
    };
    if !starts {
        let fact =
            format!("the service {} has `workers`, but not `starts-workers: true`", named(names.service));
        findings.add(
            at,
            Finding::new(Code::ManifestInvalid, fact)
                .help("Add `starts-workers: true`, or remove `workers`."),
        );
    }
    let secrets = names.read(&workers.secrets, findings);
    if let Some((_, at)) = workers.secrets.get().filter(|(list, _)| list.is_empty()) {
        let fact = format!("`secrets` of the workers of {} is an empty list", named(names.service));
        findings.add(
            at,
            Finding::new(Code::ManifestInvalid, fact)
                .help("Add a secret, or remove the list to give them every secret of the service."),
        );
    }
    Some(WorkersGrant {
        secrets: workers.secrets.get().map(|_| secrets),
        uid: workers.uid.number(),
        gid: workers.gid.number(),
    })
}

fn undeclared(name: &str, service: &str, known: &BTreeSet<&str>) -> Finding {
    let fact = format!("the service {} uses an undeclared secret, {}", named(service), named(name));
    match meant(name, known.iter().copied()) {
        Some(word) => Finding::new(Code::ManifestInvalid, format!("{fact}; did you mean `{word}`?")),
        None => Finding::new(Code::ManifestInvalid, fact)
            .help("Declare it: add its name, followed by a colon, under `secrets`."),
    }
}
