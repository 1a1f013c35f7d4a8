//! The prefix, environment and sources of this run.

use std::collections::BTreeMap;

use super::at::{At, Entries};
use super::catalog::unknown_kind;
use super::document::{Document, EnvironmentEntry, SourceEntry, Text};
use super::finding::{Finding, Findings, list, named};
use super::{DEFAULT_PREFIX, Given, Scope, SourceConfig, SourceId};
use crate::error::Code;
use crate::nearest::meant;

/// Configured sources by id.
pub(super) type Sources = BTreeMap<SourceId, SourceConfig>;

const IN_PREFIX: &str = "{environment}";

/// Words in the names of credentials, which are not settings.
const CREDENTIALS: [&str; 5] = ["token", "secret", "password", "access-key", "credential"];

/// The prefix and environment of this run. The input replaces the environment's prefix, which replaces the file's.
pub(super) fn scope(given: &Given<'_>, document: Option<&Document>, findings: &mut Findings<'_>) -> Scope {
    let environment = given.environment.map(str::to_owned);
    if environment.as_deref().is_some_and(|name| name.trim().is_empty() || name.chars().any(char::is_control))
    {
        let fact = "the input `environment` is blank or contains a control character";
        findings.all.push(Finding::new(Code::Usage, fact));
    }
    let written = document.and_then(|document| {
        check_environments(given, document, findings);
        let entry = environment_entry(given, document);
        entry.and_then(|entry| entry.prefix.get()).or(document.prefix.get())
    });
    let prefix = match (given.prefix, written) {
        (Some(text), _) => expand_prefix(text, given.environment).map_err(|fact| {
            findings.all.push(Finding::new(Code::Usage, format!("the input `prefix` {fact}")));
        }),
        (None, Some((Text(text), mark))) => expand_prefix(text, given.environment).map_err(|fact| {
            findings.add(mark, Finding::new(Code::ManifestInvalid, format!("`prefix` {fact}")));
        }),
        (None, None) => Ok(DEFAULT_PREFIX.to_owned()),
    };
    // This problem has been noted; going on with the default only finds more of them.
    Scope { prefix: prefix.unwrap_or_else(|()| DEFAULT_PREFIX.to_owned()), environment }
}

/// The sources that the file configures, with the settings of this run's environment.
pub(super) fn sources(given: &Given<'_>, document: &Document, findings: &mut Findings<'_>) -> Sources {
    let mut base = Sources::new();
    add_sources(given, &document.sources, &mut base, findings);
    let mut chosen = None;
    // Those of other environments are read as well, so that a mistake is found before it is deployed.
    for (name, entry) in document.environments.value.iter().flatten().flat_map(|entries| &entries.0) {
        let Some(Some(entry)) = &entry.value else { continue };
        let mut sources = base.clone();
        add_sources(given, &entry.sources, &mut sources, findings);
        if name.value.as_deref() == given.environment {
            chosen = Some(sources);
        }
    }
    chosen.unwrap_or(base)
}

fn environment_entry<'d>(given: &Given<'_>, document: &'d Document) -> Option<&'d EnvironmentEntry> {
    let name = given.environment?;
    let entries = document.environments.value.as_ref()?.as_ref()?;
    let (_, entry) = entries.0.iter().find(|(key, _)| key.value.as_deref() == Some(name))?;
    entry.value.as_ref()?.as_ref()
}

/// If environments are listed, this run's must be one of them.
fn check_environments(given: &Given<'_>, document: &Document, findings: &mut Findings<'_>) {
    let (Some(name), Some((Some(entries), mark))) = (given.environment, document.environments.get()) else {
        return;
    };
    let known: Vec<&str> = entries.0.iter().filter_map(|(key, _)| key.value.as_deref()).collect();
    if known.contains(&name) {
        return;
    }
    let fact = format!("the input `environment` is `{name}`, which is not in `environments`");
    findings.add(
        mark,
        match meant(name, known.iter().copied()) {
            Some(word) => Finding::new(Code::ManifestInvalid, format!("{fact}; did you mean `{word}`?")),
            None => Finding::new(Code::ManifestInvalid, fact).help(format!(
                "Add an entry for it (it may be empty), or use one of {}.",
                list(known.iter().copied())
            )),
        },
    );
}

/// A prefix with `{environment}` replaced, or what is wrong with it.
fn expand_prefix(text: &str, environment: Option<&str>) -> Result<String, &'static str> {
    if text.is_empty() || text.trim() != text || text.chars().any(char::is_control) {
        return Err("is empty, contains a control character, or starts or ends with a space");
    }
    if text.replace(IN_PREFIX, "").contains(['{', '}']) {
        return Err("contains a brace that is not part of `{environment}`");
    }
    match environment {
        Some(name) => Ok(text.replace(IN_PREFIX, name)),
        None if text.contains(IN_PREFIX) => Err("contains `{environment}`, but no environment is set"),
        None => Ok(text.to_owned()),
    }
}

/// Adds configured sources; a setting that exists is replaced.
fn add_sources(
    given: &Given<'_>,
    section: &At<Option<Entries<SourceEntry>>>,
    sources: &mut Sources,
    findings: &mut Findings<'_>,
) {
    for (key, entry) in section.value.iter().flatten().flat_map(|entries| &entries.0) {
        let Some((text, mark)) = key.get() else { continue };
        let Some(id) = SourceId::parse(text) else {
            findings.add(mark, bad_id(given, text));
            continue;
        };
        let Some(SourceEntry(settings)) = &entry.value else {
            continue;
        };
        let config = sources.entry(id.clone()).or_default();
        if let Some(finding) = read_kind(given, &id, mark, settings, config) {
            findings.add(finding.0, finding.1);
            continue;
        }
        add_settings(given, &id, settings, config, findings);
    }
}

fn bad_id(given: &Given<'_>, text: &str) -> Finding {
    let fact = format!("not a valid source id: {}", named(text));
    match meant(text, given.known_kinds.iter().copied()) {
        Some(word) => Finding::new(Code::ManifestInvalid, format!("{fact}; did you mean `{word}`?")),
        None => Finding::new(Code::ManifestInvalid, fact)
            .help("An id consists of lower-case letters, digits and dashes, and starts with a letter."),
    }
}

/// Sets the kind, or reports what is wrong with it and where.
fn read_kind(
    given: &Given<'_>,
    id: &SourceId,
    id_mark: super::tree::Mark,
    settings: &Entries<Text>,
    config: &mut SourceConfig,
) -> Option<(super::tree::Mark, Finding)> {
    let kind = settings.0.iter().find(|(name, _)| name.value.as_deref() == Some("kind"));
    match kind.and_then(|(_, kind)| kind.get()) {
        Some((Text(kind), mark)) => {
            config.kind = Some(kind.clone()).filter(|kind| kind != id.as_str());
            unknown_kind(given, kind).map(|finding| (mark, finding))
        }
        None if config.kind.is_some() => None,
        None => unknown_kind(given, id.as_str()).map(|finding| (id_mark, finding)),
    }
}

fn add_settings(
    given: &Given<'_>,
    id: &SourceId,
    settings: &Entries<Text>,
    config: &mut SourceConfig,
    findings: &mut Findings<'_>,
) {
    let kind = config.kind.as_deref().unwrap_or(id.as_str());
    let allowed = given.settings.iter().find(|(k, _)| *k == kind).map(|(_, names)| names);
    for (name, value) in &settings.0 {
        let (Some((name, mark)), Some(Text(value))) = (name.get(), &value.value) else {
            continue;
        };
        if name == "kind" {
            continue;
        }
        if let Some(allowed) = allowed
            && !allowed.contains(&name.as_str())
        {
            findings.add(mark, unknown_setting(kind, name, allowed));
            continue;
        }
        config.settings.insert(name.clone(), value.clone());
    }
}

fn unknown_setting(kind: &str, name: &str, allowed: &[&str]) -> Finding {
    let fact = format!("unknown setting of the source `{kind}`: {}", named(name));
    if CREDENTIALS.iter().any(|word| name.contains(word)) {
        return Finding::new(Code::ManifestInvalid, fact).help(format!(
            "Do not put credentials into this file: everyone with access to the repository can read it. Rotate a \
             credential that was here, and set it in the step's `env:`, in the variable that docs/sources/{kind}.md names."
        ));
    }
    match meant(name, allowed.iter().copied()) {
        Some(word) => Finding::new(Code::ManifestInvalid, format!("{fact}; did you mean `{word}`?")),
        None => Finding::new(Code::ManifestInvalid, fact)
            .help(format!("Its settings are {}.", list(allowed.iter().copied().chain(["kind"])))),
    }
}
