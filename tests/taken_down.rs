//! `down` and what a deployment leaves for it, on a real engine: it works with less than a deployment needs, says what the
//! engine says, and touches nothing of other projects.

#![allow(clippy::unwrap_used, clippy::panic)] // clippy.toml allows it in test functions, and the rest here serves these
#![allow(unreachable_pub, dead_code)] // the support files serve several test programs

#[path = "support/between.rs"]
mod between;
#[path = "support/scene.rs"]
mod scene;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use between::Between;
use scene::{Done, Scene, docker, done};

const VALUE: &str = "canary-that-goes-down";
const SLEEPS: &str = "    image: IMAGE\n    init: true\n    command: [sleep, '3000']\n";

/// Runs a mode with KEY in the environment.
#[track_caller]
fn run(scene: &Scene, words: &[&str], code: i32) -> Done {
    let mut command = scene.cli(words);
    command.env("KEY", VALUE);
    done(command).expect(code)
}

/// The same by a socket of the test's own.
#[track_caller]
fn run_at(scene: &Scene, between: &Between, words: &[&str], code: i32) -> Done {
    let mut command = scene.cli(words);
    command.env("KEY", VALUE).env("DOCKER_HOST", between.host());
    done(command).expect(code)
}

/// Whether this program, and not Compose, asks for a container.
fn is_create(asked: &str) -> bool {
    let first = asked.lines().next().unwrap_or_default();
    first.contains("/containers/create")
        && asked.contains("claude-secrets.")
        && !asked.contains("com.docker.compose")
}

#[test]
fn down_needs_no_declaration_of_what_the_manifest_gives_services() {
    let scene = Scene::new("down-declared");
    scene.compose(&format!("services:\n  web:\n{SLEEPS}    environment: {{ KEY: '${{KEY:?}}' }}\n"));
    scene.write("claude-secrets.yml", "services: { web: [KEY] }\n");
    run(&scene, &["deploy", "--secrets", "KEY", "--wait=false"], 0);
    let said = run(&scene, &["down"], 0).stderr;
    assert!(scene.containers().is_empty() && !said.contains("warning"), "{said}");
}

#[test]
fn down_works_with_a_manifest_that_is_wrong() {
    let scene = Scene::new("down-wrong");
    scene.compose(&format!("services:\n  web:\n{SLEEPS}    environment: {{ KEY: }}\n"));
    run(&scene, &["deploy", "--secrets", "KEY", "--wait=false"], 0);
    scene.write("claude-secrets.yml", "secretz: { KEY: }\n");
    let said = run(&scene, &["down"], 0).stderr;
    assert!(said.contains("without the manifest") && said.contains("secretz"), "{said}");
    assert!(scene.containers().is_empty(), "{said}");
}

#[test]
fn locks_and_volumes_are_made_with_an_image_of_ours_alone() {
    let scene = Scene::new("down-image");
    let between = Between::at(&scene.beside("engine.sock"), |_| None);
    scene.compose(&format!(
        "services:\n  web:\n{SLEEPS}    environment: {{ KEY: }}\n  idle:\n    image: down-image-is-not-there\n    \
         environment: {{ KEY: }}\n    profiles: [never]\n"
    ));
    run_at(&scene, &between, &["deploy", "--secrets", "KEY", "--delivery", "volume", "--wait=false"], 0);
    run_at(&scene, &between, &["down"], 0);
    let asked = between.asked();
    let creates: Vec<_> = asked.iter().filter(|asked| is_create(asked)).collect();
    // Two locks and two volumes, more when another run has just removed the image.
    assert!(creates.len() >= 4, "{asked:?}");
    assert!(creates.iter().all(|asked| asked.contains(r#""Image":"claude-secrets-empty:1""#)), "{asked:?}");
    assert!(
        docker(["ps", "-aq", "--filter", &format!("label=claude-secrets.project={}", scene.name)]).is_empty()
    );
}

#[test]
fn an_image_of_ours_that_others_remove_and_make_meanwhile_stops_no_run() {
    let scene = Scene::new("down-race");
    scene.compose(&format!("services:\n  web:\n{SLEEPS}    environment: {{ KEY: }}\n"));
    // What the engine says when the image goes between two questions and is there again at the second.
    let missed = Arc::new(AtomicBool::new(false));
    let once = missed.clone();
    let between = Between::at(&scene.beside("engine.sock"), move |asked| {
        if !is_create(asked) || once.swap(true, Ordering::SeqCst) {
            return None;
        }
        let import = "tar -cf - -T /dev/null | docker import - claude-secrets-empty:1";
        assert!(Command::new("sh").args(["-c", import]).output().unwrap().status.success());
        Some((404, r#"{"message":"No such image: claude-secrets-empty:1"}"#.to_owned()))
    });
    run_at(&scene, &between, &["deploy", "--secrets", "KEY", "--wait=false"], 0);
    assert!(missed.load(Ordering::SeqCst));
}

#[test]
fn the_error_is_what_the_engine_says_and_no_line_of_progress() {
    let scene = Scene::new("down-error");
    let (broken, more) = ("    image: IMAGE\n    entrypoint: [/nonexistent]\n", SLEEPS);
    scene.compose(&format!("services:\n  bad:\n{broken}  a:\n{more}  z:\n{more}"));
    let said = run(&scene, &["deploy", "--secrets", "KEY", "--grant-to", "bad"], 6).stderr;
    let error = said.lines().find(|line| line.starts_with("error: ")).unwrap();
    assert!(error.contains("docker compose up failed: ") && error.contains("/nonexistent"), "{said}");
    assert!(!error.contains("Container "), "{said}");
}

#[test]
fn labels_make_nothing_ours_that_we_did_not_make() {
    let scene = Scene::new("down-labels");
    let (name, image) = (scene.name.clone(), scene::service_image());
    let victim = format!("{name}-victim");
    docker(["volume", "create", &victim]);
    // Labels of an image are those of its containers, of this project and of others.
    let labels = [format!("claude-secrets.project={name}"), format!("claude-secrets.fills={victim}")];
    docker([
        "run", "--detach", "--name", &victim, "--label", &labels[0], "--label", &labels[1], &image, "sleep",
        "3000",
    ]);
    docker([
        "create",
        "--name",
        &format!("{victim}-2"),
        "--label",
        &labels[0],
        "--label",
        &labels[1],
        &image,
        "sleep",
    ]);
    scene.compose(&format!("services:\n  web:\n{SLEEPS}    environment: [KEY]\n"));
    run(&scene, &["deploy", "--secrets", "KEY", "--delivery", "volume", "--wait=false"], 0);
    let mut rotated = scene.cli(["deploy", "--secrets", "KEY", "--delivery", "volume", "--wait=false"]);
    rotated.env("KEY", "canary-that-is-rotated");
    done(rotated).expect(0);
    run(&scene, &["down"], 0);
    assert_eq!(docker(["inspect", "--format", "{{.State.Status}}", &victim]).trim(), "running");
    assert_eq!(docker(["volume", "inspect", "--format", "{{.Name}}", &victim]).trim(), victim);
    docker(["rm", "--force", &victim, &format!("{victim}-2")]);
    docker(["volume", "rm", &victim]);
}
