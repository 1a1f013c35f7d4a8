//! Compose projects of shapes that are easily got wrong: each is deployed by the command line on a real engine.

#![allow(clippy::unwrap_used, clippy::panic)] // clippy.toml allows it in test functions, and the rest here serves these
#![allow(unreachable_pub, dead_code)] // the support files serve several test programs

#[path = "support/scene.rs"]
mod scene;

use std::fs;

use scene::{Done, Scene, docker, done};

const VALUE: &str = "canary-of-an-odd-project";

/// Runs a mode with the secret KEY in the environment.
#[track_caller]
fn run(scene: &Scene, words: &[&str], code: i32) -> Done {
    let mut command = scene.cli(words);
    command.env("KEY", VALUE);
    done(command).expect(code)
}

/// What a command prints in a service's only container.
fn inside(scene: &Scene, service: &str, words: &[&str]) -> String {
    let id = scene.containers()[service].0.clone();
    docker(["exec", &id].into_iter().chain(words.iter().copied()))
}

const SLEEPS: &str = "    image: IMAGE\n    init: true\n    command: [sleep, '3000']\n";

#[test]
fn a_compose_secret_of_the_declared_variable_or_of_its_file_name_is_filled() {
    let scene = Scene::new("odd-own");
    for (name, key) in [("tok", "environment: KEY"), ("key", "environment: KEY"), ("k-e-y", "external: true")]
    {
        let own = format!("secrets: [{{ source: {name}, target: own, mode: 0440 }}]");
        let named = if name == "k-e-y" { "K_E_Y = env:KEY" } else { "KEY" };
        scene.compose(&format!(
            "services:\n  web:\n{SLEEPS}    {own}\n  other:\n{SLEEPS}secrets:\n  {name}:\n    {key}\n"
        ));
        for delivery in ["file", "volume"] {
            run(&scene, &["deploy", "--secrets", named, "--delivery", delivery], 0);
            assert_eq!(inside(&scene, "web", &["cat", "/run/secrets/own"]), VALUE, "{name} {delivery}");
            assert_eq!(inside(&scene, "web", &["stat", "-c", "%a", "/run/secrets/own"]), "440\n", "{name}");
            assert!(!inside(&scene, "other", &["ls", "/run"]).contains("secrets"), "{name}");
        }
    }
}

#[test]
fn a_service_cannot_read_what_it_is_not_granted_by_a_compose_secret_of_its_own() {
    let scene = Scene::new("odd-grant");
    let manifest = "secrets: { KEY: }\nservices: { web: [KEY] }\n";
    scene.write("claude-secrets.yml", manifest);
    for (own, code) in [
        ("environment: KEY", 2),
        ("environment: VAULT_TOKEN", 5),
        ("environment: ACTIONS_ID_TOKEN_REQUEST_TOKEN", 5),
        ("environment: INPUT_GITHUB-SECRETS", 5),
        ("file: /proc/self/environ", 5),
        ("file: /proc/1/environ", 5),
    ] {
        scene.compose(&format!(
            "services:\n  web:\n{SLEEPS}    environment: [KEY]\n  other:\n{SLEEPS}    environment: [MINE]\n    \
             secrets: [x]\nsecrets:\n  x: {{ {own} }}\n"
        ));
        let mut command = scene.cli(["deploy", "--secrets", "MINE", "--delivery", "volume"]);
        for name in ["KEY", "VAULT_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "INPUT_GITHUB-SECRETS", "MINE"] {
            command.env(name, format!("{VALUE}-{name}"));
        }
        command.env("INPUT_GITHUB-SECRETS", format!("{{\"OTHER\": \"{VALUE}\"}}")).env_remove("VAULT_ADDR");
        let said = done(command).expect(code);
        assert!(
            said.stderr.contains("service other") && !said.stderr.contains(VALUE),
            "{own}: {}",
            said.stderr
        );
        assert!(scene.containers().is_empty(), "{own}");
    }
}

#[test]
fn a_service_that_mounts_the_project_directory_hands_it_on_and_reads_all_of_it() {
    let scene = Scene::new("odd-above");
    let find = "    image: IMAGE\n    init: true\n    command: [sh, -c, 'find /app && exec sleep 3000']\n";
    scene.compose(&format!(
        "services:\n  web:\n{SLEEPS}    environment: [KEY]\n  dev:\n{SLEEPS}    volumes: ['.:/app:ro', './data:/data']\n  \
         other:\n{find}    user: '1000'\n    volumes_from: [dev]\n"
    ));
    run(&scene, &["deploy", "--secrets", "KEY"], 0);
    assert_eq!(inside(&scene, "web", &["cat", "/run/secrets/key"]), VALUE);
    for service in ["dev", "other"] {
        assert_eq!(inside(&scene, service, &["grep", "-rlsF", VALUE, "/app", "/data"]), "", "{service}");
    }
}

#[test]
fn a_declared_secret_without_a_value_leaves_no_variable_either() {
    let scene = Scene::new("odd-absent");
    scene
        .compose(&format!("services:\n  web:\n{SLEEPS}    environment: {{ KEY: '${{KEY:-}}', OTHER: x }}\n"));
    scene.write(".env", "NOTHING=1\n");
    run(&scene, &["deploy", "--secrets", "KEY? = dotenv:KEY"], 0);
    let environment = inside(&scene, "web", &["env"]);
    assert!(!environment.contains(VALUE) && environment.contains("OTHER=x"), "{environment}");
}

#[test]
fn an_included_project_keeps_what_its_own_env_file_says() {
    let scene = Scene::new("odd-include");
    scene.compose("include:\n  - path: sub/compose.yaml\n    env_file: sub/own.env\n");
    let image = scene::service_image();
    let service = SLEEPS.replace("IMAGE", &image);
    scene.write(
        "sub/compose.yaml",
        format!("services:\n  sub:\n{service}    environment: ['TAG=${{TAG}}', 'KEY=${{KEY}}']\n"),
    );
    scene.write("sub/own.env", "TAG=from-the-include\n");
    run(&scene, &["deploy", "--secrets", "KEY"], 0);
    let environment = inside(&scene, "sub", &["env"]);
    assert!(environment.contains("TAG=from-the-include\n") && !environment.contains(VALUE), "{environment}");
    assert_eq!(inside(&scene, "sub", &["cat", "/run/secrets/key"]), VALUE);
}

#[test]
fn a_service_that_comes_up_at_the_second_try_is_well_and_one_that_never_does_is_not() {
    let scene = Scene::new("odd-tries");
    let tries = |times: u32| {
        format!(
            "services:\n  web:\n    image: IMAGE\n    init: true\n    restart: always\n    environment: {{ KEY: }}\n    \
             command: [sh, -c, 'echo x >> /tries; [ $$(wc -l < /tries) -gt {times} ] || exit 1; exec sleep 3000']\n"
        )
    };
    scene.compose(&tries(1));
    run(&scene, &["deploy", "--secrets", "KEY"], 0);
    scene.compose(&tries(1000));
    let said = run(&scene, &["deploy", "--secrets", "KEY"], 6);
    assert!(said.stderr.contains("again and again"), "{}", said.stderr);
}

#[test]
fn up_does_not_wait_longer_than_it_may() {
    let scene = Scene::new("odd-late");
    scene.compose(&format!(
        "services:\n  db:\n{SLEEPS}    healthcheck: {{ test: [CMD, 'false'], start_period: 600s, interval: 1s }}\n  \
         web:\n{SLEEPS}    environment: {{ KEY: }}\n    depends_on: {{ db: {{ condition: service_healthy }} }}\n"
    ));
    let said = run(&scene, &["deploy", "--secrets", "KEY", "--wait-timeout", "3s"], 6);
    assert!(said.stderr.contains("did not end within 3s"), "{}", said.stderr);
}

#[test]
fn another_secrets_directory_is_another_place_and_the_next_run_finds_it() {
    let scene = Scene::new("odd-place");
    scene.compose(&format!("services:\n  web:\n{SLEEPS}    environment: {{ KEY: }}\n"));
    let deploy = |directory: &str| {
        run(&scene, &["deploy", "--secrets", "KEY", "--delivery", "file", "--secrets-dir", directory], 0);
        scene.containers()["web"].clone()
    };
    let first = deploy("./data/secrets");
    assert_eq!(deploy("data/secrets"), first, "the same place in other words");
    let moved = deploy("elsewhere");
    assert_ne!(moved.0, first.0);
    assert_eq!(deploy("elsewhere"), moved);
}

#[test]
fn a_service_that_is_not_started_does_not_change_the_override_file_from_run_to_run() {
    let scene = Scene::new("odd-idle");
    scene.compose(&format!(
        "services:\n  web:\n{SLEEPS}    environment: {{ KEY: }}\n  idle:\n{SLEEPS}    environment: {{ KEY: }}\n    profiles: [extra]\n"
    ));
    let deploy = || {
        run(&scene, &["deploy", "--secrets", "KEY"], 0);
        fs::read_to_string(scene.project().join("docker-compose.secrets.yml")).unwrap()
    };
    let first = deploy();
    assert!(first.contains("\"idle\":"), "the override covers every service: {first}");
    assert_eq!(deploy(), first);
}

#[test]
fn a_profile_that_the_env_file_beside_the_compose_file_chooses_is_deployed_and_watched() {
    let scene = Scene::new("odd-profile");
    scene.write("deploy/.env", "COMPOSE_PROFILES=extra\n");
    let name = scene.project().join("compose.yaml");
    scene.compose(&format!(
        "services:\n  extra:\n{SLEEPS}    environment: {{ KEY: }}\n    profiles: [extra]\n"
    ));
    fs::rename(name, scene.project().join("deploy/compose.yaml")).unwrap();
    let words = ["deploy", "--secrets", "KEY", "--compose-files", "deploy/compose.yaml"];
    run(&scene, &words, 0);
    let before = scene.containers()["extra"].clone();
    let mut changed = scene.cli(words);
    changed.env("KEY", "another-canary-value");
    done(changed).expect(0);
    assert_ne!(scene.containers()["extra"].0, before.0);
    assert_eq!(inside(&scene, "extra", &["cat", "/run/secrets/key"]), "another-canary-value");
}

#[test]
fn a_short_value_that_stands_in_names_and_paths_is_no_leak() {
    let scene = Scene::new("odd-short");
    scene.compose(&format!("services:\n  web:\n{SLEEPS}    environment: {{ KEY: }}\n"));
    let mut command = scene.cli(["deploy", "--secrets", "KEY"]);
    // The project's name, its network's and its paths hold it.
    command.env("KEY", &scene.name);
    done(command).expect(0);
}

#[test]
fn a_project_whose_file_cannot_be_read_is_taken_down_by_its_name() {
    let scene = Scene::new("odd-down");
    scene.compose(&format!(
        "services:\n  web:\n{SLEEPS}    environment: {{ KEY: '${{KEY:?}}', TAG: '${{TAG:?}}' }}\n"
    ));
    let mut command = scene.cli(["deploy", "--secrets", "KEY"]);
    command.env("KEY", VALUE).env("TAG", "1");
    done(command).expect(0);
    let name = docker([
        "inspect",
        "--format",
        "{{index .Config.Labels \"com.docker.compose.project\"}}",
        &scene.containers()["web"].0,
    ]);
    done(scene.cli(["down", "--project-name", name.trim()])).expect(0);
    assert!(scene.containers().is_empty());
    assert!(!scene.project().join("docker-compose.secrets.yml").exists());
}

#[test]
fn sources_that_are_not_asked_for_are_not_opened() {
    let scene = Scene::new("odd-sources");
    scene.compose(&format!("services:\n  web:\n{SLEEPS}    environment: {{ KEY: }}\n"));
    scene.write("broken.env", "KEY=\"never closed\n");
    let words = ["validate", "--secrets", "KEY", "--env-file", "broken.env"];
    run(&scene, &words, 4);
    run(&scene, &[&words[..], &["--sources", "env"]].concat(), 0);
}
