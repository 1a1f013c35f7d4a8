//! `drift` tells what was changed by hand since the last deployment, without any source, and nothing where nothing was.

#![allow(clippy::unwrap_used, clippy::panic)] // clippy.toml allows it in test functions, and the rest here serves these
#![allow(unreachable_pub, dead_code)] // the support files serve several test programs

#[path = "support/scene.rs"]
mod scene;

use scene::{Done, Scene, docker, done};
use serde_json::Value;

const VALUE: &str = "canary-of-a-drift";
const SLEEPS: &str =
    "    image: IMAGE\n    init: true\n    stop_signal: SIGKILL\n    command: [sleep, '3000']\n";

fn project(delivery: &str) -> Scene {
    let scene = Scene::new("drift");
    scene.compose(&format!(
        "services:\n  web:\n{SLEEPS}    environment: {{ KEY: }}\n    volumes: ['data:/data']\n  other:\n{SLEEPS}    \
         environment: {{ KEY: }}\n  extra:\n{SLEEPS}    environment: {{ KEY: }}\n    profiles: [more]\n  once:\n    image: \
         IMAGE\n    command: ['true']\nvolumes: {{ data: {{}} }}\n"
    ));
    deploy(&scene, delivery, VALUE, &["--profiles", "more"]);
    scene
}

fn deploy(scene: &Scene, delivery: &str, value: &str, words: &[&str]) -> Done {
    let mut command = scene.cli(["deploy", "--secrets", "KEY", "--delivery", delivery].iter().chain(words));
    command.env("KEY", value);
    done(command).expect(0)
}

/// What `drift` finds, as kind and service, sorted; the program has no value, and shows none.
#[track_caller]
fn drift(scene: &Scene) -> Vec<(String, String)> {
    let done = done(scene.cli(["drift", "--secrets", "KEY", "--format", "json"]));
    let report: Value = serde_json::from_slice(&done.stdout).unwrap();
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let rows = report["drift"].as_array().unwrap();
    let mut all: Vec<_> = rows.iter().map(|row| (text(row, "kind"), text(row, "service"))).collect();
    all.sort();
    assert_eq!(done.code, if all.is_empty() { 0 } else { 8 }, "{}", done.stderr);
    let result = if all.is_empty() { "in-sync" } else { "failed" };
    assert_eq!(report["result"], result, "{}", done.stderr);
    assert!(all.is_empty() || report["error"]["code"] == "drift", "{report:#}");
    assert!(!done.stderr.contains(VALUE) && !report.to_string().contains(VALUE));
    for row in rows {
        assert!(done.stderr.contains(row["detail"].as_str().unwrap()), "{row}: {}", done.stderr);
    }
    all
}

fn found(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(kind, service)| ((*kind).to_owned(), (*service).to_owned())).collect()
}

fn id(scene: &Scene, service: &str) -> String {
    scene.containers()[service].0.clone()
}

/// Compose as a person runs it, without the override file, or with it.
fn compose(scene: &Scene, words: &[&str]) {
    let mut command = std::process::Command::new("docker");
    command.arg("compose").args(words).env("KEY", "by-hand").current_dir(scene.project());
    done(command).expect(0);
}

#[test]
fn what_was_changed_by_hand_is_told_with_both_deliveries_and_a_deployment_puts_it_right() {
    for delivery in ["file", "volume"] {
        let scene = project(delivery);
        assert_eq!(drift(&scene), [], "{delivery}");
        docker(["kill", &id(&scene, "web")]);
        assert_eq!(drift(&scene), found(&[("stopped", "web")]), "{delivery}");
        docker(["rm", "--force", &id(&scene, "web")]);
        assert_eq!(drift(&scene), found(&[("missing", "web")]), "{delivery}");
        compose(&scene, &["up", "--detach", "--no-deps", "--force-recreate", "web"]);
        assert_eq!(drift(&scene), found(&[("without-secrets", "web")]), "{delivery}");
        deploy(&scene, delivery, VALUE, &["--profiles", "more"]);
        assert_eq!(drift(&scene), [], "{delivery}");
        // Another variable, with the override file and its labels.
        let text = std::fs::read_to_string(scene.project().join("docker-compose.secrets.yml")).unwrap();
        scene.write("by-hand.yml", "services: { other: { environment: { DEBUG: '1' } } }\n");
        compose(
            &scene,
            &[
                "-f",
                "compose.yaml",
                "-f",
                "docker-compose.secrets.yml",
                "-f",
                "by-hand.yml",
                "up",
                "--detach",
                "--no-deps",
                "other",
            ],
        );
        assert_eq!(
            drift(&scene),
            found(&[("recreated", "other"), ("variables", "other")]),
            "{delivery}: {text}"
        );
        docker(["network", "disconnect", "--force", &format!("{}_default", scene.name), &id(&scene, "web")]);
        assert!(drift(&scene).contains(&("networks".into(), "web".into())), "{delivery}");
        deploy(&scene, delivery, VALUE, &["--profiles", "more", "--force-recreate"]);
        assert_eq!(drift(&scene), [], "{delivery}");
        compose(
            &scene,
            &[
                "-f",
                "compose.yaml",
                "-f",
                "docker-compose.secrets.yml",
                "up",
                "--detach",
                "--no-deps",
                "--scale",
                "other=2",
                "--no-recreate",
                "other",
            ],
        );
        assert_eq!(drift(&scene), found(&[("added", "other")]), "{delivery}");
    }
}

#[test]
fn a_service_that_a_deployment_did_not_start_is_stale() {
    let scene = project("volume");
    deploy(&scene, "volume", "another-canary", &[]);
    assert_eq!(drift(&scene), found(&[("stale", "extra")]));
    deploy(&scene, "volume", "another-canary", &["--profiles", "more"]);
    assert_eq!(drift(&scene), []);
}

#[test]
fn a_volume_that_was_removed_and_made_anew_is_told() {
    let scene = project("file");
    let volume = format!("{}_data", scene.name);
    docker(["rm", "--force", &id(&scene, "web")]);
    docker(["volume", "rm", &volume]);
    assert_eq!(drift(&scene), found(&[("missing", "web"), ("volume-gone", "")]));
    // An engine tells when a volume was made to the second.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    deploy_without_a_note(&scene);
    assert_eq!(drift(&scene), found(&[("recreated", "web"), ("volume-replaced", "")]));
}

/// Brings everything up by hand, in the way of a deployment.
fn deploy_without_a_note(scene: &Scene) {
    compose(
        scene,
        &["-f", "compose.yaml", "-f", "docker-compose.secrets.yml", "up", "--detach", "--no-deps", "web"],
    );
}

#[test]
fn secrets_that_were_written_by_hand_into_a_volume_or_a_file_are_told() {
    let scene = project("volume");
    let filter = format!("label=claude-secrets.project={}", scene.name);
    let format = "{{.Name}} {{.Label \"claude-secrets.service\"}}";
    let volumes = docker(["volume", "ls", "--filter", &filter, "--format", format]);
    let web = volumes.lines().find_map(|line| line.strip_suffix(" web")).unwrap().to_owned();
    let image = scene::service_image();
    let write = ["run", "--rm", "--volume", &format!("{web}:/v"), &image, "sh", "-c", "printf x >> /v/key"];
    docker(write);
    assert_eq!(drift(&scene), found(&[("secrets-changed", "web")]));

    let scene = project("file");
    let path = scene.project().join("data/secrets/key");
    std::thread::sleep(std::time::Duration::from_millis(2100));
    std::fs::write(&path, "by hand").unwrap();
    assert_eq!(drift(&scene), found(&[("files-changed", "")]));
    let said = done(scene.cli(["drift", "--secrets", "KEY"])).expect(8).stderr;
    assert!(said.contains("written since: key"), "{said}");
    std::fs::remove_dir_all(scene.project().join("data")).unwrap();
    assert_eq!(drift(&scene), found(&[("files-gone", "")]));
    deploy(&scene, "file", VALUE, &["--profiles", "more"]);
    assert_eq!(drift(&scene), []);
}

#[test]
fn a_project_that_was_not_deployed_cannot_be_compared_and_down_forgets_the_note() {
    let scene = Scene::new("drift-none");
    scene.compose(&format!("services:\n  web:\n{SLEEPS}    environment: {{ KEY: }}\n"));
    let code = || {
        let done = done(scene.cli(["drift", "--secrets", "KEY", "--format", "json"])).expect(6);
        let report: Value = serde_json::from_slice(&done.stdout).unwrap();
        report["error"]["code"].as_str().unwrap().to_owned()
    };
    assert_eq!(code(), "not-deployed");
    deploy(&scene, "volume", VALUE, &[]);
    assert_eq!(drift(&scene), []);
    done(scene.cli(["down", "--secrets", "KEY"])).expect(0);
    assert_eq!(code(), "not-deployed");
}

#[test]
fn what_somebody_named_by_hand_begins_no_line_and_may_be_a_value() {
    let scene = project("volume");
    scene.write(
        "by-hand.yml",
        "services: { other: { environment: { \"EV\\n::warning::pwn\": '1', sk-Zk39dkQpw82LmxT: '1', KEY_FILE: x } } }\n",
    );
    let files = ["-f", "compose.yaml", "-f", "docker-compose.secrets.yml", "-f", "by-hand.yml"];
    let up = ["up", "--detach", "--no-deps", "other"];
    compose(&scene, &[&files[..], &up].concat());
    // The note of the deployment, with a volume that is none.
    let note = format!("{}_claude-secrets-record", scene.name);
    let text =
        docker(["volume", "inspect", "--format", "{{index .Labels \"claude-secrets.record\"}}", &note]);
    let mut record: Value = serde_json::from_str(text.trim()).unwrap();
    record["volumes"]["v\n::error::VOL\u{1b}[31m"] = Value::from("x");
    docker(["volume", "rm", &note]);
    docker([
        "volume",
        "create",
        "--label",
        &format!("claude-secrets.project={}", scene.name),
        "--label",
        &format!("claude-secrets.record={record}"),
        &note,
    ]);
    for actions in [false, true] {
        let mut command = scene.cli(["drift", "--secrets", "KEY"]);
        if actions {
            command.env("GITHUB_ACTIONS", "true");
        }
        let done = done(command).expect(8);
        let said = String::from_utf8(done.stdout).unwrap() + &done.stderr;
        assert!(
            said.contains("variables that it did not have: ")
                && said.contains("that the project does not name")
        );
        assert!(!said.contains("Zk39dkQ") && !said.contains("pwn"), "{said}");
        assert!(said.contains("the volume v\\n::error::VOL\\u{1b}[31m is gone"), "{said}");
        assert!(!said.contains('\u{1b}'), "{said}");
        assert!(!said.lines().any(|line| line.trim_start().starts_with("::error::VOL")), "{said}");
    }
}
