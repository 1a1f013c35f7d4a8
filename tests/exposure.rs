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
fn files_that_an_earlier_delivery_left_are_given_to_no_service_by_a_mount() {
    let scene = Scene::new("exposed-before");
    project(&scene, "labels: {}", "");
    deploy(&scene, &["--delivery", "file"], 0);
    for (other, top) in [
        ("volumes: ['./data/secrets/key:/key']", ""),
        ("secrets: [{ source: mine, target: m }]", "secrets: { mine: { file: ./data/secrets/key } }"),
    ] {
        project(&scene, other, top);
        let said = deploy(&scene, &["--delivery", "volume"], 2);
        assert!(said.contains("service other mounts"), "{other}: {said}");
    }
    // A directory above them may be mounted: they are gone before a container starts that would see them.
    project(
        &scene,
        "volumes: ['.:/given']\n    entrypoint: [sh, -c, 'ls -R /given/data > /seen 2>&1; sleep 3000']",
        "",
    );
    let said = deploy(&scene, &["--delivery", "volume"], 0);
    assert!(said.contains("data/secrets: the secrets are in volumes now"), "{said}");
    assert!(!inside(&scene, "other", &["cat", "/seen"]).contains("key"));
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
        let told = said.contains("secrets of") || said.contains("mounts everything of web, also its secrets");
        assert!(said.contains("service other") && told, "{other}: {said}");
    }
}

#[test]
fn volumes_of_a_services_container_are_the_services_before_it_is_there_and_after() {
    for delivery in ["file", "volume"] {
        let scene = Scene::new("exposed-container");
        let name = scene.name.clone();
        let given = format!("{name}-x");
        for (container, own) in [(given.clone(), given), (format!("{name}-web-1"), String::new())] {
            let own = if own.is_empty() { own } else { format!("    container_name: {own}\n") };
            scene.compose(&format!(
                "services:\n  web:\n{SLEEPS}{own}    environment: [KEY]\n  other:\n{SLEEPS}    depends_on: [web]\n    \
                 volumes_from: ['container:{container}']\n"
            ));
            let said = deploy(&scene, &["--delivery", delivery], 2);
            assert!(said.contains("service other: `volumes_from` mounts everything of web"), "{said}");
        }
        // By its id, once it is there.
        project(&scene, "labels: {}", "");
        deploy(&scene, &["--delivery", delivery], 0);
        let id = scene.containers()["web"].0[..12].to_owned();
        project(&scene, &format!("volumes_from: ['container:{id}']"), "");
        let said = deploy(&scene, &["--delivery", delivery], 2);
        assert!(said.contains("service other: `volumes_from` mounts everything of web"), "{said}");
        project(&scene, &format!("pid: 'container:{id}'"), "");
        let said = run(&scene, "validate", &["--delivery", delivery], 0);
        assert!(said.contains("sees the processes of web by `pid`"), "{said}");
    }
}

#[test]
fn what_another_container_mounts_of_the_secrets_files_is_given_to_no_service() {
    let scene = Scene::new("exposed-foreign");
    let (here, foreign) = (scene.project().display().to_string(), format!("{}-foreign", scene.name));
    let volume = format!("{foreign}-data");
    let device = format!("--opt=device={here}");
    docker(["volume", "create", "--opt=type=none", "--opt=o=bind", &device, &volume]);
    let image = scene::service_image();
    let label = format!("--label=claude-secrets.project={}", scene.name);
    for source in [&here, &volume] {
        let mount = format!("--volume={source}:/given");
        docker(["create", "--name", &foreign, &label, &mount, &image, "true"]);
        project(&scene, &format!("volumes_from: ['container:{foreign}']"), "");
        let said = deploy(&scene, &["--delivery", "file"], 2);
        assert!(said.contains("mounts secrets of this project at /given"), "{source}: {said}");
        docker(["rm", "--force", &foreign]);
    }
    docker(["volume", "rm", &volume]);
}

#[test]
fn a_volume_that_the_engine_has_is_judged_by_the_directory_that_it_is() {
    let scene = Scene::new("exposed-external");
    let here = scene.project().display().to_string();
    std::fs::create_dir_all(scene.project().join("data")).unwrap();
    let volume = format!("{}-there", scene.name);
    let top = format!("volumes: {{ store: {{ name: '{volume}', external: true }} }}");
    project(&scene, "volumes: ['store:/given']", &top);
    for (below, code) in [("data", 0), ("data/secrets", 2)] {
        let device = format!("--opt=device={here}/{below}");
        docker(["volume", "create", "--opt=type=none", "--opt=o=bind", &device, &volume]);
        let said = deploy(&scene, &["--delivery", "file"], code);
        match code {
            0 => assert_eq!(inside(&scene, "other", &["ls", "-A", "/given/secrets"]), ""),
            _ => assert!(said.contains("service other mounts the volume store, which leads to"), "{said}"),
        }
        if let Some((id, _)) = scene.containers().get("other") {
            docker(["rm", "--force", id]);
        }
        docker(["volume", "rm", &volume]);
    }
}

#[test]
fn files_of_secrets_are_read_for_no_service_however_they_are_named() {
    let scene = Scene::new("exposed-read");
    project(&scene, "labels: {}", "");
    deploy(&scene, &["--delivery", "file"], 0);
    std::os::unix::fs::symlink("data/secrets/key", scene.project().join("link")).unwrap();
    scene.write("conf/x", "y");
    scene.write(".env", "WHERE=data/secrets\n");
    let leak = "secrets: { leak: { file: ./link } }";
    let inline = format!("dockerfile_inline: 'FROM {}'", scene::service_image());
    for (other, top) in [
        (format!("build: {{ context: ./conf, {inline}, secrets: [leak] }}"), leak),
        ("build: { context: ./conf, dockerfile: ../data/secrets/key }".to_owned(), ""),
        ("build: { context: ./conf, dockerfile: ../link }".to_owned(), ""),
        (
            format!(
                "build: {{ context: ./conf, {inline}, additional_contexts: {{ more: ./data/secrets }} }}"
            ),
            "",
        ),
        ("env_file: [data/secrets/key]".to_owned(), ""),
        ("env_file: ['${WHERE}/key']".to_owned(), ""),
        ("env_file: [{ path: ./link, required: false }]".to_owned(), ""),
        ("label_file: [link]".to_owned(), ""),
        ("extends: { file: link, service: web }".to_owned(), ""),
        ("labels: {}".to_owned(), "include: [link]"),
        ("security_opt: ['seccomp:./data/secrets/key']".to_owned(), ""),
    ] {
        for delivery in ["file", "volume"] {
            project(&scene, &other, top);
            let said = deploy(&scene, &["--delivery", delivery, "--build"], 2);
            assert!(said.contains("in the secrets directory"), "{other} {top}: {said}");
            assert!(said.contains("secret-not-granted"), "{other} {top}: {said}");
            assert!(!said.contains(&VALUE.to_uppercase()), "{other} {top}: {said}");
        }
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
