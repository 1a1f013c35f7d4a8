//! An engine on another machine: one login by SSH to a real OpenSSH server, an engine that shares no file with the run, and
//! everything that can be wrong on the way.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]

#[allow(dead_code, unreachable_pub, reason = "the file serves several test programs")]
#[path = "support/scene.rs"]
mod scene;
mod support;

use std::net::TcpListener;
use std::process::Command;
use std::time::Instant;

use scene::{Done, Scene, done};
use serde_json::Value;
use support::daemon::Daemon;
use support::engine::Engine;
use support::sshd::{NOBODY, Sshd, keygen};

/// The services have no network: an engine without one needs nothing of the machine's.
const PROJECT: &str = "
x-common: &common { image: IMAGE, command: [sleep, '3000'], stop_signal: SIGKILL, network_mode: none }
services:
  web: { <<: *common, environment: { KEY: '${KEY}' } }
  worker: { <<: *common, environment: { OTHER: '${OTHER}' } }
";
const KEY: &str = "canary-Zq7-key";
const OTHER: &str = "canary-Zq7-other";

/// A project on this machine, and a server.
struct Remote {
    scene: Scene,
    sshd: Sshd,
    socket: String,
}

impl Remote {
    fn new(more: &str, socket: &str) -> Self {
        let scene = Scene::new("remote");
        scene.compose(PROJECT);
        Self { scene, sshd: Sshd::start(more), socket: socket.to_owned() }
    }

    /// A project with an engine that shares no file with this machine. The engine ends when it is dropped.
    fn apart(project: &str) -> (Self, Daemon) {
        let scene = Scene::new("remote");
        scene.compose(project);
        let daemon = Daemon::start_apart(scene.beside("").as_path());
        daemon.load(&support::service_image());
        let socket = daemon.engine().socket().to_owned();
        (Self { scene, sshd: Sshd::start(""), socket }, daemon)
    }

    fn host(&self, user: &str) -> String {
        format!("ssh://{user}@127.0.0.1:{}{}", self.sshd.port(), self.socket)
    }

    /// A call that is right in everything.
    fn call(&self, mode: &str) -> Command {
        let host = self.host("root");
        let known = self.sshd.known_hosts("host");
        let mut command = self.scene.cli([mode, "--secrets", "KEY\nOTHER", "--docker-host", &host]);
        command.args(["--ssh-known-hosts", &known, "--report-file", "report.json"]);
        command.env("SSH_PRIVATE_KEY", self.sshd.text("client"));
        command.env("KEY", KEY).env("OTHER", OTHER);
        // What would lead elsewhere must not.
        command.env_remove("DOCKER_HOST").env("DOCKER_CONTEXT", "default").env("DOCKER_TLS_VERIFY", "1");
        command
    }

    fn report(&self) -> Value {
        let text = std::fs::read_to_string(self.scene.project().join("report.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// Runs what must fail with this code and these words, within its time, and without a word of a key.
    #[track_caller]
    fn fails(&self, command: Command, code: &str, said: &[&str]) -> Done {
        let start = Instant::now();
        let done = done(command);
        assert_ne!(done.code, 0, "{}", done.stderr);
        assert_eq!(self.report()["error"]["code"], code, "{}", done.stderr);
        for words in said {
            assert!(done.stderr.contains(words), "{words}: {}", done.stderr);
        }
        assert!(start.elapsed().as_secs() < 20, "{:?}: {}", start.elapsed(), done.stderr);
        for line in self.sshd.text("client").lines().filter(|line| !line.starts_with("---")) {
            assert!(!done.stderr.contains(line), "{}", done.stderr);
        }
        assert!(!self.scene.project().join("docker-compose.secrets.yml").exists());
        done
    }
}

/// The id of a service's only container.
fn container(engine: &Engine, service: &str) -> String {
    engine.text(&[
        "ps",
        "--quiet",
        "--no-trunc",
        "--filter",
        &format!("label=com.docker.compose.service={service}"),
    ])
}

/// A file in a service's only container.
fn read(engine: &Engine, service: &str, path: &str) -> String {
    engine.text(&["exec", &container(engine, service), "cat", path])
}

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

#[test]
fn a_server_that_forbids_forwarding_is_reached_by_its_docker() {
    let remote = Remote::new("AllowStreamLocalForwarding no", "");
    let done = done(remote.call("validate")).expect(0);
    assert!(done.stderr.contains("the engine is at ssh://root@127.0.0.1"), "{}", done.stderr);
    assert_eq!(remote.sshd.logins(), 1);
}

#[test]
fn another_server_may_be_on_the_way_and_a_fingerprint_is_enough() {
    let remote = Remote::new("", "");
    let bastion = Sshd::start("");
    std::fs::copy(remote.sshd.path("client.pub"), bastion.path("authorized_keys")).unwrap();
    let host = remote.host("root");
    let words = ["validate", "--secrets", "KEY\nOTHER", "--docker-host", &host];
    let known = format!("{}\n{}", remote.sshd.known_hosts("host"), bastion.known_hosts("host"));
    let mut command = remote.scene.cli(words);
    command.args(["--ssh-jump", &format!("root@127.0.0.1:{}", bastion.port()), "--ssh-known-hosts", &known]);
    command.env("SSH_PRIVATE_KEY", remote.sshd.text("client")).env("KEY", KEY).env("OTHER", OTHER);
    done(command).expect(0);
    assert_eq!((remote.sshd.logins(), bastion.logins()), (1, 1));

    let mut command = remote.scene.cli(words);
    command.args(["--ssh-fingerprint", &remote.sshd.fingerprint("host")]);
    command.env("SSH_PRIVATE_KEY_FILE", remote.sshd.path("client")).env("KEY", KEY).env("OTHER", OTHER);
    done(command).expect(0);
}

#[test]
fn the_key_may_be_in_a_source_and_no_child_gets_it() {
    let remote = Remote::new("", "");
    // Stands for Docker's client, and tells what it is given.
    let (programs, seen) = (remote.scene.beside("programs"), remote.scene.beside("seen"));
    let real = Command::new("sh").args(["-c", "command -v docker"]).output().unwrap();
    let real = String::from_utf8(real.stdout).unwrap();
    let text = format!("env >>{}\nexec {} \"$@\"", seen.display(), real.trim());
    scene::write_script(&programs.join("docker"), &text);
    let path = scene::path_with(&programs);
    let key = remote.sshd.text("client");
    let line = key.lines().nth(1).unwrap();
    for (variable, more) in [("DEPLOY_KEY", &["--ssh-key", "env:DEPLOY_KEY"][..]), ("SSH_PRIVATE_KEY", &[])] {
        let mut command = remote.call("validate");
        command.args(more).env_remove("SSH_PRIVATE_KEY").env(variable, &key).env("PATH", &path);
        let done = done(command).expect(0);
        let given = std::fs::read_to_string(&seen).unwrap();
        assert!(given.contains("DOCKER_HOST=unix:///tmp/claude-secrets-"), "{given}");
        assert!(!given.contains(line) && !done.stderr.contains(line), "{variable}");
        assert!(!given.contains("DOCKER_TLS_VERIFY"));
        std::fs::remove_file(&seen).unwrap();
    }
    assert_eq!(remote.sshd.logins(), 2);
    let mut value = remote.call("validate");
    value.args(["--ssh-key", line]);
    remote.fails(value, "reference-invalid", &["ssh-key: the input is not a reference"]);
}

#[test]
fn whatever_is_wrong_on_the_way_is_said_with_its_remedy() {
    let remote = Remote::new("", "");
    let with = |change: &dyn Fn(&mut Command)| {
        let mut command = remote.call("deploy");
        change(&mut command);
        command
    };
    // A key that is not known, and one that is another.
    let call = |host: &str, known: &str| {
        let mut command = remote.scene.cli(["deploy", "--secrets", "KEY\nOTHER", "--docker-host", host]);
        command.args(["--ssh-known-hosts", known, "--timeout", "5s", "--report-file", "report.json"]);
        command.env("SSH_PRIVATE_KEY", remote.sshd.text("client")).env("KEY", KEY).env("OTHER", OTHER);
        command
    };
    let (host, known) = (remote.host("root"), remote.sshd.known_hosts("host"));
    let other_name = known.replace("127.0.0.1", "localhost");
    remote.fails(call(&host, &other_name), "host-key-unknown", &[&remote.sshd.fingerprint("host"), &known]);
    let changed = remote.sshd.known_hosts("stranger");
    remote.fails(
        call(&host, &changed),
        "host-key-changed",
        &["another key than the known one", "Nothing was sent"],
    );
    assert_eq!(remote.sshd.logins(), 0);

    // Keys that cannot be used, or are refused.
    let stranger = remote.sshd.text("stranger");
    remote.fails(
        with(&|command| {
            command.env("SSH_PRIVATE_KEY", &stranger);
        }),
        "ssh-denied",
        &["refuses the login", &remote.sshd.fingerprint("stranger"), "authorized_keys of root"],
    );
    remote.fails(call(&remote.host("no-such-user"), &known), "ssh-denied", &["for the user no-such-user"]);
    let locked = remote.scene.beside("locked");
    keygen(&locked, "hunter2hunter2");
    let locked = std::fs::read_to_string(locked).unwrap();
    let encrypted = with(&|command| {
        command.env("SSH_PRIVATE_KEY", &locked);
    });
    remote.fails(encrypted, "ssh-key-invalid", &["is encrypted", "SSH_KEY_PASSPHRASE"]);
    let wrong = with(&|command| {
        command.env("SSH_PRIVATE_KEY", &locked).env("SSH_KEY_PASSPHRASE", "hunter3hunter3");
    });
    remote.fails(wrong, "ssh-key-invalid", &["cannot be opened with SSH_KEY_PASSPHRASE"]);
    let none = with(&|command| {
        command.env("SSH_PRIVATE_KEY", "").env("HOME", "/nonexistent");
    });
    remote.fails(none, "ssh-key-invalid", &["there is no key to log in with", "arrives empty"]);

    // Machines that are not there, or are something else.
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    let silent = format!("ssh://root@127.0.0.1:{port}");
    remote.fails(
        call(&silent, &known),
        "engine-unreachable",
        &["does not answer: no SSH session within 5 s"],
    );
    drop(free);
    remote.fails(call(&silent, &known), "engine-unreachable", &["refuses connections on port"]);
    let nowhere = "ssh://root@no-such-machine.invalid";
    remote.fails(
        call(nowhere, &known),
        "engine-unreachable",
        &["no machine with the name no-such-machine.invalid"],
    );

    // Servers that lead to no engine.
    let nobody = call(&remote.host(NOBODY), &known);
    remote.fails(
        nobody,
        "engine-unreachable",
        &["permission denied: nobody may not use", "usermod -aG docker nobody"],
    );
    let elsewhere = call(&format!("{host}/run/none.sock"), &known);
    remote.fails(elsewhere, "engine-unreachable", &["there is no Docker socket at /run/none.sock"]);

    // What nothing says, and what would be in clear.
    let mut unknown = remote.scene.cli(["deploy", "--secrets", "KEY\nOTHER", "--docker-host", &host]);
    unknown
        .args(["--report-file", "report.json"])
        .env("KEY", KEY)
        .env("OTHER", OTHER)
        .env("HOME", "/nonexistent");
    unknown.env("SSH_PRIVATE_KEY", remote.sshd.text("client"));
    remote.fails(unknown, "usage", &["nothing says which key the server has", "ssh-keyscan"]);
    let files = with(&|command| {
        command.args(["--delivery", "file"]);
    });
    remote.fails(files, "delivery-failed", &["`file` cannot reach a remote engine"]);
}
