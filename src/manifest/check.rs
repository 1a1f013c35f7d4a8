//! From what is written to what is meant: file and lines together, every name and reference checked.

use std::collections::{BTreeMap, BTreeSet};

use super::catalog::{Catalog, unknown_kind};
use super::decode::{At, Entries, decode};
use super::document::{
    Document, EnvironmentEntry, FileEntry, GrantEntry, LATER, SHORTHAND, SecretEntry, SourceEntry, Text,
};
use super::finding::{Finding, Origin, gather, list, meant, named};
use super::rules::whole_value_pattern;
use super::{
    DEFAULT_PREFIX, FILE_NAME, FileSpec, Given, Grant, Manifest, Place, Rules, Scope, Secret, SourceConfig,
    SourceId, lines, tree,
};
use crate::error::{Code, Error};
use crate::secret::SecretName;

/// See [`super::read`].
pub(super) fn read(given: &Given<'_>) -> Result<Manifest, Error> {
    let mut findings = Vec::new();
    let (document, origin) = document(given, &mut findings);
    // A prefix or source that is not understood would make what refers to it look wrong as well.
    let scope = scope(given, document.as_ref(), &origin, &mut findings);
    let mut sources = BTreeMap::new();
    if let Some(document) = &document {
        add_sources(given, &document.sources, &origin, &mut sources, &mut findings);
        if let Some(entry) = environment_entry(given, document) {
            add_sources(given, &entry.sources, &origin, &mut sources, &mut findings);
        }
    }
    let catalog = Catalog {
        given,
        scope: &scope,
        sources: &sources,
    };
    let mut secrets = Vec::new();
    if let Some((Some(entries), _)) = document.as_ref().and_then(|d| d.secrets.get()) {
        for (name, entry) in &entries.0 {
            secrets.extend(secret(name, entry, &catalog, &origin, &mut findings));
        }
    }
    let declared = lines::read(given.lines.unwrap_or_default(), &catalog, &mut findings);
    merge(&mut secrets, declared);
    let services = document
        .as_ref()
        .and_then(|d| d.services.get())
        .map(|(entries, _)| {
            let known: Vec<&str> = secrets.iter().map(|secret| secret.name.as_str()).collect();
            grants(entries, &known, &origin, &mut findings)
        });
    collisions(&secrets, &mut findings);
    if !findings.is_empty() {
        return Err(gather(findings));
    }
    if secrets.is_empty() {
        return Err(nothing_declared(given));
    }
    Ok(Manifest {
        scope,
        secrets,
        services,
        sources,
    })
}

/// The file, as far as it can be read.
fn document<'a>(given: &Given<'a>, findings: &mut Vec<Finding>) -> (Option<Document>, Origin<'a>) {
    let Some((path, bytes)) = given.file else {
        return (None, Origin::new(std::path::Path::new(FILE_NAME), None));
    };
    match tree::parse(bytes) {
        Ok(None) => (None, Origin::new(path, None)),
        Ok(Some(tree)) => {
            let origin = Origin::new(path, Some(&tree));
            (decode(&tree, &origin, LATER, SHORTHAND, findings), origin)
        }
        Err(malformed) => {
            let mut finding = Finding::new(Code::ManifestInvalid, malformed.fact);
            match malformed.mark {
                Some(mark) => {
                    finding.place = Some(Place {
                        file: Some(path.to_owned()),
                        line: mark.line,
                        column: mark.column,
                    })
                }
                None => finding.fact = format!("{}: {}", path.display(), finding.fact),
            }
            findings.push(finding);
            (None, Origin::new(path, None))
        }
    }
}

fn environment_entry<'d>(given: &Given<'_>, document: &'d Document) -> Option<&'d EnvironmentEntry> {
    let name = given.environment?;
    let entries = document.environments.value.as_ref()?.as_ref()?;
    let (_, entry) = entries
        .0
        .iter()
        .find(|(key, _)| key.value.as_deref() == Some(name))?;
    entry.value.as_ref()?.as_ref()
}

/// The prefix and environment of this run. An input wins over the environment's prefix, that over the file's.
fn scope(
    given: &Given<'_>,
    document: Option<&Document>,
    origin: &Origin<'_>,
    findings: &mut Vec<Finding>,
) -> Scope {
    let environment = given.environment.map(str::to_owned);
    if environment
        .as_deref()
        .is_some_and(|name| name.trim().is_empty() || name.chars().any(char::is_control))
    {
        findings.push(Finding::new(
            Code::Usage,
            "the input `environment` is blank or holds a control character",
        ));
    }
    let mut prefix = None;
    if let Some(document) = document {
        if let (Some(name), Some((Some(entries), mark))) = (given.environment, document.environments.get()) {
            let known: Vec<&str> = entries
                .0
                .iter()
                .filter_map(|(key, _)| key.value.as_deref())
                .collect();
            if !known.contains(&name) {
                findings.push(origin.locate(unknown_environment(name, &known), mark, None));
            }
        }
        let entry = environment_entry(given, document);
        prefix = entry
            .and_then(|entry| entry.prefix.get())
            .or(document.prefix.get());
    }
    let checked = match (given.prefix, prefix) {
        (Some(text), _) => expand_prefix(text, given.environment)
            .map_err(|fact| findings.push(Finding::new(Code::Usage, format!("the input `prefix` {fact}"))))
            .ok(),
        (None, Some((Text(text), mark))) => expand_prefix(text, given.environment)
            .map_err(|fact| {
                let finding = Finding::new(Code::ManifestInvalid, format!("`prefix` {fact}"));
                findings.push(origin.locate(finding, mark, None));
            })
            .ok(),
        (None, None) => None,
    };
    Scope {
        prefix: checked.unwrap_or_else(|| DEFAULT_PREFIX.to_owned()),
        environment,
    }
}

fn unknown_environment(name: &str, known: &[&str]) -> Finding {
    let fact = format!(
        "the environment that the input names, {}, is not in `environments`",
        named(name)
    );
    match meant(name, known.iter().copied()) {
        Some(word) => Finding::new(Code::ManifestInvalid, format!("{fact}; did you mean `{word}`?")),
        None => Finding::new(Code::ManifestInvalid, fact).remedy(format!(
            "It has {}. Add an entry, which may be empty, or name one of these.",
            list(known.iter().copied())
        )),
    }
}

/// A prefix with `{environment}` replaced, or what is wrong with it.
fn expand_prefix(text: &str, environment: Option<&str>) -> Result<String, String> {
    if text.is_empty() || text.trim() != text || text.chars().any(char::is_control) {
        return Err("is empty, or holds a control character or a blank at an end".to_owned());
    }
    let expanded = match (text.contains("{environment}"), environment) {
        (true, None) => return Err("holds `{environment}`, and no environment is named".to_owned()),
        (true, Some(name)) => text.replace("{environment}", name),
        (false, _) => text.to_owned(),
    };
    if text.replace("{environment}", "").contains(['{', '}']) {
        return Err("holds a brace that does not belong to `{environment}`".to_owned());
    }
    Ok(expanded)
}

/// Adds configured sources; a setting that is there already is replaced.
fn add_sources(
    given: &Given<'_>,
    section: &At<Option<Entries<SourceEntry>>>,
    origin: &Origin<'_>,
    sources: &mut BTreeMap<SourceId, SourceConfig>,
    findings: &mut Vec<Finding>,
) {
    let Some((Some(entries), _)) = section.get() else {
        return;
    };
    for (key, entry) in &entries.0 {
        let Some((text, key_mark)) = key.get() else {
            continue;
        };
        let Some(id) = SourceId::parse(text) else {
            let fact = format!("{} stands where a source's id belongs", named(text));
            let finding = Finding::new(Code::ManifestInvalid, fact)
                .remedy("An id has lower-case letters, digits and dashes, and starts with a letter.");
            findings.push(origin.locate(finding, key_mark, Some(key_mark)));
            continue;
        };
        let config = sources.entry(id.clone()).or_default();
        let Some((SourceEntry(settings), _)) = entry.get() else {
            continue;
        };
        let kind_entry = settings
            .0
            .iter()
            .find(|(name, _)| name.value.as_deref() == Some("kind"));
        if let Some((Text(kind), mark)) = kind_entry.and_then(|(_, kind)| kind.get()) {
            match unknown_kind(given, kind) {
                Some(finding) => {
                    findings.push(origin.locate(finding, mark, kind_entry.map(|(key, _)| key.mark)))
                }
                None => config.kind = Some(kind.clone()).filter(|kind| kind != id.as_str()),
            }
        } else if config.kind.is_none()
            && let Some(finding) = unknown_kind(given, id.as_str())
        {
            findings.push(origin.locate(finding, key_mark, Some(key_mark)));
            continue;
        }
        let kind = config.kind.as_deref().unwrap_or(id.as_str());
        let allowed = given
            .settings
            .iter()
            .find(|(k, _)| *k == kind)
            .map(|(_, names)| *names);
        for (name, value) in &settings.0 {
            let (Some((name, mark)), Some((Text(value), _))) = (name.get(), value.get()) else {
                continue;
            };
            if name == "kind" {
                continue;
            }
            if let Some(allowed) = allowed
                && !allowed.contains(&name.as_str())
            {
                findings.push(origin.locate(unknown_setting(kind, name, allowed), mark, Some(mark)));
                continue;
            }
            config.settings.insert(name.clone(), value.clone());
        }
    }
}

fn unknown_setting(kind: &str, name: &str, allowed: &[&str]) -> Finding {
    let fact = format!("the source `{kind}` has no such setting: {}", named(name));
    match meant(name, allowed.iter().copied()) {
        Some(word) => Finding::new(Code::ManifestInvalid, format!("{fact}; did you mean `{word}`?")),
        None => Finding::new(Code::ManifestInvalid, fact).remedy(format!(
            "Its settings: {}.",
            list(allowed.iter().copied().chain(["kind"]))
        )),
    }
}

fn secret(
    name: &At<String>,
    entry: &At<Option<SecretEntry>>,
    catalog: &Catalog<'_>,
    origin: &Origin<'_>,
    findings: &mut Vec<Finding>,
) -> Option<Secret> {
    let (text, mark) = name.get()?;
    let parsed = match SecretName::parse(text) {
        Ok(parsed) => parsed,
        Err(error) => {
            let fact = format!("there is no secret's name here: {error}");
            let finding = Finding::new(Code::SecretNameInvalid, fact).remedy(match text.ends_with('?') {
                true => "In this file, an optional secret has `required: false`.",
                false => "A name has letters (A-Z, a-z), digits and underscores, and starts with no digit.",
            });
            findings.push(origin.locate(finding, mark, Some(mark)));
            return None;
        }
    };
    let mut secret = Secret {
        name: parsed,
        description: None,
        required: true,
        default: None,
        from: None,
        rules: Rules::default(),
        sensitive: true,
        file: FileSpec::default(),
        place: origin.place(mark),
    };
    // An entry that could not be read was reported; the name counts as declared.
    let Some(Some(entry)) = &entry.value else {
        return Some(secret);
    };
    secret.description = text_of(&entry.description);
    secret.required = entry.required.value.unwrap_or(true);
    secret.sensitive = entry.sensitive.value.unwrap_or(true);
    secret.file = file_spec(&entry.file);
    secret.from = references(entry, &secret.name, catalog, origin, findings);
    secret.rules = rules(entry, &secret.name, origin, findings);
    if let Some((value, mark)) = entry.default.get() {
        if let Err(fact) = secret.accept(value.0.clone()) {
            let finding = Finding::new(
                Code::ManifestInvalid,
                format!("the default of {} {fact}", named(text)),
            );
            findings.push(origin.locate(
                match value.0.is_empty() {
                    true => finding.remedy("Take it out, or add `allow-empty: true`."),
                    false => finding.remedy("Change the default or the rule that it breaks."),
                },
                mark,
                None,
            ));
        }
        secret.default = Some(value.0.clone());
    }
    Some(secret)
}

fn text_of(field: &At<Text>) -> Option<String> {
    field.value.as_ref().map(|Text(text)| text.clone())
}

fn file_spec(field: &At<FileEntry>) -> FileSpec {
    let Some(file) = &field.value else {
        return FileSpec::default();
    };
    FileSpec {
        name: file.name.value.as_ref().map(|name| name.0.clone()),
        mode: file.mode.value.as_ref().map(|mode| mode.0),
        uid: file.uid.value.as_ref().map(|id| id.0),
        gid: file.gid.value.as_ref().map(|id| id.0),
    }
}

fn references(
    entry: &SecretEntry,
    name: &SecretName,
    catalog: &Catalog<'_>,
    origin: &Origin<'_>,
    findings: &mut Vec<Finding>,
) -> Option<Vec<super::Reference>> {
    let (items, mark) = entry.from.get()?;
    if items.is_empty() {
        let fact = format!("`from` of {} is an empty list", named(name.as_str()));
        let finding = Finding::new(Code::ManifestInvalid, fact)
            .remedy("Name at least one reference, or take `from` out: then every source is asked.");
        findings.push(origin.locate(finding, mark, None));
    }
    let mut references: Vec<super::Reference> = Vec::new();
    for (text, mark) in items.iter().filter_map(At::get) {
        match catalog.reference(&text.0) {
            Ok(reference) if references.contains(&reference) => {
                let fact = format!("a reference of {} is there twice", named(name.as_str()));
                let finding = Finding::new(Code::ManifestInvalid, fact).remedy("Keep the first.");
                findings.push(origin.locate(finding, mark, None));
            }
            Ok(reference) => references.push(reference),
            Err(finding) => {
                let fact = format!("{}: {}", named(name.as_str()), finding.fact);
                findings.push(origin.locate(Finding { fact, ..finding }, mark, None));
            }
        }
    }
    Some(references)
}

fn rules(entry: &SecretEntry, name: &SecretName, origin: &Origin<'_>, findings: &mut Vec<Finding>) -> Rules {
    let matches = entry.matches.get().and_then(|(Text(pattern), mark)| {
        whole_value_pattern(pattern)
            .map_err(|error| {
                let fact = format!(
                    "`matches` of {} is no regular expression: {error}",
                    named(name.as_str())
                );
                findings.push(origin.locate(Finding::new(Code::ManifestInvalid, fact), mark, None));
            })
            .ok()
    });
    Rules {
        starts_with: text_of(&entry.starts_with),
        matches,
        min_length: entry.min_length.value.as_ref().map(|length| length.0),
        encoding: entry.encoding.value,
        trim: entry.trim.value.unwrap_or_default(),
        allow_empty: entry.allow_empty.value.unwrap_or(false),
    }
}

/// Lines win: they say whether a secret is required and, where they have references, where it is looked for.
fn merge(secrets: &mut Vec<Secret>, lines: Vec<lines::Line>) {
    for line in lines {
        if let Some(secret) = secrets.iter_mut().find(|secret| secret.name == line.name) {
            secret.required = line.required;
            secret.from = line.from.or(secret.from.take());
            continue;
        }
        secrets.push(Secret {
            name: line.name,
            description: None,
            required: line.required,
            default: None,
            from: line.from,
            rules: Rules::default(),
            sensitive: true,
            file: FileSpec::default(),
            place: line.place,
        });
    }
}

fn grants(
    entries: &Entries<GrantEntry>,
    known: &[&str],
    origin: &Origin<'_>,
    findings: &mut Vec<Finding>,
) -> BTreeMap<String, Grant> {
    let mut grants = BTreeMap::new();
    for (service, entry) in &entries.0 {
        let (Some((service, mark)), Some((entry, _))) = (service.get(), entry.get()) else {
            continue;
        };
        if service.is_empty() {
            let finding = Finding::new(Code::ManifestInvalid, "a service's name is empty");
            findings.push(origin.locate(finding, mark, Some(mark)));
        }
        let mut secrets = Vec::new();
        let mut seen = BTreeSet::new();
        for (name, mark) in entry.secrets.value.iter().flatten().filter_map(At::get) {
            let finding = match known.iter().find(|word| *word == name) {
                Some(_) if seen.insert(name) => {
                    secrets.extend(SecretName::parse(name));
                    continue;
                }
                Some(_) => {
                    let fact = format!(
                        "{} is there twice for the service {}",
                        named(name),
                        named(service)
                    );
                    Finding::new(Code::ManifestInvalid, fact).remedy("Keep one of the two.")
                }
                None => undeclared(name, service, known),
            };
            findings.push(origin.locate(finding, mark, None));
        }
        let id = |field: &At<super::document::Id>| field.value.as_ref().map(|id| id.0);
        grants.insert(
            service.clone(),
            Grant {
                secrets,
                uid: id(&entry.uid),
                gid: id(&entry.gid),
            },
        );
    }
    grants
}

fn undeclared(name: &str, service: &str, known: &[&str]) -> Finding {
    let fact = format!(
        "the service {} gets a secret that is not declared, {}",
        named(service),
        named(name)
    );
    match meant(name, known.iter().copied()) {
        Some(word) => Finding::new(Code::ManifestInvalid, format!("{fact}; did you mean `{word}`?")),
        None => Finding::new(Code::ManifestInvalid, fact)
            .remedy("Declare it: add its name, with a colon after it, below `secrets`."),
    }
}

/// Two secrets whose files would be the same, also on a file system that does not tell upper from lower case.
fn collisions(secrets: &[Secret], findings: &mut Vec<Finding>) {
    let mut taken: BTreeMap<String, &Secret> = BTreeMap::new();
    for secret in secrets {
        let file = secret.file_name().to_ascii_lowercase();
        let Some(first) = taken.get(&file) else {
            taken.insert(file, secret);
            continue;
        };
        let (one, other) = (named(first.name.as_str()), named(secret.name.as_str()));
        let fact = format!(
            "the secrets {one} and {other} would both be in the file {}",
            named(&file)
        );
        findings.push(
            Finding::new(Code::SecretNamesCollide, fact)
                .remedy("Give one of them another file: `file: { name: other_name }`.")
                .at(secret.place.clone()),
        );
    }
}

fn nothing_declared(given: &Given<'_>) -> Error {
    let fact = match given.file {
        Some((path, _)) => format!(
            "neither {} nor the input `secrets` declares a secret",
            path.display()
        ),
        None => {
            format!("nothing declares a secret: there is no {FILE_NAME}, and the input `secrets` is empty")
        }
    };
    Error::new(Code::ManifestMissing, fact).hint(
        "Name the secrets in the input `secrets`, one a line, and give their values to the step's `env:`:\n\
         with:\n  secrets: |\n    ANTHROPIC_API_KEY\n\
         env:\n  ANTHROPIC_API_KEY: ${{ secrets.ANTHROPIC_API_KEY }}",
    )
}
