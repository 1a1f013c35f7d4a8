//! A Docker Engine of the test's own, which it may restart: other folders, another socket, another network namespace.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::engine::Engine;
use super::wait_until;

/// The engine. It is stopped and everything of it removed on drop.
pub struct Daemon {
    folder: TempDir,
    child: Option<Child>,
    /// What of this machine it does not see, as another machine's would not.
    hidden: Option<PathBuf>,
    /// How large its disk is, where that matters.
    disk: Option<String>,
    /// Whether it has the network that images are built with.
    bridge: bool,
}

impl Daemon {
    /// Starts one, which takes root and the program `dockerd`.
    pub fn start() -> Self {
        Self::hiding(None, None, false)
    }

    /// The same, and for it a directory of this machine is empty: it is like an engine on another machine.
    pub fn start_apart(hidden: &Path) -> Self {
        Self::hiding(Some(hidden.to_owned()), None, false)
    }

    /// The same, and it can build images.
    pub fn start_building(hidden: &Path) -> Self {
        Self::hiding(Some(hidden.to_owned()), None, true)
    }

    /// The same, with a disk of this size, which is in memory.
    pub fn start_small(hidden: &Path, disk: &str) -> Self {
        Self::hiding(Some(hidden.to_owned()), Some(disk.to_owned()), false)
    }

    fn hiding(hidden: Option<PathBuf>, disk: Option<String>, bridge: bool) -> Self {
        // The socket's path must be short (unix(7)), and the images not on a file system in memory.
        let folder = tempfile::Builder::new().prefix("cse-").tempdir_in("/var/tmp").unwrap();
        let mut this = Self { folder, child: None, hidden, disk, bridge };
        this.run();
        this
    }

    /// The engine, for as long as it runs.
    pub fn engine(&self) -> Engine {
        Engine::at(&self.path("docker.sock"))
    }

    /// Copies an image from the machine's engine.
    pub fn load(&self, image: &str) {
        let mut save = Engine::shared().command();
        let mut save = save.args(["save", image]).stdout(Stdio::piped()).spawn().expect("docker starts");
        let mut load = self.engine().command();
        let load = load.arg("load").stdin(save.stdout.take().unwrap()).output().unwrap();
        assert!(load.status.success(), "{}", String::from_utf8_lossy(&load.stderr));
        assert!(save.wait().unwrap().success());
    }

    /// Stops it as the machine's shutdown does, and starts it again.
    pub fn restart(&mut self) {
        self.stop();
        self.run();
    }

    fn run(&mut self) {
        let path = |name: &str| self.path(name);
        let log = File::options().create(true).append(true).open(path("log")).unwrap();
        // Namespaces of its own are a must: an engine without a bridge removes `docker0` from the network that it is in,
        // and that is the machine's engine's too. Its mounts vanish with the other one.
        let child = Command::new("unshare")
            .args(["--net", "--mount", "--", "sh", "-c"])
            .arg(
                "[ -z \"$0\" ] || mount -t tmpfs tmpfs \"$0\" || exit
                 [ -z \"$DISK\" ] || { mkdir -p \"$DATA\" && mount -t tmpfs -o \"size=$DISK\" tmpfs \"$DATA\"; } || exit
                 # Who is in a container there and asks for the machine's engine means this one.
                 (until [ -S \"$SOCKET\" ]; do sleep 0.1; done; mount --bind \"$SOCKET\" /var/run/docker.sock) &
                 exec dockerd \"$@\"",
            )
            .arg(self.hidden.clone().unwrap_or_default())
            .args(["--host", &format!("unix://{}", path("docker.sock"))])
            .args(["--data-root", &path("data"), "--exec-root", &path("exec"), "--pidfile", &path("pid")])
            .args(["--iptables=false", "--ip-forward=false", "--ip-masq=false"])
            .args((!self.bridge).then_some("--bridge=none"))
            // A containerd of the machine's may be shared, and then the names must not be.
            .args([
                "--containerd-namespace",
                &self.name(),
                "--containerd-plugins-namespace",
                &format!("{}-plugins", self.name()),
            ])
            .env("DISK", self.disk.as_deref().unwrap_or_default())
            .env("DATA", path("data"))
            .env("SOCKET", path("docker.sock"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("unshare starts: these tests need the Docker Engine's own program, and root");
        self.child = Some(child);
        let engine = self.engine();
        wait_until("an engine of the test's own answers", 60, || {
            let ended = self.child.as_mut().is_none_or(|child| child.try_wait().unwrap().is_some());
            assert!(!ended, "dockerd ended by itself: {}", self.last_word());
            engine.run(&["version"]).success
        });
    }

    fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself; a failure in here would hide the test's own.
            if let Some(id) = Pid::from_raw(child.id().cast_signed()) {
                let _ = kill_process(id, Signal::TERM);
            }
            let _ = child.wait();
        }
    }

    fn last_word(&self) -> String {
        let log = std::fs::read_to_string(self.path("log")).unwrap_or_default();
        log.lines().last().unwrap_or_default().to_owned()
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn name(&self) -> String {
        self.folder.path().file_name().unwrap().to_string_lossy().into_owned()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let engine = self.engine();
        if let Ok(ids) = engine.command().args(["ps", "--all", "--quiet"]).output() {
            let text = String::from_utf8_lossy(&ids.stdout).into_owned();
            let ids: Vec<&str> = text.lines().collect();
            engine.run(&[&["rm", "--force", "--volumes"], &ids[..]].concat());
        }
        self.stop();
    }
}
