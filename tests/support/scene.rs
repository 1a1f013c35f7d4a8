//! A project directory of its own for one test, the command line with a scrubbed environment, and the real engine.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

/// The image that services are made from; it has a shell, `cat` and `base64`.
pub fn service_image() -> String {
    std::env::var("CLAUDE_SECRETS_TEST_IMAGE").unwrap_or_else(|_| "debian:trixie-slim".to_owned())
}

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_claude-secrets");

/// A project on disk with a name that no other test has. When it is dropped, everything that the engine has of it goes.
pub struct Scene {
    root: TempDir,
    /// The Compose project's name.
    pub name: String,
}

/// What a finished program left behind.
pub struct Done {
    pub code: i32,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Scene {
    /// An empty project.
    pub fn new(kind: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{kind}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let root = tempfile::tempdir().unwrap();
        // Users other than root get here in some tests.
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(root.path().join("project")).unwrap();
        fs::create_dir(root.path().join("home")).unwrap();
        Self { root, name }
    }

    /// Where the project is.
    pub fn project(&self) -> PathBuf {
        self.root.path().join("project")
    }

    /// A place beside the project, for what is no part of it.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Writes a file of the project.
    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.project().join(path);
        write_private(&path, text);
        path
    }

    /// The Compose file: `text` below the project's name.
    pub fn compose(&self, text: &str) {
        let text = format!("name: {}\n{text}", self.name).replace("IMAGE", &service_image());
        self.write("compose.yaml", text);
    }

    /// A call of the program in the project's directory, with nothing of this process's environment but what is needed
    /// to find Docker.
    pub fn cli<S: AsRef<std::ffi::OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(words);
        self.scrubbed(command)
    }

    /// Any command, called like the program.
    pub fn scrubbed(&self, mut command: Command) -> Command {
        command.current_dir(self.project()).env_clear();
        for name in ["PATH", "HOME", "DOCKER_HOST"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
    }

    /// The project's containers by service: id and time of the start.
    pub fn containers(&self) -> BTreeMap<String, (String, String)> {
        let ids = docker(["ps", "-aq", "--filter", &self.label()]);
        let mut all = BTreeMap::new();
        for id in ids.split_whitespace() {
            let format =
                r#"{{index .Config.Labels "com.docker.compose.service"}} {{.Id}} {{.State.StartedAt}}"#;
            let line = docker(["inspect", "--format", format, id]);
            let mut words = line.split_whitespace().map(str::to_owned);
            if let (Some(service), Some(id), Some(at)) = (words.next(), words.next(), words.next()) {
                all.insert(service, (id, at));
            }
        }
        all
    }

    /// Every file, directory and link below the project with its mode and content.
    pub fn tree(&self) -> BTreeMap<PathBuf, (u32, u32, Vec<u8>)> {
        let mut all = BTreeMap::new();
        walk(&self.project(), &mut all);
        all
    }

    fn label(&self) -> String {
        format!("label=com.docker.compose.project={}", self.name)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let own = format!("label=claude-secrets.project={}", self.name);
        for filter in [&self.label(), &own] {
            let ids = docker(["ps", "-aq", "--filter", filter]);
            if !ids.trim().is_empty() {
                docker(["rm", "--force", "--volumes"].into_iter().chain(ids.split_whitespace()));
            }
            for kind in ["network", "volume"] {
                let ids = docker([kind, "ls", "-q", "--filter", filter]);
                if !ids.trim().is_empty() {
                    docker([kind, "rm"].into_iter().chain(ids.split_whitespace()));
                }
            }
        }
        // What Compose built for the project.
        let built = docker(["image", "ls", "-q", "--filter", &self.label()]);
        let built: BTreeSet<&str> = built.split_whitespace().collect();
        if !built.is_empty() {
            docker(["image", "rm", "--force"].into_iter().chain(built));
        }
    }
}

/// Runs a command to its end.
pub fn done(mut command: Command) -> Done {
    let output = command.stdin(Stdio::null()).output().unwrap();
    Done {
        code: output.status.code().unwrap_or(-1),
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl Done {
    /// Fails the test with what the program said, unless it ended with this status.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "it said:\n{}", self.stderr);
        self
    }
}

/// The real `docker`; what it prints on standard output.
pub fn docker<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let output = Command::new("docker").args(words).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Writes a file that only its owner may read, with the directories above it.
pub fn write_private(path: &Path, bytes: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Writes a shell script that can be run.
pub fn write_script(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// The PATH of a child that finds a directory's programs first.
pub fn path_with(first: &Path) -> String {
    format!("{}:{}", first.display(), std::env::var("PATH").unwrap_or_default())
}

/// Whether this process is root, which mounts and other users need.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn walk(directory: &Path, all: &mut BTreeMap<PathBuf, (u32, u32, Vec<u8>)>) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for path in entries.map(|entry| entry.unwrap().path()) {
        let meta = fs::symlink_metadata(&path).unwrap();
        let content = if meta.is_file() { fs::read(&path).unwrap_or_default() } else { Vec::new() };
        all.insert(path.clone(), (meta.mode(), meta.uid(), content));
        if meta.is_dir() {
            walk(&path, all);
        }
    }
}
