//! Names are not options: services, images, profiles and users that are called like options of Docker or Compose, by the
//! command line on a real engine, with every program that is started written down.

#![allow(clippy::unwrap_used, clippy::panic)] // clippy.toml allows it in test functions, and the rest here serves these
#![allow(unreachable_pub, dead_code)] // the support files serve several test programs
#![allow(clippy::format_push_string)] // the texts of test projects are short

#[path = "support/scene.rs"]
mod scene;
#[path = "support/spy.rs"]
mod spy;

use scene::{Done, Scene, docker, done, is_root, write_private};
use spy::Spy;

const NAMES: [&str; 4] = ["--push", "--help", "-x", "--dry-run"];

fn project(scene: &Scene) {
    let mut text = String::from("services:\n");
    for name in NAMES {
        text += &format!(
            "  '{name}':\n    image: IMAGE\n    stop_signal: SIGKILL\n    command: [sleep, '3000']\n    user: daemon\n    \
             environment: [KEY]\n"
        );
    }
    text += &format!(
        "    profiles: ['--profile']\n  '--no-cache':\n    image: {0}/built\n    build: .\n",
        scene.name
    );
    text += "    stop_signal: SIGKILL\n    command: [sleep, '3000']\n";
    scene.compose(&text);
    scene.write("Dockerfile", format!("FROM {}\n", scene::service_image()));
}

fn run(scene: &Scene, spy: Option<&Spy>, words: &[&str], value: &str, code: i32) -> Done {
    let mut command = scene.cli(words);
    command.env("KEY", value).env("DOCKER_BUILDKIT", "0").env("COMPOSE_BAKE", "false");
    let command = match spy {
        Some(spy) => spy.behind(scene, &command),
        None => command,
    };
    done(command).expect(code)
}

/// In the arguments of every program that was started, a user's name stands behind `--` or is the value of an option.
#[track_caller]
fn names_are_names(spy: &Spy, names: &[&str]) -> usize {
    let started = spy.started();
    let mut seen = 0;
    for started in &started {
        let end = started.arguments.iter().position(|word| word == "--").unwrap_or(started.arguments.len());
        let (words, behind) = started.arguments.split_at(end);
        for word in words {
            assert!(!names.contains(&word.as_str()), "{word} is an option: {:?}", started.arguments);
        }
        seen += behind.iter().filter(|word| names.contains(&word.as_str())).count();
        seen += words.iter().filter(|word| names.iter().any(|n| word.ends_with(&format!("={n}")))).count();
    }
    seen
}

#[test]
fn a_service_that_is_called_like_an_option_is_a_service_in_every_mode() {
    let scene = Scene::new("names");
    project(&scene);
    let spy = is_root().then(|| Spy::new(&scene));
    let services = [&NAMES[..], &["--no-cache"]].concat();
    let list = services.join(",");
    let mut seen = 0;
    for (delivery, value) in [("file", "value-of-a-test-1"), ("volume", "value-of-a-test-2")] {
        let modes = ["create-compose", "create-files", "validate", "deploy", "deploy", "down"];
        // Only a deployment knows volumes.
        for mode in modes.into_iter().filter(|mode| delivery == "file" || !mode.starts_with("create")) {
            let mut words = vec![mode, "--delivery", delivery, "--secrets", "KEY", "--profiles=--profile"];
            let named = format!("--services={list}");
            words.push(&named);
            run(&scene, spy.as_ref(), &words, value, 0);
            if let Some(spy) = &spy {
                seen += names_are_names(spy, &[&services[..], &["--profile"]].concat());
            }
            let there: Vec<String> = scene.containers().into_keys().collect();
            match mode {
                "deploy" => {
                    let mut all = services.clone();
                    all.sort_unstable();
                    assert_eq!(there, all);
                    let id = &scene.containers()["--push"].0;
                    assert_eq!(docker(["exec", id, "cat", "/run/secrets/key"]), value);
                }
                _ => assert!(there.is_empty(), "{mode}: {there:?}"),
            }
        }
    }
    assert!(seen > 10 || spy.is_none(), "only {seen} names were seen");
    docker(["image", "rm", &format!("{}/built", scene.name)]);
}

#[test]
fn a_rotation_recreates_a_service_that_is_called_like_an_option() {
    let scene = Scene::new("names");
    project(&scene);
    let words = ["deploy", "--secrets", "KEY", "--services=--help"];
    run(&scene, None, &words, "value-of-a-test-1", 0);
    let before = scene.containers()["--help"].0.clone();
    run(&scene, None, &words, "value-of-a-test-2", 0);
    let after = scene.containers()["--help"].0.clone();
    assert_ne!(before, after);
    assert_eq!(docker(["exec", &after, "cat", "/run/secrets/key"]), "value-of-a-test-2");
}

#[test]
fn a_registry_an_image_and_a_context_that_are_called_like_options_are_names() {
    let scene = Scene::new("names");
    scene.compose("services:\n  web:\n    image: '--privileged'\n");
    write_private(&scene.beside("registries"), "--help --help a-password-of-a-test\n");
    if !is_root() {
        eprintln!("skipped: only root may put the Compose plugin aside for one process");
        return;
    }
    let spy = Spy::new(&scene);
    let file = scene.beside("registries");
    let words =
        ["deploy", "--secrets", "KEY", "--grant-to", "web", "--registries-file", file.to_str().unwrap()];
    let said = run(&scene, Some(&spy), &words, "value-of-a-test", 6);
    assert!(said.stderr.contains("the registry --help refused the login of --help"), "{}", said.stderr);
    names_are_names(&spy, &["--help", "--privileged"]);
    let mut command = scene.cli(["validate", "--secrets", "KEY", "--grant-to", "web"]);
    command.env("KEY", "value-of-a-test").env("DOCKER_CONTEXT", "--help").env_remove("DOCKER_HOST");
    let said = done(spy.behind(&scene, &command)).expect(6);
    assert!(said.stderr.contains("--help"), "{}", said.stderr);
    names_are_names(&spy, &["--help"]);
}

/// What a command prints in a service's only container.
fn inside(scene: &Scene, service: &str, words: &[&str]) -> String {
    let id = scene.containers()[service].0.clone();
    docker(["exec", &id].into_iter().chain(words.iter().copied()))
}

#[test]
fn no_name_that_we_put_into_the_project_is_one_that_it_has() {
    let sleeps = "image: IMAGE, init: true, command: [sleep, '3000']";
    for delivery in ["file", "volume"] {
        let scene = Scene::new("names-own");
        let manifest = "secrets: { KEY: , OTHER: , THREE: { file: { name: web--x } } }\n\
                        services: { web: [KEY, OTHER], exec: [OTHER], three: [THREE] }\n";
        scene.write("claude-secrets.yml", manifest);
        scene.compose(&format!(
            "services:\n  web: {{ {sleeps}, environment: [KEY], secrets: [{{ source: other, target: x }}] }}\n  \
             exec: {{ {sleeps}, environment: [OTHER] }}\n  three: {{ {sleeps} }}\n  \
             evil: {{ {sleeps}, secrets: [key], volumes: ['claude-secrets-web:/data'] }}\n\
             secrets: {{ key: {{ environment: PUBLIC }}, other: {{ environment: OTHER }} }}\n\
             volumes: {{ claude-secrets-web: {{}} }}\n"
        ));
        let deploy = || {
            let mut command = scene.cli(["deploy", "--delivery", delivery]);
            let values =
                [("KEY", "key-of-the-web"), ("OTHER", "other-of-a-test"), ("THREE", "three-of-a-test")];
            command.envs(values).env("PUBLIC", "text-for-everyone");
            done(command).expect(0).stderr
        };
        deploy();
        assert_eq!(inside(&scene, "evil", &["cat", "/run/secrets/key"]), "text-for-everyone", "{delivery}");
        assert_eq!(inside(&scene, "evil", &["ls", "-A", "/data"]), "", "{delivery}");
        assert_eq!(inside(&scene, "web", &["cat", "/run/secrets/key"]), "key-of-the-web", "{delivery}");
        assert_eq!(inside(&scene, "web", &["cat", "/run/secrets/x"]), "other-of-a-test", "{delivery}");
        assert_eq!(inside(&scene, "three", &["ls", "/run/secrets"]), "web--x\n", "{delivery}");
        assert_eq!(inside(&scene, "three", &["cat", "/run/secrets/web--x"]), "three-of-a-test", "{delivery}");
        for service in ["web", "exec"] {
            assert_eq!(inside(&scene, service, &["ls", "/run/claude-secrets"]), "exec\n", "{delivery}");
        }
        let said = deploy();
        assert!(said.contains("all services are up to date"), "{delivery}: {said}");
    }
}

#[test]
fn files_at_places_that_look_alike_are_delivered_each_to_its_own() {
    for delivery in ["file", "volume"] {
        let scene = Scene::new("names-alike");
        let manifest = "secrets: { KEY: { file: { name: claude-secrets-exec } }, OTHER: }\nservices: { web: [KEY, OTHER] }\n";
        scene.write("claude-secrets.yml", manifest);
        scene.write("own", "text-of-the-project");
        scene.compose(
            "services:\n  web:\n    image: IMAGE\n    init: true\n    command: [sleep, '3000']\n    environment: [KEY]\n    configs:\n    \
             - { source: one, target: /etc/a-b }\n    - { source: two, target: /etc/a/b }\n    \
             secrets: [{ source: own, target: ../x }, { source: own, target: sub/../y }]\n\
             configs: { one: { environment: KEY }, two: { environment: OTHER } }\nsecrets: { own: { file: ./own } }\n",
        );
        let mut command = scene.cli(["deploy", "--delivery", delivery]);
        command.envs([("KEY", "key-of-the-web"), ("OTHER", "other-of-a-test")]);
        done(command).expect(0);
        for (path, text) in [
            ("/etc/a-b", "key-of-the-web"),
            ("/etc/a/b", "other-of-a-test"),
            ("/run/secrets/claude-secrets-exec", "key-of-the-web"),
            ("/run/x", "text-of-the-project"),
            ("/run/secrets/y", "text-of-the-project"),
        ] {
            assert_eq!(inside(&scene, "web", &["cat", path]), text, "{delivery}: {path}");
        }
    }
}

/// Programs are started in two places that take names and words by different ways, and in one that takes no names.
#[test]
fn programs_are_started_by_the_callers_that_know_names_from_words() {
    fn walk(directory: &std::path::Path, found: &mut Vec<String>) {
        for path in std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                walk(&path, found);
            } else if !path.to_string_lossy().contains("tests") {
                let text = std::fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
                if code.contains("process::Command")
                    || code.contains("process::{") && code.contains("Command::new(")
                {
                    found.push(path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().display().to_string());
                }
            }
        }
    }
    let mut found = Vec::new();
    walk(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    found.sort();
    // `ssh -G` gets the host as one word behind `--`.
    let known = [
        "src/engine/call.rs",
        "src/remote/ssh_config.rs",
        "src/sources/onepassword/cli.rs",
        "src/version.rs",
    ];
    assert_eq!(found, known);
}

#[test]
fn compose_takes_what_is_delivered_at_places_of_every_name() {
    let scene = Scene::new("names-places");
    scene.compose(
        "services:\n  web:\n    image: IMAGE\n    init: true\n    command: [sleep, '3000']\n    stop_signal: SIGKILL\n    \
         configs:\n      - { source: one, target: '/etc/conf x' }\n      - { source: two, target: '/etc/conf_x' }\n\
         configs: { one: { content: 'x${KEY}' }, two: { content: 'y${KEY}' } }\n",
    );
    for delivery in ["file", "volume"] {
        let words = ["deploy", "--secrets", "KEY", "--delivery", delivery];
        run(&scene, None, &words, "canary-in-a-config", 0);
        let web = &scene.containers()["web"].0;
        for (place, value) in [("/etc/conf x", "xcanary-in-a-config"), ("/etc/conf_x", "ycanary-in-a-config")]
        {
            assert_eq!(docker(["exec", web, "cat", place]), value, "{delivery}");
        }
    }
}
