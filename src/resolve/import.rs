//! Imports: everything below a prefix, or every field of an item, becomes a secret.
//!
//! A secret's name is what the `*` matches, in capitals, with `_` for everything that is not a letter or digit: with
//! `vault:secret/bot/*`, `db/password` is `DB_PASSWORD`. A declared secret of that name is not changed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::{Asked, GRACE, late};
use crate::diagnostic::{Diagnostic, Place};
use crate::error::{Code, Error, Result};
use crate::manifest::{Manifest, Reference, Secret};
use crate::secret::SecretName;
use crate::settings::Settings;
use crate::sources::field::names;
use crate::sources::{Item, Listing, Reply, Source, counted};

/// The result of an import: for each secret the text its name is made from, and its reference.
enum Found {
    Parts(Vec<(String, Reference)>),
    Nothing,
    Denied(Diagnostic),
    Failed(Diagnostic),
}

/// A manifest with the secrets that its imports found.
pub struct Imported {
    /// The manifest with a secret for everything that was found.
    pub manifest: Manifest,
    /// The warnings: an import that found nothing, or one that failed and may be skipped.
    pub warnings: Vec<Diagnostic>,
    /// Whether an import was skipped, as the user's settings allow (`on-source-error: next`).
    pub degraded: bool,
    /// What the imports took of each source.
    pub asked: Vec<Asked>,
}

/// Takes a manifest and returns it with a secret for everything that its imports find.
///
/// # Errors
/// An import that failed; an invalid name; two secrets with one name; a service or a template that uses a secret which is
/// neither declared nor found.
pub async fn import(
    mut manifest: Manifest,
    sources: &[Box<dyn Source>],
    settings: &Settings,
) -> Result<Imported> {
    let mut degraded = false;
    let asked = manifest.imports.iter().map(|import| find(import, sources, settings.timeout));
    let (all, asked): (Vec<Found>, Vec<Asked>) = join_all(asked).await.into_iter().unzip();
    let mut warnings = Vec::new();
    let mut problems = Vec::new();
    let declared: BTreeSet<&SecretName> = manifest.secrets.iter().map(|secret| &secret.name).collect();
    let mut secrets: BTreeMap<SecretName, Reference> = BTreeMap::new();
    for (import, found) in manifest.imports.iter().zip(all) {
        let (code, refusal) = match found {
            Found::Parts(parts) => {
                for (part, reference) in parts {
                    add(&declared, &part, reference, &mut secrets, &mut problems);
                }
                continue;
            }
            Found::Nothing => {
                let text = format!("the import {import} found nothing");
                let help = format!("Correct the part before the `*`, or remove the import {import}.");
                warnings.push(Diagnostic::with_help(text, help));
                continue;
            }
            Found::Denied(refusal) => (Code::SourceDenied, refusal),
            Found::Failed(refusal) => (Code::SourceFailed, refusal),
        };
        let text = format!("the import {import}: {}", refusal.fact);
        if settings.next_on_source_error {
            let text = format!("{text}; skipped, because on-source-error is `next`");
            warnings.push(Diagnostic { fact: text, ..refusal });
            degraded = true;
        } else {
            problems.push((code, Diagnostic { fact: text, ..refusal }));
        }
    }
    let place = Place { file: None, line: 0, column: 0 };
    manifest.secrets.extend(secrets.into_iter().map(|(name, reference)| Secret {
        from: Some(vec![reference]),
        ..Secret::named(name, place.clone())
    }));
    undeclared(&manifest, &mut problems);
    if !problems.is_empty() {
        return Err(gather(problems));
    }
    if manifest.secrets.is_empty() {
        return Err(Error::new(Code::ManifestMissing, "no secrets are declared, and the imports found none"));
    }
    Ok(Imported { manifest, warnings, degraded, asked })
}

/// What an import means, and what that took.
async fn find(import: &Reference, sources: &[Box<dyn Source>], timeout: Duration) -> (Found, Asked) {
    let start = Instant::now();
    let (found, calls) = counted(look(import, sources, timeout)).await;
    let asked = Asked { source: import.source.clone(), items: 0, found: 0, calls, time: start.elapsed() };
    (found, asked)
}

async fn look(import: &Reference, sources: &[Box<dyn Source>], timeout: Duration) -> Found {
    let Some(source) = sources.iter().find(|source| *source.id() == import.source) else {
        return Found::Failed(Diagnostic::with_help(
            format!("the source {} is not configured, or not in `sources`", import.source),
            format!("Configure {0}, add it to `sources`, or remove the import.", import.source),
        ));
    };
    let found = async {
        if import.field.is_some() {
            fields(import, source.as_ref()).await
        } else {
            items(import, source.as_ref()).await
        }
    };
    let found = tokio::time::timeout(timeout + GRACE, found).await;
    found.unwrap_or_else(|_| Found::Failed(late(&import.source, timeout)))
}

/// `source:prefix*`: each item is a secret.
async fn items(import: &Reference, source: &dyn Source) -> Found {
    let prefix = import.item.strip_suffix('*').unwrap_or(&import.item);
    let items = match source.list(prefix).await {
        Listing::Items(items) if items.is_empty() => return Found::Nothing,
        Listing::Items(items) => items,
        Listing::Denied(refusal) => return Found::Denied(refusal),
        Listing::Failed(refusal) => return Found::Failed(refusal),
    };
    let part = |item: &str| {
        let item = source.naming_part(item);
        item.strip_prefix(prefix).unwrap_or(item).to_owned()
    };
    let reference = |item: String| Reference {
        source: import.source.clone(),
        item,
        field: source.default_field().map(str::to_owned),
        version: None,
    };
    Found::Parts(items.into_iter().map(|item| (part(&item), reference(item))).collect())
}

/// `source:item#*`: each field of the item is a secret.
async fn fields(import: &Reference, source: &dyn Source) -> Found {
    let item = Item { name: import.item.clone(), version: None };
    match source.read(&[item]).await.pop() {
        Some(Reply::Found(found)) => match names(&found.value) {
            Some(names) => Found::Parts(
                names
                    .into_iter()
                    .map(|field| (field.clone(), Reference { field: Some(field), ..import.clone() }))
                    .collect(),
            ),
            None => Found::Failed(Diagnostic::with_help(
                format!("the value is not a JSON object ({})", found.value.shape()),
                "Declare the item itself as a secret, or store a JSON object there.",
            )),
        },
        Some(Reply::Denied(refusal)) => Found::Denied(refusal),
        Some(Reply::Failed(refusal)) => Found::Failed(refusal),
        Some(Reply::Absent(_)) | None => Found::Nothing,
    }
}

/// Adds a secret, unless it is declared. An invalid or duplicate name is a problem.
fn add(
    declared: &BTreeSet<&SecretName>,
    part: &str,
    reference: Reference,
    secrets: &mut BTreeMap<SecretName, Reference>,
    problems: &mut Vec<(Code, Diagnostic)>,
) {
    // The store chose this name, and a newline in it would start a line of the log.
    if reference.to_string().contains(char::is_control) {
        let shown = reference.to_string().escape_debug().to_string();
        let fact = format!("`{shown}` has a name that a reference cannot contain");
        let help = "Rename it in the store, or import the others with a longer prefix.";
        problems.push((Code::SecretNameInvalid, Diagnostic::new(fact).help(help)));
        return;
    }
    let name = match SecretName::parse(&name_of(part)) {
        Ok(name) => name,
        Err(error) => {
            let fact = format!("{reference} would get an invalid secret name: {error}");
            let help = format!(
                "Declare it with a name of your choice, `NAME = {reference}`, and import the others with a longer prefix."
            );
            problems.push((Code::SecretNameInvalid, Diagnostic::new(fact).help(help)));
            return;
        }
    };
    if declared.contains(&name) {
        return;
    }
    match secrets.get(&name) {
        Some(other) if *other != reference => {
            let fact = format!("{other} and {reference} would both get the name {name}");
            let help =
                format!("Choose one, `{name} = {reference}`, and declare the other with another name.");
            problems.push((Code::SecretNamesCollide, Diagnostic::new(fact).help(help)));
        }
        _ => {
            secrets.insert(name, reference);
        }
    }
}

fn name_of(part: &str) -> String {
    part.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

/// Services and templates may use imported secrets, so only now all names are known.
fn undeclared(manifest: &Manifest, problems: &mut Vec<(Code, Diagnostic)>) {
    let all: BTreeMap<&SecretName, &Secret> =
        manifest.secrets.iter().map(|secret| (&secret.name, secret)).collect();
    for (service, grant) in manifest.services.iter().flatten() {
        for name in grant.secrets.iter().filter(|name| !all.contains_key(name)) {
            let fact = format!(
                "the service `{service}` uses {name}, which is neither declared nor found by an import"
            );
            let help = "Correct the name, or declare it under `secrets`.";
            problems.push((Code::ManifestInvalid, Diagnostic::new(fact).help(help)));
        }
    }
    for secret in &manifest.secrets {
        let name = &secret.name;
        for part in secret.parts() {
            let (fact, help) = match all.get(part) {
                None => (
                    format!(
                        "the template of {name} contains {part}, which is neither declared nor found by an import"
                    ),
                    "Correct the name, or declare it under `secrets`.".to_owned(),
                ),
                // What is imported is a secret.
                Some(other) if other.sensitive && !secret.sensitive => (
                    format!("{name} is `sensitive: false`, but its template contains the secret {part}"),
                    format!("Remove `sensitive: false` from {name}, or {part} from its template."),
                ),
                Some(_) => continue,
            };
            problems.push((Code::ManifestInvalid, Diagnostic::new(fact).help(help)));
        }
    }
}

fn gather(problems: Vec<(Code, Diagnostic)>) -> Error {
    // A store's refusal comes first: secrets that were not found may follow from it.
    let grave = [Code::SourceDenied, Code::SourceFailed];
    let code = grave.into_iter().find(|code| problems.iter().any(|(c, _)| c == code));
    let code = code.or(problems.first().map(|(code, _)| *code)).unwrap_or(Code::ManifestInvalid);
    Error::new(code, "the imports have problems")
        .problems(problems.into_iter().map(|(_, problem)| problem).collect())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use async_trait::async_trait;

    use super::*;
    use crate::manifest::{self, Scope, SourceId};
    use crate::secret::SecretValue;
    use crate::settings::{Environment, Given};
    use crate::sources;

    /// A store that lists and reads what a test tells it to.
    struct Store {
        id: SourceId,
        items: &'static [&'static str],
        shut: bool,
    }

    #[async_trait]
    impl Source for Store {
        fn id(&self) -> &SourceId {
            &self.id
        }

        fn conventional(&self, name: &SecretName, _: &Scope) -> Reference {
            Reference { source: self.id.clone(), item: name.to_string(), field: None, version: None }
        }

        fn default_field(&self) -> Option<&str> {
            Some("value")
        }

        async fn read(&self, items: &[Item]) -> Vec<Reply> {
            let found = |text: &str| {
                Reply::Found(sources::Found {
                    value: SecretValue::new(text.as_bytes().to_vec()),
                    place: "there".to_owned(),
                    version: None,
                    changed: None,
                    expires: None,
                })
            };
            let reply = |item: &Item| match item.name.as_str() {
                "bot/db" => found(r#"{"host":"h","pass-word":"p"}"#),
                "bot/text" => found("no object"),
                _ => Reply::Absent("nowhere".to_owned()),
            };
            items.iter().map(reply).collect()
        }

        async fn list(&self, prefix: &str) -> Listing {
            if self.shut {
                return Listing::Denied(Diagnostic::with_help("the store is shut", "open it"));
            }
            let below = self.items.iter().filter(|item| item.starts_with(prefix));
            Listing::Items(below.map(ToString::to_string).collect())
        }
    }

    async fn imported(
        file: &str,
        items: &'static [&'static str],
        inputs: &[(&str, &str)],
    ) -> Result<Imported> {
        let variables = Environment::from_pairs(inputs.iter().map(|(name, value)| (*name, *value)));
        let given = Given {
            flags: &|_| None,
            variables: &variables,
            current_directory: Path::new("/"),
            verbose: false,
        };
        let settings = Settings::read(None, &given).unwrap();
        let file = Some((Path::new("m.yml"), file.as_bytes()));
        let manifest =
            manifest::read(&manifest::Given { file, known_kinds: &["keeper"], ..manifest::Given::default() });
        let store = Store { id: SourceId::parse("keeper").unwrap(), items, shut: items.is_empty() };
        import(manifest.unwrap(), &[Box::new(store)], &settings).await
    }

    fn secrets(imported: &Imported) -> Vec<String> {
        let text = |secret: &Secret| {
            let from = secret.from.iter().flatten().map(ToString::to_string).collect::<Vec<_>>();
            format!("{} {}", secret.name, from.join(" "))
        };
        imported.manifest.secrets.iter().map(text).collect()
    }

    const ALL: &[&str] = &["bot/api-key", "bot/db/password", "other/x"];

    #[tokio::test]
    async fn everything_below_a_prefix_is_named_by_what_the_star_stands_for() {
        let found = imported("import: ['keeper:bot/*']", ALL, &[]).await.unwrap();
        assert_eq!(
            secrets(&found),
            ["API_KEY keeper:bot/api-key#value", "DB_PASSWORD keeper:bot/db/password#value"]
        );
        let fields = imported("import: ['keeper:bot/db#*']", ALL, &[]).await.unwrap();
        assert_eq!(secrets(&fields), ["HOST keeper:bot/db#host", "PASS_WORD keeper:bot/db#pass-word"]);
    }

    #[tokio::test]
    async fn what_is_declared_by_an_imported_name_stays_as_it_is_declared() {
        let text = "import: ['keeper:bot/*']\nsecrets:\n  API_KEY: { from: ['keeper:elsewhere'] }\n";
        let found = imported(text, ALL, &[]).await.unwrap();
        assert_eq!(secrets(&found), ["API_KEY keeper:elsewhere", "DB_PASSWORD keeper:bot/db/password#value"]);
    }

    #[tokio::test]
    async fn names_that_collide_or_are_none_are_told_with_what_to_write_instead() {
        let items: &[&str] = &["bot/a-b", "bot/a.b", "bot/1st"];
        let error = imported("import: ['keeper:bot/*']", items, &[]).await.err().unwrap();
        let said = error.to_string();
        assert!(
            said.contains("keeper:bot/a-b#value and keeper:bot/a.b#value would both get the name A_B"),
            "{said}"
        );
        assert!(said.contains("keeper:bot/1st#value would get an invalid secret name"), "{said}");
        assert!(said.contains("`NAME = keeper:bot/1st#value`"), "{said}");
    }

    #[tokio::test]
    async fn a_name_that_no_reference_could_have_is_told_on_one_line() {
        let error =
            imported("import: ['keeper:bot/*']", &["bot/a\n::stop-commands::x"], &[]).await.err().unwrap();
        let said = error.to_string();
        assert!(
            said.contains(
                r"`keeper:bot/a\n::stop-commands::x#value` has a name that a reference cannot contain"
            ),
            "{said}"
        );
    }

    #[tokio::test]
    async fn an_import_that_is_refused_ends_the_run_unless_it_may_be_passed_over() {
        let text = "import: ['keeper:bot/*']\nsecrets: { A: }";
        let error = imported(text, &[], &[]).await.err().unwrap();
        assert_eq!(error.code, Code::SourceDenied);
        let found = imported(text, &[], &[("INPUT_ON-SOURCE-ERROR", "next")]).await.unwrap();
        assert!(found.degraded && found.warnings.len() == 1);
        assert_eq!(found.manifest.secrets.len(), 1);
    }

    #[tokio::test]
    async fn an_import_that_finds_nothing_is_a_warning_and_a_text_has_no_fields() {
        let nothing = imported("import: ['keeper:nowhere/*']\nsecrets: { A: }", ALL, &[]).await.unwrap();
        assert!(!nothing.degraded && nothing.warnings[0].fact.contains("found nothing"));
        let alone = imported("import: ['keeper:nowhere/*']", ALL, &[]).await.err().unwrap();
        assert_eq!(alone.code, Code::ManifestMissing);
        let text = imported("import: ['keeper:bot/text#*']", ALL, &[]).await.err().unwrap();
        assert!(text.to_string().contains("not a JSON object (9 bytes)"), "{text}");
    }

    #[tokio::test]
    async fn a_service_gets_what_is_imported_and_nothing_else() {
        let text = "import: ['keeper:bot/*']\nservices: { web: [API_KEY] }";
        assert!(imported(text, ALL, &[]).await.is_ok());
        let text = "import: ['keeper:bot/*']\nservices: { web: [API_KYE] }";
        let error = imported(text, ALL, &[]).await.err().unwrap();
        assert!(error.to_string().contains("the service `web` uses API_KYE"), "{error}");
    }
}
