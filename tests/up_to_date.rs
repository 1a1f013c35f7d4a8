//! What counts as up to date, on a real engine: a second deployment changes what must change and nothing else.

#![allow(clippy::unwrap_used, clippy::panic)] // clippy.toml allows it in test functions, and the rest here serves these
#![allow(unreachable_pub, dead_code)] // the support files serve several test programs

#[path = "support/between.rs"]
mod between;
#[path = "support/scene.rs"]
mod scene;

use between::Between;
use scene::{Done, Scene, docker, done, path_with, write_script};

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
        assert!(scene.tree() == files, "{delivery}: a file is another one");
        assert!(said.stderr.contains("all services are up to date"), "{delivery}: {}", said.stderr);
        assert_eq!(scene.containers(), containers, "{delivery}");
    }
}

#[test]
fn a_file_outside_of_run_secrets_changes_nothing_from_run_to_run() {
    let scene = Scene::new("same-absolute");
    scene.compose(&format!(
        "services:\n  web:\n{SLEEPS}    configs: [{{ source: app, target: /etc/app.conf }}]\n\
         configs: {{ app: {{ content: 'key=${{KEY}}' }} }}\n"
    ));
    for delivery in ["file", "volume"] {
        deploy(&scene, &["--delivery", delivery]);
        assert_eq!(inside(&scene, "web", &["cat", "/etc/app.conf"]), format!("key={VALUE}"), "{delivery}");
        let containers = scene.containers();
        let said = deploy(&scene, &["--delivery", delivery]);
        assert!(said.stderr.contains("all services are up to date"), "{delivery}: {}", said.stderr);
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

/// A provider that writes down how it is called and gives `URL` to those that depend on it. Compose finds it on the PATH.
fn provider(scene: &Scene) -> (String, impl Fn() -> Vec<String>) {
    let (calls, name) = (scene.beside("calls"), format!("provider-{}", scene.name));
    let text = format!(
        r#"case "$*" in *metadata) exit 1;; esac
echo "$@" >> {}
case "$*" in *" up "*)
    echo '{{"type": "info", "message": "making it"}}'
    echo '{{"type": "setenv", "message": "URL=https://db.example.test"}}';;
esac"#,
        calls.display()
    );
    write_script(&scene.beside("bin").join(&name), &text);
    let all = move || {
        let text = std::fs::read_to_string(&calls).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    };
    (name, all)
}

/// Runs a mode with the secret KEY and the provider on the PATH.
#[track_caller]
fn with_provider(scene: &Scene, words: &[&str], value: &str, code: i32) -> String {
    let mut command = scene.cli(words);
    command.env("KEY", value).env("PATH", path_with(&scene.beside("bin")));
    done(command).expect(code).stderr
}

#[test]
fn a_service_of_a_provider_is_asked_for_when_one_that_depends_on_it_changes_and_is_not_waited_for() {
    let scene = Scene::new("same-provider");
    let (kind, calls) = provider(&scene);
    let project = |size: u32| {
        scene.compose(&format!(
            "services:\n  db: {{ provider: {{ type: {kind}, options: {{ size: '{size}' }} }} }}\n  web:\n{SLEEPS}    \
             environment: {{ KEY: }}\n    depends_on: [db]\n"
        ));
    };
    project(3);
    for delivery in ["file", "volume"] {
        let before = calls().len();
        let words = ["deploy", "--secrets", "KEY", "--delivery", delivery];
        with_provider(&scene, &words, VALUE, 0);
        assert_eq!(calls().len(), before + 1, "{delivery}");
        assert!(inside(&scene, "web", &["env"]).contains("DB_URL=https://db.example.test\n"));
        assert_eq!(inside(&scene, "web", &["cat", "/run/secrets/key"]), VALUE);
        let standing = scene.containers();
        let said = with_provider(&scene, &words, VALUE, 0);
        assert!(said.contains("all services are up to date"), "{delivery}: {said}");
        assert_eq!((scene.containers(), calls().len()), (standing, before + 1));
        // Started anew without its provider it would lose what the provider gave it.
        with_provider(&scene, &words, "another-value", 0);
        assert!(inside(&scene, "web", &["env"]).contains("DB_URL=https://db.example.test\n"), "{delivery}");
    }
    project(4);
    let words = ["deploy", "--secrets", "KEY", "--delivery", "volume"];
    let said = with_provider(&scene, &words, "another-value", 0);
    assert!(said.contains("web: its definition changed"), "{said}");
    assert!(calls().last().unwrap().contains("--size=4"), "{:?}", calls());
    with_provider(&scene, &["down", "--secrets", "KEY"], VALUE, 0);
    assert!(calls().last().unwrap().contains(" down "), "{:?}", calls());
}

#[test]
fn a_provider_that_no_service_depends_on_is_asked_in_every_run_and_restarts_nothing() {
    let scene = Scene::new("same-alone");
    let (kind, calls) = provider(&scene);
    scene.compose(&format!(
        "services:\n  db: {{ provider: {{ type: {kind} }} }}\n  web:\n{SLEEPS}    environment: {{ KEY: }}\n"
    ));
    let deploy = || with_provider(&scene, &["deploy", "--secrets", "KEY"], VALUE, 0);
    deploy();
    let standing = scene.containers();
    let said = deploy();
    assert!(said.contains("\nunchanged: 1 service, 1 secret"), "{said}");
    assert_eq!((scene.containers(), calls().len()), (standing, 2));
}

#[test]
fn a_secret_for_a_service_of_a_provider_is_refused() {
    let scene = Scene::new("same-granted");
    let (kind, calls) = provider(&scene);
    scene.compose(&format!("services:\n  db: {{ provider: {{ type: {kind} }} }}\n  web:\n{SLEEPS}"));
    let said = with_provider(&scene, &["deploy", "--secrets", "KEY", "--grant-to", "db"], VALUE, 2);
    assert!(said.contains("service db has a `provider`"), "{said}");
    assert!(calls().is_empty() && scene.containers().is_empty());
}

#[test]
fn a_service_is_recreated_when_a_file_that_its_definition_names_has_other_content() {
    let scene = Scene::new("same-files");
    scene.compose(&format!(
        "services:\n  config:\n{SLEEPS}    configs: [conf]\n  own:\n{SLEEPS}    environment: {{ KEY: }}\n    \
         secrets: [own]\n  bind:\n{SLEEPS}    volumes: ['./bind.txt:/bind.txt', './kept:/data']\n  read:\n{SLEEPS}    \
         environment: {{ KEY: }}\n    volumes: ['./read.txt:/read.txt:ro']\n  vary:\n{SLEEPS}    configs: [vary]\n\
         configs:\n  conf: {{ file: ./conf.txt }}\n  vary: {{ environment: VARY }}\nsecrets:\n  own: {{ file: ./own.txt }}\n"
    ));
    for delivery in ["file", "volume"] {
        for name in ["conf", "own", "bind", "read"] {
            scene.write(&format!("{name}.txt"), "first");
        }
        scene.write("kept/file", "of the service");
        scene.write(".env", "VARY=first\n");
        let words = ["--delivery", delivery, "--wait=false"];
        deploy(&scene, &words);
        for (file, service) in [
            ("conf.txt", Some("config")),
            ("own.txt", Some("own")),
            ("bind.txt", Some("bind")),
            ("read.txt", Some("read")),
            (".env", Some("vary")),
            ("kept/file", None),
        ] {
            let before = scene.containers();
            scene.write(file, "VARY=second\n");
            let said = deploy(&scene, &words).stderr;
            let after = scene.containers();
            let changed: Vec<_> = after.iter().filter(|(name, run)| before[*name] != **run).collect();
            let changed: Vec<_> = changed.into_iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(changed, service.into_iter().collect::<Vec<_>>(), "{delivery}, {file}: {said}");
            if file != "own.txt" {
                assert_eq!(said.contains("a file that it mounts changed"), service.is_some(), "{said}");
            }
            assert!(
                deploy(&scene, &words).stderr.contains("all services are up to date"),
                "{delivery}, {file}"
            );
        }
        assert_eq!(inside(&scene, "own", &["cat", "/run/secrets/own"]), "VARY=second\n");
    }
}

#[test]
fn a_file_that_a_service_writes_itself_recreates_nothing_where_git_does_not_track_it() {
    let scene = Scene::new("same-written");
    scene.compose(&format!(
        "services:\n  web:\n{SLEEPS}    environment: {{ KEY: }}\n    volumes: ['./acme.json:/acme.json', \
         './tracked.conf:/tracked.conf']\n"
    ));
    for name in ["acme.json", "tracked.conf"] {
        scene.write(name, "first");
    }
    let git = |words: &[&str]| {
        let mut command = std::process::Command::new("git");
        command.current_dir(scene.project()).args(words);
        done(command).expect(0);
    };
    git(&["init", "--quiet", "."]);
    git(&["add", "tracked.conf"]);
    deploy(&scene, &[]);
    let before = scene.containers();
    inside(&scene, "web", &["sh", "-c", "echo certificate > /acme.json"]);
    deploy(&scene, &[]);
    assert_eq!(scene.containers(), before);
    scene.write("tracked.conf", "second");
    deploy(&scene, &[]);
    assert_ne!(scene.containers(), before);
}

#[test]
fn a_service_that_is_not_started_and_runs_with_an_older_value_is_stale_and_left_alone() {
    let scene = Scene::new("same-not-started");
    scene.compose(&format!(
        "services:\n  web:\n{SLEEPS}    environment: {{ KEY: }}\n  other:\n{SLEEPS}    environment: {{ KEY: }}\n  \
         extra:\n{SLEEPS}    environment: {{ KEY: }}\n    profiles: [more]\n  idle:\n{SLEEPS}    environment: {{ KEY: }}\n    \
         profiles: [never]\n"
    ));
    for delivery in ["file", "volume"] {
        let with = |value: &str, words: &[&str]| {
            deploy_value(&scene, value, &[&["--delivery", delivery], words].concat()).stderr
        };
        with("value-1", &["--profiles", "more"]);
        assert!(!with("value-1", &[]).contains("still runs"), "{delivery}: it runs with what it would get");
        let before = scene.containers();
        for result in ["deployed", "unchanged"] {
            let said = with("value-2", &[]);
            assert!(said.contains(&format!("\n{result}: ")), "{delivery}: {said}");
            assert!(said.contains("warning: service extra still runs with older secrets"), "{said}");
            assert!(said.contains("`profiles: more`") && said.contains("extra    stale"), "{said}");
            assert!(!said.contains("service idle still"), "{said}");
            assert_eq!(scene.containers()["extra"], before["extra"], "{delivery}");
        }
        let said = with("value-3", &["--services", "web"]);
        assert!(
            said.contains("service other still runs") && said.contains("`services: web,other`"),
            "{said}"
        );
        let mut strict = scene.cli(["deploy", "--secrets", "KEY", "--delivery", delivery, "--strict"]);
        strict.env("KEY", "value-4");
        done(strict).expect(3);
        assert!(!with("value-4", &["--profiles", "more"]).contains("still runs"));
        assert_ne!(scene.containers()["extra"], before["extra"], "{delivery}");
    }
}

#[test]
fn the_volumes_of_all_services_are_filled_through_one_container() {
    let scene = Scene::new("same-filled");
    scene.compose(&format!(
        "services:\n  a:\n{SLEEPS}    environment: {{ KEY: }}\n  b:\n{SLEEPS}    user: '1700:1701'\n    environment: {{ KEY: }}\n  \
         c:\n{SLEEPS}    environment: {{ KEY: , OTHER: }}\n"
    ));
    let deploy = |value: &str, engine: &Between, code: i32| {
        let words = ["deploy", "--secrets", "KEY,OTHER", "--delivery", "volume"];
        let mut command = scene.cli(words);
        command.env("KEY", value).env("OTHER", "another-canary").env("DOCKER_HOST", engine.host());
        done(command).expect(code).stderr
    };
    let filling = |engine: &Between| {
        let asked = engine.asked();
        let of = |part: &str| asked.iter().filter(|one| one.contains(part)).cloned().collect::<Vec<_>>();
        (of(r#""claude-secrets.fills":"#), of("/archive?path=").len())
    };
    let own = format!("label=claude-secrets.project={}", scene.name);
    let held = || {
        for service in ["a", "b", "c"] {
            assert_eq!(inside(&scene, service, &["cat", "/run/secrets/key"]), VALUE, "{service}");
        }
        assert_eq!(inside(&scene, "c", &["cat", "/run/secrets/other"]), "another-canary");
        assert_eq!(inside(&scene, "b", &["stat", "-c", "%u:%g %a", "/run/secrets/key"]), "1700:1701 400\n");
        assert_eq!(inside(&scene, "a", &["stat", "-c", "%u:%g %a", "/run/secrets/key"]), "0:0 400\n");
        assert_eq!(inside(&scene, "c", &["ls", "/run/secrets"]), "key\nother\n");
        assert_eq!(docker(["ps", "-aq", "--filter", "label=claude-secrets.fills", "--filter", &own]), "");
    };

    // The engine breaks off in the middle: all that was begun is begun anew.
    let broken = Between::at(&scene.beside("broken"), |asked| {
        let fails = asked.starts_with("PUT ") && asked.contains("/archive?path=");
        fails.then(|| (500, r#"{"message":"of no use"}"#.to_owned()))
    });
    let said = deploy(VALUE, &broken, 5);
    assert!(said.contains("cannot fill the volumes") && said.contains("of no use"), "{said}");
    let volumes = || docker(["volume", "ls", "-q", "--filter", &own]).lines().count();
    assert!(volumes() >= 3, "they are left, with the container that says that they are not complete");
    // So it is also when the next run ends while it clears them away.
    let broken = Between::at(&scene.beside("kept"), |asked| {
        let fails = asked.starts_with("DELETE ") && asked.contains("/volumes/");
        fails.then(|| (500, r#"{"message":"of no use"}"#.to_owned()))
    });
    let said = deploy(VALUE, &broken, 5);
    assert!(said.contains("which an earlier run left half-filled"), "{said}");
    let engine = Between::at(&scene.beside("s"), |_| None);
    deploy(VALUE, &engine, 0);
    held();
    let (made, put) = filling(&engine);
    // The one that they are filled through, and before it the sign that they are not complete.
    assert_eq!((made.len(), put), (2, 1), "{made:?}");
    assert!(made[0].contains(r#""Mounts":[]"#) && !made.concat().contains(VALUE));

    // Of one that is there nothing is written.
    let engine = Between::at(&scene.beside("t"), |_| None);
    deploy(VALUE, &engine, 0);
    assert_eq!(filling(&engine), (Vec::new(), 0));
}
