//! A project on this machine, a real OpenSSH server, and an engine behind it.

use std::process::Command;
use std::time::Instant;

use serde_json::Value;

use crate::scene::{Done, Scene, done};
use crate::support;
use crate::support::daemon::Daemon;
use crate::support::engine::Engine;
use crate::support::sshd::Sshd;

/// The services have no network: an engine without one needs nothing of the machine's.
pub(crate) const PROJECT: &str = "
x-common: &common { image: IMAGE, command: [sleep, '3000'], stop_signal: SIGKILL, network_mode: none }
services:
  web: { <<: *common, environment: { KEY: '${KEY}' } }
  worker: { <<: *common, environment: { OTHER: '${OTHER}' } }
";
pub(crate) const KEY: &str = "canary-Zq7-key";
pub(crate) const OTHER: &str = "canary-Zq7-other";

/// A manifest by which nothing of ours runs in the services: an image may be too small for that.
pub(crate) const FILES: &str = "
services: { web: { secrets: [KEY], deliver: file }, worker: { secrets: [OTHER], deliver: file } }
secrets: { KEY: , OTHER: }
";

/// A project on this machine, and a server.
pub(crate) struct Remote {
    pub(crate) scene: Scene,
    pub(crate) sshd: Sshd,
    pub(crate) socket: String,
}

impl Remote {
    pub(crate) fn new(more: &str, socket: &str) -> Self {
        Self::in_scene(Scene::new("remote"), more, socket)
    }

    /// The same with a scene that has been prepared.
    pub(crate) fn in_scene(scene: Scene, more: &str, socket: &str) -> Self {
        scene.compose(PROJECT);
        Self { scene, sshd: Sshd::start(more), socket: socket.to_owned() }
    }

    /// A project with an engine that shares no file with this machine. The engine ends when it is dropped.
    pub(crate) fn apart(project: &str) -> (Self, Daemon) {
        let scene = Scene::new("remote");
        scene.compose(project);
        let daemon = Daemon::start_apart(scene.beside("").as_path());
        daemon.load(&support::service_image());
        let socket = daemon.engine().socket().to_owned();
        (Self { scene, sshd: Sshd::start(""), socket }, daemon)
    }

    /// The same, with so much space on its disk, and a small image.
    pub(crate) fn with_disk(size: &str) -> (Self, Daemon) {
        let scene = Scene::new("remote");
        let small = support::small_image();
        scene.compose(&PROJECT.replace("IMAGE", &small));
        scene.write("claude-secrets.yml", FILES);
        let daemon = Daemon::start_small(scene.beside("").as_path(), size);
        daemon.load(&small);
        let socket = daemon.engine().socket().to_owned();
        (Self { scene, sshd: Sshd::start(""), socket }, daemon)
    }

    pub(crate) fn host(&self, user: &str) -> String {
        format!("ssh://{user}@127.0.0.1:{}{}", self.sshd.port(), self.socket)
    }

    /// A call that is right in everything.
    pub(crate) fn call(&self, mode: &str) -> Command {
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

    pub(crate) fn report(&self) -> Value {
        let text = std::fs::read_to_string(self.scene.project().join("report.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// Runs what must fail with this code and these words, within its time, and without a word of a key.
    #[track_caller]
    pub(crate) fn fails(&self, command: Command, code: &str, said: &[&str]) -> Done {
        let start = Instant::now();
        let mut done = done(command);
        // Under GitHub Actions everything goes to one stream, with a mask for each secret.
        let printed = String::from_utf8_lossy(&done.stdout);
        let printed = printed.lines().filter(|line| !line.starts_with("::add-mask::"));
        done.stderr.extend(printed.map(|line| format!("{line}\n")));
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
pub(crate) fn container(engine: &Engine, service: &str) -> String {
    engine.text(&[
        "ps",
        "--quiet",
        "--no-trunc",
        "--filter",
        &format!("label=com.docker.compose.service={service}"),
    ])
}

/// A file in a service's only container.
pub(crate) fn read(engine: &Engine, service: &str, path: &str) -> String {
    engine.text(&["exec", &container(engine, service), "cat", path])
}
