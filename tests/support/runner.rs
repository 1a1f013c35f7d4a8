//! Starts the image with the arguments and the environment that GitHub's runner uses for a container action:
//! `ContainerActionHandler.cs`, `DockerCommandManager.cs` and `ContainerInfo.cs` in actions/runner.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use claude_secrets::settings::INPUTS;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::project::Workspace;
use super::unique;

/// One step that uses the action, before it runs.
pub struct Step<'a> {
    workspace: &'a Workspace,
    inputs: BTreeMap<String, OsString>,
    variables: BTreeMap<String, OsString>,
    options: Vec<String>,
    mounts: Mounts,
}

/// A step that is running.
pub struct Running<'a> {
    workspace: &'a Workspace,
    /// The name of the action's container.
    pub container: String,
    child: Child,
    reader: Option<std::thread::JoinHandle<Vec<u8>>>,
    commands: BTreeMap<&'static str, PathBuf>,
    started: Instant,
}

/// What a step left behind.
pub struct Ran {
    /// The exit status.
    pub status: i32,
    /// What it printed on both streams, as bytes that need not be UTF-8.
    pub bytes: Vec<u8>,
    /// The same as text.
    pub log: String,
    /// The outputs.
    pub outputs: BTreeMap<String, String>,
    /// The job summary.
    pub summary: String,
    /// The text of the JSON report; empty when there is none.
    pub report_text: String,
    /// The JSON report; null when there is none.
    pub report: Value,
    /// What went to the other file commands (`GITHUB_ENV`, `GITHUB_PATH`, `GITHUB_STATE`), all together.
    pub exported: String,
    /// How long it took.
    pub time: Duration,
}

/// The file commands, with the runner's names for their files.
const FILE_COMMANDS: &[(&str, &str)] = &[
    ("GITHUB_OUTPUT", "set_output"),
    ("GITHUB_STATE", "save_state"),
    ("GITHUB_ENV", "set_env"),
    ("GITHUB_PATH", "add_path"),
    ("GITHUB_STEP_SUMMARY", "step_summary"),
];

impl Workspace {
    /// A step that deploys with this delivery: a push on a self-hosted runner.
    pub fn deploy(&self, delivery: &str) -> Step<'_> {
        self.step().input("delivery", delivery)
    }

    /// A step with no inputs given.
    pub fn step(&self) -> Step<'_> {
        Step {
            workspace: self,
            inputs: BTreeMap::new(),
            variables: BTreeMap::new(),
            options: Vec::new(),
            mounts: Mounts::of(self),
        }
    }
}

impl<'a> Step<'a> {
    /// A line of the step's `with:`.
    #[must_use]
    pub fn input(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.inputs.insert(name.to_owned(), value.into());
        self
    }

    /// A line of the step's `env:`, or a variable that the runner would set otherwise.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.variables.insert(name.to_owned(), value.into());
        self
    }

    /// An option of `docker run` that the runner does not use.
    #[must_use]
    pub fn option(mut self, option: &str) -> Self {
        self.options.push(option.to_owned());
        self
    }

    /// As runners before 2.329 start it: `RUNNER_TEMP` is a path of the host, and not mounted (actions/runner#1984).
    #[must_use]
    pub fn older_runner(mut self) -> Self {
        self.mounts.0.retain(|(_, here)| *here != "/github/runner_temp");
        self
    }

    /// Runs the step to its end.
    pub fn run(self) -> Ran {
        self.start().end()
    }

    /// Runs the step, which must end well, and show that nothing was exported to later steps.
    pub fn succeed(self) -> Ran {
        let ran = self.run();
        assert_eq!(ran.status, 0, "{}", ran.log);
        assert_eq!(ran.output("error-code"), "", "{}", ran.log);
        assert_eq!(ran.exported, "");
        ran
    }

    /// Runs the step, which must end with this exit status and error code, and show that nothing was exported.
    pub fn fail(self, status: i32, code: &str) -> Ran {
        let ran = self.run();
        assert_eq!((ran.status, ran.output("error-code")), (status, code), "{}", ran.log);
        assert_eq!(ran.output("result"), "failed");
        assert_eq!(ran.exported, "");
        ran
    }

    /// Starts the step.
    pub fn start(self) -> Running<'a> {
        let workspace = self.workspace;
        let image = super::action_image();
        let number = unique();
        let mounts = &self.mounts;
        let mut commands = BTreeMap::new();
        let mut values = runners_variables(workspace);
        for (variable, file) in FILE_COMMANDS {
            let path = mounts.file_commands().join(format!("{file}_{number}"));
            std::fs::write(&path, "").unwrap();
            values.insert((*variable).to_owned(), path.clone().into());
            commands.insert(*variable, path);
        }
        values.extend(self.input_variables());
        values.extend(self.variables.clone());
        let container = format!("{}_{number}", image.replace([':', '/', '.', '-'], ""));

        let mut command = workspace.engine.command();
        command.args(["run", "--name", &container, "--label", "7f3a21"]);
        command.args(["--workdir", "/github/workspace", "--rm"]);
        for (name, value) in &values {
            command.args(["-e", name]).env(name, mounts.translated(value));
        }
        command.args(["-e", "GITHUB_ACTIONS=true", "-e", "CI=true"]);
        command.args(&self.options);
        command.args(["-v", &format!("{}:/var/run/docker.sock", workspace.engine.socket())]);
        for (host, here) in mounts.0.iter().rev() {
            command.arg("-v").arg(format!("{}:{here}", host.display()));
        }
        let (mut pipe, both) = std::io::pipe().unwrap();
        let child = command
            .arg(&image)
            .stdin(Stdio::null())
            .stdout(both.try_clone().unwrap())
            .stderr(both)
            .spawn()
            .expect("docker starts");
        drop(command); // It holds the pipe's other end.
        let reader = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = pipe.read_to_end(&mut bytes);
            bytes
        });
        Running { workspace, container, child, reader: Some(reader), commands, started: Instant::now() }
    }

    /// Every input of the action, given or by its default: upper-cased, blanks replaced, hyphens kept.
    fn input_variables(&self) -> BTreeMap<String, OsString> {
        let mut all: BTreeMap<&str, OsString> = INPUTS.iter().map(|i| (i.name, i.default.into())).collect();
        for (name, value) in &self.inputs {
            assert!(all.contains_key(name.as_str()), "the action has no input {name}");
            all.insert(name, value.clone());
        }
        all.into_iter()
            .map(|(name, value)| (format!("INPUT_{}", name.to_uppercase().replace(' ', "_")), value))
            .collect()
    }
}

impl Running<'_> {
    /// Sends a signal to the client, as the runner does when a run is cancelled; the client hands it on.
    pub fn signal(&self, signal: Signal) {
        let client = Pid::from_raw(self.child.id().cast_signed()).unwrap();
        kill_process(client, signal).unwrap();
    }

    /// What it has printed so far.
    pub fn log(&self) -> String {
        let done = self.workspace.engine.run(&["logs", &self.container]);
        String::from_utf8_lossy(&done.stdout).into_owned() + &done.stderr
    }

    /// Kills the action's container, as a crash of the machine would.
    pub fn kill(self) {
        self.workspace.engine.text(&["kill", &self.container]);
        self.end_of_client();
    }

    fn end_of_client(mut self) {
        let _ = self.child.wait();
        let _ = self.reader.take().unwrap().join();
    }

    /// Waits for its end.
    pub fn end(mut self) -> Ran {
        let status = self.child.wait().unwrap().code().unwrap_or(-1);
        let time = self.started.elapsed();
        let bytes = self.reader.take().unwrap().join().unwrap();
        let read = |variable: &str| std::fs::read_to_string(&self.commands[variable]).unwrap();
        let outputs = parse_outputs(&read("GITHUB_OUTPUT"));
        let report = outputs.get("report").filter(|path| !path.is_empty());
        let report_text = report.map_or_else(String::new, |path| {
            std::fs::read_to_string(path)
                .unwrap_or_else(|error| panic!("the output `report` names {path}: {error}"))
        });
        Ran {
            status,
            log: String::from_utf8_lossy(&bytes).into_owned(),
            bytes,
            summary: read("GITHUB_STEP_SUMMARY"),
            report: serde_json::from_str(&report_text).unwrap_or_default(),
            report_text,
            exported: ["GITHUB_ENV", "GITHUB_PATH", "GITHUB_STATE"].map(read).concat(),
            outputs,
            time,
        }
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if self.reader.is_some() {
            self.workspace.engine.run(&["rm", "--force", &self.container]);
            let _ = self.child.wait();
        }
    }
}

impl Ran {
    /// An output; empty when it was not set.
    pub fn output(&self, name: &str) -> &str {
        self.outputs.get(name).map_or("", String::as_str)
    }

    /// An output that is a JSON list, sorted.
    pub fn list(&self, name: &str) -> Vec<String> {
        let mut list: Vec<String> = serde_json::from_str(self.output(name)).unwrap();
        list.sort();
        list
    }
}

/// The runner's mounts: host path and container path, in the order in which the runner tries them.
struct Mounts(Vec<(PathBuf, &'static str)>);

impl Mounts {
    fn of(workspace: &Workspace) -> Self {
        let temp = workspace.temp();
        Self(vec![
            (workspace.path().to_owned(), "/github/workspace"),
            (temp.join("_runner_file_commands"), "/github/file_commands"),
            (temp.join("_github_workflow"), "/github/workflow"),
            (temp.join("_github_home"), "/github/home"),
            (temp, "/github/runner_temp"),
        ])
    }

    fn file_commands(&self) -> &Path {
        &self.0[1].0
    }

    /// A value that is a path below a mount, as the container sees it (`TranslateToContainerPath`).
    fn translated(&self, value: &OsStr) -> OsString {
        for (host, here) in &self.0 {
            let (host, value) = (host.as_os_str().as_bytes(), value.as_bytes());
            match value.strip_prefix(host) {
                Some(rest) if rest.is_empty() || rest.starts_with(b"/") => {
                    return OsString::from_vec([here.as_bytes(), rest].concat());
                }
                _ => {}
            }
        }
        value.to_owned()
    }
}

fn runners_variables(workspace: &Workspace) -> BTreeMap<String, OsString> {
    let path = |path: &Path| path.as_os_str().to_owned();
    let temp = workspace.temp();
    let mut all: BTreeMap<String, OsString> = [
        ("GITHUB_ACTION", "secrets"),
        ("GITHUB_ACTOR", "octocat"),
        ("GITHUB_API_URL", "https://api.github.com"),
        ("GITHUB_BASE_REF", ""),
        ("GITHUB_EVENT_NAME", "push"),
        ("GITHUB_GRAPHQL_URL", "https://api.github.com/graphql"),
        ("GITHUB_HEAD_REF", ""),
        ("GITHUB_JOB", "deploy"),
        ("GITHUB_REF", "refs/heads/main"),
        ("GITHUB_REF_NAME", "main"),
        ("GITHUB_REF_TYPE", "branch"),
        ("GITHUB_REPOSITORY_OWNER", "octo-org"),
        ("GITHUB_RUN_ATTEMPT", "1"),
        ("GITHUB_RUN_ID", "1658821493"),
        ("GITHUB_RUN_NUMBER", "3"),
        ("GITHUB_SERVER_URL", "https://github.com"),
        ("GITHUB_SHA", "ffac537e6cbbf934b08745a378932722df287a53"),
        ("GITHUB_WORKFLOW", "Deploy"),
        ("RUNNER_ARCH", "X64"),
        ("RUNNER_ENVIRONMENT", "self-hosted"),
        ("RUNNER_NAME", "runner-1"),
        ("RUNNER_OS", "Linux"),
        // Stays a path of the host, and is not mounted.
        ("RUNNER_TOOL_CACHE", "/opt/hostedtoolcache"),
    ]
    .map(|(name, value)| (name.to_owned(), value.into()))
    .into();
    all.insert("GITHUB_REPOSITORY".into(), format!("octo-org/{}", workspace.repository).into());
    all.insert("GITHUB_WORKSPACE".into(), path(workspace.path()));
    all.insert("GITHUB_EVENT_PATH".into(), path(&temp.join("_github_workflow/event.json")));
    all.insert("HOME".into(), path(&temp.join("_github_home")));
    all.insert("RUNNER_TEMP".into(), path(&temp));
    all.insert("RUNNER_WORKSPACE".into(), path(workspace.runner_workspace()));
    all
}

/// What the runner reads from the file behind `GITHUB_OUTPUT`: `NAME=VALUE`, or `NAME<<MARK`, lines, `MARK`.
fn parse_outputs(text: &str) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let heredoc = line.find("<<").filter(|at| line.find('=').is_none_or(|equals| *at < equals));
        if let Some(at) = heredoc {
            let mark = &line[at + 2..];
            let value: Vec<&str> = lines.by_ref().take_while(|line| *line != mark).collect();
            all.insert(line[..at].to_owned(), value.join("\n"));
        } else {
            let (name, value) = line.split_once('=').expect("a line of GITHUB_OUTPUT");
            all.insert(name.to_owned(), value.to_owned());
        }
    }
    all
}
