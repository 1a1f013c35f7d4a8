//! Mounts and builds of a project's own that lead to where secrets lie: refused, hidden, or done another way.

#![allow(clippy::unwrap_used, clippy::panic)] // clippy.toml allows it in test functions, and the rest here serves these
#![allow(unreachable_pub, dead_code)] // the support files serve several test programs

#[path = "support/scene.rs"]
mod scene;

use scene::{Scene, docker, done};

const VALUE: &str = "canary-of-an-exposed-project";
const SLEEPS: &str = "    image: IMAGE\n    init: true\n    command: [sleep, '3000']\n";

#[track_caller]
fn run(scene: &Scene, mode: &str, words: &[&str], code: i32) -> String {
    let mut command = scene.cli([mode, "--secrets", "KEY"].iter().chain(words));
    command.env("KEY", VALUE);
    let done = done(command).expect(code);
    let said = format!("{}{}", String::from_utf8(done.stdout).unwrap(), done.stderr);
    assert!(!said.contains(VALUE), "{said}");
    said
}

/// Deploys, and returns what the run said.
#[track_caller]
fn deploy(scene: &Scene, more: &[&str], code: i32) -> String {
    run(scene, "deploy", more, code)
}

fn inside(scene: &Scene, service: &str, words: &[&str]) -> String {
    let id = scene.containers()[service].0.clone();
    docker(["exec", &id].into_iter().chain(words.iter().copied()))
}

/// A project whose service `web` gets the secret, and `other` has these lines of its own.
fn project(scene: &Scene, other: &str, top: &str) {
    scene.compose(&format!(
        "services:\n  web:\n{SLEEPS}    environment: [KEY]\n  other:\n{SLEEPS}    {other}\n{top}"
    ));
}

#[test]
fn a_mount_that_leads_to_the_secrets_files_is_refused_however_it_is_written() {
    let scene = Scene::new("exposed-into");
    let here = scene.project().display().to_string();
    let here = here.trim_end_matches('/');
    project(&scene, "labels: {}", "");
    deploy(&scene, &["--delivery", "file"], 0);
    std::os::unix::fs::symlink("data/secrets", scene.project().join("link")).unwrap();
    std::os::unix::fs::symlink("link/key", scene.project().join("twice")).unwrap();
    let options = |device: &str, o: &str, kind: &str| {
        format!("volumes: {{ store: {{ driver_opts: {{ type: {kind}, device: '{device}', o: '{o}' }} }} }}")
    };
    for (other, top) in [
        ("volumes: ['./data/secrets/key:/key']", String::new()),
        ("volumes: ['./link:/given']", String::new()),
        ("volumes: ['./twice:/given']", String::new()),
        ("configs: [mine]", "configs: { mine: { file: ./data/secrets/key } }".to_owned()),
        ("configs: [mine]", "configs: { mine: { file: ./twice } }".to_owned()),
        ("secrets: [mine]", "secrets: { mine: { file: ./link/key } }".to_owned()),
        ("volumes: ['store:/given']", options(&format!("{here}/data/secrets"), "bind", "none")),
        ("volumes: ['store:/given']", options(&format!("{here}/link"), "bind", "none")),
        (
            "volumes: ['store:/given']",
            options("overlay", &format!("lowerdir={here}/data/secrets:/tmp"), "overlay"),
        ),
    ] {
        project(&scene, other, &top);
        let said = deploy(&scene, &["--delivery", "file"], 2);
        assert!(said.contains("service other mounts"), "{other} {top}: {said}");
        assert!(said.contains("secret-not-granted"), "{other} {top}: {said}");
    }
}

#[test]
fn what_is_mounted_above_the_secrets_files_does_not_show_them() {
    let scene = Scene::new("exposed-above");
    let here = scene.project().display().to_string();
    std::os::unix::fs::symlink(".", scene.project().join("link")).unwrap();
    for (other, top) in [
        ("volumes: ['./link:/given']", String::new()),
        (
            "volumes: ['store:/given']",
            format!("volumes: {{ store: {{ driver_opts: {{ type: none, device: '{here}', o: bind }} }} }}"),
        ),
    ] {
        project(&scene, other, &top);
        for _ in 0..2 {
            deploy(&scene, &["--delivery", "file"], 0);
            assert!(inside(&scene, "other", &["ls", "/given"]).contains("compose.yaml"), "{other}");
            assert_eq!(inside(&scene, "other", &["ls", "-A", "/given/data/secrets"]), "", "{other}");
        }
    }
}

#[test]
fn a_volume_with_secrets_is_not_mounted_by_another_service() {
    let scene = Scene::new("exposed-volume");
    project(&scene, "labels: {}", "");
    deploy(&scene, &["--delivery", "volume"], 0);
    let label = format!("label=claude-secrets.project={}", scene.name);
    let volumes = docker(["volume", "ls", "--quiet", "--filter", &label]);
    let volume = volumes.lines().find(|name| name.contains("_secrets_web_")).unwrap();
    let container = scene.containers()["web"].0.clone();
    for (other, top) in [
        (
            "volumes: ['store:/given']",
            format!("volumes: {{ store: {{ name: '{volume}', external: true }} }}"),
        ),
        ("volumes: ['store:/given']", format!("volumes: {{ store: {{ name: '{volume}' }} }}")),
        (&*format!("volumes_from: ['container:{container}']"), String::new()),
        (&*format!("volumes_from: ['container:{container}:ro']"), String::new()),
    ] {
        project(&scene, other, &top);
        let said = deploy(&scene, &["--delivery", "volume"], 2);
        assert!(said.contains("service other") && said.contains("secrets of"), "{other}: {said}");
    }
}

#[test]
fn the_volume_of_the_launcher_is_mounted_by_no_service_on_its_own_also_before_it_is_there() {
    let scene = Scene::new("exposed-launcher");
    let name = format!("{}_claude-secrets-exec-1", scene.name);
    let by_name = format!("volumes: {{ store: {{ name: '{name}' }} }}");
    for _ in 0..2 {
        for (other, top) in [
            ("volumes: ['store:/given']", by_name.as_str()),
            ("volumes: ['claude-secrets-exec-1:/given']", "volumes: { claude-secrets-exec-1: {} }"),
        ] {
            project(&scene, other, top);
            let said = deploy(&scene, &["--delivery", "volume"], 2);
            assert!(
                said.contains(&format!("service other mounts the volume {name}, which holds the launcher")),
                "{said}"
            );
        }
        project(&scene, "labels: {}", "");
        deploy(&scene, &["--delivery", "volume"], 0);
    }
}

#[test]
fn a_secret_in_a_key_of_the_project_is_refused() {
    let scene = Scene::new("exposed-key");
    for other in ["labels: ['k.${KEY}=x']", "environment: ['${KEY}=x']"] {
        project(&scene, other, "");
        let said = deploy(&scene, &[], 2);
        assert!(said.contains("the declared secret KEY is interpolated into it"), "{other}: {said}");
        assert!(scene.containers().is_empty());
    }
}

/// A project whose service `other` is built from the whole project directory.
fn built(scene: &Scene) {
    scene.compose(&format!(
        "services:\n  web:\n{SLEEPS}    environment: [KEY]\n  other:\n    build: .\n    pull_policy: build\n    \
         init: true\n    command: [sleep, '3000']\n"
    ));
    scene.write("Dockerfile", format!("FROM {}\nCOPY . /app\n", scene::service_image()));
}

#[test]
fn no_build_copies_secrets_into_an_image() {
    let scene = Scene::new("exposed-build");
    built(&scene);
    for _ in 0..2 {
        let said = deploy(&scene, &[], 0);
        assert!(said.contains("delivery by volume: the build of service other"), "{said}");
        assert_eq!(inside(&scene, "other", &["grep", "-rlsF", VALUE, "/app", "/run"]), "");
        scene.write("changed", "so that the image is built again");
    }
    let said = deploy(&scene, &["--delivery", "file"], 5);
    assert!(said.contains("Add the line `data/secrets`"), "{said}");
    scene.write(".dockerignore", "*.log\ndata/secrets\n");
    for _ in 0..2 {
        let said = deploy(&scene, &[], 0);
        assert!(said.contains("delivery by file"), "{said}");
        scene.write("changed", "once more");
    }
    assert_eq!(inside(&scene, "other", &["ls", "-A", "/app/data"]), "");
    // Files that lie there already stay out of the image, too.
    scene.write(".dockerignore", "*.log\n");
    let said = deploy(&scene, &[], 5);
    assert!(said.contains("of an earlier deployment"), "{said}");
}

#[test]
fn files_in_a_build_context_are_worth_a_warning_where_only_files_are_written() {
    let scene = Scene::new("exposed-files");
    built(&scene);
    let said = run(&scene, "create-files", &[], 0);
    assert!(said.contains("the build context of service other holds data/secrets"), "{said}");
}
