//! A second deployment, on a real engine: what did not change is not touched, what changed is made anew, and the
//! workspace may have been wiped by a checkout in between.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]

mod support;

use std::os::unix::fs::chown;
use std::process::Command;

use support::project::Workspace;
use support::runner::Ran;

const DELIVERIES: [&str; 2] = ["file", "volume"];

/// Four services with other secrets each, one of them a one-shot, and one variable that is no secret.
const PROJECT: &str = "
services:
  a: { image: IMAGE, command: SLEEP, environment: [ KEY_A ] }
  b: { image: IMAGE, command: SLEEP, environment: { KEY_B: null, TAG: '${TAG:-v1}' } }
  both: { image: IMAGE, command: SLEEP, environment: [ KEY_A, KEY_B ] }
  once: { image: IMAGE, command: [ sh, -c, 'cat /run/secrets/key_b > /dev/null' ], environment: [ KEY_B ] }
  plain: { image: IMAGE, command: SLEEP }
";

/// A workspace with the project in a repository.
fn project() -> Workspace {
    let workspace = Workspace::new();
    workspace.compose(PROJECT).commit();
    workspace
}

fn deploy(workspace: &Workspace, delivery: &str, a: &str, b: &str, tag: &str) -> Ran {
    workspace
        .deploy(delivery)
        .input("secrets", "KEY_A\nKEY_B")
        .env("KEY_A", a)
        .env("KEY_B", b)
        .env("TAG", tag)
        .succeed()
}

/// The services whose containers are others than before.
fn renewed(workspace: &Workspace, before: &std::collections::BTreeMap<String, String>) -> Vec<String> {
    let now = workspace.containers().into_iter();
    now.filter(|(service, id)| before.get(service) != Some(id)).map(|(service, _)| service).collect()
}

#[test]
fn nothing_changed_restarts_nothing_and_reruns_no_finished_one_shot() {
    for delivery in DELIVERIES {
        let workspace = project();
        let first = deploy(&workspace, delivery, "value-of-a", "value-of-b", "v1");
        assert_eq!(first.output("result"), "deployed");
        let before = workspace.standing();
        assert!(!before["once"].running && before["a"].running);
        for wipe in [false, true] {
            if wipe {
                workspace.checkout();
                assert!(workspace.read("docker-compose.secrets.yml").is_none());
            }
            let again = deploy(&workspace, delivery, "value-of-a", "value-of-b", "v1");
            assert_eq!(again.output("result"), "unchanged", "{delivery}, wiped {wipe}: {}", again.log);
            assert_eq!((again.output("changed"), again.output("recreated")), ("[]", "[]"));
            assert!(workspace.standing() == before, "{delivery}, wiped {wipe}");
            assert!(workspace.read("docker-compose.secrets.yml").is_some(), "it is written again");
            workspace.assert_reads("both", &[("key_a", "value-of-a"), ("key_b", "value-of-b")]);
        }
        if delivery == "file" {
            assert_eq!(workspace.read("data/secrets/key_a").unwrap(), b"value-of-a");
        }
    }
}

#[test]
fn one_changed_secret_recreates_the_services_that_use_it_and_no_other() {
    for delivery in DELIVERIES {
        for wipe in [false, true] {
            let workspace = project();
            deploy(&workspace, delivery, "value-of-a", "value-of-b", "v1");
            let before = workspace.standing();
            let ids = workspace.containers();
            if wipe {
                workspace.checkout();
            }
            let ran = deploy(&workspace, delivery, "another-of-a", "value-of-b", "v1");
            assert_eq!(ran.output("result"), "deployed");
            assert_eq!(renewed(&workspace, &ids), ["a", "both"], "{delivery}, wiped {wipe}: {}", ran.log);
            assert_eq!(ran.list("recreated"), ["a", "both"]);
            assert_eq!(ran.list("changed"), ["KEY_A"]);
            for untouched in ["b", "once", "plain"] {
                assert!(workspace.standing()[untouched] == before[untouched], "{untouched}");
            }
            workspace.assert_reads("a", &[("key_a", "another-of-a")]);
            workspace.assert_reads("b", &[("key_b", "value-of-b")]);
            workspace.assert_reads("both", &[("key_a", "another-of-a"), ("key_b", "value-of-b")]);
        }
    }
}

#[test]
fn a_changed_variable_that_is_no_secret_recreates_its_service_alone() {
    for delivery in DELIVERIES {
        let workspace = project();
        deploy(&workspace, delivery, "value-of-a", "value-of-b", "v1");
        let before = workspace.standing();
        let ids = workspace.containers();
        let ran = deploy(&workspace, delivery, "value-of-a", "value-of-b", "v2");
        assert_eq!(renewed(&workspace, &ids), ["b"], "{delivery}: {}", ran.log);
        assert_eq!((ran.list("recreated"), ran.output("changed")), (vec!["b".to_owned()], "[]"));
        assert_eq!(workspace.variables("b")["TAG"], "v2");
        assert!(workspace.standing()["once"] == before["once"], "the one-shot is not run again");
        workspace.assert_reads("b", &[("key_b", "value-of-b")]);
    }
}

#[test]
fn a_changed_compose_file_recreates_what_it_changes_and_removes_orphans_when_asked() {
    for delivery in DELIVERIES {
        let workspace = project();
        deploy(&workspace, delivery, "value-of-a", "value-of-b", "v1");
        let ids = workspace.containers();
        let changed =
            PROJECT.replace("plain: { image", "plain: { hostname: other, image").replace("  a: {", "  c: {");
        workspace.compose(&changed);
        let ran = workspace
            .deploy(delivery)
            .input("secrets", "KEY_A\nKEY_B")
            .input("remove-orphans", "true")
            .env("KEY_A", "value-of-a")
            .env("KEY_B", "value-of-b")
            .succeed();
        assert_eq!(renewed(&workspace, &ids), ["c", "plain"], "{delivery}: {}", ran.log);
        assert!(!workspace.containers().contains_key("a"), "{}", ran.log);
        workspace.assert_reads("c", &[("key_a", "value-of-a")]);
    }
}

#[test]
fn a_volume_keeps_the_one_before_it_and_older_ones_go() {
    let workspace = Workspace::new();
    workspace.compose("services: { a: { image: IMAGE, command: SLEEP, environment: [ KEY_A ] } }");
    let deploy =
        |value: &str| workspace.deploy("volume").input("secrets", "KEY_A").env("KEY_A", value).succeed();
    let mut seen = Vec::new();
    for (round, value) in ["value-1", "value-2", "value-3", "value-4"].into_iter().enumerate() {
        deploy(value);
        workspace.assert_reads("a", &[("key_a", value)]);
        let mounted = |at: &str| {
            let raw = workspace.engine.inspect(&workspace.container("a"));
            let mounts = raw["Mounts"].as_array().unwrap();
            let mount = mounts.iter().find(|mount| mount["Destination"] == at).unwrap();
            mount["Name"].as_str().unwrap().to_owned()
        };
        seen.push(mounted("/run/secrets"));
        let mut expected: Vec<String> = seen.iter().skip(round.saturating_sub(1)).cloned().collect();
        expected.push(mounted("/run/claude-secrets"));
        expected.sort();
        assert_eq!(workspace.volumes(), expected, "after {value}");
    }
}

#[test]
fn a_value_that_comes_back_finds_its_volume_again() {
    let workspace = Workspace::new();
    workspace.compose("services: { a: { image: IMAGE, command: SLEEP, environment: [ KEY_A ] } }");
    for value in ["value-1", "value-2", "value-1"] {
        workspace.deploy("volume").input("secrets", "KEY_A").env("KEY_A", value).succeed();
        workspace.assert_reads("a", &[("key_a", value)]);
    }
    // Two of secrets and the launcher's.
    assert_eq!(workspace.volumes().len(), 3);
}

#[test]
fn a_project_of_another_environment_is_left_alone() {
    for delivery in DELIVERIES {
        let workspace = project();
        let step = |environment: &str| {
            workspace
                .deploy(delivery)
                .input("secrets", "KEY_A\nKEY_B")
                .input("environment", environment)
                .env("KEY_A", "value-of-a")
                .env("KEY_B", "value-of-b")
        };
        step("production").succeed();
        let (standing, files, volumes) = (workspace.standing(), workspace.files(), workspace.volumes());
        let ran = step("staging").fail(6, "other-environment");
        assert!(ran.log.contains("production") && ran.log.contains("staging"), "{}", ran.log);
        assert!(
            workspace.standing() == standing && workspace.files() == files && workspace.volumes() == volumes
        );
        assert_eq!(step("production").succeed().output("result"), "unchanged");
    }
}

#[test]
fn from_one_delivery_to_the_other_and_back() {
    let workspace = project();
    for delivery in ["file", "volume", "file"] {
        deploy(&workspace, delivery, "value-of-a", "value-of-b", "v1");
        workspace.assert_reads("both", &[("key_a", "value-of-a"), ("key_b", "value-of-b")]);
        let again = deploy(&workspace, delivery, "value-of-a", "value-of-b", "v1");
        assert_eq!(again.output("result"), "unchanged", "{delivery}: {}", again.log);
    }
}

#[test]
fn the_workspaces_owner_can_check_out_again() {
    const OWNER: u32 = 1001;
    for delivery in DELIVERIES {
        let workspace = project();
        let mut all = vec![workspace.path().to_owned()];
        while let Some(path) = all.pop() {
            chown(&path, Some(OWNER), Some(OWNER)).unwrap();
            if path.is_dir() {
                all.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
        }
        deploy(&workspace, delivery, "value-of-a", "value-of-b", "v1");
        assert!(workspace.read("docker-compose.secrets.yml").is_some());
        let output = Command::new("setpriv")
            .args(["--reuid=1001", "--regid=1001", "--clear-groups", "git", "clean", "-ffdx"])
            .current_dir(workspace.path())
            .env("HOME", "/nonexistent")
            .output()
            .expect("setpriv starts");
        assert!(output.status.success(), "{delivery}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(workspace.files().len(), 1, "the Compose file is left");
        assert!(!workspace.path().join("data").exists());
    }
}
