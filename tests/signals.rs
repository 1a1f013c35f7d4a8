//! A run that is stopped, killed, or meets another one, on a real engine: what is there stays whole, and the next run
//! goes on from it.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]

mod support;

use std::time::{Duration, Instant};

use rustix::process::Signal;
use support::project::Workspace;
use support::runner::{Running, Step};
use support::wait_until;

const DELIVERIES: [&str; 2] = ["file", "volume"];

/// The runner kills a cancelled step 10 s after its SIGINT, 7.5 s after it the client gets SIGTERM.
const GRACE: Duration = Duration::from_secs(7);

/// `web` waits for `db`, whose health check passes when this says so.
fn project(workspace: &Workspace, check: &str) {
    workspace.compose(&format!(
        "
services:
  db:
    image: IMAGE
    command: SLEEP
    environment: [ KEY ]
    healthcheck: {{ test: [ CMD, {check} ], interval: 1s, start_period: 300s, retries: 100 }}
  web:
    image: IMAGE
    command: SLEEP
    environment: [ KEY ]
    depends_on: {{ db: {{ condition: service_healthy }} }}
"
    ));
}

fn deploy<'a>(workspace: &'a Workspace, delivery: &str, value: &str) -> Step<'a> {
    workspace.deploy(delivery).input("secrets", "KEY").env("KEY", value)
}

/// Waits until Compose has started `db` and waits for its health.
fn wait_for_up(workspace: &Workspace, running: &mut Running) {
    wait_until("db runs", 60, || {
        assert!(running.is_running(), "the run ended by itself");
        workspace.standing().get("db").is_some_and(|db| db.running)
    });
    std::thread::sleep(Duration::from_millis(300));
}

#[test]
fn a_signal_while_services_start_ends_the_run_at_once_and_the_next_one_goes_on() {
    for (delivery, signal) in DELIVERIES.into_iter().flat_map(|d| [(d, Signal::INT), (d, Signal::TERM)]) {
        let workspace = Workspace::new();
        project(&workspace, "'false'");
        let mut running = deploy(&workspace, delivery, "value-1").start();
        wait_for_up(&workspace, &mut running);
        let sent = Instant::now();
        running.signal(signal);
        let ran = running.end();
        assert!(sent.elapsed() < GRACE, "{:?}", sent.elapsed());
        assert_eq!((ran.status, ran.output("error-code")), (130, "interrupted"), "{}", ran.log);
        assert_eq!(ran.output("result"), "failed");
        assert!(ran.summary.contains("interrupted") && ran.report["error"]["code"] == "interrupted");
        assert!(workspace.own_containers().is_empty(), "no lock is left");

        project(&workspace, "'true'");
        deploy(&workspace, delivery, "value-1").succeed();
        workspace.assert_reads("web", &[("key", "value-1")]);
    }
}

#[test]
fn a_signal_while_an_image_is_built_leaves_the_running_project_alone() {
    for delivery in DELIVERIES {
        let workspace = Workspace::new();
        workspace.compose("services: { web: { image: IMAGE, command: SLEEP, environment: [ KEY ] } }");
        deploy(&workspace, delivery, "value-1").succeed();
        let (standing, files, volumes) = (workspace.standing(), workspace.files(), workspace.volumes());

        let (image, mark) = (format!("{}-slow", workspace.project), format!("/mark-{}", workspace.project));
        workspace.compose_file("Dockerfile", &format!("FROM IMAGE\nRUN touch {mark} && sleep 120\n"));
        let web = "command: SLEEP, environment: [ KEY ]";
        workspace.compose(&format!("services: {{ web: {{ image: {image}, build: ., {web} }} }}"));
        let mut running = deploy(&workspace, delivery, "value-2").start();
        wait_until("the build is under way", 60, || {
            assert!(running.is_running(), "the run ended by itself");
            running.log().contains(&mark)
        });
        let sent = Instant::now();
        running.signal(Signal::INT);
        let ran = running.end();
        assert!(sent.elapsed() < GRACE, "{:?}", sent.elapsed());
        assert_eq!((ran.status, ran.output("error-code")), (130, "interrupted"), "{}", ran.log);
        assert!(workspace.standing() == standing && workspace.volumes() == volumes);
        let unchanged =
            |(path, bytes): (&std::path::PathBuf, &Vec<u8>)| workspace.files().get(path) == Some(bytes);
        assert!(files.iter().filter(|(path, _)| !path.ends_with("docker-compose.yml")).all(unchanged));
        workspace.assert_reads("web", &[("key", "value-1")]);
    }
}

#[test]
fn the_lock_of_a_run_that_was_killed_is_taken_over() {
    for delivery in DELIVERIES {
        let workspace = Workspace::new();
        project(&workspace, "'false'");
        let mut running = deploy(&workspace, delivery, "value-1").start();
        wait_for_up(&workspace, &mut running);
        running.kill();
        assert!(!workspace.own_containers().is_empty(), "its lock is left");

        project(&workspace, "'true'");
        let ran = deploy(&workspace, delivery, "value-2").succeed();
        assert!(ran.time < Duration::from_mins(1), "{:?}", ran.time);
        assert!(workspace.own_containers().is_empty());
        for service in ["db", "web"] {
            workspace.assert_reads(service, &[("key", "value-2")]);
        }
    }
}

#[test]
fn a_run_waits_for_another_one_that_changes_the_project() {
    for delivery in DELIVERIES {
        let workspace = Workspace::new();
        project(&workspace, "cat, /ready");
        let mut first = deploy(&workspace, delivery, "value-1").start();
        wait_for_up(&workspace, &mut first);
        let mut second = deploy(&workspace, delivery, "value-2").start();
        std::thread::sleep(Duration::from_secs(4));
        assert!(first.is_running() && second.is_running());
        workspace.engine.text(&["exec", &workspace.container("db"), "touch", "/ready"]);
        assert_eq!(first.end().status, 0);
        // The second one starts `db` anew, and it is not ready then.
        wait_until("db is ready", 60, || {
            if let Some(db) = workspace.containers().get("db") {
                workspace.engine.run(&["exec", db, "touch", "/ready"]);
            }
            !second.is_running()
        });
        let second = second.end();
        assert_eq!(second.status, 0, "{}", second.log);
        for service in ["db", "web"] {
            workspace.assert_reads(service, &[("key", "value-2")]);
        }
    }
}

#[test]
fn two_runs_at_once_leave_one_consistent_state() {
    for delivery in DELIVERIES {
        let workspace = Workspace::new();
        workspace.compose(
            "
services:
  a: { image: IMAGE, command: SLEEP, environment: [ KEY ] }
  b: { image: IMAGE, command: SLEEP, environment: [ KEY ], user: '1234' }
",
        );
        let values = ["value-1", "value-2"];
        let runs = values.map(|value| deploy(&workspace, delivery, value).start());
        let ends = runs.map(|run| {
            let ran = run.end();
            assert!(ran.status == 0 || ran.output("error-code") == "locked", "{}", ran.log);
            ran.status
        });
        assert!(ends.contains(&0));
        let read = workspace.secret("a", "key").unwrap();
        let winner =
            values.into_iter().find(|value| value.as_bytes() == read).expect("one of the two values");
        for service in ["a", "b"] {
            workspace.assert_reads(service, &[("key", winner)]);
        }
        if delivery == "file" {
            assert_eq!(workspace.read("data/secrets/key").unwrap(), winner.as_bytes());
        }
        assert!(workspace.own_containers().is_empty());
        assert_eq!(deploy(&workspace, delivery, winner).succeed().output("result"), "unchanged");
    }
}
