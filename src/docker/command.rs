//! Runs `docker` and `docker compose`: a scrubbed environment, nothing secret in argv, output through the redactor,
//! and a child that ends when the run is interrupted.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Pid;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio_util::io::{InspectReader, InspectWriter};
use zeroize::Zeroizing;

use super::api::Link;
use super::child_limits::{MOST_MEMORY, MOST_OUTPUT, MOST_SILENCE, Moves, is_out_of_memory, limit_memory};
use super::placeholder;
use super::said::{Said, unset_variables};
use crate::arguments::Arguments;
use crate::console::{Console, Edit};
use crate::error::{Code, Error, Result, plain_reason};
use crate::files;
use crate::interrupt::Interrupt;
use crate::sensitive::ChildVariables;

/// How long a child may take to end after SIGTERM. The runner kills the action 10 s after its SIGINT (7.5 s to SIGTERM,
/// 2.5 s to the end of all), so that we must be done in less than 7 s.
const GRACE: Duration = Duration::from_secs(5);

/// What is kept of a program's messages.
const MOST_ERRORS: usize = 1024 * 1024;

/// Where Docker looks for its plugins (docker/cli `cli-plugins/manager`), the ones below `HOME` apart.
const PLUGIN_DIRECTORIES: &[&str] = &[
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
];

/// The Docker programs with the environment that they get.
#[derive(Clone)]
pub struct Tools {
    compose: Vec<OsString>,
    environment: BTreeMap<OsString, OsString>,
    console: Arc<Console>,
    interrupt: Interrupt,
    link: Arc<Link>,
}

/// What a program reads on its standard input; it may hold values.
type Input = Zeroizing<Vec<u8>>;

/// One call of a program, before it is started.
pub struct Call {
    /// The program, with the word that makes `docker` run its plugin.
    program: Vec<OsString>,
    arguments: Arguments,
    input: Option<Input>,
    /// What is known of the files that Docker Compose reads; `None` for other programs.
    said: Option<Arc<Said>>,
    tools: Tools,
}

/// What a program left behind. It has no `Debug`: its output may hold anything.
pub struct Output {
    /// Whether it ended with status 0.
    pub success: bool,
    /// Its standard output, as it was.
    pub stdout: Zeroizing<Vec<u8>>,
    /// Its standard error, redacted, without trailing line ends. Of Docker Compose only why it failed.
    pub stderr: String,
    /// The variables that Compose says are not set. Names of variables of env files may be among them, which are parts
    /// of values: they must not be printed.
    pub unset: BTreeSet<String>,
    /// The declared secrets whose stand-ins are in what Compose says.
    pub secrets: BTreeSet<String>,
}

impl Tools {
    /// Finds the programs. `variables` is the whole environment that children get.
    pub fn new(variables: ChildVariables, console: Arc<Console>, interrupt: Interrupt) -> Self {
        let environment = variables.into_map();
        let compose = find_compose(&environment);
        Self { compose, environment, console, interrupt, link: Arc::default() }
    }

    /// The same programs with one more variable, e.g. a private `DOCKER_CONFIG`.
    #[must_use]
    pub fn with_variable(mut self, name: &str, value: &OsStr) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// The same programs for the engine behind this socket, whatever variables and contexts say.
    #[must_use]
    pub fn for_socket(mut self, socket: &Path) -> Self {
        for name in ["DOCKER_CONTEXT", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"] {
            self.environment.remove(OsStr::new(name));
        }
        let mut host = OsString::from("unix://");
        host.push(socket);
        // What is known of another engine does not hold for this one.
        self.link = Arc::default();
        self.with_variable("DOCKER_HOST", &host)
    }

    /// The same programs, which an interrupt does not stop: for putting things in order at the end.
    #[must_use]
    pub fn uninterrupted(&self) -> Self {
        Self { interrupt: Interrupt::default(), ..self.clone() }
    }

    /// A variable of the children, as they will see it.
    pub fn variable(&self, name: &str) -> Option<&OsStr> {
        self.environment.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// The path of the engine's socket: what `DOCKER_HOST` says, else the default.
    pub fn socket(&self) -> PathBuf {
        let host = self.variable("DOCKER_HOST").and_then(OsStr::to_str);
        host.and_then(|host| host.strip_prefix("unix://")).unwrap_or("/var/run/docker.sock").into()
    }

    pub(super) fn link(&self) -> &Link {
        &self.link
    }

    pub(super) fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    pub(super) fn console(&self) -> &Console {
        &self.console
    }

    /// By what the program of Docker Compose is known again: its size and the time of its last change. `None` where it is a
    /// plugin that `docker` looks for.
    pub(super) fn compose_program(&self) -> Option<String> {
        let path = self.compose.first().map(Path::new).filter(|path| path.is_absolute())?;
        let meta = std::fs::metadata(path).ok()?;
        Some(format!("{} {}.{}", meta.len(), meta.mtime(), meta.mtime_nsec()))
    }

    /// A call of `docker`, which begins with these words.
    pub fn docker(&self, words: &[&'static str]) -> Call {
        let arguments = Arguments::new(words);
        Call { program: vec!["docker".into()], arguments, input: None, said: None, tools: self.clone() }
    }

    /// A call of Docker Compose, which begins with these words.
    pub fn compose(&self, words: &[&'static str]) -> Call {
        Call {
            program: self.compose.clone(),
            arguments: Arguments::new(words),
            input: None,
            said: Some(Arc::default()),
            tools: self.clone(),
        }
    }
}

impl Call {
    /// Adds words of the program: commands and switches.
    #[must_use]
    pub fn words(mut self, words: &[&'static str]) -> Self {
        self.arguments.words(words);
        self
    }

    /// Adds a long option (`--label`) with its value.
    #[must_use]
    pub fn option(mut self, option: &'static str, value: impl AsRef<OsStr>) -> Self {
        self.arguments.option(option, value);
        self
    }

    /// Adds names: of services, containers, images, volumes. They come last, and none is taken for an option.
    #[must_use]
    pub fn names<S: AsRef<OsStr>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.arguments.names(names);
        self
    }

    /// Judges what Compose says by the files that it reads in this call.
    #[must_use]
    pub fn reading(mut self, said: &Arc<Said>) -> Self {
        self.said = Some(said.clone());
        self
    }

    /// Gives the program these bytes on its standard input.
    #[must_use]
    pub fn input(mut self, bytes: Input) -> Self {
        self.input = Some(bytes);
        self
    }

    /// Runs the program and collects its output. An error means that it could not be run at all, or that the run was
    /// interrupted; a status other than 0 is no error here, nor is a program that was stopped since it printed, computed
    /// or took too much.
    pub async fn output(self) -> Result<Output> {
        let said = self.said.clone();
        let (mut child, input, tools) = self.start()?;
        if said.is_some() {
            limit_memory(&child);
        }
        let moves = Moves::default();
        let stdin = child.stdin.take().map(|pipe| InspectWriter::new(pipe, moves.noting()));
        let out = child.stdout.take().map(|pipe| InspectReader::new(pipe, moves.noting()));
        let err = child.stderr.take().map(|pipe| InspectReader::new(pipe, moves.noting()));
        let work = async {
            tokio::try_join!(
                async {
                    give(stdin, input).await;
                    Ok(())
                },
                all_of(out),
                async {
                    let Some(pipe) = err else { return Ok(Input::default()) };
                    Ok(files::beginning_of(pipe, MOST_ERRORS).await.unwrap_or_default())
                },
            )
        };
        let read = tokio::select! {
            read = work => read,
            () = moves.end(MOST_SILENCE) => {
                stop(&mut child, &tools.interrupt).await;
                return Ok(Output::stopped(&format!("not having answered for {} s", MOST_SILENCE.as_secs())));
            }
            () = tools.interrupt.wait() => return Err(stop(&mut child, &tools.interrupt).await),
        };
        let Ok(((), stdout, stderr)) = read else {
            let _ = child.kill().await;
            return Ok(Output::stopped(&format!("having printed more than {} MiB", MOST_OUTPUT >> 20)));
        };
        let status = child.wait().await.map_err(|error| cannot_run(&error))?;
        if said.is_some() && !status.success() && is_out_of_memory(&stderr) {
            return Ok(Output::stopped(&format!("needing more than {} GiB of memory", MOST_MEMORY >> 30)));
        }
        let text = tools.console.redacted(&stderr);
        let text = String::from_utf8_lossy(&text);
        let (text, unset) = match said {
            // Of what succeeds only the warnings of unset variables matter.
            Some(_) if status.success() => {
                (String::new(), unset_variables(&String::from_utf8_lossy(&stderr)))
            }
            Some(said) => (said.rejection(&text), unset_variables(&String::from_utf8_lossy(&stderr))),
            None => (text.into_owned(), BTreeSet::new()),
        };
        let words = String::from_utf8_lossy(&stderr);
        let secrets = placeholder::variables_in(&words).into_iter().map(str::to_owned).collect();
        Ok(Output { success: status.success(), stdout, stderr: text.trim_end().to_owned(), unset, secrets })
    }

    /// Runs the program, prints both of its streams on the one stream of ours as they come, and returns whether it
    /// ended with status 0, with the last lines that it printed (redacted).
    pub async fn stream(self) -> Result<(bool, Vec<String>)> {
        self.stream_within(None).await.map(Option::unwrap_or_default)
    }

    /// Like [`Call::stream`], but stops the program when it has not ended in this time, and then returns `None`.
    pub async fn stream_within(self, limit: Option<Duration>) -> Result<Option<(bool, Vec<String>)>> {
        let late = async {
            match limit {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(late);
        let edit: Option<Edit> = self.said.clone().map(|said| {
            let edit: Edit = Box::new(move |line: &str| said.line(line));
            edit
        });
        let (mut child, input, tools) = self.start()?;
        let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
        let giving = give(child.stdin.take(), input);
        tokio::pin!(giving);
        let mut is_given = false;
        let mut foreign = tools.console.foreign().edited(edit);
        let (mut from_out, mut from_err) = (vec![0u8; 8192], vec![0u8; 8192]);
        while out.is_some() || err.is_some() {
            tokio::select! {
                read = read_some(&mut out, &mut from_out) => foreign.stdout(&from_out[..read]),
                read = read_some(&mut err, &mut from_err) => foreign.stderr(&from_err[..read]),
                () = &mut giving, if !is_given => is_given = true,
                () = tools.interrupt.wait() => {
                    foreign.finish();
                    return Err(stop(&mut child, &tools.interrupt).await);
                }
                () = &mut late => {
                    foreign.finish();
                    stop(&mut child, &tools.interrupt).await;
                    return Ok(None);
                }
            }
        }
        let tail = foreign.finish();
        let status = child.wait().await.map_err(|error| cannot_run(&error))?;
        Ok(Some((status.success(), tail)))
    }

    /// Starts the program and leaves its pipes to the caller; it ends when it is dropped.
    pub(super) fn begin(self) -> Result<Child> {
        self.start().map(|(child, ..)| child)
    }

    fn start(self) -> Result<(Child, Option<Input>, Tools)> {
        let mut words = self.program;
        words.extend(self.arguments.into_vec());
        let Some((program, arguments)) = words.split_first() else {
            return Err(compose_missing());
        };
        tracing::debug!(command = %shown(&words), "run");
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .envs(&self.tools.environment)
            .stdin(if self.input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own: a Ctrl-C in a terminal must reach the child through us alone.
            .process_group(0)
            .kill_on_drop(true);
        match command.spawn() {
            Ok(child) => Ok((child, self.input, self.tools)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(missing(program)),
            Err(error) => Err(cannot_run(&error)),
        }
    }
}

/// A program printed more than [`MOST_OUTPUT`].
struct TooMuch;

/// Writes the whole input and closes it.
async fn give(pipe: Option<impl AsyncWrite + Unpin>, input: Option<Input>) {
    if let (Some(mut pipe), Some(bytes)) = (pipe, input) {
        // A program that ends before it has read everything tells why on stderr.
        let _ = pipe.write_all(&bytes).await;
    }
}

async fn all_of(pipe: Option<impl AsyncRead + Unpin>) -> std::result::Result<Input, TooMuch> {
    let Some(pipe) = pipe else { return Ok(Input::default()) };
    match files::all_of(pipe, MOST_OUTPUT).await {
        Err(error) if error.kind() == ErrorKind::FileTooLarge => Err(TooMuch),
        // A pipe that breaks has a program that ends; its status tells.
        read => Ok(read.unwrap_or_default()),
    }
}

impl Output {
    /// What is left of a program that was stopped: a failure with its reason.
    fn stopped(why: &str) -> Self {
        let stderr = format!("it was stopped, {why}");
        Self {
            success: false,
            stdout: Input::default(),
            stderr,
            unset: BTreeSet::new(),
            secrets: BTreeSet::new(),
        }
    }

    /// The standard output as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap_or_default()
    }

    /// The standard output as JSON; `None` when it is none. The parser's own text is dropped, since it quotes values.
    pub fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.stdout).ok()
    }

    /// The output when the program ended with status 0; otherwise an error of the given code with its own words.
    pub fn or_fail(self, code: Code, doing: &str) -> Result<Self> {
        if self.success {
            return Ok(self);
        }
        let code = if self.stderr.contains("no space left on device") { Code::DiskFull } else { code };
        Err(Error::new(code, format!("{doing}: {}", self.stderr)))
    }
}

async fn read_some<R: tokio::io::AsyncRead + Unpin>(pipe: &mut Option<R>, buffer: &mut [u8]) -> usize {
    match pipe {
        Some(reader) => match reader.read(buffer).await {
            Ok(read) if read > 0 => read,
            _ => {
                *pipe = None;
                0
            }
        },
        None => std::future::pending().await,
    }
}

/// Asks the child to end, waits, and kills it when it does not.
async fn stop(child: &mut Child, interrupt: &Interrupt) -> Error {
    if let Some(id) = child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
        // Gone already is as good as stopped.
        let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
    }
    if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
    interrupt.error()
}

fn find_compose(environment: &BTreeMap<OsString, OsString>) -> Vec<OsString> {
    let home = environment.get(OsStr::new("HOME"));
    // Run by itself the plugin answers twice as fast as through `docker compose`. A `docker-compose` elsewhere on the
    // PATH may be version 1, so it is no candidate.
    plugin("compose", home.map(OsString::as_os_str))
        .map_or_else(|| vec!["docker".into(), "compose".into()], |path| vec![path.into_os_string()])
}

/// The program of a plugin of Docker's, which runs without `docker` as well.
pub fn plugin(name: &str, home: Option<&OsStr>) -> Option<PathBuf> {
    let home = home.map(|home| Path::new(home).join(".docker/cli-plugins"));
    let directories = PLUGIN_DIRECTORIES.iter().map(PathBuf::from).chain(home);
    directories.map(|directory| directory.join(format!("docker-{name}"))).find(|path| path.is_file())
}

fn missing(program: &OsStr) -> Error {
    if program == "docker" {
        Error::new(Code::EngineUnreachable, "the program `docker` was not found")
            .hint(
                "Name the engine with the input `docker-host`, which needs no program. Or, on the command line, install the \
                 Docker CLI and put it on the PATH: https://docs.docker.com/engine/install/",
            )
    } else {
        compose_missing()
    }
}

/// The error for a machine without Docker Compose.
pub fn compose_missing() -> Error {
    Error::new(Code::ComposeMissing, "Docker Compose was not found").hint(
        "Install the Compose plugin, v2.24 or newer: https://docs.docker.com/compose/install/ (version 1, the \
         Python program `docker-compose`, does not know `!override`).",
    )
}

fn cannot_run(error: &std::io::Error) -> Error {
    Error::new(Code::Internal, format!("cannot run a program: {}", plain_reason(error)))
}

fn shown(words: &[OsString]) -> String {
    words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
