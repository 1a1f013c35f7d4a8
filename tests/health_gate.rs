//! The health gate on a real engine: what fails is named, with what to do about it, and nothing else is blamed.

#![allow(clippy::unwrap_used, clippy::panic)] // clippy.toml allows it in test functions, and the rest here serves these
#![allow(unreachable_pub, dead_code)] // the support files serve several test programs

#[path = "support/scene.rs"]
mod scene;

use std::time::{Duration, Instant};

use scene::{Scene, docker, done};

const SLEEPS: &str = "    image: IMAGE\n    init: true\n    command: [sleep, '3000']\n";

/// Deploys with the secret KEY, and returns what was said.
#[track_caller]
fn deploy(scene: &Scene, words: &[&str], code: i32) -> String {
    let mut command = scene.cli(["deploy", "--secrets", "KEY"].iter().chain(words));
    command.env("KEY", "canary-at-the-gate");
    done(command).expect(code).stderr
}

/// The lines of the error that name services.
fn blamed(said: &str) -> Vec<&str> {
    said.lines().filter(|line| line.contains("service ") && line.contains("-1)")).collect()
}

#[test]
fn a_crash_loop_is_found_that_went_on_while_another_service_was_waited_for() {
    let scene = Scene::new("gate-loop");
    // `up` itself waits for `slow`, which `late` depends on. `web` runs on now and then, long enough to look well.
    scene.compose(&format!(
        "services:\n  web:\n    image: IMAGE\n    init: true\n    restart: always\n    environment: {{ KEY: }}\n    \
         command: [sh, -c, 'sleep 0.5; exit 1']\n  slow:\n{SLEEPS}    \
         healthcheck: {{ test: [CMD-SHELL, 'test -e /up || {{ touch /up; exit 1; }}'], interval: 5s, retries: 9 }}\n  \
         late:\n{SLEEPS}    depends_on: {{ slow: {{ condition: service_healthy }} }}\n"
    ));
    let said = deploy(&scene, &[], 6);
    assert!(said.contains("error: services did not come up"), "{said}");
    let blamed = blamed(&said);
    assert_eq!(blamed.len(), 1, "{said}");
    assert!(blamed[0].contains("service web") && blamed[0].contains("again and again"), "{said}");
}

#[test]
fn a_crash_loop_of_a_service_that_was_not_touched_is_found_too() {
    let scene = Scene::new("gate-untouched");
    scene.compose(&format!(
        "services:\n  web:\n    image: IMAGE\n    init: true\n    restart: always\n    environment: {{ KEY: }}\n    \
         command: [sh, -c, 'sleep 4; exit 1']\n  other:\n{SLEEPS}"
    ));
    deploy(&scene, &["--wait=false"], 0);
    let web = scene.containers()["web"].0.clone();
    let start = Instant::now();
    while docker(["inspect", "--format", "{{.RestartCount}}", &web]).trim() < "3" {
        assert!(start.elapsed() < Duration::from_mins(3), "it restarts");
        std::thread::sleep(Duration::from_millis(100));
    }
    while docker(["inspect", "--format", "{{.State.Status}}", &web]).trim() != "running" {
        std::thread::sleep(Duration::from_millis(20));
    }
    let said = deploy(&scene, &[], 6);
    assert!(said.contains("service web") && said.contains("again and again"), "{said}");
}

#[test]
fn a_service_that_is_still_starting_is_not_blamed_for_another_one_that_failed() {
    let scene = Scene::new("gate-blame");
    scene.compose(&format!(
        "services:\n  bad:\n    image: IMAGE\n    environment: {{ KEY: }}\n    command: [sh, -c, 'exit 3']\n  starting:\n\
         {SLEEPS}    healthcheck: {{ test: [CMD, 'true'], interval: 30s }}\n  young:\n{SLEEPS}"
    ));
    let said = deploy(&scene, &[], 6);
    let blamed = blamed(&said);
    assert_eq!(blamed.len(), 1, "{said}");
    assert!(blamed[0].contains("service bad") && blamed[0].contains("ended with status 3"), "{said}");
    assert_eq!(said.matches("last lines of gate-blame").count(), 1, "{said}");
}

#[test]
fn a_program_that_gave_up_root_and_cannot_read_its_secret_is_told_of_uid() {
    let scene = Scene::new("gate-uid");
    // The one says why it fails, and ends; the other is seen while it runs.
    for (command, health, expected) in [
        ("cat /run/secrets/key", "", "`web: { secrets: [KEY], uid: UID }`"),
        (
            "sleep 3000",
            "    healthcheck: { test: [CMD, 'false'], interval: 1s, retries: 2 }\n",
            "`web: { secrets: [KEY], uid: 1700 }`",
        ),
    ] {
        scene.compose(&format!(
            "services:\n  web:\n    image: IMAGE\n    init: true\n    environment: {{ KEY: }}\n    \
             entrypoint: [setpriv, --reuid=1700, --regid=1700, --clear-groups, --]\n    command: {command}\n{health}"
        ));
        let said = deploy(&scene, &["--delivery", "volume"], 6);
        assert!(said.contains("below `services:`") && said.contains(expected), "{command}: {said}");
    }
    scene
        .write("claude-secrets.yml", "services: { web: { secrets: [KEY], uid: 1700 } }\nsecrets: { KEY: }\n");
    let said = deploy(&scene, &["--delivery", "volume"], 6);
    assert!(!said.contains("below `services:`"), "it is not told again: {said}");
}

#[test]
fn a_run_that_waits_for_no_service_ends_though_one_waits_for_another_for_ever() {
    let scene = Scene::new("gate-no-wait");
    scene.compose(&format!(
        "services:\n  a:\n{SLEEPS}    healthcheck: {{ test: [CMD, 'false'], interval: 1s, start_period: 10h }}\n  b:\n\
         {SLEEPS}    environment: {{ KEY: }}\n    depends_on: {{ a: {{ condition: service_healthy }} }}\n"
    ));
    let start = Instant::now();
    let said = deploy(&scene, &["--wait=false", "--wait-timeout=4s"], 6);
    assert!(start.elapsed() < Duration::from_mins(1), "{said}");
    assert!(said.contains("docker compose up did not end within 4s"), "{said}");
    assert!(said.contains("others depend on is not ready") && said.contains("`wait-timeout`"), "{said}");
}
