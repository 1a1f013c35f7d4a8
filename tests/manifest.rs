//! What declares the secrets is read whole, its mistakes are told all at once, and nothing of a value is repeated.
// The lints' exception for tests does not reach functions that tests share.
#![allow(clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::sync::LazyLock;

use claude_secrets::error::{Code, Error};
use claude_secrets::manifest::{
    Encoding, Given, Manifest, Reference, Rules, Scope, Secret, SourceId, Trim, read,
};
use claude_secrets::secret::{SecretName, SecretValue};
use proptest::prelude::*;

/// Stands wherever a value could be by mistake. A plain word, so that no rule against odd characters hides it.
const CANARY: &str = "canaryword";

const KINDS: &[&str] = &["docker-secrets", "dotenv", "env", "keeper", "onepassword"];

static SETTINGS: LazyLock<Vec<(&str, Vec<&str>)>> =
    LazyLock::new(|| vec![("docker-secrets", vec!["dir"]), ("env", Vec::new())]);

fn given<'a>(file: &'a str, lines: &'a str) -> Given<'a> {
    Given {
        lines: Some(lines).filter(|text| !text.is_empty()),
        file: Some((Path::new("claude-secrets.yml"), file.as_bytes())).filter(|(_, bytes)| !bytes.is_empty()),
        known_kinds: KINDS,
        versioned: &["keeper"],
        settings: &SETTINGS,
        ..Given::default()
    }
}

fn manifest(file: &str, lines: &str) -> Manifest {
    read(&given(file, lines)).unwrap_or_else(|error| panic!("{error}"))
}

fn secret<'m>(manifest: &'m Manifest, name: &str) -> &'m Secret {
    manifest.secrets.iter().find(|secret| secret.name.as_str() == name).expect(name)
}

/// The references of a secret in their canonical text.
fn from(secret: &Secret) -> Option<Vec<String>> {
    secret.from.as_ref().map(|list| list.iter().map(ToString::to_string).collect())
}

fn accept(rules: &str, value: &[u8]) -> Result<Vec<u8>, String> {
    let manifest = manifest(&format!("secrets: {{ A: {{ {rules} }} }}"), "");
    manifest.secrets[0].accept(SecretValue::new(value.to_vec())).map(|value| value.expose().to_vec())
}

/// Everything that can be printed of an error.
fn printed(error: &Error) -> String {
    format!("{error}\n{error:?}")
}

/// Bad input, file and lines, with the code it gets. The whole texts are in the snapshot.
#[rustfmt::skip]
const BAD: &[(Code, &str, &str)] = &[
    (Code::ManifestInvalid, "secrets:\n  A:\n    starts-wiht: canaryword", ""),
    (Code::ManifestInvalid, "secrets:\n  A: { required: false, starts-wiht: canaryword }", ""),
    (Code::ManifestInvalid, "secrets:\n  A: { canaryword123456789: 1 }", ""),
    (Code::ManifestInvalid, "secrets:\n  A:\n    S3cr3t+canaryword: x", ""),
    (Code::ManifestInvalid, "secrets:\n  A: canaryword", ""),
    (Code::ManifestInvalid, "secrets: canaryword", ""),
    (Code::ManifestInvalid, "secrets:\n  A:\n    default: &x canaryword\n    required: *x\n  B:\n    <<: { encoding: canaryword }", ""),
    (Code::ManifestInvalid, "prefix: canaryword/{nope}\nsecrets:\n  A:", ""),
    (Code::ManifestInvalid, "secrets:\n  A:\nenvironments:\n  prod: { sources: { env: { canaryword-4Xq: x } }, prefx: canaryword }", ""),
    (Code::ManifestInvalid, "secrets:\n  A: { default: canaryword, encoding: base64, min-length: 9 }", ""),
    (Code::ManifestInvalid, "secrets:\n  A: { default: \"x\n    canaryword: y\", required: 1, kye: 2 }", ""),
    (Code::ManifestInvalid, "secrets:\n  A:\n    default: |\n      canaryword: y\n    required: canaryword\n    starts-with: [canaryword]\n  1B:\n  C: { from: [canaryword] }\nservices: { w: [D] }", "canaryword canaryword"),
    (Code::ManifestInvalid, "canaryword", ""),
    (Code::ManifestInvalid, "- canaryword", ""),
    (Code::ManifestInvalid, "secrets: [A, canaryword]", ""),
    (Code::ManifestInvalid, "secrets:\n  A: { required: canaryword }", ""),
    (Code::ManifestInvalid, "secrets:\n  A:\n    required: 'true'", ""),
    (Code::ManifestInvalid, "secrets:\n  A: { required: yes }", ""),
    (Code::ManifestInvalid, "secrets:\n  A: { min-length: canaryword }", ""),
    (Code::ManifestInvalid, "secrets:\n  A: { min-length: -1 }", ""),
    (Code::ManifestInvalid, "secrets:\n  A: { min-length: 99999999 }", ""),
    (Code::ManifestInvalid, "secrets:\n  A: { encoding: canaryword }", ""),
    (Code::ManifestInvalid, "secrets:\n  A: { encoding: bas64 }", ""),
    (Code::ManifestInvalid, "secrets:\n  A: { trim: true }", ""),
    (Code::ManifestInvalid, "secrets:\n  A: { from: env:canaryword }", ""),
    (Code::ManifestInvalid, "secrets:\n  A: { from: [env: canaryword] }", ""),
    (Code::ReferenceInvalid, "secrets:\n  A: { from: [canaryword] }", ""),
    (Code::SourceUnknown, "secrets:\n  A: { from: ['postgres://u:canaryword@h'] }", ""),
    (Code::SourceUnknown, "secrets:\n  A: { from: [enw:canaryword] }", ""),
    (Code::SourceUnknown, "secrets:\n  A: { from: [vault:canaryword] }", ""),
    (Code::ReferenceInvalid, "secrets:\n  A: { from: ['env:canaryword@3'] }", ""),
    (Code::ReferenceInvalid, "secrets:\n  A: { from: ['env:canaryword/{environment}'] }", ""),
    (Code::ReferenceInvalid, "secrets:\n  A: { from: ['env:canaryword/{nope}'] }", ""),
    (Code::ReferenceInvalid, "secrets:\n  A: { from: ['env:canaryword%20x'] }", ""),
    (Code::ReferenceInvalid, "secrets:\n  A: { from: ['env:canaryword#'] }", ""),
    (Code::ReferenceInvalid, "secrets:\n  A: { from: ['op://canaryword'] }", ""),
    (Code::ManifestInvalid, "secrets:\n  A: { from: [] }", ""),
    (Code::ManifestInvalid, "secrets:\n  A: { from: [env:B, env:B] }", ""),
    (Code::ManifestInvalid, "secrets:\n  A: { default: [canaryword] }", ""),
    (Code::ManifestInvalid, "secrets:\n  A: { default: canaryword, starts-with: sk- }", ""),
    (Code::ManifestInvalid, "secrets:\n  A: { default: '' }", ""),
    (Code::ManifestInvalid, "secrets:\n  A: { default: }", ""),
    (Code::ManifestInvalid, "secrets:\n  A: { matches: '(canaryword' }", ""),
    (Code::ManifestInvalid, "secrets:\n  A: { matches: '(a{0,200}){0,200}b' }", ""),
    (Code::ManifestInvalid, "secrets:\n  B:\n  A: { template: 'canaryword{B}', from: [env:A], trim: newline }", ""),
    (Code::ManifestInvalid, "secrets:\n  DB_PASSWORD:\n  A: { template: 'canaryword{DB_PASWORD}' }", ""),
    (Code::ManifestInvalid, "secrets:\n  B:\n  A: { template: 'canaryword{canaryword_Xy9}' }", ""),
    (Code::ManifestInvalid, "secrets:\n  A: { template: 'canaryword{B}' }\n  B: { template: '{C}' }\n  C: { template: '{A}canaryword' }", ""),
    (Code::ManifestInvalid, "secrets:\n  A: { template: 'canaryword{A}' }", ""),
    (Code::ManifestInvalid, "secrets:\n  B:\n  A: { template: 'canaryword{B|urlencod}' }", ""),
    (Code::ManifestInvalid, "secrets:\n  B:\n  A: { template: 'canaryword{B' }", ""),
    (Code::ManifestInvalid, "secrets:\n  A: { template: 'canaryword' }", ""),
    (Code::ManifestInvalid, "secrets:\n  B:\n  A: { template: '{B}canaryword', sensitive: false }", ""),
    (Code::ManifestInvalid, "secrets:\n  B:\n  A: { template: [canaryword] }", ""),
    (Code::SecretNameInvalid, "secrets:\n  DOCKER_HOST:\n  SSL_CERT: { required: false }", "PATH\nLD_PRELOAD? = env:OTHER"),
    (Code::ManifestInvalid, "secrets:\n  A: { max-age: 90 }", ""),
    (Code::ManifestInvalid, "secrets:\n  A: { expires-within: canaryword }", ""),
    (Code::ReferenceInvalid, "secrets:\n  A: { from: ['keeper:canaryword/*'] }", ""),
    (Code::ReferenceInvalid, "secrets:\n  A:\nimport: ['keeper:canaryword']", ""),
    (Code::ReferenceInvalid, "secrets:\n  A:\nimport: ['keeper:canaryword/*@2']", ""),
    (Code::ManifestInvalid, "secrets:\n  A:\nimport: ['keeper:x/*', 'keeper:x/*']", ""),
    (Code::ManifestInvalid, "secrets:\n  A: { file: { mode: 400 } }", ""),
    (Code::ManifestInvalid, "secrets:\n  A: { file: { mode: '0777' } }", ""),
    (Code::ManifestInvalid, "secrets:\n  A: { file: { mode: '0642' } }", ""),
    (Code::ManifestInvalid, "secrets:\n  A: { file: { name: ../canaryword } }", ""),
    (Code::ManifestInvalid, "secrets:\n  A: { file: { uid: root } }", ""),
    (Code::ManifestInvalid, "secrets:\n  A: { file: { uid: 4294967295 } }", ""),
    (Code::ManifestInvalid, "secrets:\n  A: { file: canaryword }", ""),
    (Code::ManifestInvalid, "secrets:\n  A:\n  B:\n  A:", ""),
    (Code::ManifestInvalid, "secrets:\n  A:\n    required: true\n    required: false\n", ""),
    (Code::SecretNameInvalid, "secrets:\n  1canaryword:", ""),
    (Code::SecretNameInvalid, "secrets:\n  A+canaryword:", ""),
    (Code::SecretNameInvalid, "secrets:\n  A?:", ""),
    (Code::SecretNamesCollide, "secrets:\n  Foo:\n  FOO:", ""),
    (Code::SecretNamesCollide, "secrets:\n  A: { file: { name: b } }\n  B:", ""),
    (Code::ManifestInvalid, "secrets:\n  [A]: {}", ""),
    (Code::ManifestInvalid, "secrets:\n  ANTHROPIC_API_KEY:\nservices:\n  w: [ANTHROPIC_API_KY]", ""),
    (Code::ManifestInvalid, "secrets:\n  A:\nservices:\n  w: [A, A, canaryword-xY9z]", ""),
    (Code::ManifestInvalid, "secrets:\n  A:\nservices:\n  w: { secrets: A }", ""),
    (Code::ManifestInvalid, "secrets:\n  A:\nservices:\n  w: canaryword", ""),
    (Code::ManifestInvalid, "secrets:\n  A:\nservices:\n  w: { secrets: [A], deliver: canaryword, starts-workers: canaryword }", ""),
    (Code::ManifestInvalid, "secrets:\n  A:\nservices:\n  w: { secrets: [A], workers: { uid: 1000 } }", ""),
    (Code::ManifestInvalid, "secrets:\n  A:\nservices:\n  w: { starts-workers: true, workers: { secrets: [], user: canaryword } }", ""),
    (Code::ManifestInvalid, "secrets:\n  AB_KEY:\nservices:\n  w: { starts-workers: true, workers: { secrets: [AB_KYE] } }", ""),
    (Code::ManifestInvalid, "secrets:\n  A:\nservices:", ""),
    (Code::SourceUnknown, "secrets:\n  A:\nsources:\n  vault: { addr: canaryword }", ""),
    (Code::ManifestInvalid, "secrets:\n  A:\nsources:\n  docker-secrets: { token: canaryword }", ""),
    (Code::SourceUnknown, "secrets:\n  A:\nsources:\n  my: { dir: canaryword }", ""),
    (Code::SourceUnknown, "secrets:\n  A:\nsources:\n  my: { kind: canaryword }", ""),
    (Code::SourceUnknown, "secrets:\n  A:\nsources:\n  my: { kind: evn }", ""),
    (Code::ManifestInvalid, "secrets:\n  A:\nsources:\n  docker-secrets: { dri: canaryword }", ""),
    (Code::ManifestInvalid, "secrets:\n  A:\nsources:\n  Docker: { dir: canaryword }", ""),
    (Code::ManifestInvalid, "secrets:\n  A:\nsources: { env: canaryword }", ""),
    (Code::ManifestInvalid, "secrets:\n  A:\nsecretes:\n  B:", ""),
    (Code::ManifestInvalid, "secrets:\n  A:\nprefix: ''", ""),
    (Code::ManifestInvalid, "secrets:\n  A:\nprefix: 'canaryword/{environment}'", ""),
    (Code::ManifestInvalid, "secrets:\n  A:\n   x: y\n canaryword: [", ""),
    (Code::ManifestInvalid, "secrets:\n\tA: canaryword", ""),
    (Code::ManifestInvalid, "secrets:\n  A: { default: \"canaryword", ""),
    (Code::ManifestInvalid, "secrets:\n  A: { default: @canaryword }", ""),
    (Code::ManifestInvalid, "secrets:\n  A: *canaryword", ""),
    (Code::ManifestInvalid, "secrets:\n  A: !canaryword x", ""),
    (Code::ManifestInvalid, "secrets:\n  A:\n---\nsecrets:", ""),
    (Code::ManifestMissing, "", ""),
    (Code::ManifestMissing, "# nothing", "# nothing"),
    (Code::ManifestInvalid, "", "{\"A\": \"canaryword\"}"),
    (Code::ReferenceInvalid, "", "A = canaryword"),
    (Code::ReferenceInvalid, "", "A=canaryword"),
    (Code::SourceUnknown, "", "DB_PASSWORD = postgres://u:canaryword@db/x"),
    (Code::ReferenceInvalid, "", "A = CANARYWORD:canaryword"),
    (Code::SecretNameInvalid, "", "A, B, canaryword"),
    (Code::SecretNameInvalid, "", "A B"),
    (Code::SecretNameInvalid, "", "- A"),
    (Code::SecretNameInvalid, "", "A: env:canaryword"),
    (Code::ManifestInvalid, "", "A ="),
    (Code::ReferenceInvalid, "", "A = env:B |"),
    (Code::ReferenceInvalid, "", "A = env:B | canaryword"),
    (Code::SourceUnknown, "", "A = enw:canaryword"),
    (Code::SourceUnknown, "", "A = aws:canaryword"),
    (Code::ReferenceInvalid, "", "A = keeper:canaryword#*"),
    (Code::ReferenceInvalid, "", "A = env:canaryword@1"),
    (Code::ManifestInvalid, "", "A\nA?"),
    (Code::ManifestInvalid, "", "-----BEGIN KEY-----\nMIIcanaryword==\n-----END KEY-----"),
    (Code::SecretNameInvalid, "", "ghp-canaryword"),
    (Code::SecretNamesCollide, "", "Foo\nFOO"),
    (Code::SecretNameInvalid, "", "export A=canaryword"),
];

#[test]
fn every_mistake_is_told_with_its_place_and_without_any_value() {
    let mut texts = Vec::new();
    for (code, file, lines) in BAD {
        let Err(error) = read(&given(file, lines)) else { panic!("accepted: {file} {lines}") };
        assert_eq!(error.code, *code, "{file} {lines}\n{error}");
        assert!(!printed(&error).contains(CANARY), "{file} {lines}\n{error}");
        let input = [*file, *lines].join(if file.is_empty() || lines.is_empty() { "" } else { "\n+++\n" });
        texts.push(format!("{input}\n=> {}\n{error}\n", code.token()));
    }
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn the_manifest_of_the_documentation_is_read() {
    let manifest = manifest(
        "
prefix: claude-bot
sources:
  docker-secrets: { dir: /srv/secrets }
  old-keeper: { kind: keeper, addr: https://old.example.com }
services:
  claude-orchestrator: { secrets: [ANTHROPIC_API_KEY, GITHUB_TOKEN], uid: 1000, gid: 0 }
  worker: [ANTHROPIC_API_KEY]
secrets:
  ANTHROPIC_API_KEY:
    description: Key of the Claude API, console.anthropic.com
    starts-with: sk-ant-
    from:
      - keeper:secret/{prefix}/anthropic#key@3
      - old-keeper:x
      - env:ANTHROPIC_API_KEY
  GITHUB_TOKEN: { from: [env:BOT_TOKEN], file: { name: token, mode: '0440', uid: 10, gid: 20 } }
  GIT_AUTHOR_NAME: { required: false, default: Claude Bot, sensitive: false }
  PLAIN:
",
        "",
    );
    assert_eq!(manifest.scope, Scope { prefix: "claude-bot".to_owned(), environment: None });
    let key = secret(&manifest, "ANTHROPIC_API_KEY");
    let expected = ["keeper:secret/claude-bot/anthropic#key@3", "old-keeper:x", "env:ANTHROPIC_API_KEY"];
    assert_eq!(from(key), Some(expected.map(str::to_owned).to_vec()));
    assert_eq!((key.place.line, key.place.column), (10, 3));
    assert!(key.required && key.sensitive && key.default.is_none());
    let token = secret(&manifest, "GITHUB_TOKEN");
    assert_eq!((token.file_name().as_str(), token.file.mode), ("token", Some(0o440)));
    assert_eq!((token.file.uid, token.file.gid), (Some(10), Some(20)));
    let author = secret(&manifest, "GIT_AUTHOR_NAME");
    assert!(!author.required && !author.sensitive);
    assert_eq!(author.default.as_ref().map(SecretValue::expose), Some(b"Claude Bot".as_slice()));
    assert_eq!(author.file_name(), "git_author_name");
    assert!(from(secret(&manifest, "PLAIN")).is_none());
    let services = manifest.services.as_ref().expect("services");
    assert_eq!(services["worker"].secrets.len(), 1);
    let grant = &services["claude-orchestrator"];
    assert_eq!((grant.secrets.len(), grant.uid, grant.gid), (2, Some(1000), Some(0)));
    let old = SourceId::parse("old-keeper").expect("id");
    assert_eq!(manifest.kind(&old), "keeper");
    assert_eq!(manifest.sources[&old].settings["addr"], "https://old.example.com");
}

#[test]
fn lines_declare_secrets_by_name_mark_and_references() {
    let manifest =
        manifest("", "# comment\n\n  A\r\nB ?\nC = env:X | dotenv:Y#f | op://v/i/f\nD?=env:{prefix}\n");
    let seen: Vec<_> = manifest
        .secrets
        .iter()
        .map(|s| {
            (s.name.as_str(), s.required, from(s).unwrap_or_default().join(" "), s.place.line, s.place.column)
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("A", true, String::new(), 3, 3),
            ("B", false, String::new(), 4, 1),
            ("C", true, "env:X dotenv:Y#f op://v/i/f".to_owned(), 5, 1),
            ("D", false, "env:claude-bot".to_owned(), 6, 1),
        ]
    );
    assert!(manifest.services.is_none());
}

#[test]
fn names_in_capitals_may_have_commas_between_them() {
    let lines = manifest("", "A,B_2 ?, C,\n  D = env:X,Y\n");
    let seen: Vec<_> =
        lines.secrets.iter().map(|s| (s.name.as_str(), s.required, s.place.line, s.place.column)).collect();
    assert_eq!(seen, [("A", true, 1, 1), ("B_2", false, 1, 3), ("C", true, 1, 10), ("D", true, 2, 3)]);
    assert_eq!(from(&lines.secrets[3]).unwrap(), ["env:X,Y"]);
    for refused in ["A,", "A, b", "A,,B", "A,B = env:X", "A, A"] {
        let given = given("", refused);
        assert_eq!(claude_secrets::manifest::read(&given).is_ok(), refused == "A,", "{refused}");
    }
}

#[test]
fn lines_add_to_the_file_and_win_over_it() {
    let file = "secrets:\n  A: { description: d, min-length: 3, from: [env:X], required: false }\n  B: { from: [env:Y] }";
    let manifest = manifest(file, "A = dotenv:Z\nB?\nC");
    let a = secret(&manifest, "A");
    assert!(a.required);
    assert_eq!((from(a), a.description.as_deref()), (Some(vec!["dotenv:Z".to_owned()]), Some("d")));
    assert_eq!(a.rules.min_length, Some(3));
    let b = secret(&manifest, "B");
    assert!(!b.required);
    assert_eq!(from(b), Some(vec!["env:Y".to_owned()]), "a line without references leaves them");
    assert_eq!(manifest.secrets.len(), 3);
}

#[test]
fn what_is_handed_on_to_workers_is_granted_to_the_service() {
    let file = "secrets: { A: , B: }\nservices:\n  all: { secrets: [A], starts-workers: true }\n  \
                one: { secrets: [A], starts-workers: true, workers: { secrets: [B], uid: 1000, gid: 0 } }\n  none: { secrets: [A], starts-workers: false }";
    let manifest = manifest(file, "");
    let services = manifest.services.as_ref().expect("services");
    let granted =
        |service: &str| services[service].secrets.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        (granted("all"), granted("one")),
        (vec!["A".to_owned()], vec!["A".to_owned(), "B".to_owned()])
    );
    let workers = services["one"].workers.as_ref().expect("workers");
    assert_eq!(
        (workers.secrets.as_ref().map(Vec::len), workers.uid, workers.gid),
        (Some(1), Some(1000), Some(0))
    );
    let workers = services["all"].workers.as_ref().expect("workers");
    assert_eq!((workers.secrets.as_ref(), workers.uid), (None, None));
    assert!(services["none"].workers.is_none());
}

#[test]
fn a_template_names_its_parts_and_gives_way_to_a_line_with_references() {
    let file =
        "secrets:\n  B:\n  C: { sensitive: false }\n  A: { template: 'x{B|urlencode}{C}', min-length: 3 }";
    let parts = |manifest: &Manifest| {
        secret(manifest, "A").parts().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    let alone = manifest(file, "A?");
    assert_eq!(parts(&alone), "B C", "a line without references leaves it");
    assert!(!secret(&alone, "A").required && !secret(&alone, "A").is_conventional());
    let elsewhere = manifest(file, "A = env:X");
    assert_eq!(
        (parts(&elsewhere).as_str(), from(secret(&elsewhere, "A"))),
        ("", Some(vec!["env:X".to_owned()]))
    );
    let imported = manifest("import: ['keeper:x/*']\nsecrets: { A: { template: '{LATER}' } }", "");
    assert_eq!(parts(&imported), "LATER");
}

#[test]
fn an_input_wins_over_the_environment_and_that_over_the_file() {
    let file = "
prefix: base
sources: { docker-secrets: { dir: /a }, old: { kind: keeper, addr: x, path: p } }
secrets: { A: { from: ['env:{prefix}-{environment}'] } }
environments:
  production: { prefix: 'base/{environment}', sources: { old: { addr: y } } }
  staging:
";
    let old = SourceId::parse("old").expect("id");
    for (environment, prefix, expected, reference, addr) in [
        ("production", None, "base/production", "env:base/production-production", "y"),
        ("staging", None, "base", "env:base-staging", "x"),
        ("staging", Some("mine"), "mine", "env:mine-staging", "x"),
    ] {
        let given = Given { environment: Some(environment), prefix, ..given(file, "") };
        let manifest = read(&given).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(manifest.scope.prefix, expected);
        assert_eq!(from(&manifest.secrets[0]), Some(vec![reference.to_owned()]));
        let settings = &manifest.sources[&old].settings;
        assert_eq!((settings["addr"].as_str(), settings["path"].as_str()), (addr, "p"));
    }
}

#[test]
fn an_environment_must_be_listed_where_environments_are() {
    let listed = "secrets: { A: }\nenvironments: { production: {} }";
    let with = |file, environment| read(&Given { environment: Some(environment), ..given(file, "") });
    let error = with(listed, "prodution").expect_err("not listed");
    assert_eq!(
        error.to_string(),
        "claude-secrets.yml:2:15: the input `environment` is `prodution`, which is not in `environments`; \
         did you mean `production`?\n2 | environments: …\n  | ^^^^^^^^^^^^"
    );
    let free = with("secrets: { A: }", "anything").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(free.scope.environment.as_deref(), Some("anything"));
    for bad in ["", " ", "a\nb"] {
        assert_eq!(with("secrets: { A: }", bad).expect_err(bad).code, Code::Usage);
    }
    let prefix = |prefix| read(&Given { prefix: Some(prefix), ..given("", "A") }).expect_err(prefix);
    for bad in ["", " x", "{prefix}", "{environment}"] {
        assert_eq!(prefix(bad).code, Code::Usage, "{bad}");
    }
}

#[test]
fn anchors_and_merges_are_read_as_in_compose() {
    let manifest = manifest(
        "secrets:\n  A: &base { required: false, min-length: 4 }\n  B: { <<: *base, min-length: 5 }\n  C: *base",
        "",
    );
    let rules: Vec<_> = manifest.secrets.iter().map(|s| (s.required, s.rules.min_length)).collect();
    assert_eq!(rules, [(false, Some(4)), (false, Some(5)), (false, Some(4))]);
}

#[test]
fn modes_are_octal_and_never_guessed() {
    for (text, mode) in
        [("'0400'", 0o400), ("0400", 0o400), ("0o440", 0o440), ("\"0o444\"", 0o444), ("'0640'", 0o640)]
    {
        let manifest = manifest(&format!("secrets: {{ A: {{ file: {{ mode: {text} }} }} }}"), "");
        assert_eq!(manifest.secrets[0].file.mode, Some(mode), "{text}");
    }
    for bad in [
        "400", "256", "'400'", "0x100", "u=r", "'0'", "'0000'", "'0222'", "'01777'", "'0500'", "'0446'",
        "-0400",
    ] {
        assert!(
            read(&given(&format!("secrets: {{ A: {{ file: {{ mode: {bad} }} }} }}"), "")).is_err(),
            "{bad}"
        );
    }
}

#[test]
fn a_value_is_decoded_then_trimmed_then_checked() {
    let big = vec![b'x'; 1024 * 1024];
    let accepted: &[(&str, &[u8], &[u8])] = &[
        ("", b" a\n", b" a\n"),
        ("", b"a\0\xff", b"a\0\xff"),
        ("", &big, &big),
        ("trim: none", b"a\n", b"a\n"),
        ("trim: newline", b"a\n\n", b"a\n"),
        ("trim: newline", b"a\r\n", b"a"),
        ("trim: newline", b"a", b"a"),
        ("encoding: base64", b"aGk=", b"hi"),
        ("encoding: base64", b"aGk", b"hi"),
        ("encoding: base64", b" aG\r\nk=\n", b"hi"),
        ("encoding: hex", b"68 69\n", b"hi"),
        ("encoding: hex", b"fF", b"\xff"),
        ("encoding: base64, trim: newline, starts-with: h, min-length: 2", b"aGkK", b"hi"),
        ("allow-empty: true", b"", b""),
        ("allow-empty: true, min-length: 5, starts-with: x", b"", b""),
        ("starts-with: 12", b"123", b"123"),
        ("matches: 'a|ab'", b"ab", b"ab"),
        ("matches: '(?x) a b # words'", b"ab", b"ab"),
        ("min-length: 2", "é".as_bytes(), "é".as_bytes()),
    ];
    for (rules, value, expected) in accepted {
        assert_eq!(accept(rules, value).as_deref(), Ok(*expected), "{rules}");
    }
    let mut too_big = big;
    too_big.push(b'x');
    let refused: &[(&str, &[u8], &str)] = &[
        ("", b"", "is empty"),
        ("trim: newline", b"\n", "is empty"),
        ("", &too_big, "is larger than 1 MiB (1048577 bytes)"),
        ("encoding: base64", b"canaryword!", "is not valid base64 (11 bytes)"),
        ("encoding: hex", b"abc", "is not valid hex (3 bytes)"),
        ("starts-with: sk-", b"canaryword", "does not start with the text of `starts-with` (10 bytes)"),
        ("matches: canary", b"canaryword", "does not match the pattern of `matches` (10 bytes)"),
        ("matches: a", b"a\n", "does not match the pattern of `matches` (2 bytes, 2 lines)"),
        (
            "matches: .*",
            b"\xff",
            "cannot be compared with `matches`, because it is not text (1 byte, not UTF-8)",
        ),
        ("min-length: 11", b"canaryword", "is shorter than `min-length`, 11 bytes (10 bytes)"),
    ];
    for (rules, value, expected) in refused {
        assert_eq!(accept(rules, value).as_ref().map_err(String::as_str), Err(*expected), "{rules}");
    }
}

#[test]
fn a_default_keeps_its_spelling() {
    for (written, value) in
        [("1.50", "1.50"), ("0x1F", "0x1F"), ("true", "true"), ("'~'", "~"), ("1_000", "1_000")]
    {
        let manifest = manifest(&format!("secrets: {{ A: {{ default: {written} }} }}"), "");
        let default = manifest.secrets[0].default.as_ref().map(|value| value.expose().to_vec());
        assert_eq!(default.as_deref(), Some(value.as_bytes()));
    }
}

#[test]
fn references_are_taken_apart() {
    for (text, source, item, field, version) in [
        ("env:A", "env", "A", None, None),
        (" env:DB_JSON#password ", "env", "DB_JSON", Some("password"), None),
        (
            "aws:arn:aws:x:eu:1:secret:a/b-Cd#f@AWSPREVIOUS",
            "aws",
            "arn:aws:x:eu:1:secret:a/b-Cd",
            Some("f"),
            Some("AWSPREVIOUS"),
        ),
        ("keeper:a@2", "keeper", "a", None, Some("2")),
        ("keeper:a%23b%40c%25d%7Be%7D%7Cf", "keeper", "a#b@c%d{e}|f", None, None),
        ("keeper:my item/two words", "keeper", "my item/two words", None, None),
        ("op://vault/an item/field", "onepassword", "op://vault/an item/field", None, None),
        ("op://v/i/s/f", "onepassword", "op://v/i/s/f", None, None),
    ] {
        let reference = Reference::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(reference.source.as_str(), source);
        assert_eq!(reference.item, item);
        assert_eq!((reference.field.as_deref(), reference.version.as_deref()), (field, version), "{text}");
        assert_eq!(reference.to_string(), text.trim());
    }
}

#[test]
fn what_is_put_in_changes_nothing_in_how_a_reference_is_read_again() {
    use claude_secrets::manifest::ReferenceErrorKind as Kind;

    for (text, prefix, environment, kind) in [
        ("op:/{prefix}/item/field", "/vault", "prod", Kind::IncompleteOp),
        ("op:{prefix}", "//vault/item/field", "prod", Kind::IncompleteOp),
        ("op://bot/item/{environment}", "bot", "prod ", Kind::LeadingBlank),
        ("env:{environment}", "bot", "prod ", Kind::LeadingBlank),
    ] {
        let scope = Scope { prefix: prefix.to_owned(), environment: Some(environment.to_owned()) };
        assert_eq!(Reference::parse_in(text, &scope).expect_err(text).kind, kind, "{text}");
    }
}

#[test]
fn a_bad_reference_says_where_and_why() {
    use claude_secrets::manifest::ReferenceErrorKind as Kind;
    for (text, position, kind) in [
        ("", 1, Kind::Empty),
        ("   ", 4, Kind::Empty),
        ("plain", 1, Kind::NoSource),
        ("Env:A", 1, Kind::BadSource),
        ("1a:A", 1, Kind::BadSource),
        (":A", 1, Kind::BadSource),
        ("env:", 4, Kind::EmptyPart),
        ("env:A#", 6, Kind::EmptyPart),
        ("env:A#@1", 8, Kind::EmptyPart),
        ("env: A", 5, Kind::LeadingBlank),
        ("env:A\u{7}", 6, Kind::Control),
        ("env:A#b#c", 8, Kind::Misplaced),
        ("env:A@b@c", 8, Kind::Misplaced),
        ("env:A@b#c", 8, Kind::Misplaced),
        ("  env:ä%2", 8, Kind::BadEscape),
        ("env:%é", 5, Kind::BadEscape),
        ("env:{", 5, Kind::UnknownPlaceholder),
        ("env:}", 5, Kind::UnknownPlaceholder),
        ("env:{other}", 5, Kind::UnknownPlaceholder),
        ("env:{prefix}", 5, Kind::NoScope),
        ("op://vault/item", 15, Kind::IncompleteOp),
        ("op://vault//field", 17, Kind::IncompleteOp),
    ] {
        let error = Reference::parse(text).expect_err(text);
        assert_eq!((error.position, error.kind), (position, kind), "{text}");
    }
    let scope = Scope { prefix: "p#q".to_owned(), environment: None };
    assert_eq!(Reference::parse_in("env:{environment}", &scope).expect_err("none").kind, Kind::NoEnvironment);
    let reference = Reference::parse_in("env:{prefix}#f", &scope).expect("put in as it is");
    assert_eq!((reference.item.as_str(), reference.field.as_deref()), ("p#q", Some("f")));
    let reference = Reference::parse_in("op://{prefix}/i/f", &scope).expect("op");
    assert_eq!(Reference::parse(&reference.to_string()), Ok(reference));
}

#[test]
fn nothing_that_can_be_printed_of_a_manifest_holds_a_default_or_a_setting() {
    let file =
        format!("sources: {{ keeper: {{ token: {CANARY} }} }}\nsecrets: {{ A: {{ default: {CANARY} }} }}");
    let manifest = manifest(&file, "");
    let text = format!("{manifest:?}");
    assert!(!text.contains(CANARY), "{text}");
    assert!(text.contains("10 bytes") && text.contains("token"), "{text}");
}

#[test]
fn a_file_that_makes_itself_large_is_refused_in_time() {
    let mut file = "a0: &a0 [x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..12 {
        let last = vec![format!("*a{}", n - 1); 8].join(", ");
        file = format!("{file}a{n}: &a{n} [{last}]\n");
    }
    let started = std::time::Instant::now();
    let deep = format!("secrets: {}", "[".repeat(10_000));
    let huge = "#".repeat(1024 * 1024 + 1);
    for text in [file, deep, huge] {
        assert_eq!(read(&given(&text, "A")).expect_err("too large").code, Code::ManifestInvalid);
    }
    assert!(started.elapsed().as_secs() < 10);
}

#[test]
fn a_file_that_is_no_text_is_refused() {
    let given = Given { file: Some((Path::new("m.yml"), b"secrets:\n  A: \xff")), ..given("", "") };
    assert_eq!(read(&given).expect_err("bytes").to_string(), "m.yml: the file is not UTF-8 text");
}

#[test]
fn rules_and_names_have_plain_types() {
    let manifest = manifest("secrets: { A: { encoding: hex, trim: newline, default: '6869' } }", "");
    let Rules { encoding, trim, .. } = &manifest.secrets[0].rules;
    assert_eq!((*encoding, *trim), (Some(Encoding::Hex), Trim::Newline));
    let name = SecretName::parse("A").unwrap_or_else(|error| panic!("{error}"));
    assert!(manifest.secrets.iter().any(|secret| secret.name == name));
}

fn part() -> impl Strategy<Value = String> {
    "[^\\p{C}\\s]([^\\p{C}]{0,12}[^\\p{C}\\s])?"
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_reference_read_from_its_text_is_the_same(
        source in "onepassword|[a-z][a-z0-9-]{0,20}",
        item in prop_oneof![part(), "op://[a-z %#@]{0,3}(/[a-z ]{1,3}){0,4}[a-z]"],
        field in proptest::option::of(part()),
        version in proptest::option::of(part()),
    ) {
        let source = SourceId::parse(&source).expect("id");
        let reference = Reference { source, item, field, version };
        let text = reference.to_string();
        prop_assert_eq!(Reference::parse(&text), Ok(reference), "{}", text);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), lines in ".{0,80}") {
        let given = Given { file: Some((Path::new("m"), &bytes)), ..given("", &lines) };
        let _ = read(&given);
    }

    #[test]
    fn nothing_that_looks_like_yaml_makes_it_panic_or_repeat_a_value(
        words in proptest::collection::vec(
            proptest::sample::select(vec![
                "secrets", "A", "from", "default", "file", "mode", "services", "sources", "environments", "kind",
                "env", ": ", ":", "\n", "\n  ", "\n    ", "- ", "[", "]", "{", "}", ", ", "'", "\"", "|\n", "&a ", "*a",
                "<<", "!x ", "#", "= ", "?", "tok-4Xq9Z+secret", "env:tok-4Xq9Z+secret",
            ]),
            0..30,
        ),
    ) {
        let text = words.concat();
        for given in [given(&text, ""), given("", &text), given(&text, &text)] {
            if let Err(error) = read(&given) {
                let printed = printed(&error);
                prop_assert!(!printed.contains("4Xq9Z"), "{}\n{}", text, printed);
            }
        }
    }
}

#[test]
fn an_import_stands_below_its_key_or_alone_on_a_line_and_its_names_may_be_granted() {
    let text = "import: ['keeper:{prefix}/*']\nservices:\n  web: [LATER]\n";
    let read = manifest(text, "keeper:other#*\nop://vault/*\nkeeper:claude-bot/*\nA");
    let imports: Vec<String> = read.imports.iter().map(ToString::to_string).collect();
    assert_eq!(imports, ["keeper:claude-bot/*", "keeper:other#*", "op://vault/*"]);
    let names: Vec<&str> = read.secrets.iter().map(|secret| secret.name.as_str()).collect();
    assert_eq!(names, ["A"]);
    assert_eq!(read.services.unwrap()["web"].secrets[0].as_str(), "LATER");
}

#[test]
fn freshness_is_a_time_span_with_its_unit() {
    let read = manifest("secrets:\n  A: { max-age: 90d, expires-within: 12h }\n", "");
    let day = std::time::Duration::from_hours(24);
    assert_eq!(read.secrets[0].freshness.max_age, Some(day * 90));
    assert_eq!(read.secrets[0].freshness.expires_within, Some(day / 2));
}
