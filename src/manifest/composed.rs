//! Secrets that are composed of others: which keys `template` excludes, and whether its parts are declared.

use std::collections::{BTreeMap, BTreeSet};

use super::document::{Document, SecretEntry};
use super::finding::{Finding, Findings, list, named};
use super::template::Template;
use super::tree::Mark;
use super::{Secret, at::At};
use crate::diagnostic::Diagnostic;
use crate::error::Code;
use crate::nearest::meant;
use crate::secret::SecretName;

/// The template of a secret, if it has one that can be read.
pub(super) fn template(
    entry: &SecretEntry,
    name: &SecretName,
    findings: &mut Findings<'_>,
) -> Option<Template> {
    let (text, mark) = entry.template.get()?;
    let others = [
        ("from", is_there(&entry.from)),
        ("default", is_there(&entry.default)),
        ("encoding", is_there(&entry.encoding)),
        ("trim", is_there(&entry.trim)),
        ("max-age", is_there(&entry.max_age)),
        ("expires-within", is_there(&entry.expires_within)),
    ];
    let others: Vec<&str> = others.into_iter().filter(|(_, there)| *there).map(|(key, _)| key).collect();
    if !others.is_empty() {
        let fact = format!("{name} cannot have `template` together with {}", list(others));
        findings.add(
            mark,
            Finding::new(Code::ManifestInvalid, fact).help(
                "A template builds the value from other secrets. Remove the template, or the others: set them for the \
                 secrets that the template contains.",
            ),
        );
    }
    match Template::parse(&text.0) {
        Ok(template) => Some(template),
        Err(error) => {
            let fact = format!("the template of {name} {}", error.fact);
            let finding = Finding::new(Code::ManifestInvalid, fact);
            findings.add(mark, Finding { what: Diagnostic { help: error.help, ..finding.what }, ..finding });
            None
        }
    }
}

fn is_there<T>(field: &At<T>) -> bool {
    field.get().is_some()
}

/// Checks every template against the secrets that are declared: its parts are among them (or may yet be imported), it is no
/// part of itself, and what holds a secret is one.
pub(super) fn check(
    document: &Document,
    secrets: &[Secret],
    more_to_come: bool,
    findings: &mut Findings<'_>,
) {
    let secrets: ByName<'_> = secrets.iter().map(|secret| (secret.name.as_str(), secret)).collect();
    let entries = document.secrets.value.iter().flatten().flat_map(|entries| &entries.0);
    for (name, entry) in entries {
        let mark = entry.value.iter().flatten().find_map(|entry| entry.template.get()).map(|(_, mark)| mark);
        let secret = name.value.as_deref().and_then(|name| secrets.get(name).copied());
        let (Some(mark), Some(secret)) = (mark, secret) else { continue };
        for part in secret.parts() {
            check_part(secret, part, &secrets, more_to_come, mark, findings);
        }
        if let Some(way) = way_back(secret, &secrets) {
            let fact = format!("the template of {} refers to itself: {}", secret.name, way.join(" → "));
            findings
                .add(mark, Finding::new(Code::ManifestInvalid, fact).help("Remove one of these references."));
        }
    }
}

/// The declared secrets.
type ByName<'s> = BTreeMap<&'s str, &'s Secret>;

fn check_part(
    secret: &Secret,
    part: &SecretName,
    secrets: &ByName<'_>,
    more_to_come: bool,
    mark: Mark,
    findings: &mut Findings<'_>,
) {
    let name = &secret.name;
    match secrets.get(part.as_str()) {
        Some(other) if other.sensitive && !secret.sensitive => {
            let fact = format!("{name} is `sensitive: false`, but its template contains the secret {part}");
            findings.add(
                mark,
                Finding::new(Code::ManifestInvalid, fact)
                    .help(format!("Remove `sensitive: false` from {name}, or {part} from its template.")),
            );
        }
        Some(_) => {}
        None if more_to_come => {}
        None => {
            let fact =
                format!("the template of {name} contains an undeclared secret, {}", named(part.as_str()));
            let known = secrets.keys().copied().filter(|other| *other != name.as_str());
            findings.add(
                mark,
                match meant(part.as_str(), known) {
                    Some(word) => {
                        Finding::new(Code::ManifestInvalid, format!("{fact}; did you mean `{word}`?"))
                    }
                    None => Finding::new(Code::ManifestInvalid, fact).help(
                        "Declare it: add its name, followed by a colon, under `secrets`. Write a literal brace as \
                         `{{` or `}}`.",
                    ),
                },
            );
        }
    }
}

/// The shortest way from a secret's template back to the secret itself, by name.
fn way_back<'s>(secret: &'s Secret, secrets: &ByName<'s>) -> Option<Vec<&'s str>> {
    let mut seen: BTreeSet<&SecretName> = BTreeSet::new();
    let mut ways = vec![vec![secret]];
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            for part in way.last().into_iter().flat_map(|last| last.parts()) {
                if *part == secret.name {
                    let names = way.iter().map(|secret| secret.name.as_str());
                    return Some(names.chain([secret.name.as_str()]).collect());
                }
                if seen.insert(part)
                    && let Some(next) = secrets.get(part.as_str())
                {
                    longer.push(way.iter().copied().chain([*next]).collect());
                }
            }
        }
        ways = longer;
    }
    None
}
