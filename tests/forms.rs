//! What the manifest says of how services get secrets, on a real engine, by both deliveries: templates.

#![allow(clippy::unwrap_used, clippy::panic)] // clippy.toml allows it in test functions, and the rest here serves these
#![allow(unreachable_pub, dead_code)] // the support files serve several test programs

#[path = "support/scene.rs"]
mod scene;

use scene::{Done, Scene, docker, done};

const DELIVERIES: [&str; 2] = ["file", "volume"];
const SLEEPS: &str = "    image: IMAGE\n    init: true\n    command: [sleep, '3000']\n";

/// Runs a mode with these variables of the step.
#[track_caller]
fn run(scene: &Scene, words: &[&str], variables: &[(&str, &str)], code: i32) -> Done {
    let mut command = scene.cli(words);
    command.envs(variables.iter().copied());
    done(command).expect(code)
}

/// What a command prints in a service's only container.
fn inside(scene: &Scene, service: &str, words: &[&str]) -> String {
    let id = scene.containers()[service].0.clone();
    docker(["exec", &id].into_iter().chain(words.iter().copied()))
}

/// The environment of the service's program, which sleeps.
fn variables_of_program(scene: &Scene, service: &str) -> Vec<String> {
    let script = "for p in /proc/[0-9]*; do case $(tr '\\0' ' ' <$p/cmdline) in 'sleep '*) tr '\\0' '\\n' <$p/environ;; esac; done";
    let text = inside(scene, service, &["sh", "-c", script]);
    text.lines().map(str::to_owned).collect()
}

/// `docker inspect` of a service's container.
fn inspected(scene: &Scene, service: &str) -> String {
    docker(["inspect", &scene.containers()[service].0])
}

#[test]
fn a_template_is_delivered_like_any_secret_and_follows_its_parts() {
    let manifest = "secrets:\n  DB_PASSWORD:\n  DATABASE_URL:\n    template: 'postgres://app:{DB_PASSWORD|urlencode}@db/app?x={{1}}'\n\
                    \x20 SETTINGS: { template: '{{\"pw\": \"{DB_PASSWORD|json}\", \"b\": \"{DB_PASSWORD|base64}\"}}' }\n\
                    services:\n  web: [DATABASE_URL, SETTINGS]\n";
    for delivery in DELIVERIES {
        let scene = Scene::new("forms-template");
        scene.write("claude-secrets.yml", manifest);
        scene.compose(&format!(
            "services:\n  web:\n{SLEEPS}    environment: {{ DATABASE_URL: }}\n  db:\n{SLEEPS}    environment: {{ DB_PASSWORD: }}\n  \
             other:\n{SLEEPS}"
        ));
        let deploy = |value: &str| {
            run(&scene, &["deploy", "--delivery", delivery], &[("DB_PASSWORD", value)], 0).stderr
        };
        let said = deploy("pass/word of \"one\"");
        assert!(said.contains("DATABASE_URL: found {DB_PASSWORD|urlencode}\n"), "{said}");
        let url = "postgres://app:pass%2Fword%20of%20%22one%22@db/app?x={1}";
        assert!(variables_of_program(&scene, "web").contains(&format!("DATABASE_URL={url}")), "{delivery}");
        let read = |file: &str| inside(&scene, "web", &["cat", &format!("/run/secrets/{file}")]);
        assert_eq!(read("database_url"), url);
        assert_eq!(read("settings"), r#"{"pw": "pass/word of \"one\"", "b": "cGFzcy93b3JkIG9mICJvbmUi"}"#);
        // The part is the database's alone.
        assert_eq!(inside(&scene, "web", &["ls", "/run/secrets"]), "database_url\nsettings\n");
        for secret in ["pass/word", "pass%2Fword", "cGFzcy93b3Jk"] {
            assert!(!said.contains(secret), "{delivery}: {said}");
            assert!(!inspected(&scene, "web").contains(secret), "{delivery}");
        }
        let before = scene.containers();
        let said = deploy("pass/word of \"one\"");
        assert!(said.contains("all services are up to date"), "{delivery}: {said}");
        deploy("another-one");
        let now = scene.containers();
        let renewed: Vec<_> =
            now.iter().filter(|(name, found)| before[*name] != **found).map(|(name, _)| name).collect();
        assert_eq!(renewed, ["db", "web"], "{delivery}");
        assert_eq!(read("database_url"), "postgres://app:another-one@db/app?x={1}");
    }
}

#[test]
fn a_template_without_a_part_is_a_missing_secret() {
    let scene = Scene::new("forms-missing");
    scene.write("claude-secrets.yml", "secrets:\n  PW: { required: false }\n  URL: { template: 'x:{PW}' }\n");
    scene.compose(&format!("services:\n  web:\n{SLEEPS}    environment: {{ URL: }}\n"));
    // The variable of the template's own name is no source.
    let said = run(&scene, &["deploy"], &[("URL", "canary-of-nobody")], 3).stderr;
    assert!(said.contains("URL cannot be composed: PW, a part of its template, has no value"), "{said}");
    assert!(scene.containers().is_empty());
}
