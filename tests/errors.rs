//! Errors that no other suite provokes, each provoked for real; and every code of the table is provoked by some suite.

#![allow(clippy::unwrap_used, clippy::panic)] // clippy.toml allows it in test functions, and the rest here serves these
#![allow(unreachable_pub, dead_code)] // the support files serve several test programs

#[path = "support/scene.rs"]
mod scene;

use std::path::Path;
use std::process::Command;

use claude_secrets::error::{Code, catalogue};
use scene::{Scene, docker, done};
use serde_json::Value;

const ONE: &str = "services:\n  web:\n    image: IMAGE\n    stop_signal: SIGKILL\n    command: [sleep, '3000']\n    environment: { KEY: '${KEY}' }\n";
const VALUE: &str = "canary-Zq7-value";

/// The codes of a run that must fail, by its JSON report; and that the log says how to learn more.
#[track_caller]
fn codes(scene: &Scene, mut command: Command) -> Vec<String> {
    command.args(["--report-file", "report.json"]).env("KEY", VALUE);
    let done = done(command);
    assert_ne!(done.code, 0, "{}", done.stderr);
    assert!(!done.stderr.contains(VALUE), "{}", done.stderr);
    let text = std::fs::read_to_string(scene.project().join("report.json")).unwrap();
    let report: Value = serde_json::from_str(&text).unwrap();
    let all = std::iter::once(&report["error"]).chain(report["other_errors"].as_array().unwrap());
    let codes: Vec<String> = all.map(|error| error["code"].as_str().unwrap().to_owned()).collect();
    for code in &codes {
        assert!(done.stderr.contains(&format!("claude-secrets explain {code}")), "{}", done.stderr);
    }
    codes
}

#[track_caller]
fn provokes(code: &str, compose: &str, manifest: &str, words: &[&str]) {
    let scene = Scene::new("errors");
    scene.compose(compose);
    if !manifest.is_empty() {
        scene.write("claude-secrets.yml", manifest);
    }
    let command = scene.cli(["deploy", "--wait=false"].iter().chain(words));
    assert!(codes(&scene, command).iter().any(|found| found == code), "{code}");
}

#[test]
fn a_reference_that_is_none_and_a_warning_under_strict() {
    provokes("reference-invalid", ONE, "", &["--secrets", "KEY = env:"]);
    let unset = ONE.replace("KEY: '${KEY}'", "KEY: '${KEY}', TAG: '${TAG}'");
    provokes("strict", &unset, "", &["--secrets", "KEY", "--strict"]);
}

#[test]
fn a_store_that_is_skipped_for_an_empty_credential_fails_a_strict_run() {
    let scene = Scene::new("errors-skipped");
    scene.compose(ONE);
    let mut command = scene.cli(["deploy", "--wait=false", "--secrets", "KEY", "--strict"]);
    command.env("VAULT_ADDR", "https://vault.example.com").env("VAULT_TOKEN", "");
    assert_eq!(codes(&scene, command), ["strict"]);
}

#[test]
fn a_provider_gets_no_secret() {
    let compose = format!("{ONE}  model:\n    provider: {{ type: example }}\n");
    provokes(
        "service-without-container",
        &compose,
        "secrets: { KEY: {} }\nservices: { model: [KEY] }\n",
        &[],
    );
}

#[test]
fn a_file_of_a_service_that_is_not_granted_it() {
    let compose = format!(
        "{ONE}  other:\n    image: IMAGE\n    secrets: [key]\nsecrets: {{ key: {{ environment: KEY }} }}\n"
    );
    provokes("secret-not-granted", &compose, "secrets: { KEY: {} }\nservices: { web: [KEY] }\n", &[]);
}

#[test]
fn files_for_an_engine_elsewhere() {
    let scene = Scene::new("errors");
    scene.compose(ONE);
    let mut command = scene.cli(["validate", "--secrets", "KEY", "--delivery", "file"]);
    command.env("DOCKER_HOST", "tcp://127.0.0.1:1");
    let codes = codes(&scene, command);
    assert!(codes.contains(&"delivery-failed".to_owned()), "{codes:?}");
}

#[test]
fn a_program_without_its_launcher() {
    let scene = Scene::new("errors");
    scene.compose(ONE);
    let alone = scene.beside("alone");
    std::fs::copy(scene::PROGRAM, &alone).unwrap();
    let mut command = Command::new(&alone);
    command.args(["deploy", "--secrets", "KEY", "--delivery", "file", "--wait=false"]);
    assert_eq!(codes(&scene, scene.scrubbed(command)), ["launcher-missing"]);
}

#[test]
fn an_image_that_is_nowhere_and_a_registry_that_is_not_there() {
    let compose = ONE.replace("IMAGE", "127.0.0.1:1/nowhere:1");
    provokes("image-unavailable", &compose, "", &["--secrets", "KEY"]);
    let scene = Scene::new("errors");
    scene.compose(&compose);
    let logins = scene.beside("logins");
    scene::write_private(&logins, "127.0.0.1:1 user password-Zq7\n");
    let mut command = scene.cli(["deploy", "--secrets", "KEY", "--registries-file"]);
    command.arg(&logins);
    assert_eq!(codes(&scene, command), ["registry-login-failed"]);
}

#[test]
fn a_port_that_is_taken() {
    let taken = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    provokes("deploy-failed", &format!("{ONE}    ports: ['{port}:80']\n"), "", &["--secrets", "KEY"]);
}

#[test]
fn a_volume_that_somebody_else_uses() {
    let scene = Scene::new("errors");
    scene.compose(ONE);
    let mut command = scene.cli(["deploy", "--secrets", "KEY", "--delivery", "volume", "--wait=false"]);
    command.env("KEY", VALUE);
    done(command).expect(0);
    let filter = format!("label=claude-secrets.project={}", scene.name);
    let volumes = docker(["volume", "ls", "-q", "--filter", &filter]);
    let volume = volumes.split_whitespace().next().unwrap();
    let (mount, image) = (format!("{volume}:/x"), scene::service_image());
    let other = docker(["run", "--detach", "--volume", &mount, &image, "sleep", "3000"]);
    let codes = codes(&scene, scene.cli(["down"]));
    docker(["rm", "--force", other.trim()]);
    assert_eq!(codes, ["removal-incomplete"]);
}

#[test]
fn every_code_is_provoked_somewhere_but_a_fault_of_the_program() {
    fn texts(directory: &Path, all: &mut String) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                texts(&path, all);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                all.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut all = String::new();
    texts(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"), &mut all);
    let is_named = |code: &Code| all.contains(&format!("\"{}\"", code.token())) || *code == Code::Internal;
    let missing: Vec<_> = Code::ALL.iter().filter(|code| !is_named(code)).map(|code| code.token()).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn an_error_is_explained_on_the_command_line_and_by_a_link_under_github_actions() {
    let scene = Scene::new("errors");
    scene.compose(ONE);
    let told = done(scene.cli(["explain", "secrets-missing"])).expect(0);
    assert_eq!(String::from_utf8(told.stdout).unwrap(), catalogue::section(Code::SecretsMissing));
    let slip = done(scene.cli(["explain", "secret-missing"])).expect(2);
    assert!(slip.stderr.contains("secrets-missing"), "{}", slip.stderr);
    let mut command = scene.cli(["validate", "--secrets", "KEY"]);
    let summary = scene.beside("summary");
    command.env("GITHUB_ACTIONS", "true").env("GITHUB_STEP_SUMMARY", &summary);
    command.env("GITHUB_ACTION_REPOSITORY", "org/claude-secrets-action").env("GITHUB_ACTION_REF", "v1");
    let link = "https://github.com/org/claude-secrets-action/blob/v1/docs/errors.md#secrets-missing";
    let log = String::from_utf8(done(command).expect(3).stdout).unwrap();
    assert!(log.contains(link), "{log}");
    let summary = std::fs::read_to_string(&summary).unwrap();
    assert!(summary.contains(&format!("(<{link}>)")) || summary.contains(&format!("({link})")), "{summary}");
}

#[test]
fn inputs_choices_services_and_fields_are_suggested() {
    let scene = Scene::new("errors");
    scene.compose(ONE);
    let said = |words: &[&str], variables: &[(&str, &str)]| {
        let mut command = scene.cli(["validate"].iter().chain(words));
        command.envs(variables.iter().copied());
        done(command).stderr
    };
    let key = ("KEY", "{\"password\": \"canary-Zq7-value\"}");
    for (words, variables, meant) in [
        (&["--secrets", "KEY", "--pull", "mising"][..], &[key][..], "Did you mean `missing`?"),
        (&["--secrets", "KEY"], &[key, ("INPUT_COMPOSE-FILE", "x.yml")], "Did you mean `compose-files`?"),
        (&["--secrets", "KEY", "--services", "wbe"], &[key], "Did you mean `web`?"),
        (&["--secrets", "KEY = env:KEY#pasword"], &[key], "Did you mean `#password`?"),
        (&["--secrets", "KEY", "--strcit"], &[key], "--strict"),
    ] {
        let said = said(words, variables);
        assert!(said.contains(meant), "{meant}: {said}");
        assert!(!said.contains("canary"), "{said}");
    }
}
