//! The health gate on a real engine: what fails is named, with what to do about it, and nothing else is blamed.

#![allow(clippy::unwrap_used, clippy::panic)] // clippy.toml allows it in test functions, and the rest here serves these
#![allow(unreachable_pub, dead_code)] // the support files serve several test programs

#[path = "support/between.rs"]
mod between;
#[path = "support/scene.rs"]
mod scene;

use std::process::Stdio;
use std::time::{Duration, Instant};

use between::Between;
use scene::{Scene, docker, done};
use serde_json::Value;

const SLEEPS: &str = "    image: IMAGE\n    init: true\n    command: [sleep, '3000']\n";

/// Deploys with the secret KEY, and returns what was said.
#[track_caller]
fn deploy(scene: &Scene, words: &[&str], code: i32) -> String {
    let mut command = scene.cli(["deploy", "--secrets", "KEY"].iter().chain(words));
    command.env("KEY", "canary-at-the-gate");
    done(command).expect(code).stderr
}

/// The lines of the error that name services.
fn blamed(said: &str) -> Vec<&str> {
    said.lines().filter(|line| line.contains("service ") && line.contains("-1)")).collect()
}

#[test]
fn a_crash_loop_is_found_that_went_on_while_another_service_was_waited_for() {
    let scene = Scene::new("gate-loop");
    // `up` itself waits for `slow`, which `late` depends on. `web` runs on now and then, long enough to look well.
    scene.compose(&format!(
        "services:\n  web:\n    image: IMAGE\n    init: true\n    restart: always\n    environment: {{ KEY: }}\n    \
         command: [sh, -c, 'sleep 0.5; exit 1']\n  slow:\n{SLEEPS}    \
         healthcheck: {{ test: [CMD-SHELL, 'test -e /up || {{ touch /up; exit 1; }}'], interval: 5s, retries: 9 }}\n  \
         late:\n{SLEEPS}    depends_on: {{ slow: {{ condition: service_healthy }} }}\n"
    ));
    let said = deploy(&scene, &[], 6);
    assert!(said.contains("error: services did not come up"), "{said}");
    let blamed = blamed(&said);
    assert_eq!(blamed.len(), 1, "{said}");
    assert!(blamed[0].contains("service web") && blamed[0].contains("again and again"), "{said}");
}

#[test]
fn a_crash_loop_of_a_service_that_was_not_touched_is_found_too() {
    let scene = Scene::new("gate-untouched");
    scene.compose(&format!(
        "services:\n  web:\n    image: IMAGE\n    init: true\n    restart: always\n    environment: {{ KEY: }}\n    \
         command: [sh, -c, 'sleep 4; exit 1']\n  other:\n{SLEEPS}"
    ));
    deploy(&scene, &["--wait=false"], 0);
    let web = scene.containers()["web"].0.clone();
    let start = Instant::now();
    while docker(["inspect", "--format", "{{.RestartCount}}", &web]).trim() < "3" {
        assert!(start.elapsed() < Duration::from_mins(3), "it restarts");
        std::thread::sleep(Duration::from_millis(100));
    }
    while docker(["inspect", "--format", "{{.State.Status}}", &web]).trim() != "running" {
        std::thread::sleep(Duration::from_millis(20));
    }
    let said = deploy(&scene, &[], 6);
    assert!(said.contains("service web") && said.contains("again and again"), "{said}");
}

#[test]
fn a_service_that_is_still_starting_is_not_blamed_for_another_one_that_failed() {
    let scene = Scene::new("gate-blame");
    scene.compose(&format!(
        "services:\n  bad:\n    image: IMAGE\n    environment: {{ KEY: }}\n    command: [sh, -c, 'exit 3']\n  starting:\n\
         {SLEEPS}    healthcheck: {{ test: [CMD, 'true'], interval: 30s }}\n  young:\n{SLEEPS}"
    ));
    let said = deploy(&scene, &[], 6);
    let blamed = blamed(&said);
    assert_eq!(blamed.len(), 1, "{said}");
    assert!(blamed[0].contains("service bad") && blamed[0].contains("ended with status 3"), "{said}");
    assert_eq!(said.matches("last lines of gate-blame").count(), 1, "{said}");
}

/// A wrong password ends several services, one a moment after the other: one run tells of all.
#[test]
fn services_that_fail_a_moment_after_the_first_one_are_told_of_with_it() {
    let scene = Scene::new("gate-together");
    let ends = |after: &str| format!("    image: IMAGE\n    command: [sh, -c, 'sleep {after}; exit 3']\n");
    let (web, worker) = (ends("0"), ends("0.5"));
    scene.compose(&format!(
        "services:\n  web:\n{web}    environment: {{ KEY: }}\n  worker:\n{worker}    depends_on: [web]\n"
    ));
    let said = deploy(&scene, &[], 6);
    let blamed = blamed(&said);
    assert!(blamed.len() == 2 && blamed.iter().all(|line| line.contains("status 3")), "{said}");
    assert_eq!(said.matches("last lines of gate-together").count(), 2, "{said}");
}

#[test]
fn a_program_that_gave_up_root_and_cannot_read_its_secret_is_told_of_uid() {
    let scene = Scene::new("gate-uid");
    // The one says why it fails, and ends; the other is seen while it runs.
    for (command, health, expected) in [
        ("cat /run/secrets/key", "", "`web: { secrets: [KEY], uid: UID }`"),
        (
            "sleep 3000",
            "    healthcheck: { test: [CMD, 'false'], interval: 1s, retries: 2 }\n",
            "`web: { secrets: [KEY], uid: 1700 }`",
        ),
    ] {
        scene.compose(&format!(
            "services:\n  web:\n    image: IMAGE\n    init: true\n    environment: {{ KEY: }}\n    \
             entrypoint: [setpriv, --reuid=1700, --regid=1700, --clear-groups, --]\n    command: {command}\n{health}"
        ));
        let said = deploy(&scene, &["--delivery", "volume"], 6);
        assert!(said.contains("below `services:`") && said.contains(expected), "{command}: {said}");
    }
    scene
        .write("claude-secrets.yml", "services: { web: { secrets: [KEY], uid: 1700 } }\nsecrets: { KEY: }\n");
    let said = deploy(&scene, &["--delivery", "volume"], 6);
    assert!(!said.contains("below `services:`"), "it is not told again: {said}");
}

#[test]
fn a_run_that_waits_for_no_service_ends_though_one_waits_for_another_for_ever() {
    let scene = Scene::new("gate-no-wait");
    scene.compose(&format!(
        "services:\n  a:\n{SLEEPS}    healthcheck: {{ test: [CMD, 'false'], interval: 1s, start_period: 10h }}\n  b:\n\
         {SLEEPS}    environment: {{ KEY: }}\n    depends_on: {{ a: {{ condition: service_healthy }} }}\n"
    ));
    let start = Instant::now();
    let said = deploy(&scene, &["--wait=false", "--wait-timeout=4s"], 6);
    assert!(start.elapsed() < Duration::from_mins(1), "{said}");
    assert!(said.contains("docker compose up did not end within 4s"), "{said}");
    assert!(said.contains("others depend on is not ready") && said.contains("`wait-timeout`"), "{said}");
}

/// A service with a health check that passes at the first try after this many seconds.
fn healthy_after(seconds: u32) -> String {
    format!(
        "{SLEEPS}    environment: {{ KEY: }}\n    healthcheck: {{ test: [CMD, 'true'], interval: {seconds}s }}\n"
    )
}

/// Deploys, which must end well, and returns the report.
#[track_caller]
fn reported(scene: &Scene, words: &[&str], host: Option<&Between>) -> Value {
    let mut command = scene.cli(["deploy", "--secrets", "KEY", "--format", "json"].iter().chain(words));
    command.env("KEY", "canary-at-the-gate");
    if let Some(host) = host {
        command.env("DOCKER_HOST", host.host());
    }
    serde_json::from_slice(&done(command).expect(0).stdout).unwrap()
}

#[test]
fn a_service_is_done_when_it_is_healthy_and_only_one_without_a_check_must_stay_up() {
    let scene = Scene::new("gate-stable");
    let checked = healthy_after(1);
    scene.compose(&format!("services:\n  web:\n{checked}"));
    let start = Instant::now();
    let report = reported(&scene, &["--stable-for", "60s"], None);
    assert!(start.elapsed() < Duration::from_secs(30), "{report}");
    let waits = &report["waits"];
    assert_eq!(
        (&waits["stable_for"], waits["services"][0]["waited_for"].as_str()),
        (&60_000.into(), Some("health"))
    );

    scene.compose(&format!(
        "services:\n  web:\n{checked}  plain:\n{SLEEPS}  once:\n    image: IMAGE\n    command: ['true']\n"
    ));
    scene.write("claude-secrets.yml", "stable-for: 5s\n");
    let start = Instant::now();
    let report = reported(&scene, &[], None);
    assert!(start.elapsed() >= Duration::from_secs(5), "{report}");
    let mut said: Vec<_> = report["waits"]["services"].as_array().unwrap().iter().collect();
    said.retain(|row| row["service"] == "plain");
    assert_eq!((said.len(), &report["waits"]["stable_for"]), (1, &5000.into()), "{report}");
    assert_eq!(said[0]["waited_for"], "stays-up");
    // The input counts for more, and what was not touched need not show it again.
    docker(["rm", "--force", &scene.containers()["plain"].0]);
    let said = deploy(&scene, &["--stable-for=0s"], 0);
    assert!(said.contains("created plain") && !said.contains("stable-for"), "{said}");
}

#[test]
fn how_long_a_service_must_stay_up_decides_whether_its_end_is_seen() {
    let scene = Scene::new("gate-length");
    let command = "    image: IMAGE\n    init: true\n    environment: { KEY: }\n    command: [sh, -c, 'sleep 5; exit 3']\n";
    scene.compose(&format!("services:\n  web:\n{command}"));
    deploy(&scene, &["--stable-for", "0s"], 0);
    docker(["rm", "--force", &scene.containers()["web"].0]);
    // The proof searches meanwhile, and what it finds is told as well.
    let mut git = std::process::Command::new("git");
    git.current_dir(scene.project()).args(["init", "--quiet", "."]);
    done(git).expect(0);
    scene.write("notes.txt", "canary-at-the-gate");
    let said = deploy(&scene, &["--stable-for", "20s"], 7);
    assert!(said.contains("notes.txt contains the value of KEY"), "{said}");
    assert!(said.contains("service web") && said.contains("ended with status 3"), "{said}");
}

#[test]
fn a_time_to_stay_up_for_which_there_is_no_time_is_refused_before_anything_is_done() {
    let scene = Scene::new("gate-no-time");
    scene.compose(&format!("services:\n  web:\n{SLEEPS}    environment: {{ KEY: }}\n"));
    for (manifest, words) in [("", &["--stable-for", "3m"][..]), ("stable-for: 3m\n", &[])] {
        scene.write("claude-secrets.yml", manifest);
        let said = deploy(&scene, words, 2);
        assert!(
            said.contains("stable-for: 3m is longer than") && said.contains("(2m, `wait-timeout`)"),
            "{said}"
        );
        assert!(scene.containers().is_empty());
    }
    scene.write("claude-secrets.yml", "");
    // What nobody asked for is as long as there is time.
    deploy(&scene, &["--wait-timeout", "2s"], 0);
}

#[test]
fn a_run_that_waits_listens_to_the_engine_and_asks_it_now_and_then_only() {
    let scene = Scene::new("gate-events");
    scene.compose(&format!("services:\n  web:\n{}", healthy_after(6)));
    let engine = Between::at(&scene.beside("s"), |_| None);
    let report = reported(&scene, &[], Some(&engine));
    let waited = report["waits"]["services"][0]["milliseconds"].as_u64().unwrap();
    assert!(waited >= 4000, "{report}");
    let asked = engine.asked();
    let listens = asked.iter().position(|one| one.contains("/events?filters="));
    // Docker Compose asks for `all=1`.
    let own = |one: &&String| one.contains("/containers/json?all=true&filters=");
    let looks = asked[listens.unwrap()..].iter().filter(own).count();
    assert!((2..=9).contains(&looks), "{looks} looks");
}

/// What is answered in place of an engine.
type Answer = fn(&str) -> Option<(u16, String)>;

#[test]
fn an_engine_that_tells_nothing_is_looked_at() {
    let scene = Scene::new("gate-deaf");
    scene.compose(&format!("services:\n  web:\n{}  plain:\n{SLEEPS}", healthy_after(1)));
    let forbidden = |_: &str| Some((403, r#"{"message":"forbidden"}"#.to_owned()));
    let ends = |_: &str| Some((200, String::new()));
    let hangs = |_: &str| {
        std::thread::sleep(Duration::from_mins(5));
        None
    };
    let answers: [(&str, Answer); 3] = [("forbidden", forbidden), ("ends", ends), ("hangs", hangs)];
    for (name, answer) in answers {
        let engine =
            Between::at(
                &scene.beside(name),
                move |asked| {
                    if asked.contains("/events?") { answer(asked) } else { None }
                },
            );
        let start = Instant::now();
        let report = reported(&scene, &["--force-recreate", "--wait-timeout", "40s"], Some(&engine));
        // It may be healthy at the first look.
        let waits = report["waits"]["services"].as_array().unwrap();
        assert!(waits.iter().any(|row| row["service"] == "plain"), "{name}: {report}");
        assert!(start.elapsed() < Duration::from_secs(40), "{name}");
    }
}

#[test]
fn a_run_that_waits_for_services_to_stay_up_is_stopped_by_a_signal() {
    let scene = Scene::new("gate-signal");
    scene.compose(&format!("services:\n  web:\n{SLEEPS}    environment: {{ KEY: }}\n"));
    let mut command = scene.cli(["deploy", "--secrets", "KEY", "--stable-for", "60s"]);
    command
        .env("KEY", "canary-at-the-gate")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let start = Instant::now();
    while docker(["ps", "-q", "--filter", &format!("name={}", scene.name)]).trim().is_empty() {
        assert!(start.elapsed() < Duration::from_mins(1), "it runs");
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(Duration::from_secs(3));
    let told = Instant::now();
    terminate(child.id());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(told.elapsed() < Duration::from_secs(6) && output.status.code() == Some(130), "{said}");
    assert!(said.contains("stopped by SIGTERM"), "{said}");
}

fn terminate(id: u32) {
    let id = rustix::process::Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
}
