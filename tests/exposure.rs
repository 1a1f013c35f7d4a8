//! Mounts and builds of a project's own that lead to where secrets lie: refused, or done another way.

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
    std::os::unix::fs::symlink("data/secrets", scene.project().join("l$k")).unwrap();
    let escaped = format!("lowerdir={here}/data/\\secrets:/tmp");
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
        ("volumes: ['store:/given']", options("overlay", &escaped, "overlay")),
        ("volumes: ['./l$$k:/given']", String::new()),
        ("volumes: ['store:/given']", options(&format!("{here}/l$$k"), "bind", "none")),
        ("configs: [mine]", "configs: { mine: { file: './l$$k/key' } }".to_owned()),
    ] {
        project(&scene, other, &top);
        let said = deploy(&scene, &["--delivery", "file"], 2);
        assert!(said.contains("service other mounts"), "{other} {top}: {said}");
        assert!(said.contains("secret-not-granted"), "{other} {top}: {said}");
    }
}

#[test]
fn where_a_service_mounts_what_is_above_the_secrets_files_there_are_none() {
    let scene = Scene::new("exposed-above");
    let here = scene.project().display().to_string();
    std::os::unix::fs::symlink(".", scene.project().join("link")).unwrap();
    let peer = format!("{}-peer", scene.name);
    let label = format!("claude-secrets.project={}", scene.name);
    let mount = format!("{here}:/given");
    let image = scene::service_image();
    docker([
        "run", "--detach", "--name", &peer, "--label", &label, "--volume", &mount, &image, "sleep", "3000",
    ]);
    for (other, top) in [
        ("volumes: ['.:/given']", String::new()),
        ("volumes: ['./link:/given:ro']", String::new()),
        (
            "volumes: ['store:/given']",
            format!("volumes: {{ store: {{ driver_opts: {{ type: none, device: '{here}', o: bind }} }} }}"),
        ),
        (&*format!("volumes_from: ['container:{peer}']"), String::new()),
    ] {
        project(&scene, other, &top);
        let said = deploy(&scene, &["--delivery", "file"], 5);
        assert!(said.contains("service other mounts") && said.contains(&here), "{other}: {said}");
        assert!(said.contains("Mount a directory that does not hold data/secrets"), "{other}: {said}");
        let said = deploy(&scene, &[], 0);
        assert!(said.contains("delivery by volume: service other mounts"), "{other}: {said}");
        assert!(inside(&scene, "other", &["ls", "/given"]).contains("compose.yaml"), "{other}");
        assert_eq!(inside(&scene, "other", &["grep", "-rlsF", VALUE, "/given"]), "", "{other}");
    }
}

#[test]
fn files_of_an_earlier_delivery_are_gone_before_a_service_that_could_see_them_starts() {
    let scene = Scene::new("exposed-earlier");
    project(&scene, "labels: {}", "");
    deploy(&scene, &["--delivery", "file"], 0);
    let looks = "command: [sh, -c, 'cat /given/data/secrets/key >/tmp/seen; exec sleep 3000']";
    scene.compose(&format!(
        "services:\n  web:\n{SLEEPS}    environment: [KEY]\n  other:\n    image: IMAGE\n    init: true\n    \
         volumes: ['.:/given']\n    {looks}\n"
    ));
    let said = deploy(&scene, &[], 0);
    assert!(said.contains("removed data/secrets/key: the secrets are in volumes now"), "{said}");
    assert_eq!(inside(&scene, "other", &["cat", "/tmp/seen"]), "");
    // So are those of somebody who wrote them since, although nothing else is to be done.
    let said = run(&scene, "create-files", &[], 0);
    assert!(said.contains("service other mounts"), "{said}");
    assert!(scene.project().join("data/secrets/key").exists());
    // Until then the service sees them.
    let said = run(&scene, "validate", &[], 7);
    assert!(
        said.contains("- file data/secrets/key:") && said.contains("with the secrets directory"),
        "{said}"
    );
    let said = deploy(&scene, &[], 0);
    assert!(said.contains("nothing is restarted") && said.contains("removed data/secrets/key"), "{said}");
    assert!(!scene.project().join("data/secrets").exists());
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
        let said = deploy(&scene, &["--delivery", "file"], 5);
        assert!(said.contains("service other mounts `volumes_from` the container"), "{source}: {said}");
        // Without files there is nothing to see.
        deploy(&scene, &[], 0);
        assert_eq!(inside(&scene, "other", &["find", "/given/data", "-name", "key"]), "");
        run(&scene, "down", &[], 0);
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
    for (below, code, told) in [
        ("data", 5, "service other mounts the volume store"),
        ("data/secrets", 2, "service other mounts the volume store, which leads to"),
    ] {
        let device = format!("--opt=device={here}/{below}");
        docker(["volume", "create", "--opt=type=none", "--opt=o=bind", &device, &volume]);
        let said = deploy(&scene, &["--delivery", "file"], code);
        assert!(said.contains(told), "{said}");
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
    assert!(said.contains("Add the lines `data/secrets` and `data/.secrets.claude-secrets.*.tmp`"), "{said}");
    // Builders take a `dockerfile` in its place.
    let (usual, lower) = (scene.project().join("Dockerfile"), scene.project().join("dockerfile"));
    std::fs::rename(&usual, &lower).unwrap();
    let said = deploy(&scene, &["--delivery", "file"], 5);
    assert!(said.contains("the build context of service other"), "{said}");
    std::fs::rename(&lower, &usual).unwrap();
    // Neither may what a killed run leaves beside the files get into the image.
    scene.write(".dockerignore", "*.log\ndata/secrets\n");
    let said = deploy(&scene, &[], 0);
    assert!(said.contains("delivery by volume: the build of service other"), "{said}");
    let said = deploy(&scene, &["--delivery", "file"], 5);
    assert!(said.contains("Add the line `data/.secrets.claude-secrets.*.tmp`"), "{said}");
    scene.write(".dockerignore", "*.log\ndata/secrets\ndata/.secrets.claude-secrets.*.tmp\n");
    for _ in 0..2 {
        let said = deploy(&scene, &[], 0);
        assert!(said.contains("delivery by file"), "{said}");
        scene.write("changed", "once more");
    }
    assert_eq!(inside(&scene, "other", &["ls", "-A", "/app/data"]), "");
    // A builder follows a link in the checkout.
    std::os::unix::fs::symlink("data/secrets", scene.project().join("conf")).unwrap();
    let dockerfile = std::fs::read_to_string(scene.project().join("Dockerfile")).unwrap();
    for source in ["conf", "co?f"] {
        scene.write("Dockerfile", dockerfile.replace("COPY . /app", &format!("COPY {source} /app/")));
        scene.write(".dockerignore", "*.log\n");
        let said = deploy(&scene, &["--delivery", "file"], 5);
        assert!(said.contains("the build context of service other"), "{source}: {said}");
    }
    scene.write("Dockerfile", dockerfile);
    // Files that lie there already stay out of the image, too.
    scene.write(".dockerignore", "*.log\n");
    let said = deploy(&scene, &[], 5);
    assert!(said.contains("of an earlier deployment"), "{said}");
}

#[test]
fn what_a_base_image_copies_by_onbuild_counts_as_the_dockerfiles_own() {
    let scene = Scene::new("exposed-onbuild");
    built(&scene);
    let base = format!("{}-base:1", scene.name);
    let of_base = scene.project().join("base");
    scene.write("base/Dockerfile", format!("FROM {}\nONBUILD COPY . /app\n", scene::service_image()));
    docker(["build", "-q", "-t", &base, of_base.to_str().unwrap()]);
    scene.write("Dockerfile", format!("FROM {base} AS app\nFROM app\nCOPY base /base\n"));
    let said = deploy(&scene, &["--delivery", "file"], 5);
    assert!(
        said.contains(&format!("`ONBUILD` of the base image {base} copies the secrets into the image")),
        "{said}"
    );
    let said = deploy(&scene, &[], 0);
    assert!(said.contains("delivery by volume: the build of service other would copy"), "{said}");
    assert_eq!(inside(&scene, "other", &["grep", "-rlsF", VALUE, "/app", "/run"]), "");
    // One that copies something else may have the files beside it.
    scene.write("base/Dockerfile", format!("FROM {}\nONBUILD COPY base /app\n", scene::service_image()));
    docker(["build", "-q", "-t", &base, of_base.to_str().unwrap()]);
    let said = deploy(&scene, &["--delivery", "file"], 0);
    assert!(!said.contains("ONBUILD"), "{said}");
    // What an image that is not there asks for is known to nobody.
    scene.write("Dockerfile", "FROM claude-secrets-nowhere/base:1\nCOPY base /base\n");
    let said = run(&scene, "validate", &["--delivery", "file"], 0);
    assert!(said.contains("the engine does not have the base image claude-secrets-nowhere/base:1"), "{said}");
    let said = run(&scene, "validate", &[], 0);
    assert!(said.contains("delivery by volume: the build of service other may copy"), "{said}");
    scene.write(".dockerignore", "data/secrets\ndata/.secrets.claude-secrets.*.tmp\n");
    let said = run(&scene, "validate", &["--delivery", "file"], 0);
    assert!(!said.contains("does not have the base image"), "{said}");
    docker(["image", "rm", "-f", &base]);
}

#[test]
fn the_files_of_another_project_are_given_to_no_service_and_to_no_image() {
    let first = Scene::new("exposed-neighbour");
    project(&first, "labels: [x=y]", "");
    deploy(&first, &["--delivery", "file"], 0);
    let files = first.project().join("data/secrets");
    let scene = Scene::new("exposed-to-neighbour");
    let second = |other: &str| {
        scene.compose(&format!("services:\n  web:\n{SLEEPS}    environment: [KEY]\n  other:\n{other}"));
    };
    // The files themselves.
    for mount in [files.clone(), files.join("key")] {
        second(&format!("{SLEEPS}    volumes: ['{}:/x']\n", mount.display()));
        let said = deploy(&scene, &[], 2);
        assert!(said.contains(&format!("in the secrets directory of the project {}", first.name)), "{said}");
    }
    // A certificate that both projects have as a Compose secret is nobody's secret file.
    first.write("ca.pem", "a certificate of both");
    let both = format!("secrets: {{ ca: {{ file: '{}' }} }}\n", first.project().join("ca.pem").display());
    project(&first, "secrets: [ca]", &both);
    deploy(&first, &["--delivery", "file"], 0);
    second(&format!("{SLEEPS}    secrets: [ca]\n{both}"));
    deploy(&scene, &[], 0);
    // What is above them.
    second(&format!("{SLEEPS}    volumes: ['{}:/x']\n", first.project().display()));
    let said = deploy(&scene, &[], 0);
    assert!(
        said.contains(&format!("with secrets of the project {} can be read by this project", first.name)),
        "{said}"
    );
    // A build of both.
    second(&format!(
        "    build: {{ context: '{}', dockerfile_inline: \"FROM {}\\nCOPY . /app\" }}\n    command: [sleep, '3000']\n",
        first.project().display(),
        scene::service_image()
    ));
    let said = deploy(&scene, &[], 5);
    assert!(
        said.contains(&format!("with secrets of the project {}: a build can copy", first.name)),
        "{said}"
    );
    assert!(said.contains("Add the lines `data/secrets` and"), "{said}");
    first.write(".dockerignore", "data\n");
    deploy(&scene, &[], 0);
    assert_eq!(inside(&scene, "other", &["grep", "-rlsF", VALUE, "/app"]), "");
}

#[test]
fn what_a_killed_run_left_is_gone_before_an_image_is_built() {
    let scene = Scene::new("exposed-killed");
    built(&scene);
    let left = "data/.secrets.claude-secrets.0123456789abcdef.tmp";
    let index = "{ \"version\": 1, \"staged\": true, \"files\": [\"key\"] }";
    scene.write(&format!("{left}/.claude-secrets.json"), index);
    scene.write(&format!("{left}/key"), VALUE);
    deploy(&scene, &[], 0);
    assert!(!scene.project().join(left).exists());
    assert_eq!(inside(&scene, "other", &["grep", "-rlsF", VALUE, "/app"]), "");
}

#[test]
fn files_in_a_build_context_are_worth_a_warning_where_only_files_are_written() {
    let scene = Scene::new("exposed-files");
    built(&scene);
    let said = run(&scene, "create-files", &[], 0);
    assert!(said.contains("the build context of service other holds data/secrets"), "{said}");
}

#[test]
fn a_mount_above_the_secrets_files_is_worth_a_warning_where_only_files_are_written() {
    let scene = Scene::new("exposed-warned");
    project(&scene, "volumes: ['./:/given']", "");
    for mode in ["create-files", "create-compose"] {
        let said = run(&scene, mode, &[], 0);
        assert!(said.contains("warning: service other mounts"), "{mode}: {said}");
        assert!(said.contains("set `secrets-dir` to one that is not mounted"), "{mode}: {said}");
    }
}

#[test]
fn two_projects_of_one_checkout_do_not_share_a_secrets_directory() {
    let scene = Scene::new("exposed-staging");
    scene.compose(&format!("services:\n  web:\n{SLEEPS}    environment: [KEY]\n"));
    deploy(&scene, &["--delivery", "file"], 0);
    let other = format!("{}-other", scene.name);
    let said = deploy(&scene, &["--delivery", "file", "--project-name", &other], 5);
    assert!(said.contains(&format!("has the files of the project {}", scene.name)), "{said}");
    assert!(said.contains(&format!("`secrets-dir: data/secrets-{other}`")), "{said}");
    assert_eq!(inside(&scene, "web", &["cat", "/run/secrets/key"]), VALUE);
    let said = run(&scene, "down", &["--project-name", &other], 0);
    assert!(said.contains("and stays"), "{said}");
    assert!(scene.project().join("data/secrets/key").exists());
    // By volumes nothing of the directory is wanted, and nothing of it is changed.
    let said = deploy(&scene, &["--delivery", "volume", "--project-name", &other], 0);
    assert!(!said.contains("data/secrets/key"), "{said}");
    assert!(scene.project().join("data/secrets/key").exists());
    run(&scene, "down", &["--project-name", &other], 0);
}

#[test]
fn nothing_is_written_into_gits_directory_or_where_something_else_belongs() {
    let scene = Scene::new("exposed-places");
    scene.compose(&format!("services:\n  web:\n{SLEEPS}    environment: [KEY]\n"));
    scene.write(".git/hooks/README", "git's own");
    let before = scene.tree();
    for (words, says) in [
        (["--secrets-dir", ".git"], "git's own directory"),
        (["--secrets-dir", "module/.git/secrets"], "git's own directory"),
        (["--override-file", ".git/hooks/pre-push"], "git's own directory"),
        (["--report-file", ".git/hooks/pre-commit"], "git's own directory"),
        (["--sarif-file", ".GIT/findings.sarif"], "git's own directory"),
        (["--report-file", "docker-compose.secrets.yml"], "is the same place as `report-file`"),
        (["--report-file", "claude-secrets.yml"], "is the same place as the manifest"),
        (["--sarif-file", "./.env"], "is the same place as the project's `.env`"),
        (["--report-file", "data/secrets/report.json"], "holds `report-file`"),
        (["--override-file", "data/secrets/override.yml"], "holds `override-file`"),
        (["--secrets-dir", "docker-compose.secrets.yml/secrets"], "is in `override-file`"),
        (["--secrets-dir", "compose.yaml"], "is the same place as a Compose file"),
        (["--env-file", "data/secrets/env"], "holds an `env-file`"),
    ] {
        let said = deploy(&scene, &words, 5);
        assert!(said.contains(says) && said.contains("path-unsafe"), "{words:?}: {said}");
        assert!(scene.tree() == before, "{words:?}");
    }
}

#[test]
fn the_former_secrets_directory_is_removed_when_another_one_is_set() {
    let scene = Scene::new("exposed-former");
    project(&scene, "labels: {}", "");
    let former = scene.project().join("data/secrets");
    deploy(&scene, &["--delivery", "file"], 0);
    let said = deploy(&scene, &["--delivery", "file", "--secrets-dir", "private"], 0);
    assert!(said.contains("removed data/secrets/key: `secrets-dir` is another one now"), "{said}");
    assert!(!former.exists() && scene.project().join("private/key").exists());
    assert_eq!(inside(&scene, "web", &["cat", "/run/secrets/key"]), VALUE);
    run(&scene, "down", &[], 0);
    assert!(!scene.project().join("private").exists(), "`down` knows it, too");
}
