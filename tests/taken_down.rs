//! `down` and what a deployment leaves for it, on a real engine: it works with less than a deployment needs, says what the
//! engine says, and touches nothing of other projects.

#![allow(clippy::unwrap_used, clippy::panic)] // clippy.toml allows it in test functions, and the rest here serves these
#![allow(unreachable_pub, dead_code)] // the support files serve several test programs

#[path = "support/scene.rs"]
mod scene;

use scene::{Done, Scene, docker, done, path_with, write_script};

const VALUE: &str = "canary-that-goes-down";
const SLEEPS: &str = "    image: IMAGE\n    init: true\n    command: [sleep, '3000']\n";

/// Runs a mode with KEY in the environment.
#[track_caller]
fn run(scene: &Scene, words: &[&str], code: i32) -> Done {
    let mut command = scene.cli(words);
    command.env("KEY", VALUE).env("PATH", path_with(&scene.beside("bin")));
    done(command).expect(code)
}

/// Puts a program before a Docker one that writes down how it is called.
fn listening(scene: &Scene) -> impl Fn() -> String {
    let calls = scene.beside("calls");
    let real = docker_itself();
    write_script(
        &scene.beside("bin/docker"),
        &format!("echo \"$@\" >> {}\nexec {real} \"$@\"", calls.display()),
    );
    move || std::fs::read_to_string(&calls).unwrap_or_default()
}

fn docker_itself() -> String {
    let path = std::env::var_os("PATH").unwrap();
    let found = std::env::split_paths(&path).map(|directory| directory.join("docker")).find(|p| p.is_file());
    found.unwrap().display().to_string()
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
    let calls = listening(&scene);
    scene.compose(&format!(
        "services:\n  web:\n{SLEEPS}    environment: {{ KEY: }}\n  idle:\n    image: down-image-is-not-there\n    \
         environment: {{ KEY: }}\n    profiles: [never]\n"
    ));
    run(&scene, &["deploy", "--secrets", "KEY", "--delivery", "volume", "--wait=false"], 0);
    run(&scene, &["down"], 0);
    let calls = calls();
    let creates: Vec<_> = calls.lines().filter(|line| line.starts_with("create ")).collect();
    // Two locks and two volumes, more when another run has just removed the image.
    assert!(creates.len() >= 4, "{calls}");
    assert!(creates.iter().all(|line| line.ends_with(" claude-secrets-empty:1")), "{calls}");
    assert!(
        docker(["ps", "-aq", "--filter", &format!("label=claude-secrets.project={}", scene.name)]).is_empty()
    );
}

#[test]
fn an_image_of_ours_that_others_remove_and_make_meanwhile_stops_no_run() {
    let scene = Scene::new("down-race");
    scene.compose(&format!("services:\n  web:\n{SLEEPS}    environment: {{ KEY: }}\n"));
    // What the engine says when the image goes between two questions and is there again at the second.
    let (missed, real) = (scene.beside("missed"), docker_itself());
    let missed = missed.display();
    write_script(
        &scene.beside("bin/docker"),
        &format!(
            "if [ \"$1\" = create ] && [ ! -e {missed} ]; then\n  touch {missed}\n  tar -cf - -T /dev/null | {real} import - \
             claude-secrets-empty:1 >/dev/null\n  echo 'Error response from daemon: No such image: claude-secrets-empty:1' \
             >&2\n  exit 1\nfi\nexec {real} \"$@\""
        ),
    );
    run(&scene, &["deploy", "--secrets", "KEY", "--wait=false"], 0);
    assert!(scene.beside("missed").exists());
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
