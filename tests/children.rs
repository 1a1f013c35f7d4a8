//! How many programs a run starts: Docker Compose, as seldom as it can be, and nothing else. The numbers are those of
//! `docs/delivery.md`.
#![allow(clippy::unwrap_used, clippy::panic)] // clippy.toml allows it in test functions, and the rest here serves these
#![allow(unreachable_pub, dead_code)] // the support files serve several test programs

#[path = "support/scene.rs"]
mod scene;
#[path = "support/spy.rs"]
mod spy;

use scene::{Scene, done, is_root};
use spy::Spy;

/// Three services with health checks, of which two get the secret that changes.
const PROJECT: &str = "
x-common: &common
  image: IMAGE
  init: true
  command: [sleep, '3000']
  healthcheck: { test: [CMD, 'true'], interval: 1s }
services:
  web: { <<: *common, environment: [KEY] }
  worker: { <<: *common, environment: [KEY, OTHER] }
  db: { <<: *common, environment: [OTHER] }
";

/// How often each kind of run starts Docker Compose.
const RUNS: &[(&str, &str, &str, usize)] = &[
    ("first", "deploy", "first-value", 5),
    ("unchanged", "deploy", "first-value", 1),
    ("rotation", "deploy", "second-value", 4),
    ("validate", "validate", "second-value", 3),
    ("drift", "drift", "second-value", 1),
    ("down", "down", "second-value", 2),
];

#[test]
fn a_run_starts_docker_compose_and_no_other_program() {
    if !is_root() {
        eprintln!("skipped: only root may put the Compose plugin aside for one process");
        return;
    }
    for delivery in ["file", "volume"] {
        let scene = Scene::new("children");
        scene.compose(PROJECT);
        let spy = Spy::new(&scene);
        for (kind, mode, value, number) in RUNS {
            let mut command = scene.cli([mode, "--secrets", "KEY\nOTHER"]);
            command.env("INPUT_DELIVERY", delivery).env("KEY", value).env("OTHER", "another-value");
            done(spy.behind(&scene, &command)).expect(0);
            let started = spy.started();
            let compose: Vec<String> = started.iter().map(|one| one.arguments.join(" ")).collect();
            assert!(started.iter().all(|one| one.is_compose), "{delivery}, {kind}: {compose:#?}");
            assert!(compose.len() == *number, "{delivery}, {kind}: not {number}: {compose:#?}");
        }
    }
}

#[test]
fn files_alone_take_one_look_at_the_project() {
    if !is_root() {
        eprintln!("skipped: only root may put the Compose plugin aside for one process");
        return;
    }
    let scene = Scene::new("children");
    scene.compose(PROJECT);
    scene
        .write("claude-secrets.yml", "secrets: { KEY: }\nservices: { web: { secrets: [KEY], uid: 1000 } }\n");
    let spy = Spy::new(&scene);
    let mut command = scene.cli(["create-files"]);
    command.env("KEY", "first-value");
    done(spy.behind(&scene, &command)).expect(0);
    let started = spy.started();
    let compose: Vec<String> = started.iter().map(|one| one.arguments.join(" ")).collect();
    // Which services there are, and the places that they ask for, no manifest says.
    assert!(started.len() == 1 && started[0].is_compose, "{compose:#?}");
}
