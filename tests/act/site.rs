//! A repository that uses the action, act to run its workflows, and the engine to see what came of it.
//!
//! The repository is new for each test: the action's own `action.yml` with an image that is built `FROM` the one under
//! test, the Compose project of `tests/act/repository`, and the workflows of `tests/act/workflows`. (That the true
//! Dockerfile builds from a checkout is for `scripts/image` and for the repository's own CI to show; act has it built
//! without a cache that anyone else fills, which takes minutes.)

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use claude_secrets::mask::{Plan, Redactor};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// Where the repository's parts lie.
const SOURCES: &str = env!("CARGO_MANIFEST_DIR");

/// The image that the services run, as the Compose project names it.
const SERVICE_IMAGE: &str = "debian:trixie-slim";

/// The server of the README's first workflow.
const README_SERVER: &str = "ssh://deploy@server.example.com";

/// How act names the image of a `uses: ./`, wherever that is.
const ACTION_IMAGE: &str = "act-dockeraction:latest";

/// A volume that act makes for its job containers and leaves.
const ACT_VOLUME: &str = "act-toolcache";

/// More than ten times what the longest run takes.
const LONGEST_RUN: Duration = Duration::from_mins(3);

/// One after the other: act's image has one name for all, and a test waits for the engine most of the time anyway.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Where act runs a job's steps.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Runner {
    /// On this machine, from a copy of the repository that is new for each run: like a self-hosted runner whose checkout
    /// wipes the workspace.
    Machine,
    /// In a container with the repository's own folder: the action's container shares the network, and so the host name,
    /// of that one.
    Container,
}

/// The secrets of a repository, as GitHub keeps them.
pub(crate) type Secrets = BTreeMap<&'static str, String>;

/// A repository with its runner.
pub(crate) struct Site {
    /// The Compose project that is deployed from it.
    pub(crate) project: String,
    runner: Runner,
    delivery: &'static str,
    home: TempDir,
    act: PathBuf,
    had_act_volume: bool,
    /// Whether the workflow names a release, which act is not to fetch.
    released: bool,
    /// Further arguments of act.
    more: Vec<String>,
    _turn: MutexGuard<'static, ()>,
}

/// What became of a run.
pub(crate) struct Run {
    /// Whether act says that the job succeeded.
    pub(crate) succeeded: bool,
    /// All that act printed.
    pub(crate) log: String,
}

/// A container of the project: what changes when it is restarted.
pub(crate) type Standing = BTreeMap<String, (String, String)>;

impl Site {
    /// A new repository for a project of its own.
    pub(crate) fn new(name: &str, runner: Runner, delivery: &'static str) -> Self {
        let (site, image) = Self::empty(name, runner, delivery);
        site.lay_out(&image);
        site
    }

    /// A repository that is one of `examples/`, word for word but for the name of its project, `shop`, and with the release
    /// that its workflow names, as if act had fetched that.
    pub(crate) fn of_example(name: &str, environment: &str) -> Self {
        let (mut site, image) = Self::empty(name, Runner::Machine, "");
        site.lay_out_example(name);
        site.lay_out_release(&image);
        site.released = true;
        site.project += environment;
        site
    }

    /// A repository with the first workflow of the README, word for word but for the server's address, and this Compose file.
    pub(crate) fn of_readme(server: &str, project: &str) -> Self {
        let (mut site, image) = Self::empty("readme", Runner::Machine, "");
        let repository = site.repository();
        fs::create_dir_all(repository.join(".github/workflows")).unwrap();
        let readme = fs::read_to_string(Path::new(SOURCES).join("README.md")).unwrap();
        let (_, after) = readme.split_once("```yaml\nname: ").unwrap();
        let (workflow, _) = after.split_once("```").unwrap();
        assert_eq!(workflow.matches(README_SERVER).count(), 1, "{workflow}");
        let workflow = format!("name: {}", workflow.replace(README_SERVER, server));
        fs::write(repository.join(".github/workflows/deploy.yml"), workflow).unwrap();
        let project = project.replace("name: shop", &format!("name: {}", site.project));
        fs::write(repository.join("docker-compose.yml"), project.replace(SERVICE_IMAGE, &service_image()))
            .unwrap();
        site.commit(&repository);
        site.lay_out_release(&image);
        site.released = true;
        site
    }

    /// A site without a repository, and the image under test.
    fn empty(name: &str, runner: Runner, delivery: &'static str) -> (Self, String) {
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let act = find_act();
        let image = variable("CLAUDE_SECRETS_IMAGE", "claude-secrets-action:dev");
        assert!(
            docker_status(["image", "inspect", &image]),
            "the engine has no image {image}: build it with scripts/image, or name another in CLAUDE_SECRETS_IMAGE"
        );
        let home = tempfile::Builder::new().prefix("claude-secrets-act.").tempdir().unwrap();
        let site = Self {
            project: format!("acting-{name}-{}", std::process::id()),
            runner,
            delivery,
            home,
            act,
            had_act_volume: docker_status(["volume", "inspect", ACT_VOLUME]),
            released: false,
            more: Vec::new(),
            _turn: turn,
        };
        (site, image)
    }

    /// A variable of the repository.
    pub(crate) fn variable(&mut self, name: &str, value: &str) {
        self.more.extend(["--var".to_owned(), format!("{name}={value}")]);
    }

    /// Of a matrix this alone.
    pub(crate) fn only(&mut self, of: &str, value: &str) {
        self.more.extend(["--matrix".to_owned(), format!("{of}:{value}")]);
    }

    /// The folder that has the checkout in it, and nothing of any other test.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// The checkout's folder.
    pub(crate) fn repository(&self) -> PathBuf {
        self.home.path().join("repository")
    }

    /// What the workflows put into `.env`.
    pub(crate) fn webhook_secret(&self) -> String {
        let digest = Sha256::digest(self.project.as_bytes());
        format!("canary-{}", &data_encoding::HEXLOWER.encode(&digest)[..40])
    }

    /// Runs the push event's workflow.
    pub(crate) fn push(&self, secrets: &Secrets) -> Run {
        self.act("push", "push.yml", &[], secrets)
    }

    /// Runs the workflow that is started by hand, with its inputs.
    pub(crate) fn dispatch(&self, inputs: &[(&str, &str)], secrets: &Secrets) -> Run {
        self.act("workflow_dispatch", "dispatch.yml", inputs, secrets)
    }

    /// Runs an example's workflow.
    pub(crate) fn example(&self, event: &str, inputs: &[(&str, &str)], secrets: &Secrets) -> Run {
        self.act(event, "deploy.yml", inputs, secrets)
    }

    fn act(&self, event: &str, workflow: &str, inputs: &[(&str, &str)], secrets: &Secrets) -> Run {
        let home = self.home.path();
        let secret_file = home.join("secrets.yml");
        // JSON is YAML, and keeps every byte.
        fs::write(&secret_file, serde_json::to_string(secrets).unwrap()).unwrap();
        let log_file = home.join("log");
        let log = File::create(&log_file).unwrap();
        let mut command = Command::new(&self.act);
        command
            .arg(event)
            .arg("--workflows")
            .arg(self.repository().join(".github/workflows").join(workflow))
            .args(["--pull=false", "--rm", "--no-cache-server"])
            .arg("--secret-file")
            .arg(&secret_file)
            // Not the repository's .env, which act would hand to every step.
            .arg("--env-file")
            .arg(home.join("no.env"))
            .args(["--var", &format!("PROJECT={}", self.project)])
            .args(["--var", &format!("DELIVERY={}", self.delivery)]);
        for (name, value) in inputs {
            command.args(["--input", &format!("{name}={value}")]);
        }
        match self.runner {
            Runner::Machine => {
                let cache = home.join(".cache/act");
                fs::create_dir_all(&cache).unwrap();
                // act gives the action's container the checkout, and not the files by which it tells its outputs.
                let mount = format!("-v {0}:{0}", cache.display());
                command.args(["-P", "ubuntu-latest=-self-hosted", "-P", "self-hosted=-self-hosted"]);
                command.args(["--container-options", &mount]);
            }
            Runner::Container => {
                command.args(["-P", &format!("ubuntu-latest={}", service_image()), "--bind"]);
            }
        }
        command.args(&self.more);
        if self.released {
            command.arg("--action-offline-mode");
        }
        // act in `-self-hosted` hands its whole environment to every step.
        let mut child = command
            .current_dir(self.repository())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", home)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let end = Instant::now() + LONGEST_RUN;
        let status = loop {
            match child.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if Instant::now() > end => break None,
                None => std::thread::sleep(Duration::from_millis(50)),
            }
        };
        if status.is_none() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let log = String::from_utf8_lossy(&fs::read(&log_file).unwrap()).into_owned();
        let Some(status) = status else {
            panic!("act did not end in {LONGEST_RUN:?}:\n{log}");
        };
        let run = Run { succeeded: status.success(), log };
        self.expect_clean("act's log", run.log.as_bytes());
        run
    }

    /// No value of ours is in the bytes, neither as it is nor in any form that is masked.
    pub(crate) fn expect_clean(&self, what: &str, bytes: &[u8]) {
        let secrets = secrets();
        let webhook = self.webhook_secret();
        let values = secrets
            .iter()
            .map(|(name, value)| (*name, value.as_bytes()))
            .chain([("WEBHOOK_SECRET", webhook.as_bytes())]);
        let redactor = Redactor::new(&Plan::new(values));
        assert_eq!(redactor.names_in(bytes), Vec::<&str>::new(), "values in {what}");
        assert!(!String::from_utf8_lossy(bytes).contains("canary"), "a part of a value in {what}");
    }

    /// The project's containers.
    pub(crate) fn standing(&self) -> Standing {
        let label = format!("label=com.docker.compose.project={}", self.project);
        let ids = docker(["ps", "-aq", "--no-trunc", "--filter", &label]);
        ids.lines()
            .map(|id| {
                let format = "{{index .Config.Labels \"com.docker.compose.service\"}} {{.State.StartedAt}}";
                let line = docker(["inspect", "--format", format, id]);
                let (service, started) = line.trim().split_once(' ').unwrap();
                (service.to_owned(), (id.to_owned(), started.to_owned()))
            })
            .collect()
    }

    /// A service has exactly these files below `/run/secrets`, and can read them as the user that it runs as.
    pub(crate) fn expect_reads(&self, service: &str, expected: &[(&str, &str)]) {
        let standing = self.standing();
        let (id, _) = &standing[service];
        let listed = docker(["exec", id, "find", "/run/secrets", "-follow", "-type", "f", "-printf", "%f\n"]);
        let mut listed: Vec<_> = listed.lines().collect();
        listed.sort_unstable();
        let names: Vec<_> = expected.iter().map(|(name, _)| *name).collect();
        assert_eq!(listed, names, "the files of {service}");
        for (name, value) in expected {
            let path = format!("/run/secrets/{name}");
            let read = docker_bytes(["exec", id, "cat", &path]);
            assert!(
                read == value.as_bytes(),
                "{service} reads {} bytes of {name}, and not its {} bytes",
                read.len(),
                value.len()
            );
        }
    }

    /// `docker inspect` of every container shows no value.
    pub(crate) fn expect_clean_inspect(&self) {
        let standing = self.standing();
        let ids = standing.values().map(|(id, _)| id.as_str());
        let inspected = docker(std::iter::once("inspect").chain(ids));
        self.expect_clean("docker inspect", inspected.as_bytes());
    }

    /// What carries the project's name in the engine.
    pub(crate) fn left_in_engine(&self) -> Vec<(&'static str, String)> {
        let name = format!("name={}", self.project);
        [
            ("container", vec!["ps", "-a", "--format", "{{.Names}}"]),
            ("volume", vec!["volume", "ls", "--format", "{{.Name}}"]),
            ("network", vec!["network", "ls", "--format", "{{.Name}}"]),
        ]
        .into_iter()
        .flat_map(|(kind, list)| {
            let found = docker(list.into_iter().chain(["--filter", &name]));
            let lines: Vec<_> = found.lines().map(|line| (kind, line.to_owned())).collect();
            lines
        })
        .collect()
    }

    fn lay_out(&self, image: &str) {
        let repository = self.repository();
        let sources = Path::new(SOURCES);
        fs::create_dir_all(repository.join(".github/workflows")).unwrap();
        let action = fs::read_to_string(sources.join("action.yml")).unwrap();
        assert!(action.contains("  image: Dockerfile\n"), "action.yml does not build the Dockerfile");
        fs::write(repository.join("action.yml"), action).unwrap();
        fs::write(repository.join("Dockerfile"), format!("FROM {image}\n")).unwrap();
        for name in ["docker-compose.yml", "claude-secrets.yml", ".gitignore"] {
            let text = fs::read_to_string(sources.join("tests/act/repository").join(name)).unwrap();
            fs::write(repository.join(name), text.replace(SERVICE_IMAGE, &service_image())).unwrap();
        }
        for name in ["push.yml", "dispatch.yml"] {
            let from = sources.join("tests/act/workflows").join(name);
            fs::copy(from, repository.join(".github/workflows").join(name)).unwrap();
        }
        self.commit(&repository);
    }

    fn lay_out_example(&self, name: &str) {
        let (repository, example) = (self.repository(), Path::new(SOURCES).join("examples").join(name));
        fs::create_dir_all(repository.join(".github/workflows")).unwrap();
        let mut named = 0;
        let mut folders = vec![PathBuf::new()];
        let mut files = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(example.join(&folder)).unwrap() {
                let entry = entry.unwrap();
                let path = folder.join(entry.file_name());
                if entry.path().is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
        for name in files {
            let name = name.display().to_string();
            let text = fs::read_to_string(example.join(&name)).unwrap();
            named += text.matches("name: shop").count();
            let text = text.replace("name: shop", &format!("name: {}", self.project));
            let text = text.replace(SERVICE_IMAGE, &service_image());
            let to = if name == "deploy.yml" { ".github/workflows/deploy.yml" } else { &name };
            let to = repository.join(to);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::write(to, text).unwrap();
        }
        assert!(named > 0, "the example {name} does not name its project");
        self.commit(&repository);
    }

    /// The action as the tag `v1` has it, where act looks for what it has fetched.
    fn lay_out_release(&self, image: &str) {
        let action = self.home.path().join(".cache/act/org-claude-secrets-action@v1");
        fs::create_dir_all(&action).unwrap();
        let text = fs::read_to_string(Path::new(SOURCES).join("action.yml")).unwrap();
        let text = text.replace("  image: Dockerfile\n", &format!("  image: docker://{image}\n"));
        fs::write(action.join("action.yml"), text).unwrap();
        self.commit(&action);
        self.git(&action, &["tag", "v1"]);
        self.git(&action, &["remote", "add", "origin", "https://github.com/org/claude-secrets-action"]);
    }

    /// Makes a repository of a folder, with everything in it.
    fn commit(&self, folder: &Path) {
        fs::write(self.home.path().join("no.env"), "").unwrap();
        self.git(folder, &["init", "--quiet", "--initial-branch=main"]);
        self.git(folder, &["add", "--all"]);
        self.git(folder, &["commit", "--quiet", "--message=A project"]);
    }

    fn git(&self, folder: &Path, words: &[&str]) {
        let status = Command::new("git")
            .args(["-c", "user.name=test", "-c", "user.email=test@localhost"])
            .args(words)
            .current_dir(folder)
            .env("HOME", self.home.path())
            .status()
            .unwrap();
        assert!(status.success(), "git {words:?}");
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        for kind in ["container", "network", "volume"] {
            for (_, name) in self.left_in_engine().iter().filter(|(k, _)| *k == kind) {
                let words: &[&str] =
                    if kind == "container" { &["rm", "--force", "--volumes"] } else { &[kind, "rm"] };
                docker_status(words.iter().copied().chain([name.as_str()]));
            }
        }
        // What Compose built for the service `web`.
        docker_status(["image", "rm", &format!("{}-web", self.project)]);
        // Only the name: the image is the one under test.
        docker_status(["image", "rm", ACTION_IMAGE]);
        if !self.had_act_volume {
            docker_status(["volume", "rm", ACT_VOLUME]);
        }
    }
}

impl Run {
    /// The step's outputs, as the step after it has them.
    pub(crate) fn outputs(&self) -> BTreeMap<String, String> {
        let printed = self.printed();
        let start = printed
            .iter()
            .position(|line| line.starts_with("outputs "))
            .unwrap_or_else(|| panic!("no step printed the outputs:\n{}", self.log));
        let json: Vec<_> =
            printed[start..].iter().take_while(|line| **line != "end of outputs").copied().collect();
        serde_json::from_str(json.join("\n").trim_start_matches("outputs ")).unwrap()
    }

    /// What follows `prefix` in the one printed line that begins with it.
    pub(crate) fn said(&self, prefix: &str) -> &str {
        let found: Vec<_> = self.printed().into_iter().filter_map(|line| line.strip_prefix(prefix)).collect();
        assert_eq!(found.len(), 1, "lines that begin with {prefix:?}:\n{}", self.log);
        found[0]
    }

    /// What the steps printed, without act's prefix.
    pub(crate) fn printed(&self) -> Vec<&str> {
        self.log.lines().filter_map(|line| line.split_once("]   | ").map(|(_, text)| text)).collect()
    }
}

/// The secrets that the workflows name, each with a mark in every line that is no frame.
pub(crate) fn secrets() -> Secrets {
    BTreeMap::from([
        ("API_KEY", "canary-api $HOME ${PATH} 'single' \"double\" \\n %0A é".to_owned()),
        (
            "KEY_PEM",
            "-----BEGIN TEST KEY-----\ncanary+first/line==\n  canary+second $line\n-----END TEST KEY-----\n\n".to_owned(),
        ),
    ])
}

fn find_act() -> PathBuf {
    let act = PathBuf::from(variable("CLAUDE_SECRETS_ACT", "act"));
    let works = Command::new(&act).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(
        works.is_ok_and(|status| status.success()),
        "{} does not run: install act, or name it in CLAUDE_SECRETS_ACT, or run the tests with scripts/test, which \
         brings one along",
        act.display()
    );
    act
}

fn service_image() -> String {
    variable("CLAUDE_SECRETS_TEST_IMAGE", SERVICE_IMAGE)
}

fn variable(name: &str, otherwise: &str) -> String {
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => value,
        _ => otherwise.to_owned(),
    }
}

pub(crate) fn docker<S: AsRef<OsStr>>(words: impl IntoIterator<Item = S>) -> String {
    String::from_utf8(docker_bytes(words)).unwrap()
}

fn docker_bytes<S: AsRef<OsStr>>(words: impl IntoIterator<Item = S>) -> Vec<u8> {
    let output = Command::new("docker").args(words).output().unwrap();
    assert!(output.status.success(), "docker: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn docker_status<S: AsRef<OsStr>>(words: impl IntoIterator<Item = S>) -> bool {
    Command::new("docker")
        .args(words)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
