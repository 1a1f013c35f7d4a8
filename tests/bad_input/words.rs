//! What the user writes: inputs, the manifest, Compose files, `.env`.

use crate::case::{CANARY, GOOD, Refusal, again, refuses, running};
use crate::scene::Scene;

type Change = fn(&Scene);

struct Row {
    what: &'static str,
    change: Change,
    words: &'static [&'static str],
    variables: &'static [(&'static str, &'static str)],
    wanted: Refusal,
}

const fn refusal(
    status: i32,
    code: &'static str,
    names: &'static [&'static str],
    fix: &'static str,
) -> Refusal {
    Refusal { status, code, names, fix }
}

const NOTHING: Change = |_| {};
const KEY: &[&str] = &["--secrets", "KEY"];

const ROWS: &[Row] = &[
    Row {
        what: "a compose file that is not there",
        change: |scene| std::fs::remove_file(scene.project().join("compose.yaml")).unwrap(),
        words: KEY,
        variables: &[],
        wanted: refusal(2, "compose-file-missing", &["compose.yaml", "/project"], "project-directory"),
    },
    Row {
        what: "a named compose file that is not there",
        change: NOTHING,
        words: &["--secrets", "KEY", "--compose-files", "prod.yml"],
        variables: &[],
        wanted: refusal(2, "compose-file-missing", &["prod.yml"], "compose-files"),
    },
    Row {
        what: "a compose file that is no YAML",
        change: |scene| {
            scene.write("compose.yaml", format!("services:\n  web: [unclosed\n    x: {CANARY}\n"));
        },
        words: KEY,
        variables: &[],
        wanted: refusal(2, "compose-file-invalid", &["compose.yaml", "line"], "stand-ins"),
    },
    Row {
        what: "a service with neither image nor build",
        change: |scene| scene.compose("services:\n  web:\n    environment: { KEY: '${KEY}' }\n"),
        words: KEY,
        variables: &[],
        wanted: refusal(2, "compose-file-invalid", &["web", "image"], "stand-ins"),
    },
    Row {
        what: "a secret where Compose takes a number",
        change: |scene| scene.compose(&format!("{GOOD}    ports: ['${{KEY}}:80']\n")),
        words: KEY,
        variables: &[],
        wanted: refusal(2, "secret-in-larger-value", &["KEY", "hostPort"], "sensitive: false"),
    },
    Row {
        what: "a service that Compose has a type error in",
        change: |scene| scene.compose(&format!("{GOOD}    ports: ['web:80']\n")),
        words: KEY,
        variables: &[],
        wanted: refusal(2, "compose-file-invalid", &["ort"], "stand-ins"),
    },
    Row {
        what: "an unknown service in `services`",
        change: NOTHING,
        words: &["--secrets", "KEY", "--services", "wbe"],
        variables: &[],
        wanted: refusal(2, "service-unknown", &["wbe", "services"], "web"),
    },
    Row {
        what: "an unknown service in `grant-to`",
        change: NOTHING,
        words: &["--secrets", "KEY", "--grant-to", "wbe"],
        variables: &[],
        wanted: refusal(2, "service-unknown", &["wbe", "grant-to"], "web"),
    },
    Row {
        what: "an unknown service in the manifest",
        change: |scene| {
            scene.write("claude-secrets.yml", "services: { wbe: [KEY] }\nsecrets: { KEY: {} }\n");
        },
        words: &[],
        variables: &[],
        wanted: refusal(2, "service-unknown", &["wbe"], "web"),
    },
    Row {
        what: "JSON in `secrets`",
        change: NOTHING,
        words: &["--secrets", "{\"KEY\": \"canary-Zq7-value-of-a-secret\"}"],
        variables: &[],
        wanted: refusal(2, "manifest-invalid", &["secrets", "JSON"], "github-secrets"),
    },
    Row {
        what: "a secret name that is no variable's",
        change: NOTHING,
        words: &["--secrets", "KEY\nMY-KEY"],
        variables: &[],
        wanted: refusal(2, "secret-name-invalid", &["secrets", "line 2"], "underscores"),
    },
    Row {
        what: "a value where a name belongs",
        change: NOTHING,
        words: &["--secrets", "canary-Zq7-value-of-a-secret"],
        variables: &[],
        wanted: refusal(2, "secret-name-invalid", &["secrets", "line 1"], ""),
    },
    Row {
        what: "two names for one file",
        change: NOTHING,
        words: &["--secrets", "KEY\nkey"],
        variables: &[],
        wanted: refusal(2, "secret-names-collide", &["KEY", "key"], ""),
    },
    Row {
        what: "a missing value",
        change: NOTHING,
        words: &["--secrets", "KEY\nOTHER_KEY\nEMPTY_KEY"],
        variables: &[("EMPTY_KEY", "")],
        wanted: refusal(3, "secrets-missing", &["OTHER_KEY", "EMPTY_KEY", "empty"], "OTHER_KEY"),
    },
    Row {
        what: "a manifest that is malformed",
        change: |scene| {
            scene.write("claude-secrets.yml", format!("secrets:\n  KEY: {{ default: [{CANARY} }}\n"));
        },
        words: &[],
        variables: &[],
        wanted: refusal(2, "manifest-invalid", &["claude-secrets.yml"], ""),
    },
    Row {
        what: "a key that the manifest does not know",
        change: |scene| {
            scene.write("claude-secrets.yml", format!("secrets:\n  KEY: {{ defualt: {CANARY} }}\n"));
        },
        words: &[],
        variables: &[],
        wanted: refusal(2, "manifest-invalid", &["claude-secrets.yml", "defualt", "`default`"], ""),
    },
    Row {
        what: "`github-secrets` that is no JSON",
        change: NOTHING,
        words: KEY,
        variables: &[("INPUT_GITHUB-SECRETS", "KEY=canary-Zq7-value-of-a-secret")],
        wanted: refusal(2, "github-secrets-invalid", &["github-secrets", "JSON"], "toJSON(secrets)"),
    },
    Row {
        what: "`github-secrets` that is no object",
        change: NOTHING,
        words: KEY,
        variables: &[("INPUT_GITHUB-SECRETS", "[\"canary-Zq7-value-of-a-secret\"]")],
        wanted: refusal(2, "github-secrets-invalid", &["github-secrets", "object"], "toJSON(secrets)"),
    },
    Row {
        what: "a `.env` that is malformed",
        change: |scene| {
            scene.write(".env", format!("KEY=\"{CANARY}\n"));
        },
        words: KEY,
        variables: &[],
        wanted: refusal(4, "source-failed", &[".env", "line 1"], ""),
    },
    Row {
        what: "an `env-file` that is not there",
        change: NOTHING,
        words: &["--secrets", "KEY", "--env-file", "prod.env"],
        variables: &[],
        wanted: refusal(4, "source-failed", &["env-file", "prod.env"], "env-file"),
    },
    Row {
        what: "a `NAME_FILE` that is not there",
        change: NOTHING,
        words: KEY,
        variables: &[("KEY_FILE", "nowhere/key")],
        wanted: refusal(4, "source-failed", &["KEY_FILE"], "KEY_FILE"),
    },
    Row {
        what: "a source that there is not",
        change: NOTHING,
        words: &["--secrets", "KEY", "--sources", "vualt"],
        variables: &[],
        wanted: refusal(2, "source-unknown", &["vualt"], "env"),
    },
    Row {
        what: "a secret in a label",
        change: |scene| scene.compose(&format!("{GOOD}    labels: {{ key: '${{KEY}}' }}\n")),
        words: KEY,
        variables: &[],
        wanted: refusal(2, "secret-in-larger-value", &["services.web.labels.key", "KEY"], "sensitive: false"),
    },
    Row {
        what: "a secret in a build argument",
        change: |scene| {
            scene.compose(&format!(
                "{GOOD}  built:\n    build: {{ context: ., args: {{ TOKEN: '${{KEY}}' }} }}\n"
            ));
            scene.write("Dockerfile", "FROM scratch\n");
        },
        words: KEY,
        variables: &[],
        wanted: refusal(
            2,
            "secret-in-larger-value",
            &["services.built.build.args.TOKEN", "KEY"],
            "--mount=type=secret",
        ),
    },
    Row {
        what: "a secret that stands in the compose file in clear",
        change: |scene| scene.compose(&format!("{GOOD}    labels: {{ key: '{CANARY}' }}\n")),
        words: KEY,
        variables: &[],
        wanted: refusal(2, "secret-in-larger-value", &["services.web.labels.key", "KEY"], "rotate"),
    },
    Row {
        what: "a project directory that is not there",
        change: NOTHING,
        words: &["--secrets", "KEY", "--project-directory", "nowhere"],
        variables: &[],
        wanted: refusal(2, "project-directory-missing", &["nowhere", "project-directory"], "check"),
    },
    Row {
        what: "a project directory that is a file",
        change: NOTHING,
        words: &["--secrets", "KEY", "--project-directory", "compose.yaml"],
        variables: &[],
        wanted: refusal(2, "project-directory-missing", &["compose.yaml", "project-directory"], ""),
    },
    Row {
        what: "nothing declared",
        change: NOTHING,
        words: &[],
        variables: &[],
        wanted: refusal(2, "manifest-missing", &["secrets"], "secrets"),
    },
    Row {
        what: "an input of another kind",
        change: NOTHING,
        words: &["--secrets", "KEY", "--wait-timeout", "canary-Zq7-value-of-a-secret"],
        variables: &[],
        wanted: refusal(2, "usage", &["wait-timeout"], "wait-timeout"),
    },
    Row {
        what: "a time to stay up that is none",
        change: NOTHING,
        words: &["--secrets", "KEY", "--stable-for", "canary-Zq7-value-of-a-secret"],
        variables: &[],
        wanted: refusal(2, "usage", &["stable-for"], "stable-for"),
    },
    Row {
        what: "a secrets directory outside of the project",
        change: NOTHING,
        words: &["--secrets", "KEY", "--secrets-dir", "../elsewhere"],
        variables: &[],
        wanted: refusal(5, "path-unsafe", &["secrets-dir"], ""),
    },
];

fn try_rows(part: usize) {
    let mut failed = Vec::new();
    for row in ROWS.iter().skip(part).step_by(4) {
        let result = std::panic::catch_unwind(|| {
            let scene = running();
            (row.change)(&scene);
            let mut command = again(&scene, row.words);
            command.envs(row.variables.iter().copied());
            refuses(&scene, command, row.what, &row.wanted);
        });
        if result.is_err() {
            failed.push(row.what);
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn what_is_written_wrongly_is_refused_1_of_4() {
    try_rows(0);
}

#[test]
fn what_is_written_wrongly_is_refused_2_of_4() {
    try_rows(1);
}

#[test]
fn what_is_written_wrongly_is_refused_3_of_4() {
    try_rows(2);
}

#[test]
fn what_is_written_wrongly_is_refused_4_of_4() {
    try_rows(3);
}
