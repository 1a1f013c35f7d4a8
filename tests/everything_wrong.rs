//! Broken set-ups, one row each: a single run lists everything that is wrong with it, across stages, each once and with
//! its fix; the exit status and the code are the first's; and nothing is changed.

#![allow(clippy::unwrap_used, clippy::panic)] // clippy.toml allows it in test functions, and the rest here serves these
#![allow(unreachable_pub, dead_code)] // the support files serve several test programs

#[path = "support/forms.rs"]
mod forms;
#[path = "support/scene.rs"]
mod scene;

use forms::Scanner;
use scene::{Scene, done};
use serde_json::Value;

const CANARY: &str = "canary-Zq7-value-of-a-secret";

/// Two services, of which one names a key.
const GOOD: &str = "services:\n  web:\n    image: IMAGE\n    environment: { API_KEY: '${API_KEY}' }\n  db:\n    image: IMAGE\n";

struct Row {
    what: &'static str,
    compose: &'static str,
    manifest: &'static str,
    dotenv: &'static str,
    words: &'static [&'static str],
    variables: &'static [(&'static str, &'static str)],
    status: i32,
    /// The codes, in their order.
    codes: &'static [&'static str],
    /// What must be told, each in one line alone.
    told: &'static [&'static str],
    /// What would only follow from something else.
    not_told: &'static [&'static str],
}

const NOTHING: Row = Row {
    what: "",
    compose: GOOD,
    manifest: "",
    dotenv: "",
    words: &[],
    variables: &[],
    status: 0,
    codes: &[],
    told: &[],
    not_told: &[],
};

const ROWS: &[Row] = &[
    Row {
        what: "a missing secret hides neither an unknown service nor an unassigned secret",
        manifest: "secrets: { API_KEY: {}, STRAY: {} }\nservices: { wbe: [API_KEY] }\n",
        words: &["--services", "bd"],
        variables: &[("STRAY", CANARY)],
        status: 3,
        codes: &["secrets-missing", "service-unknown", "secret-without-service"],
        told: &[
            "API_KEY was not found",
            "the service bd, which",
            "the service wbe, which",
            "STRAY: no service names it",
        ],
        ..NOTHING
    },
    Row {
        what: "a missing secret does not hide a Compose file that Compose rejects",
        compose: "services:\n  web:\n    environment: { API_KEY: '${API_KEY}' }\n",
        words: &["--secrets", "API_KEY", "--secrets-dir", "../elsewhere"],
        status: 3,
        codes: &["secrets-missing", "path-unsafe", "compose-file-invalid"],
        told: &["API_KEY was not found", "rejects the project of", "`secrets-dir` ../elsewhere"],
        ..NOTHING
    },
    Row {
        what: "a reference to no source hides nothing of the other secrets, and its own is not said to be missing",
        words: &["--secrets", "API_KEY = valut:bot#key\nOTHER", "--grant-to", "wbe"],
        status: 2,
        codes: &["source-unknown", "secrets-missing", "service-unknown"],
        told: &["did you mean `vault:`?", "OTHER was not found", "the service wbe, which"],
        not_told: &["API_KEY was not found", "required variable API_KEY"],
        ..NOTHING
    },
    Row {
        what: "a slip in one entry of the manifest hides nothing of the others",
        manifest: "secrets:\n  API_KEY: { defualt: x }\n  OTHER:\nservices: { web: [API_KEY], db: [OTHRE] }\n",
        status: 2,
        codes: &["manifest-invalid", "secrets-missing"],
        told: &["did you mean `default`?", "did you mean `OTHER`?", "OTHER was not found"],
        not_told: &["API_KEY was not found", "no service names it"],
        ..NOTHING
    },
    Row {
        what: "a source that is not there hides neither services nor places",
        compose: "services:\n  web:\n    image: IMAGE\n    labels: { key: '${API_KEY}' }\n    environment: { API_KEY: '${API_KEY}' }\n  db:\n    image: IMAGE\n",
        words: &["--secrets", "API_KEY\nSTRAY", "--sources", "vualt"],
        status: 2,
        codes: &["source-unknown", "secret-in-larger-value", "secret-without-service"],
        told: &["unknown source `vualt`", "services.web.labels.key", "STRAY: no service names it"],
        not_told: &["was not found"],
        ..NOTHING
    },
    Row {
        what: "a value that breaks a rule hides neither a missing one nor a variable that must be set",
        compose: "services:\n  web:\n    image: 'IMAGE${TAG:?}'\n    environment: { API_KEY: '${API_KEY:?}', OTHER: '${OTHER:?}' }\n",
        manifest: "secrets: { API_KEY: { starts-with: sk-ant- }, OTHER: {} }\n",
        variables: &[("API_KEY", CANARY)],
        status: 3,
        codes: &["secrets-missing", "compose-file-invalid"],
        told: &["API_KEY from", "OTHER was not found", "required variable TAG"],
        not_told: &["required variable API_KEY", "required variable OTHER"],
        ..NOTHING
    },
    Row {
        what: "a name beside the declared one, and a reference beside the source",
        words: &["--secrets", "API_KEY\nOTHER = valut:bot#key"],
        variables: &[("APIKEY", CANARY)],
        status: 2,
        codes: &["source-unknown", "secrets-missing", "secret-without-service"],
        told: &["`API_KEY = env:APIKEY`", "did you mean `vault:`?"],
        ..NOTHING
    },
    Row {
        what: "a file that is not ours in the override's place hides nothing",
        words: &["--secrets", "API_KEY", "--override-file", "notes.yml"],
        manifest: "secrets: { STRAY: {} }\n",
        variables: &[("STRAY", CANARY)],
        status: 3,
        codes: &["secrets-missing", "override-invalid", "secret-without-service"],
        told: &["API_KEY was not found", "was not generated by claude-secrets", "STRAY: no service names it"],
        ..NOTHING
    },
    Row {
        what: "a manifest whose secrets are not known ends the run: no program may be started with their values",
        manifest: "secrest: { API_KEY: {} }\n",
        words: &["--grant-to", "wbe"],
        variables: &[("API_KEY", CANARY)],
        status: 2,
        codes: &["manifest-invalid"],
        told: &["did you mean `secrets`?"],
        not_told: &["wbe"],
        ..NOTHING
    },
    Row {
        what: "a wrong setting of a source hides no unknown service",
        manifest: "sources: { vault: { adress: x } }\nsecrets: { API_KEY: {} }\nservices: { wbe: [API_KEY] }\n",
        status: 2,
        codes: &["manifest-invalid", "service-unknown"],
        told: &["unknown setting of the source", "the service wbe, which"],
        not_told: &["was not found"],
        ..NOTHING
    },
    Row {
        what: "a file that `NAME_FILE` names and that is not there hides no unknown service",
        manifest: "secrets: { API_KEY: , OTHER: }\nservices: { wbe: [OTHER] }\n",
        variables: &[("API_KEY_FILE", "/nowhere/key")],
        status: 4,
        codes: &["source-failed", "service-unknown"],
        told: &["Correct the path in API_KEY_FILE", "OTHER was not found", "the service wbe, which"],
        ..NOTHING
    },
    Row {
        what: "a line of `.env` that cannot be read hides no place",
        dotenv: "API_KEY='unfinished\n",
        words: &["--secrets", "API_KEY\nOTHER", "--secrets-dir", "../elsewhere"],
        status: 4,
        codes: &["source-failed", "path-unsafe"],
        told: &[".env: line 1, column 9 (API_KEY)", "`secrets-dir` ../elsewhere"],
        not_told: &["API_KEY was not found", "unfinished"],
        ..NOTHING
    },
    Row {
        what: "a value that is no base64, a missing secret and one without a service",
        manifest: "secrets:\n  API_KEY: { encoding: base64 }\n  OTHER:\n  STRAY:\nservices: { db: [OTHER] }\n",
        variables: &[("API_KEY", "canary-Zq7!"), ("STRAY", CANARY)],
        status: 3,
        codes: &["secrets-missing", "secret-without-service"],
        told: &["base64", "OTHER was not found", "STRAY: no service names it"],
        ..NOTHING
    },
    Row {
        what: "a template whose part is missing, beside a variable of a service that takes no declared secret",
        manifest: "secrets:\n  PASSWORD:\n  API_KEY: { template: 'postgres://app:{PASSWORD|urlencode}@db/app' }\nservices:\n  web: { variables: { REDIS_PASSWORD: CACHE } }\n",
        status: 2,
        codes: &["manifest-invalid", "secrets-missing"],
        told: &["PASSWORD was not found", "API_KEY cannot be composed", "undeclared secret, `CACHE`"],
        ..NOTHING
    },
    Row {
        what: "a secret that an image is built with, another in a label, and one that is missing",
        compose: "services:\n  web:\n    build: { context: ., args: { TOKEN: '${API_KEY}' } }\n    labels: { a: '${OTHER}' }\n    environment: { GONE: '${GONE}' }\n",
        words: &["--secrets", "API_KEY\nOTHER\nGONE"],
        variables: &[("API_KEY", CANARY), ("OTHER", "canary-Zq7-another-one")],
        status: 3,
        codes: &["secrets-missing", "secret-in-larger-value"],
        told: &["GONE was not found", "services.web.build.args.TOKEN", "services.web.labels.a"],
        ..NOTHING
    },
    Row {
        what: "a secret where Compose takes a number, and one that is missing",
        compose: "services:\n  web:\n    image: IMAGE\n    ports: ['${API_KEY}:80']\n    environment: { GONE: '${GONE}' }\n",
        words: &["--secrets", "API_KEY\nGONE"],
        variables: &[("API_KEY", CANARY)],
        status: 3,
        codes: &["secrets-missing", "secret-in-larger-value"],
        told: &["GONE was not found", "API_KEY is where Docker Compose", "invalid hostPort"],
        ..NOTHING
    },
    Row {
        what: "an env file that a service names and that is not there, and a secret that is missing",
        compose: "services:\n  web:\n    image: IMAGE\n    env_file: gone.env\n    environment: { API_KEY: '${API_KEY}' }\n",
        words: &["--secrets", "API_KEY"],
        status: 3,
        codes: &["secrets-missing", "compose-file-invalid"],
        told: &["API_KEY was not found", "gone.env not found"],
        ..NOTHING
    },
    Row {
        what: "a pattern that is none and a name that Docker reads itself: what is declared is not known, and the run ends",
        manifest: "secrets:\n  API_KEY: { matches: '(' }\n  DOCKER_HOST:\n  OTHER:\n",
        words: &["--services", "bd"],
        status: 2,
        codes: &["manifest-invalid"],
        told: &["`matches` of API_KEY", "Docker reads a variable of that name"],
        not_told: &["OTHER was not found", "bd"],
        ..NOTHING
    },
    Row {
        what: "two logins to one store hide no unknown service and nothing of the manifest",
        manifest: "secrets: { API_KEY: 'vault:secret/bot#key' }\nservices: { wbe: [API_KEY], web: [OTHRE] }\n",
        variables: &[
            ("VAULT_ADDR", "http://127.0.0.1:1"),
            ("VAULT_ROLE_ID", "11111111-2222-3333-4444-555555555555"),
            ("VAULT_SECRET_ID", CANARY),
            ("VAULT_USERNAME", "bot"),
            ("VAULT_PASSWORD", CANARY),
        ],
        status: 2,
        codes: &["manifest-invalid", "usage", "service-unknown"],
        told: &[
            "`secrets.API_KEY` must be a map",
            "undeclared secret, `OTHRE`",
            "more than one login is configured",
            "the service wbe, which",
        ],
        ..NOTHING
    },
    Row {
        what: "rules that three values break are told at once, each by its shape",
        manifest: "secrets:\n  API_KEY: { min-length: 64 }\n  TOKEN: { starts-with: ghp_ }\n  CODE: { matches: '[0-9]+' }\nservices: { web: [TOKEN, CODE] }\n",
        variables: &[("API_KEY", CANARY), ("TOKEN", "canary-Zq7-token"), ("CODE", "canary-Zq7-code")],
        status: 3,
        codes: &["secret-invalid"],
        told: &["(28 bytes)", "does not start with", "CODE from variable CODE"],
        ..NOTHING
    },
];

#[test]
fn validate_lists_everything_that_is_wrong_in_one_run() {
    try_rows("validate");
}

#[test]
fn a_deployment_lists_the_same_before_it_changes_anything() {
    try_rows("deploy");
}

fn try_rows(mode: &str) {
    let tried = ROWS.iter().map(|row| std::panic::catch_unwind(|| try_row(mode, row)).map_err(|_| row.what));
    let failed: Vec<_> = tried.filter_map(Result::err).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

fn try_row(mode: &str, row: &Row) {
    let scene = Scene::new("wrong");
    scene.compose(row.compose);
    if !row.manifest.is_empty() {
        scene.write("claude-secrets.yml", row.manifest);
    }
    if !row.dotenv.is_empty() {
        scene.write(".env", row.dotenv);
    }
    scene.write("notes.yml", "of: somebody else\n");
    let before = scene.tree();
    let mut command = scene.cli([mode, "--report-file", "report.json"].iter().chain(row.words));
    command.envs(row.variables.iter().copied());
    let done = done(command);
    let said = &done.stderr;
    assert_eq!(done.code, row.status, "{}: {said}", row.what);
    let report = scene.project().join("report.json");
    let text = std::fs::read_to_string(&report).unwrap();
    std::fs::remove_file(&report).unwrap();
    assert_eq!(codes(&text), row.codes, "{}: {said}", row.what);
    for told in row.told {
        assert_eq!(said.matches(told).count(), 1, "{} tells {told} not once: {said}", row.what);
    }
    for told in row.not_told {
        assert!(!said.contains(told), "{} tells {told}: {said}", row.what);
    }
    let scanner = Scanner::new([("API_KEY", CANARY.as_bytes())]);
    scanner.assert_clean(row.what, (said.clone() + &text).as_bytes());
    assert!(scene.tree() == before, "{}: something was changed", row.what);
    assert!(scene.containers().is_empty(), "{}", row.what);
}

fn codes(report: &str) -> Vec<String> {
    let report: Value = serde_json::from_str(report).unwrap();
    let others = report["other_errors"].as_array().unwrap();
    let all = std::iter::once(&report["error"]).chain(others);
    all.map(|error| error["code"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_is_odd_about_values_is_a_warning_and_an_error_under_strict() {
    let scene = Scene::new("odd");
    scene.compose("services:\n  web:\n    image: IMAGE\n    environment: { API_KEY: '${API_KEY}', GITHUB_TOKEN: '${GITHUB_TOKEN}', CODE: '${CODE}' }\n");
    scene.write(
        "claude-secrets.yml",
        "secrets:\n  API_KEY:\n  GITHUB_TOKEN: { from: ['env:BOT'] }\n  CODE: { starts-with: canary }\n",
    );
    let run = |code: &str, words: &[&str]| {
        let mut command = scene.cli(["validate"].iter().chain(words));
        let token = format!("{CANARY} ");
        command.env("API_KEY", "changeme").env("BOT", &token).env("CODE", code);
        let done = done(command);
        Scanner::new([("API_KEY", CANARY.as_bytes())]).assert_clean("the log", done.stderr.as_bytes());
        assert!(!done.stderr.contains("changeme"), "{}", done.stderr);
        done
    };
    let said = run("canary-code", &[]).expect(0).stderr;
    for rule in ["[placeholder]", "[wrong-kind]", "[blanks]"] {
        assert_eq!(said.matches(rule).count(), 1, "{rule}: {said}");
    }
    let said = run("canary-code", &["--strict"]).expect(3).stderr;
    assert!(said.contains("`strict` makes them errors") && said.contains("[placeholder]"), "{said}");
    let said = run("Y2FuYXJ5LWNvZGU=", &[]).expect(3).stderr;
    assert!(said.contains("set `encoding: base64` for CODE"), "{said}");
}
