//! The rules of resolution, with sources that say what a test tells them to.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;

use super::{Resolution, State, resolve};
use crate::diagnostic::Diagnostic;
use crate::error::Code;
use crate::manifest::{self, Manifest, Reference, Scope, SourceId};
use crate::secret::{SecretName, SecretValue};
use crate::settings::{Environment, Given, Settings};
use crate::sources::{Found, Item, Reply, Source};

/// What a source says of every item, or of the items it knows.
#[derive(Clone)]
enum Says {
    Value(&'static str),
    Nothing,
    Denied,
    Failed,
    Never,
    /// A value for one item, nothing for others.
    Only(&'static str, &'static str),
    /// Nothing for one item, the others are denied.
    DeniedBut(&'static str),
}

struct Told {
    id: SourceId,
    says: Says,
    local: bool,
    ambient: bool,
    metered: bool,
    default_field: Option<&'static str>,
    asked: &'static AtomicUsize,
    closed: &'static AtomicUsize,
}

impl Told {
    fn new(id: &str, says: Says) -> Self {
        let [asked, closed] = [(); 2].map(|()| &*Box::leak(Box::default()));
        let id = SourceId::parse(id).unwrap();
        Self { id, says, local: false, ambient: false, metered: false, default_field: None, asked, closed }
    }
}

#[async_trait]
impl Source for Told {
    fn id(&self) -> &SourceId {
        &self.id
    }

    fn conventional(&self, name: &SecretName, _: &Scope) -> Reference {
        // As a store that does not tell upper from lower case.
        let item = name.as_str().to_lowercase();
        Reference { source: self.id.clone(), item, field: None, version: None }
    }

    fn is_local_file(&self) -> bool {
        self.local
    }

    fn is_ambient(&self) -> bool {
        self.ambient
    }

    fn is_metered(&self) -> bool {
        self.metered
    }

    fn default_field(&self) -> Option<&str> {
        self.default_field
    }

    async fn read(&self, items: &[Item]) -> Vec<Reply> {
        self.asked.fetch_add(items.len(), Ordering::SeqCst);
        if matches!(self.says, Says::Never) {
            std::future::pending::<()>().await;
        }
        let refusal = || Diagnostic::with_help(format!("{} is shut", self.id), "open it");
        let found = |text: &str| {
            Reply::Found(Found {
                value: SecretValue::new(text.as_bytes().to_vec()),
                place: format!("{} place", self.id),
                version: None,
                changed: None,
                expires: None,
            })
        };
        let reply = |item: &Item| match self.says {
            Says::Value(text) => found(text),
            Says::Only(name, text) if item.name == name => found(text),
            Says::DeniedBut(name) if item.name != name => Reply::Denied(refusal()),
            Says::Nothing | Says::Never | Says::Only(..) | Says::DeniedBut(_) => {
                Reply::Absent("nowhere".into())
            }
            Says::Denied => Reply::Denied(refusal()),
            Says::Failed => Reply::Failed(refusal()),
        };
        items.iter().map(reply).collect()
    }

    async fn close(&self) {
        self.closed.fetch_add(1, Ordering::SeqCst);
    }
}

fn settings(pairs: &[(&str, &str)]) -> Settings {
    let variables = Environment::from_pairs(pairs.iter().map(|(k, v)| (*k, *v)));
    let given =
        Given { flags: &|_| None, variables: &variables, current_directory: Path::new("/"), verbose: false };
    Settings::read(None, &given).unwrap()
}

/// The secrets of a manifest file, asked of one source that has a value for one item.
async fn from_file(file: &str, inputs: &[(&str, &str)], says: Says) -> Resolution {
    let file = Some((Path::new("m.yml"), file.as_bytes()));
    let manifest =
        manifest::read(&manifest::Given { file, known_kinds: &["env"], ..manifest::Given::default() });
    let sources: Vec<Box<dyn Source>> = vec![Box::new(Told::new("env", says))];
    resolve(manifest.unwrap(), &sources, &settings(inputs)).await
}

fn declared(lines: &str) -> Manifest {
    let kinds = ["docker-secrets", "dotenv", "env"];
    let given = manifest::Given { lines: Some(lines), known_kinds: &kinds, ..manifest::Given::default() };
    manifest::read(&given).unwrap()
}

/// Resolves with the sources `docker-secrets` (a local file), `dotenv` (local) and `env`, in this order.
async fn told(lines: &str, inputs: &[(&str, &str)], says: [Says; 3]) -> (Resolution, usize) {
    let (resolution, asked, _) = told_and_closed(lines, inputs, says).await;
    (resolution, asked)
}

/// As [`told`], and how often a source was closed.
async fn told_and_closed(
    lines: &str,
    inputs: &[(&str, &str)],
    says: [Says; 3],
) -> (Resolution, usize, usize) {
    let [asked, closed]: [&'static AtomicUsize; 2] = [Box::leak(Box::default()), Box::leak(Box::default())];
    let ids = [("docker-secrets", true), ("dotenv", true), ("env", false)];
    let source = |((id, local), says)| Told { local, asked, closed, ..Told::new(id, says) };
    let sources = ids.into_iter().zip(says).map(source).collect();
    let resolution = resolved(lines, inputs, sources).await;
    (resolution, asked.load(Ordering::SeqCst), closed.load(Ordering::SeqCst))
}

/// Resolves with these sources, in this order.
async fn resolved(lines: &str, inputs: &[(&str, &str)], sources: Vec<Told>) -> Resolution {
    let sources: Vec<Box<dyn Source>> =
        sources.into_iter().map(|source| Box::new(source) as Box<dyn Source>).collect();
    resolve(declared(lines), &sources, &settings(inputs)).await
}

fn value(resolution: &Resolution) -> Option<String> {
    let value = resolution.secrets[0].value.as_ref()?;
    Some(String::from_utf8(value.expose().to_vec()).unwrap())
}

fn code(resolution: &Resolution) -> Option<Code> {
    resolution.check().err().map(|error| error.code)
}

use Says::{Denied, DeniedBut, Failed, Never, Nothing, Only, Value};

#[tokio::test]
async fn the_highest_source_that_has_it_wins_and_only_absent_lets_a_lower_one_win() {
    let (found, _) = told("A", &[], [Nothing, Nothing, Value("low")]).await;
    assert_eq!(value(&found).as_deref(), Some("low"));
    assert_eq!(found.secrets[0].origin.as_ref().unwrap().source.as_str(), "env");
    let (found, _) = told("A", &[], [Value("same"), Nothing, Value("same")]).await;
    assert_eq!(found.secrets[0].shadowed.len(), 1);
    assert!(!found.secrets[0].shadowed[0].differs && found.warnings.is_empty() && code(&found).is_none());
}

#[tokio::test]
async fn a_value_that_is_far_too_large_is_refused_before_it_is_masked() {
    let large = |bytes: usize| Says::Value(Box::leak("x".repeat(bytes).into_boxed_str()));
    let most = usize::try_from(crate::files::LARGEST_VALUES).unwrap();
    for (bytes, state, masked) in [(most + 1, State::Failed, 0), (most, State::Invalid, 1)] {
        let resolution = resolved("KEY", &[], vec![Told::new("env", large(bytes))]).await;
        assert_eq!(resolution.secrets[0].state, state);
        assert_eq!(resolution.values().count(), masked);
        assert!(resolution.check().unwrap_err().to_string().contains("is larger than"));
    }
}

#[tokio::test]
async fn a_denied_or_failed_source_above_the_winner_blocks_it() {
    for (says, expected, state) in
        [(Denied, Code::SourceDenied, State::Denied), (Failed, Code::SourceFailed, State::Failed)]
    {
        let (blocked, _) = told("A", &[], [says, Nothing, Value("stale")]).await;
        assert_eq!(code(&blocked), Some(expected));
        assert_eq!((blocked.secrets[0].state, value(&blocked)), (state, None));
        let text = blocked.check().unwrap_err().to_string();
        assert!(text.contains("docker-secrets is shut") && text.contains("open it"), "{text}");
        assert!(text.contains("`A = dotenv:a | env:a`"), "the other way out as text to paste: {text}");
    }
}

#[tokio::test]
async fn with_next_a_blocked_source_is_passed_over_and_the_run_is_degraded() {
    let (passed, _) = told("A", &[("INPUT_ON-SOURCE-ERROR", "next")], [Failed, Nothing, Value("low")]).await;
    assert_eq!((code(&passed), value(&passed).as_deref(), passed.degraded), (None, Some("low"), true));
    assert_eq!(passed.warnings.len(), 1);
}

#[tokio::test]
async fn a_failed_source_below_the_winner_is_a_note() {
    let (found, _) = told("A", &[], [Value("v"), Nothing, Failed]).await;
    assert_eq!((code(&found), found.degraded, found.warnings.len(), found.notes.len()), (None, false, 0, 1));
}

#[tokio::test]
async fn a_local_file_that_wins_over_another_value_is_an_error_unless_it_is_pinned() {
    let both = [Nothing, Value("old"), Value("new")];
    let (stale, _) = told("A", &[], both.clone()).await;
    assert_eq!(code(&stale), Some(Code::SecretInvalid));
    let text = stale.check().unwrap_err().to_string();
    assert!(
        text.contains("dotenv") && text.contains("env") && !text.contains("old") && !text.contains("new")
    );
    let (pinned, _) = told("A = dotenv:A | env:A", &[], both).await;
    assert_eq!((code(&pinned), value(&pinned).as_deref()), (None, Some("old")));
    assert_eq!(pinned.warnings.len(), 1, "different and shadowed is a warning");
}

#[tokio::test]
async fn a_source_that_never_answers_fails_at_the_deadline() {
    let (late, _) = told("A", &[("INPUT_TIMEOUT", "50ms")], [Never, Nothing, Value("low")]).await;
    assert_eq!(code(&late), Some(Code::SourceFailed));
    assert!(late.check().unwrap_err().to_string().contains("did not answer within 50ms"));
}

#[tokio::test]
async fn two_references_to_one_item_are_one_question() {
    let (found, asked) =
        told("A = env:J#a\nB = env:J#b", &[], [Nothing, Nothing, Value(r#"{"a":"1","b":2}"#)]).await;
    assert_eq!((code(&found), asked), (None, 1));
    let values: BTreeMap<_, _> =
        found.available().map(|(secret, value)| (secret.name.to_string(), value.expose().to_vec())).collect();
    assert_eq!(values["A"], b"1");
    assert_eq!(values["B"], b"2");
}

#[tokio::test]
async fn two_secrets_that_meet_at_one_place_are_an_error_where_something_is_there() {
    let files = "secrets: { A_B: { file: { name: one } }, a_b: { file: { name: two } } }";
    let resolved = async |says: Says| {
        let source = Told::new("env", says);
        let file = Some((Path::new("m.yml"), files.as_bytes()));
        let manifest = manifest::read(&manifest::Given { file, ..manifest::Given::default() }).unwrap();
        resolve(manifest, &[Box::new(source)], &settings(&[])).await
    };
    let met = resolved(Value("v")).await.check().unwrap_err();
    assert_eq!(met.code, Code::SecretNamesCollide);
    assert_eq!(met.problems[0].fact, "A_B and a_b both resolve to env:a_b");
    let missing = resolved(Nothing).await.check().unwrap_err();
    assert_eq!((missing.code, missing.problems.len()), (Code::SecretsMissing, 2));
}

#[tokio::test]
async fn a_missing_field_names_the_fields_that_there_are_and_a_null_is_absent() {
    let json = Value(r#"{"user":"canary-a","empty":null}"#);
    let (wrong, _) = told("A = env:J#pass", &[], [Nothing, Nothing, json.clone()]).await;
    let text = wrong.check().unwrap_err().to_string();
    assert!(text.contains("user") && text.contains("empty") && !text.contains("canary"), "{text}");
    let (null, _) = told("A? = env:J#empty", &[], [Nothing, Nothing, json]).await;
    assert_eq!((code(&null), null.secrets[0].state), (None, State::Absent));
}

#[tokio::test]
async fn all_problems_come_at_once_and_missing_secrets_say_where_was_looked() {
    let (none, _) = told("A\nB\nC?", &[], [Nothing, Nothing, Nothing]).await;
    let error = none.check().unwrap_err();
    assert_eq!((error.code, error.problems.len()), (Code::SecretsMissing, 2));
    assert!(error.problems[0].fact.contains("nowhere"));
    let (warned, _) = told("A", &[("INPUT_ON-MISSING", "warn")], [Nothing, Nothing, Nothing]).await;
    assert_eq!((code(&warned), warned.degraded, warned.warnings.len()), (None, true, 1));
}

#[tokio::test]
async fn values_that_lost_are_masked_too() {
    let (found, _) = told("A = dotenv:A | env:A", &[], [Nothing, Value("winner-1"), Value("loser-1")]).await;
    let seen: Vec<_> = found.values().map(|(_, value)| value.expose().to_vec()).collect();
    assert!(seen.contains(&b"winner-1".to_vec()) && seen.contains(&b"loser-1".to_vec()));
}

#[tokio::test]
async fn a_source_that_is_not_there_is_absent_if_it_is_a_file_and_failed_if_it_is_a_store() {
    let sources: Vec<Box<dyn Source>> = Vec::new();
    for (lines, expected) in [("A? = dotenv:A", None), ("A? = env:A", Some(Code::SourceFailed))] {
        let resolution = resolve(declared(lines), &sources, &settings(&[])).await;
        assert_eq!(code(&resolution), expected, "{lines}");
    }
}

#[tokio::test]
async fn every_source_is_closed_when_it_has_answered_or_is_late_or_was_not_asked() {
    let late = [("INPUT_TIMEOUT", "0")];
    let (_, asked, closed) =
        told_and_closed("A = dotenv:A | env:A", &late, [Value("x"), Never, Failed]).await;
    assert_eq!((asked, closed), (2, 3));
}

#[tokio::test]
async fn a_metered_source_is_asked_only_for_what_nothing_above_it_had() {
    let metered = |id: &str, says: Says| Told { metered: true, ..Told::new(id, says) };
    let (above, below) = (Told::new("docker-secrets", Only("a", "v")), metered("env", Value("m")));
    let asked = below.asked;
    let both = resolved("A\nB", &[], vec![above, below]).await;
    assert_eq!(asked.load(Ordering::SeqCst), 1, "of two secrets");
    let values: Vec<_> = both.available().map(|(_, value)| value.expose().to_vec()).collect();
    assert_eq!(values, [b"v".to_vec(), b"m".to_vec()]);
    assert!(both.check().is_ok() && both.notes.is_empty() && both.warnings.is_empty(), "{:?}", both.notes);
    // A null is nothing, also when the item that holds it is there.
    let (above, below) = (Told::new("docker-secrets", Value(r#"{"x":null}"#)), metered("env", Value("m")));
    let null = resolved("A = docker-secrets:j#x | env:a", &[], vec![above, below]).await;
    assert_eq!((code(&null), value(&null).as_deref()), (None, Some("m")));
    // One that stands above the others is asked for all.
    let (above, below) = (metered("docker-secrets", Only("b", "m")), Told::new("dotenv", Value("v")));
    let asked = above.asked;
    let first = resolved("A\nB", &[], vec![above, below]).await;
    assert_eq!((asked.load(Ordering::SeqCst), value(&first).as_deref()), (2, Some("v")));
    // Of two such sources the lower one is asked for what the upper one had not.
    let (above, below) = (metered("docker-secrets", Only("a", "m")), metered("env", Value("m")));
    let asked = below.asked;
    assert!(resolved("A\nB", &[], vec![above, below]).await.check().is_ok());
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_ambient_source_that_denies_everything_is_passed_over_with_a_warning() {
    let ambient = |says: Says| Told { ambient: true, ..Told::new("docker-secrets", says) };
    let passed = resolved("A\nB", &[], vec![ambient(Denied), Told::new("env", Value("low"))]).await;
    assert_eq!((code(&passed), value(&passed).as_deref(), passed.degraded), (None, Some("low"), false));
    assert_eq!(passed.warnings.len(), 1);
    let text = &passed.warnings[0].fact;
    assert!(text.contains("docker-secrets") && text.contains("is shut"), "{text}");
    let nowhere = resolved("A", &[], vec![ambient(Denied), Told::new("env", Nothing)]).await;
    assert_eq!(code(&nowhere), Some(Code::SecretsMissing));
}

#[tokio::test]
async fn an_ambient_source_that_denies_some_or_fails_blocks_as_any_other() {
    for (ambient, says, expected) in [
        (true, DeniedBut("b"), Code::SourceDenied),
        (true, Failed, Code::SourceFailed),
        (false, Denied, Code::SourceDenied),
    ] {
        let above = Told { ambient, ..Told::new("docker-secrets", says) };
        let blocked = resolved("A\nB", &[], vec![above, Told::new("env", Value("low"))]).await;
        assert_eq!((code(&blocked), value(&blocked)), (Some(expected), None));
    }
}

#[tokio::test]
async fn a_source_of_fields_means_its_default_one_where_a_reference_names_none() {
    let item = r#"{"value":"v","other":"o"}"#;
    for (lines, expected) in [
        ("A", Some("v")),
        ("A = env:A", Some("v")),
        ("A = env:A#other", Some("o")),
        ("A = env:A#value", Some("v")),
    ] {
        let source = Told { default_field: Some("value"), ..Told::new("env", Value(item)) };
        assert_eq!(value(&resolved(lines, &[], vec![source]).await).as_deref(), expected, "{lines}");
    }
    let source = Told { default_field: Some("value"), ..Told::new("env", Value(r#"{"other":"o"}"#)) };
    let without = resolved("A", &[], vec![source]).await;
    let text = without.check().unwrap_err().to_string();
    assert!(text.contains("there is no field `value`; the fields are: other"), "{text}");
}

#[tokio::test]
async fn a_reference_of_1password_as_a_value_is_no_secret() {
    let (found, _) = told("A", &[], [Nothing, Nothing, Value("op://vault/item/field")]).await;
    assert_eq!(code(&found), Some(Code::SecretInvalid));
    let said = found.check().err().unwrap().to_string();
    assert!(said.contains("`A = op://…`"), "{said}");
    for text in ["op://vault", "see op://vault/item/field", "op://vault/item/field\nmore"] {
        let (found, _) = told("A", &[], [Nothing, Nothing, Value(text)]).await;
        assert_eq!(value(&found).as_deref(), Some(text));
    }
}

#[tokio::test]
async fn a_template_is_composed_of_what_was_found_in_any_order_and_masked_as_a_whole() {
    let file = "secrets:\n  ALL: { template: '<{URL}>', starts-with: '<postgres:' }\n  URL: { template: 'postgres://app:{PW|urlencode}@db' }\n  PW:";
    let found = from_file(file, &[], Only("pw", "a/b")).await;
    assert!(found.check().is_ok());
    assert_eq!(value(&found).as_deref(), Some("<postgres://app:a%2Fb@db>"));
    assert!(found.secrets.iter().all(|resolved| resolved.state == State::Found));
    let masked: Vec<_> = found.values().map(|(name, value)| (name.to_string(), value.shape())).collect();
    assert!(masked.contains(&("ALL".into(), "25 bytes".into())), "{masked:?}");
    assert!(masked.contains(&("URL".into(), "23 bytes".into())), "{masked:?}");
}

#[tokio::test]
async fn a_missing_part_is_a_missing_secret_and_a_template_asks_no_source_for_itself() {
    let file = "secrets:\n  URL: { template: 'x{PW}', REQUIRED }\n  PW: { required: false }";
    for (required, expected, problem) in [
        ("required: true", State::Missing, Some(Code::SecretsMissing)),
        ("required: false", State::Absent, None),
    ] {
        let found = from_file(&file.replace("REQUIRED", required), &[], Only("url", "stale")).await;
        assert_eq!((found.secrets[0].state, code(&found), value(&found)), (expected, problem, None));
        let said = found.check().err().map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(
            said.contains("URL cannot be composed: PW in its template has no value"),
            problem.is_some()
        );
    }
    let required = file.replace("REQUIRED", "min-length: 1");
    let passed = from_file(&required, &[("INPUT_ON-MISSING", "warn")], Nothing).await;
    assert!(passed.degraded && code(&passed).is_none() && passed.warnings.len() == 1);
    let denied = from_file(&required, &[], Denied).await;
    assert_eq!((denied.secrets[0].state, code(&denied)), (State::Denied, Some(Code::SourceDenied)));
}

#[tokio::test]
async fn what_a_template_makes_is_held_against_the_rules() {
    let file = "secrets:\n  A: { template: 'x{PW}', starts-with: y }\n  PW:";
    let invalid = from_file(file, &[], Only("pw", "canary")).await;
    assert_eq!((invalid.secrets[0].state, code(&invalid)), (State::Invalid, Some(Code::SecretInvalid)));
    let said = invalid.check().unwrap_err().to_string();
    assert!(said.contains("A from its template: does not start with") && !said.contains("canary"), "{said}");
}
