//! What counts as up to date, on a real engine: a second deployment changes what must change and nothing else.

#![allow(clippy::unwrap_used, clippy::panic)] // clippy.toml allows it in test functions, and the rest here serves these
#![allow(unreachable_pub, dead_code)] // the support files serve several test programs

#[path = "support/scene.rs"]
mod scene;

use scene::{Done, Scene, docker, done};

const VALUE: &str = "canary-of-a-second-run";
const SLEEPS: &str = "    image: IMAGE\n    init: true\n    command: [sleep, '3000']\n";

/// Deploys with the secret KEY, which must end well.
#[track_caller]
fn deploy(scene: &Scene, words: &[&str]) -> Done {
    deploy_value(scene, VALUE, words)
}

/// The same with another value of KEY.
#[track_caller]
fn deploy_value(scene: &Scene, value: &str, words: &[&str]) -> Done {
    let mut command = scene.cli(["deploy", "--secrets", "KEY"].iter().chain(words));
    command.env("KEY", value);
    done(command).expect(0)
}

/// What a command prints in a service's only container.
fn inside(scene: &Scene, service: &str, words: &[&str]) -> String {
    let id = scene.containers()[service].0.clone();
    docker(["exec", &id].into_iter().chain(words.iter().copied()))
}

#[test]
fn a_service_without_replicas_changes_nothing_from_run_to_run() {
    let scene = Scene::new("same-none");
    scene.compose(&format!(
        "services:\n  web:\n{SLEEPS}    environment: {{ KEY: }}\n  idle:\n{SLEEPS}    environment: {{ KEY: }}\n    \
         deploy: {{ replicas: 0 }}\n"
    ));
    for delivery in ["file", "volume"] {
        deploy(&scene, &["--delivery", delivery]);
        let (files, containers) = (scene.tree(), scene.containers());
        let said = deploy(&scene, &["--delivery", delivery]);
        assert!(said.stderr.contains("all services are up to date"), "{delivery}: {}", said.stderr);
        assert!(scene.tree() == files, "{delivery}: a file is another one");
        assert_eq!(scene.containers(), containers, "{delivery}");
    }
}

#[test]
fn a_one_shot_of_the_first_deployment_is_created_and_not_recreated() {
    let scene = Scene::new("same-first");
    scene.compose(&format!(
        "services:\n  web:\n{SLEEPS}  once:\n    image: IMAGE\n    environment: {{ KEY: }}\n    command: ['true']\n"
    ));
    let said = deploy(&scene, &[]).stderr;
    assert!(said.contains("created once, web") && !said.contains("recreated"), "{said}");
    assert!(said.contains("1 secret declared"), "{said}");
    let said = deploy_value(&scene, "another-value", &[]).stderr;
    assert!(said.contains("recreated once") && !said.contains("created web"), "{said}");
}
