//! A Docker Engine as a test looks at it: containers of a project, what is in them, volumes, and a way to clean up.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Command, Stdio};

use serde_json::Value;

/// An engine, by its socket.
#[derive(Clone)]
pub struct Engine {
    socket: String,
}

/// What a program left behind.
pub struct Done {
    pub success: bool,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Engine {
    /// The machine's engine.
    pub fn shared() -> Self {
        Self::at("/var/run/docker.sock")
    }

    /// The engine that listens there.
    pub fn at(socket: &str) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// The path of its socket.
    pub fn socket(&self) -> &str {
        &self.socket
    }

    /// Where containers of the engine's own network reach this machine: what is their default route.
    pub fn gateway(&self) -> IpAddr {
        let image = super::service_image();
        let routes = self.text(&["run", "--rm", &image, "cat", "/proc/net/route"]);
        // Interface, destination, gateway: numbers in hexadecimal, of this machine's order of bytes (proc(5)).
        let mut ways = routes.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
        let default = ways.find(|way| way[1] == "00000000").expect("a default route");
        Ipv4Addr::from(u32::from_str_radix(default[2], 16).unwrap().to_ne_bytes()).into()
    }

    /// `docker` for this engine, with an environment of its own.
    pub fn command(&self) -> Command {
        let mut command = Command::new("docker");
        command
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| name == "PATH"))
            .env("DOCKER_HOST", format!("unix://{}", self.socket));
        command
    }

    /// Runs `docker`, whatever its end.
    pub fn run(&self, words: &[&str]) -> Done {
        let output = self.command().args(words).stdin(Stdio::null()).output().expect("docker starts");
        Done {
            success: output.status.success(),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs `docker`, which must end well, and returns what it printed, without the last line end.
    pub fn text(&self, words: &[&str]) -> String {
        let done = self.run(words);
        assert!(done.success, "docker {words:?}: {}", done.stderr);
        String::from_utf8_lossy(&done.stdout).trim_end().to_owned()
    }

    /// The same, as lines.
    pub fn lines(&self, words: &[&str]) -> Vec<String> {
        self.text(words).lines().map(str::to_owned).collect()
    }

    /// Whether it has an image.
    pub fn has_image(&self, image: &str) -> bool {
        self.run(&["image", "inspect", image]).success
    }

    /// Makes an image from the service image and more lines of a Dockerfile.
    pub fn build(&self, tag: &str, lines: &str) {
        let mut child = self
            .command()
            .env("DOCKER_BUILDKIT", "0")
            .args(["build", "--quiet", "--tag", tag, "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker starts");
        let text = format!("FROM {}\n{lines}\n", super::service_image());
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "cannot build {tag}");
    }

    /// `docker inspect` of containers, volumes or images.
    pub fn inspect(&self, what: &str) -> Value {
        let text = self.text(&["inspect", what]);
        let all: Value = serde_json::from_str(&text).unwrap();
        all[0].clone()
    }

    /// Ids of the containers with a label, also of ended ones, sorted.
    pub fn containers(&self, label: &str) -> Vec<String> {
        let filter = format!("label={label}");
        let mut ids = self.lines(&["ps", "--all", "--quiet", "--no-trunc", "--filter", &filter]);
        ids.sort();
        ids
    }

    /// Names of the volumes with a label, sorted.
    pub fn volumes(&self, label: &str) -> Vec<String> {
        let mut names = self.lines(&["volume", "ls", "--quiet", "--filter", &format!("label={label}")]);
        names.sort();
        names
    }

    /// The bytes of a file in a running container, read as the container's own user; `None` when it cannot be read.
    pub fn read(&self, container: &str, path: &str) -> Option<Vec<u8>> {
        let done = self.run(&["exec", container, "cat", path]);
        done.success.then_some(done.stdout)
    }

    /// Removes what a Compose project and our runs for it made.
    pub fn remove_project(&self, project: &str) {
        for label in ["com.docker.compose.project", "claude-secrets.project", "claude-secrets.data-of"] {
            let label = format!("{label}={project}");
            let filter = format!("label={label}");
            self.remove(&["ps", "-aq", "--filter", &filter], &["rm", "--force", "--volumes"]);
            self.remove(&["network", "ls", "-q", "--filter", &filter], &["network", "rm"]);
            self.remove(&["volume", "ls", "-q", "--filter", &filter], &["volume", "rm", "--force"]);
        }
        let images = format!("reference={project}*");
        self.remove(&["image", "ls", "-q", "--filter", &images], &["image", "rm", "--force"]);
    }

    /// Removes what is listed. A network that a container has just left, say, may not be removable at once.
    fn remove(&self, list: &[&str], remove: &[&str]) {
        for _ in 0..10 {
            let listed = self.run(list);
            let text = String::from_utf8_lossy(&listed.stdout).into_owned();
            let ids: Vec<&str> = text.lines().collect();
            if ids.is_empty() || self.run(&[remove, &ids].concat()).success {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
    }
}
