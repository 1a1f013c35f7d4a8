//! Turns the file and the `secrets` input into one manifest, and checks every name and reference in them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::at::At;
use super::catalog::Catalog;
use super::decode::decode;
use super::document::{Document, FileEntry, GRAMMAR, SecretEntry, Text};
use super::finding::{Finding, Findings, Origin, gather};
use super::grants::grants;
use super::pattern::{Pattern, PatternError};
use super::sound::{Sections, Soundness};
use super::tree::Mark;
use super::{
    FILE_NAME, FileSpec, Freshness, Given, Manifest, Place, Reading, Reference, Rules, Secret, composed,
    lines, scope, tree,
};
use crate::diagnostic::Diagnostic;
use crate::error::{Code, Error};
use crate::secret::{ANOTHER_NAME, NameError, SecretName};

/// See [`super::examine`].
pub(super) fn examine(given: &Given<'_>) -> Reading {
    let (document, mut findings, sections) = document(given);
    let scope = scope::scope(given, document.as_ref(), &mut findings);
    let sources = document.as_ref().map(|d| scope::sources(given, d, &mut findings)).unwrap_or_default();
    let catalog = Catalog { given, scope: &scope, sources: &sources };
    let mut secrets = Vec::new();
    if let Some(Some(entries)) = document.as_ref().and_then(|d| d.secrets.value.as_ref()) {
        for (name, entry) in &entries.0 {
            secrets.extend(secret(name, entry, &catalog, &mut findings));
        }
    }
    let mut imports = document.as_ref().map(|d| imports(d, &catalog, &mut findings)).unwrap_or_default();
    let lines = lines::read(given.lines.unwrap_or_default(), &catalog, &mut findings.all);
    merge(&mut secrets, lines.declarations);
    let more: Vec<Reference> = lines.imports.into_iter().filter(|r| !imports.contains(r)).collect();
    imports.extend(more);
    let services = document.as_ref().and_then(|d| d.services.value.as_ref()).map(|entries| {
        let known: BTreeSet<&str> = secrets.iter().map(|secret| secret.name.as_str()).collect();
        grants(entries, &known, given.lenient || !imports.is_empty(), &mut findings)
    });
    if let Some(document) = &document {
        composed::check(document, &secrets, given.lenient || !imports.is_empty(), &mut findings);
    }
    let colliding = collisions(&secrets, &mut findings.all);
    let mut soundness = Soundness::of(&findings.all, sections.as_ref());
    soundness.unsound.extend(lines.unsound.into_iter().chain(colliding));
    let error = if !findings.all.is_empty() {
        Some(gather(findings.all))
    } else if secrets.is_empty() && imports.is_empty() && !given.lenient {
        Some(nothing_declared(given))
    } else {
        None
    };
    let stable_for = document.as_ref().and_then(|d| d.stable_for.value.as_ref()).map(|span| span.0);
    let manifest = Manifest { scope, secrets, imports, services, sources, stable_for };
    Reading { manifest, error, soundness }
}

/// The file as far as it can be parsed, the problems found so far, and where its sections are.
fn document<'a>(given: &Given<'a>) -> (Option<Document>, Findings<'a>, Option<Sections>) {
    let (path, bytes) = given.file.unwrap_or((Path::new(FILE_NAME), b""));
    let nothing = |all| Findings { origin: Origin::new(path, None), all };
    match tree::parse(bytes) {
        Ok(None) => (None, nothing(Vec::new()), None),
        Ok(Some(tree)) => {
            let origin = Origin::new(path, Some(&tree));
            let mut all = Vec::new();
            let document = decode(&tree, &origin, &GRAMMAR, &mut all);
            (document, Findings { origin, all }, Some(Sections::of(&tree)))
        }
        Err(malformed) => {
            let mut finding = Finding::new(Code::ManifestInvalid, malformed.fact);
            finding.what.place = malformed.mark.map(|Mark { line, column }| Place {
                file: Some(path.to_owned()),
                line,
                column,
            });
            if finding.what.place.is_none() {
                finding.what.fact = format!("{}: {}", path.display(), finding.what.fact);
            }
            (None, nothing(vec![finding]), None)
        }
    }
}

fn secret(
    name: &At<String>,
    entry: &At<Option<SecretEntry>>,
    catalog: &Catalog<'_>,
    findings: &mut Findings<'_>,
) -> Option<Secret> {
    let (text, mark) = name.get()?;
    let parsed = match SecretName::parse(text) {
        Ok(parsed) => parsed,
        Err(error) => {
            let fact = format!("not a valid secret name: {error}");
            let help = if text.ends_with('?') {
                "In this file, an optional secret has `required: false`."
            } else if let NameError::Reserved(_) = error {
                ANOTHER_NAME
            } else {
                "A name consists of letters (A-Z, a-z), digits and underscores, and does not start with a digit."
            };
            findings.add(mark, Finding::new(Code::SecretNameInvalid, fact).help(help));
            return None;
        }
    };
    let mut secret = Secret::named(parsed, findings.origin.place(mark));
    // An entry that could not be read was reported; its name counts as declared all the same.
    let Some(Some(entry)) = &entry.value else {
        return Some(secret);
    };
    secret.description = text_of(&entry.description);
    secret.required = entry.required.value.unwrap_or(true);
    secret.sensitive = entry.sensitive.value.unwrap_or(true);
    secret.file = file_spec(&entry.file);
    secret.from = references(entry, &secret.name, catalog, findings);
    secret.template = composed::template(entry, &secret.name, findings);
    secret.rules = rules(entry, &secret.name, findings);
    secret.freshness = Freshness {
        max_age: entry.max_age.value.as_ref().map(|span| span.0),
        expires_within: entry.expires_within.value.as_ref().map(|span| span.0),
    };
    if let Some((value, mark)) = entry.default.get() {
        if let Err(fact) = secret.accept(value.0.clone()) {
            let help = if value.0.is_empty() {
                "Remove it, or add `allow-empty: true`."
            } else {
                "Change the default, or the rule that it violates."
            };
            let fact = format!("the default of {} {fact}", secret.name);
            findings.add(mark, Finding::new(Code::ManifestInvalid, fact).help(help));
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
        uid: file.uid.number(),
        gid: file.gid.number(),
    }
}

fn references(
    entry: &SecretEntry,
    name: &SecretName,
    catalog: &Catalog<'_>,
    findings: &mut Findings<'_>,
) -> Option<Vec<Reference>> {
    let (items, mark) = entry.from.get()?;
    if items.is_empty() {
        let finding = Finding::new(Code::ManifestInvalid, format!("`from` of {name} is an empty list"))
            .help("List at least one reference, or remove `from` to have every source asked.");
        findings.add(mark, finding);
    }
    let mut references = Vec::new();
    for (text, mark) in items.iter().filter_map(At::get) {
        match catalog.reference(&text.0) {
            Ok(reference) if references.contains(&reference) => {
                let fact = format!("{name} lists the same reference twice");
                findings.add(mark, Finding::new(Code::ManifestInvalid, fact).help("Remove one of the two."));
            }
            Ok(reference) => references.push(reference),
            Err(finding) => {
                let fact = format!("{name}: {}", finding.what.fact);
                findings.add(mark, Finding { what: Diagnostic { fact, ..finding.what }, ..finding });
            }
        }
    }
    Some(references)
}

fn imports(document: &Document, catalog: &Catalog<'_>, findings: &mut Findings<'_>) -> Vec<Reference> {
    let mut imports = Vec::new();
    for (text, mark) in document.import.value.iter().flatten().filter_map(At::get) {
        match catalog.import(&text.0) {
            Ok(reference) if imports.contains(&reference) => {
                let fact = "the same import is listed twice";
                findings.add(mark, Finding::new(Code::ManifestInvalid, fact).help("Remove one of the two."));
            }
            Ok(reference) => imports.push(reference),
            Err(finding) => findings.add(mark, finding),
        }
    }
    imports
}

fn rules(entry: &SecretEntry, name: &SecretName, findings: &mut Findings<'_>) -> Rules {
    let matches = entry.matches.get().and_then(|(Text(pattern), mark)| {
        let report = |error| {
            let finding = Finding::new(Code::ManifestInvalid, format!("`matches` of {name} {error}"));
            findings.add(
                mark,
                match error {
                    PatternError::TooLarge => {
                        finding.help("Use less exact repetitions, such as `+` or `*` instead of `{0,200}`.")
                    }
                    PatternError::Malformed(_) => finding,
                },
            );
        };
        Pattern::parse(pattern).map_err(report).ok()
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

/// Lines take precedence: they decide whether a secret is required and, if they have references, where it is looked up.
fn merge(secrets: &mut Vec<Secret>, lines: Vec<lines::Line>) {
    let in_file: BTreeMap<SecretName, usize> =
        secrets.iter().enumerate().map(|(at, secret)| (secret.name.clone(), at)).collect();
    for line in lines {
        if let Some(secret) = in_file.get(&line.name).and_then(|at| secrets.get_mut(*at)) {
            secret.required = line.required;
            if line.from.is_some() {
                secret.from = line.from;
                secret.template = None;
            }
        } else {
            secrets.push(Secret {
                required: line.required,
                from: line.from,
                ..Secret::named(line.name, line.place)
            });
        }
    }
}

/// Two secrets whose files would be the same, also on a file system that ignores case. Returns
/// their names.
fn collisions(secrets: &[Secret], findings: &mut Vec<Finding>) -> Vec<SecretName> {
    let mut colliding = Vec::new();
    let mut taken: BTreeMap<String, &Secret> = BTreeMap::new();
    for secret in secrets {
        let file = secret.file_name().to_ascii_lowercase();
        if let Some(first) = taken.get(&file) {
            let (one, other) = (&first.name, &secret.name);
            colliding.extend([one.clone(), other.clone()]);
            let fact = format!("the secrets {one} and {other} would both use the file `{file}`");
            findings.push(
                Finding::new(Code::SecretNamesCollide, fact)
                    .help("Rename one of them, or give it another file: `file: { name: other_name }`.")
                    .at(secret.place.clone()),
            );
        } else {
            taken.insert(file, secret);
        }
    }
    colliding
}

fn nothing_declared(given: &Given<'_>) -> Error {
    let fact = match given.file {
        Some((path, _)) => format!("neither {} nor the input `secrets` declares a secret", path.display()),
        None => {
            format!("no secrets are declared: there is no {FILE_NAME}, and the input `secrets` is empty")
        }
    };
    Error::new(Code::ManifestMissing, fact).help(
        "List the secrets in the input `secrets`, one per line, and pass their values in the step's `env:`:\n\
         with:\n  secrets: |\n    ANTHROPIC_API_KEY\n\
         env:\n  ANTHROPIC_API_KEY: ${{ secrets.ANTHROPIC_API_KEY }}",
    )
}
