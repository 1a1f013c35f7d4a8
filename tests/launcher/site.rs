//! A folder with secrets, and containers that have it, the launcher and the probe where a service has them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use claude_secrets_launcher::interface;
use tempfile::TempDir;

use crate::support::engine::Engine;
use crate::support::{action_image, unique};

/// Secrets, and what is asked for of them.
pub struct Site {
    folder: TempDir,
    variables: Vec<(String, String)>,
    arguments: Vec<(String, String)>,
    label: String,
}

/// How a container ended, and what it printed.
pub struct Ran {
    pub status: i32,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Site {
    pub fn new() -> Self {
        let this = Self {
            folder: tempfile::tempdir().unwrap(),
            variables: Vec::new(),
            arguments: Vec::new(),
            label: format!("cst-launcher={}", unique()),
        };
        std::fs::create_dir(this.secrets()).unwrap();
        set_mode(&this.secrets(), 0o755);
        this
    }

    /// With a file among the secrets that everyone in a container can read.
    pub fn file(self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        let path = self.secrets().join(name);
        std::fs::write(&path, bytes).unwrap();
        set_mode(&path, 0o444);
        self
    }

    /// With a file that only root can read.
    pub fn roots_file(self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        let this = self.file(name, bytes);
        set_mode(&this.secrets().join(name), 0o400);
        this
    }

    /// With a variable to set from a file.
    pub fn variable(mut self, name: &str, file: &str) -> Self {
        self.variables.push((name.to_owned(), file.to_owned()));
        self
    }

    /// With a value for arguments.
    pub fn argument(mut self, name: &str, file: &str) -> Self {
        self.arguments.push((name.to_owned(), file.to_owned()));
        self
    }

    /// `docker VERB` with what a service has: secrets, launcher, and the variables that tell it what to do.
    pub fn docker(&self, verb: &str) -> Command {
        let mut command = Engine::shared().command();
        let mount = |from: &Path, to: &str| format!("--volume={}:{to}:ro", from.display());
        command
            .args([verb, "--network=none", "--hostname=host", "--label", &self.label])
            .arg(mount(&self.secrets(), interface::SECRETS))
            .arg(mount(&parts().launcher, interface::PATH))
            .arg(mount(&parts().probe, "/probe"))
            .arg(format!("--env={}={}", interface::VARIABLES, list(&self.variables)))
            .arg(format!("--env={}={}", interface::ARGUMENTS, list(&self.arguments)));
        command
    }

    /// Runs a container with these options and words behind the image's name, to its end.
    pub fn run(&self, options: &[&str], image: &str, words: &[&str]) -> Ran {
        ended(self.docker("run").arg("--rm").args(options).arg(image).args(words))
    }

    /// The same with the launcher before the words.
    pub fn launch(&self, options: &[&str], image: &str, words: &[&str]) -> Ran {
        let entry = format!("--entrypoint={}", interface::PATH);
        self.run(&[options, &[&entry]].concat(), image, &[&["--"], words].concat())
    }

    /// Starts a container, with the launcher before the words, that runs on; returns its id.
    pub fn start(&self, options: &[&str], image: &str, words: &[&str]) -> String {
        let mut command = self.docker("run");
        command.arg("--detach").arg(format!("--entrypoint={}", interface::PATH));
        let ran = ended(command.args(options).args([image, "--"]).args(words));
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        String::from_utf8(ran.stdout).unwrap().trim().to_owned()
    }

    fn secrets(&self) -> PathBuf {
        self.folder.path().join("secrets")
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let engine = Engine::shared();
        for container in engine.containers(&self.label) {
            engine.run(&["rm", "--force", &container]);
        }
    }
}

/// Runs it to its end.
pub fn ended(command: &mut Command) -> Ran {
    let done = command.stdin(std::process::Stdio::null()).output().unwrap();
    Ran {
        status: done.status.code().unwrap_or(-1),
        stdout: done.stdout,
        stderr: String::from_utf8_lossy(&done.stderr).into_owned(),
    }
}

/// An image that is made of these lines of a Dockerfile; it is removed on drop.
pub struct Image(pub String);

impl Image {
    pub fn of(lines: &str) -> Self {
        use std::io::Write as _;
        let tag = format!("cst-launcher-{}", unique());
        let mut command = Engine::shared().command();
        let mut child = command
            .env("DOCKER_BUILDKIT", "0")
            .args(["build", "--quiet", "--tag", &tag, "-"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "cannot build an image of {lines}");
        Self(tag)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        Engine::shared().run(&["image", "rm", "--force", &self.0]);
    }
}

/// The programs that containers get.
struct Parts {
    launcher: PathBuf,
    probe: PathBuf,
}

fn parts() -> &'static Parts {
    static PARTS: OnceLock<Parts> = OnceLock::new();
    PARTS.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("launcher-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let parts = Parts { launcher: folder.join("exec"), probe: folder.join("probe") };
        let engine = Engine::shared();
        let container = engine.text(&["create", &action_image()]);
        let from = format!("{container}:/usr/local/bin/claude-secrets-exec");
        let copied = engine.run(&["cp", &from, parts.launcher.to_str().unwrap()]);
        engine.run(&["rm", &container]);
        assert!(copied.success, "the action's image has no launcher: {}", copied.stderr);
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/launcher/probe.c");
        // The compiler that Rust itself needs for linking.
        let compiled = Command::new("cc")
            .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-Os", "-static", "-o"])
            .args([&parts.probe, &source])
            .output()
            .unwrap();
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
        parts
    })
}

fn list(pairs: &[(String, String)]) -> String {
    interface::pairs(pairs.iter().map(|(name, file)| (name.as_str(), file.as_str())))
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}
