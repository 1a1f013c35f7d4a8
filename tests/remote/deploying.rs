//! Deployments to an engine that shares no file with the run.

use std::process::Command;

use serde_json::Value;

use crate::scene::done;
use crate::site::{KEY, OTHER, PROJECT, Remote, container, read};

#[test]
fn a_project_is_deployed_rotated_and_taken_down_by_one_login_each() {
    let (remote, daemon) = Remote::apart(PROJECT);
    let engine = daemon.engine();

    done(remote.call("deploy")).expect(0);
    let report = remote.report();
    assert_eq!((&report["result"], &report["delivery"]["kind"]), (&"deployed".into(), &"volume".into()));
    assert_eq!(remote.sshd.logins(), 1);
    assert_eq!(read(&engine, "web", "/run/secrets/key"), KEY);
    assert_eq!(read(&engine, "worker", "/run/secrets/other"), OTHER);
    assert!(remote.scene.containers().is_empty(), "nothing runs on this machine");

    done(remote.call("deploy")).expect(0);
    assert_eq!(remote.report()["result"], "unchanged");
    let mut rotation = remote.call("deploy");
    rotation.env("KEY", "canary-Zq7-new");
    done(rotation).expect(0);
    assert_eq!(read(&engine, "web", "/run/secrets/key"), "canary-Zq7-new");
    assert_eq!(remote.report()["changed"], Value::from(["KEY"].to_vec()));
    assert_eq!(remote.sshd.logins(), 3);

    done(remote.call("down")).expect(0);
    let filter = format!("label=claude-secrets.project={}", remote.scene.name);
    for left in [&["ps", "--all", "--quiet"][..], &["volume", "ls", "--quiet", "--filter", &filter]] {
        assert_eq!(engine.lines(left), [""; 0], "{left:?}");
    }
    assert_eq!(remote.sshd.logins(), 4);
}

/// What the services mount of the checkout, and a directory with data of a service.
const MOUNTING: &str = "
x-common: &common { image: IMAGE, command: [sleep, '3000'], stop_signal: SIGKILL, network_mode: none }
services:
  web:
    <<: *common
    environment: { KEY: '${KEY}' }
    volumes: [ './conf:/etc/app', './data:/var/data' ]
    configs: [ { source: settings, target: /etc/settings.ini } ]
  worker:
    <<: *common
    environment: { OTHER: '${OTHER}' }
    volumes: [ './one.ini:/etc/one.ini:ro' ]
    secrets: [ own ]
configs: { settings: { file: ./settings.ini } }
secrets: { own: { file: ./own.txt } }
";

#[test]
fn files_of_the_checkout_go_along_and_data_stays_on_the_server() {
    let (remote, daemon) = Remote::apart(MOUNTING);
    let engine = daemon.engine();
    let git = |words: &[&str]| {
        let mut command = Command::new("git");
        assert!(command.args(words).current_dir(remote.scene.project()).output().unwrap().status.success());
    };
    let files = ["conf/a/b.conf", "one.ini", "settings.ini", "own.txt"];
    let checkout = |text: &str| {
        for file in files {
            remote.scene.write(file, format!("{text} {file}"));
        }
        remote.scene.write(".gitignore", "data/\ndocker-compose.secrets.yml\nreport.json\n");
    };
    git(&["init", "-q"]);
    checkout("first");
    git(&["add", "."]);
    let read = |service: &str, path: &str| read(&engine, service, path);
    let started = |service: &str| container(&engine, service);

    done(remote.call("deploy")).expect(0);
    assert_eq!(read("web", "/etc/app/a/b.conf"), "first conf/a/b.conf");
    assert_eq!(read("web", "/etc/settings.ini"), "first settings.ini");
    assert_eq!(read("worker", "/etc/one.ini"), "first one.ini");
    assert_eq!(read("worker", "/run/secrets/own"), "first own.txt");
    engine.text(&["exec", &started("web"), "sh", "-c", "echo kept >/var/data/table"]);

    // A wiped checkout changes nothing; a changed file changes the service that mounts it, and no other.
    for entry in std::fs::read_dir(remote.scene.project()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with(".git") {
            std::fs::remove_dir_all(path).unwrap();
        } else if path.is_file() && !path.ends_with("compose.yaml") {
            std::fs::remove_file(path).unwrap();
        }
    }
    checkout("first");
    done(remote.call("deploy")).expect(0);
    assert_eq!(remote.report()["result"], "unchanged");
    // Nor does one that lies elsewhere, as another runner has it.
    let elsewhere = remote.scene.beside("elsewhere");
    let copied = Command::new("cp").arg("-a").arg(remote.scene.project()).arg(&elsewhere).status().unwrap();
    assert!(copied.success());
    let mut other = remote.call("deploy");
    other.current_dir(&elsewhere);
    let other = done(other).expect(0);
    assert!(other.stderr.contains("all services are up to date"), "{}", other.stderr);
    let before = (started("web"), started("worker"));
    remote.scene.write("conf/a/b.conf", "second");
    done(remote.call("deploy")).expect(0);
    assert_eq!(read("web", "/etc/app/a/b.conf"), "second");
    assert_eq!(read("web", "/var/data/table"), "kept");
    assert!(started("web") != before.0 && started("worker") == before.1);

    let down = done(remote.call("down")).expect(0);
    let volume = format!("{}_data_data", remote.scene.name);
    assert!(down.stderr.contains(&format!("docker volume rm {volume}")), "{}", down.stderr);
    assert_eq!(engine.lines(&["volume", "ls", "--quiet"]), std::slice::from_ref(&volume));

    // Data of this checkout is not left behind in silence, nor is what git ignores taken along.
    engine.text(&["volume", "rm", &volume]);
    remote.scene.write("data/table", "of this machine");
    let done = remote.fails(
        remote.call("deploy"),
        "project-files",
        &["data has data that git ignores", "tar -C data -c ."],
    );
    assert!(done.stderr.contains("docker volume create"), "{}", done.stderr);
    std::fs::remove_dir_all(remote.scene.project().join("data")).unwrap();
    remote.scene.write("conf/.gitignore", "*.local\n");
    remote.scene.write("conf/x.local", "x");
    remote.fails(remote.call("deploy"), "project-files", &["conf/x.local", "git add --force conf/x.local"]);
}
