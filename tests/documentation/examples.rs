//! Examples in YAML: a workflow, steps of one, a manifest, or a Compose file. Each is read by what will read it for users.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use claude_secrets::manifest::{self, Given};
use claude_secrets::settings::INPUTS;
use serde_json::Value;

/// Checks an example and returns what it is.
pub(crate) fn check(text: &str, what: &str) -> &'static str {
    let value = super::yaml(text, what);
    if let Some(list) = value.as_array() {
        for step in list {
            check_step(step, what);
        }
        return "steps";
    }
    let has = |key: &str| value.get(key).is_some();
    if has("jobs") {
        assert!(has("on") && has("name"), "{what}: no `on` or `name`");
        for job in value["jobs"].as_object().expect("jobs").values() {
            assert!(job["runs-on"].is_string(), "{what}: no `runs-on`");
            for step in job["steps"].as_array().expect("steps") {
                check_step(step, what);
            }
        }
        return "workflow";
    }
    let services = value.get("services").and_then(Value::as_object);
    let runs_images = services
        .is_some_and(|all| all.values().any(|one| one.get("image").is_some() || one.get("build").is_some()));
    if runs_images {
        check_compose(text, what);
        return "compose";
    }
    check_manifest(text, what);
    "manifest"
}

/// A step that uses this action names its own inputs only, and its modes are modes.
fn check_step(step: &Value, what: &str) {
    assert!(step.get("uses").is_some() != step.get("run").is_some(), "{what}: a step that is none");
    let uses = step.get("uses").and_then(Value::as_str).unwrap_or_default();
    if !uses.contains("claude-secrets-action") {
        return;
    }
    let known = ["org/claude-secrets-action@v1", "org/claude-secrets-action/with-op@v1"];
    assert!(known.contains(&uses), "{what}: {uses}");
    for (name, value) in step.get("with").and_then(Value::as_object).into_iter().flatten() {
        assert!(INPUTS.iter().any(|input| input.name == name), "{what}: there is no input {name}");
        if name == "secrets" {
            read_manifest(&Given { lines: value.as_str(), ..given() })
                .unwrap_or_else(|error| panic!("{what}: {error}"));
        }
    }
}

fn check_manifest(text: &str, what: &str) {
    let environments = super::yaml(text, what)["environments"].clone();
    let named = environments.as_object().into_iter().flat_map(serde_json::Map::keys);
    let named: Vec<&str> = named.map(String::as_str).collect();
    let without = (!text.contains("{environment}")).then_some(None);
    for environment in named.into_iter().map(Some).chain(without) {
        read_manifest(&Given {
            file: Some((Path::new(manifest::FILE_NAME), text.as_bytes())),
            environment,
            ..given()
        })
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    }
}

fn given() -> Given<'static> {
    Given::default()
}

fn read_manifest(given: &Given) -> Result<manifest::Manifest, claude_secrets::error::Error> {
    let known = claude_secrets::sources::known();
    manifest::read(&Given {
        file: given.file,
        lines: given.lines,
        environment: given.environment,
        ..known.given()
    })
}

/// Docker Compose itself reads it; variables need not be set.
fn check_compose(text: &str, what: &str) {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["--project-name", "documentation", "-f", "-", "config", "--no-interpolate", "--quiet"];
    let mut child = Command::new("docker")
        .arg("compose")
        .args(arguments)
        .current_dir(directory.path())
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("docker compose is there");
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
}
