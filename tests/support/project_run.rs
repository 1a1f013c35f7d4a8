//! Runs a project of tests/projects, by plain Docker Compose or by the action, and looks whether every program found
//! what it asked for.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::described::{DESCRIPTION, Project, folder};
use super::stand_in::FOUND;
use super::support::engine::Engine;
use super::support::project::Workspace;
use super::support::runner::Ran;
use super::support::{service_image, unique};

/// How long containers may take to say that they found everything.
const PATIENCE: Duration = Duration::from_mins(1);

/// A project with its images.
pub struct Prepared {
    name: &'static str,
    project: Project,
    images: Images,
}

/// Images whose names begin alike. They go when this is dropped.
struct Images {
    prefix: String,
}

/// One run of a project, in a workspace of its own.
struct Run<'a> {
    name: &'static str,
    /// What runs it, for messages.
    how: String,
    project: &'a Project,
    workspace: Workspace,
}

/// The text files of a project by their path, the description too.
pub fn files_of(name: &str) -> BTreeMap<String, String> {
    let root = folder().join(name);
    let (mut all, mut folders) = (BTreeMap::new(), vec![root.clone()]);
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let below = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            all.insert(below, std::fs::read_to_string(&path).unwrap());
        }
    }
    all
}

impl Prepared {
    /// The project for plain Compose.
    pub fn for_compose(name: &'static str) -> Self {
        Self::new(name, Project::read(name))
    }

    /// The project for the action.
    pub fn for_the_action(name: &'static str) -> Self {
        let mut project = Project::read(name);
        let other = std::mem::take(&mut project.services_with_manifest);
        project.services.extend(other);
        Self::new(name, project)
    }

    fn new(name: &'static str, project: Project) -> Self {
        Self { name, images: Images::new(name, &project), project }
    }

    /// Runs it by `docker compose up`, with values as variables.
    pub fn run_with_compose(&self) {
        self.copy("plain Compose").with_compose();
    }

    /// Runs it by the action, with a list of secrets and the values as a step's `env`, and looks for values where they
    /// must not be.
    pub fn run_with_the_action(&self, delivery: &str) {
        self.copy(&format!("delivery {delivery}")).with_the_action(delivery);
    }

    /// Copies the project, `IMAGE` replaced by what the names of its images begin with.
    fn copy(&self, how: &str) -> Run<'_> {
        let workspace = Workspace::new();
        for (path, text) in files_of(self.name) {
            if path != DESCRIPTION {
                workspace.write(&path, text.replace("IMAGE", &self.images.prefix));
            }
        }
        Run { name: self.name, how: how.to_owned(), project: &self.project, workspace }
    }
}

impl Run<'_> {
    fn with_compose(&self) {
        let mut command = self.compose(&["up", "--detach", "--quiet-pull"]);
        command.envs(&self.project.env).envs(&self.project.env_of_compose);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if let Some(words) = &self.project.refused_by_compose {
            assert!(!output.status.success() && said.contains(words), "{}: {}: {said}", self.name, self.how);
            return;
        }
        assert!(output.status.success(), "{}: {}: {said}\n{}", self.name, self.how, self.state());
        self.expect_found();
    }

    fn with_the_action(&self, delivery: &str) {
        let mut step = self.workspace.deploy(delivery).input("wait-timeout", "30s");
        step = step.input("secrets", self.project.secrets.join("\n"));
        step = step.input("project-name", self.workspace.project.as_str());
        for (name, value) in self.project.inputs.iter().chain(&self.project.action) {
            step = step.input(name, value);
        }
        for (name, value) in self.project.env.iter().chain(&self.project.env_of_step) {
            step = step.env(name, value);
        }
        if !self.project.manifest.is_empty() {
            self.workspace.write("claude-secrets.yml", &self.project.manifest);
        }
        let ran = step.run();
        assert!(ran.status == 0, "{}: {}: {}\n{}", self.name, self.how, ran.log, self.state());
        self.expect_found();
        self.expect_no_value(&ran);
    }

    /// `docker compose` in the project's folder.
    fn compose(&self, words: &[&str]) -> Command {
        let mut command = self.workspace.engine.command();
        command.current_dir(self.workspace.path()).stdin(Stdio::null());
        command.args(["compose", "--ansi", "never", "--project-name", &self.workspace.project]);
        for file in self.listed("compose-files") {
            command.args(["--file", file]);
        }
        for profile in self.listed("profiles") {
            command.args(["--profile", profile]);
        }
        command.args(words);
        command
    }

    fn listed(&self, input: &str) -> impl Iterator<Item = &str> {
        self.project.inputs.get(input).into_iter().flat_map(|text| text.lines())
    }

    /// Waits until each container of each service has said that it found everything.
    fn expect_found(&self) {
        let end = Instant::now() + PATIENCE;
        loop {
            let (waiting, failed) = self.faults();
            if waiting.is_empty() && failed.is_empty() {
                return;
            }
            let late = Instant::now() > end;
            assert!(
                failed.is_empty() && !late,
                "{}: {}: {}\n{}",
                self.name,
                self.how,
                [failed, waiting].concat().join("; "),
                self.state()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// What is not yet as it must be, and what never will be.
    fn faults(&self) -> (Vec<String>, Vec<String>) {
        let (mut waiting, mut failed) = (Vec::new(), Vec::new());
        let all = self.containers();
        for (name, service) in &self.project.services {
            let own: Vec<&Value> = all.iter().filter(|raw| service_of(raw) == name).collect();
            if own.len() != service.replicas.unwrap_or(1) {
                failed.push(format!("{name} has {} containers", own.len()));
            }
            for raw in own {
                let state = &raw["State"];
                let log = self.workspace.engine.run(&["logs", raw["Id"].as_str().unwrap()]);
                let found = String::from_utf8_lossy(&log.stdout).contains(FOUND);
                let ended = state["Running"] != true && state["Status"] != "created";
                let well = if service.ends { ended && state["ExitCode"] == 0 } else { !ended };
                if log.stderr.contains("stand-in: ") {
                    failed.push(format!("{name} has not found everything"));
                } else if ended && !well {
                    failed.push(format!("{name} ended with status {}", state["ExitCode"]));
                } else if !found || !well {
                    waiting.push(format!("{name} has not found everything yet"));
                } else if service.health.is_some() && state["Health"]["Status"] != "healthy" {
                    waiting.push(format!("{name} is not healthy"));
                } else if service.health.is_none() && !state["Health"].is_null() {
                    failed.push(format!("{name} has a health check and should have none"));
                }
            }
        }
        for idle in &self.project.idle {
            if all.iter().any(|raw| service_of(raw) == idle) {
                failed.push(format!("{idle} runs"));
            }
        }
        (waiting, failed)
    }

    /// How the containers are and what the stand-ins said, which holds names only.
    fn state(&self) -> String {
        let mut text = String::new();
        for raw in self.containers() {
            let (state, service) = (&raw["State"], service_of(&raw));
            writeln!(text, "-- {service}: {} {}", state["Status"], state["ExitCode"]).unwrap();
            if let Some(error) = state["Error"].as_str().filter(|error| !error.is_empty()) {
                writeln!(text, "{error}").unwrap();
            }
            let log = self.workspace.engine.run(&["logs", "--tail", "30", raw["Id"].as_str().unwrap()]);
            let said = String::from_utf8_lossy(&log.stdout).into_owned() + &log.stderr;
            text.push_str(&said);
            if let Some(last) = state["Health"]["Log"].as_array().and_then(|log| log.last()) {
                writeln!(text, "health check: {}", last["Output"].as_str().unwrap_or_default()).unwrap();
            }
        }
        text
    }

    fn containers(&self) -> Vec<Value> {
        let label = format!("com.docker.compose.project={}", self.workspace.project);
        let ids = self.workspace.engine.containers(&label);
        ids.iter().map(|id| self.workspace.engine.inspect(id)).collect()
    }

    /// No value is in the log, in what the engine tells of containers and images, or in the merged model.
    fn expect_no_value(&self, ran: &Ran) {
        let engine = &self.workspace.engine;
        let mut places: Vec<(String, String)> = Vec::new();
        let told: Vec<&str> = ran.log.lines().filter(|line| !line.starts_with("::add-mask::")).collect();
        places.push(("the log".to_owned(), told.join("\n")));
        places.push(("the report".to_owned(), ran.report_text.clone()));
        for raw in self.containers() {
            let service = service_of(&raw).to_owned();
            let image = raw["Image"].as_str().unwrap();
            places.push((format!("docker inspect of {service}"), raw.to_string()));
            places.push((format!("the image of {service}"), engine.inspect(image).to_string()));
            places.push((
                format!("the history of the image of {service}"),
                engine.text(&["history", "--no-trunc", image]),
            ));
        }
        let files = self.files_with_override(ran.output("override-file"));
        let mut command = self.workspace.engine.command();
        command.current_dir(self.workspace.path()).args([
            "compose",
            "--project-name",
            &self.workspace.project,
        ]);
        for file in &files {
            command.arg("--file").arg(file);
        }
        // What a file requires to be set is set, to nothing of worth.
        command.envs(self.project.declared().into_iter().map(|name| (name, "another")));
        let output = command.args(["--profile", "*", "config", "--format", "json"]).output().unwrap();
        assert!(
            output.status.success(),
            "{}: {}: docker compose config: {}",
            self.name,
            self.how,
            String::from_utf8_lossy(&output.stderr)
        );
        let mut merged: serde_json::Map<String, Value> = serde_json::from_slice(&output.stdout).unwrap();
        // Extensions are not deployed, and no override can change what Compose shows of them.
        merged.retain(|key, _| !key.starts_with("x-"));
        places.push(("docker compose config".to_owned(), serde_json::to_string(&merged).unwrap()));
        for (secret, value) in self.project.values() {
            for line in value.lines().filter(|line| line.len() >= 8) {
                for (place, text) in &places {
                    let as_json = serde_json::to_string(line).unwrap();
                    let forms = [line, as_json.trim_matches('"'), &line.replace('$', "$$")];
                    let any = forms.iter().any(|form| text.contains(form));
                    assert!(!any, "{}: {}: the value of {secret} is in {place}", self.name, self.how);
                }
            }
        }
    }

    /// The project's Compose files and the override file of the action.
    fn files_with_override(&self, override_file: &str) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = self.listed("compose-files").map(PathBuf::from).collect();
        if files.is_empty() {
            let usual = ["compose.yaml", "docker-compose.yml", "compose.override.yaml"];
            files.extend(usual.map(PathBuf::from));
            files.retain(|name| self.workspace.path().join(name).exists());
        }
        files.push(override_file.into());
        files
    }
}

impl Images {
    /// Builds the images of a project: the service image or nothing, the stand-in program, the checks, and the
    /// project's own lines.
    fn new(name: &str, project: &Project) -> Self {
        let this = Self { prefix: format!("csti{}", unique()) };
        let folder = tempfile::tempdir().unwrap();
        let checks = folder.path().join("checks");
        std::fs::create_dir_all(&checks).unwrap();
        for (role, text) in project.checks() {
            std::fs::write(checks.join(role), text).unwrap();
        }
        std::fs::copy(program(), folder.path().join("stand-in")).unwrap();
        for (image, lines) in &project.images {
            let (base, lines) = match lines.split_first() {
                Some((first, rest)) if first == "FROM scratch" => ("scratch".to_owned(), rest),
                _ => (service_image(), &lines[..]),
            };
            let text = format!(
                "FROM {base}\nCOPY stand-in /usr/local/bin/\nCOPY checks /checks\nENV STAND_IN_ROLE={image}\nSTOPSIGNAL SIGKILL\n{}\n",
                lines.join("\n")
            );
            std::fs::write(folder.path().join("Dockerfile"), text).unwrap();
            let mut command = Engine::shared().command();
            // Without the cache, whose parts another test might just be removing.
            command.env("DOCKER_BUILDKIT", "0").args(["build", "--quiet", "--no-cache", "--tag"]);
            let output = command.arg(format!("{}-{image}", this.prefix)).arg(folder.path()).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{name}: cannot build {image}: {said}");
        }
        this
    }
}

impl Drop for Images {
    fn drop(&mut self) {
        // Also what Compose built from these under a name of the project.
        Engine::shared().remove_project(&self.prefix);
    }
}

fn service_of(container: &Value) -> &str {
    container["Config"]["Labels"]["com.docker.compose.service"].as_str().unwrap()
}

/// The stand-in program, made once for all tests.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stand-in");
        let output = Command::new("rustc")
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["--edition", "2024", "-O", "-C", "target-feature=+crt-static"])
            .args(["-C", "strip=symbols", "-C", "panic=abort", "-o"])
            .arg(&path)
            .arg("tests/support/stand_in.rs")
            .output()
            .expect("rustc starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        path
    })
}
