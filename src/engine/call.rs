//! Calls of the programs that speak to the engine: a scrubbed environment, nothing secret in argv, output through the
//! redactor, and a child that ends when the run is interrupted.

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Pid;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio_util::io::{InspectReader, InspectWriter};
use zeroize::Zeroizing;

use super::limits::{MOST_MEMORY, MOST_OUTPUT, MOST_SILENCE, Moves, is_out_of_memory, limit_memory};
use super::tools::Tools;
use crate::arguments::Arguments;
use crate::console::Edit;
use crate::error::{Code, Error, Result, plain_reason};
use crate::files;
use crate::interrupt::Interrupt;

/// How long a child may take to end after SIGTERM. The runner kills the action 10 s after its SIGINT (7.5 s to SIGTERM,
/// 2.5 s to the end of all), so that we must be done in less than 7 s.
const GRACE: Duration = Duration::from_secs(5);

/// What is kept of a program's messages.
const MOST_ERRORS: usize = 1024 * 1024;

/// What a program reads on its standard input; it may hold values.
type Input = Zeroizing<Vec<u8>>;

/// One call of a program, before it is started.
pub struct Call {
    /// The program, with the word that makes `docker` run its plugin.
    program: Vec<OsString>,
    arguments: Arguments,
    input: Option<Input>,
    /// The error for a machine that does not have the program.
    missing: fn() -> Error,
    judge: Option<Arc<dyn Judge>>,
    tools: Tools,
}

/// What is known of the words of a program that quotes what it reads. Its calls are limited in memory, too.
pub trait Judge: Send + Sync {
    /// Why the program failed: what may be printed of its messages.
    fn rejection(&self, messages: &str) -> String;
    /// What may be printed of a line that it prints while it works; `None` when nothing is left of it.
    fn line(&self, line: &str) -> Option<String>;
}

/// What a program left behind. It has no `Debug`: its output may hold anything.
pub struct Output {
    /// Whether it ended with status 0.
    pub success: bool,
    /// Its standard output, as it was.
    pub stdout: Zeroizing<Vec<u8>>,
    /// Its standard error, redacted, without trailing line ends. Where somebody judges its words only why it failed.
    pub stderr: String,
    /// Its standard error, as it was: nothing of it may be printed.
    pub messages: Zeroizing<Vec<u8>>,
}

impl Call {
    /// A call of a program, which begins with these words. `missing` is the error for a machine without it.
    pub(crate) fn new(
        tools: &Tools,
        program: Vec<OsString>,
        missing: fn() -> Error,
        words: &[&'static str],
    ) -> Self {
        let (arguments, tools) = (Arguments::new(words), tools.clone());
        Self { program, arguments, input: None, missing, judge: None, tools }
    }

    /// A call of `docker`, which begins with these words.
    pub fn docker(tools: &Tools, words: &[&'static str]) -> Self {
        Self::new(tools, vec!["docker".into()], docker_missing, words)
    }

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

    /// Judges what the program says.
    #[must_use]
    pub fn judged_by(mut self, judge: Arc<dyn Judge>) -> Self {
        self.judge = Some(judge);
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
        let judge = self.judge.clone();
        let (mut child, input, tools) = self.start()?;
        if judge.is_some() {
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
                stop(&mut child, tools.interrupt()).await;
                return Ok(Output::stopped(&format!("not having answered for {} s", MOST_SILENCE.as_secs())));
            }
            () = tools.interrupt().wait() => return Err(stop(&mut child, tools.interrupt()).await),
        };
        let Ok(((), stdout, stderr)) = read else {
            let _ = child.kill().await;
            return Ok(Output::stopped(&format!("having printed more than {} MiB", MOST_OUTPUT >> 20)));
        };
        let status = child.wait().await.map_err(|error| cannot_run(&error))?;
        if judge.is_some() && !status.success() && is_out_of_memory(&stderr) {
            return Ok(Output::stopped(&format!("needing more than {} GiB of memory", MOST_MEMORY >> 30)));
        }
        let text = tools.console().redacted(&stderr);
        let text = String::from_utf8_lossy(&text);
        let text = match judge {
            Some(_) if status.success() => String::new(),
            Some(judge) => judge.rejection(&text),
            None => text.into_owned(),
        };
        Ok(Output { success: status.success(), stdout, stderr: text.trim_end().to_owned(), messages: stderr })
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
        let edit: Option<Edit> = self.judge.clone().map(|judge| {
            let edit: Edit = Box::new(move |line: &str| judge.line(line));
            edit
        });
        let (mut child, input, tools) = self.start()?;
        let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
        let giving = give(child.stdin.take(), input);
        tokio::pin!(giving);
        let mut is_given = false;
        let mut foreign = tools.console().foreign().edited(edit);
        let (mut from_out, mut from_err) = (vec![0u8; 8192], vec![0u8; 8192]);
        while out.is_some() || err.is_some() {
            tokio::select! {
                read = read_some(&mut out, &mut from_out) => foreign.stdout(&from_out[..read]),
                read = read_some(&mut err, &mut from_err) => foreign.stderr(&from_err[..read]),
                () = &mut giving, if !is_given => is_given = true,
                () = tools.interrupt().wait() => {
                    foreign.finish();
                    return Err(stop(&mut child, tools.interrupt()).await);
                }
                () = &mut late => {
                    foreign.finish();
                    stop(&mut child, tools.interrupt()).await;
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
            return Err((self.missing)());
        };
        tracing::debug!(command = %shown(&words), "run");
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .envs(self.tools.environment())
            .stdin(if self.input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own: a Ctrl-C in a terminal must reach the child through us alone.
            .process_group(0)
            .kill_on_drop(true);
        match command.spawn() {
            Ok(child) => Ok((child, self.input, self.tools)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err((self.missing)()),
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
        Self { success: false, stdout: Input::default(), stderr, messages: Input::default() }
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

fn docker_missing() -> Error {
    Error::new(Code::EngineUnreachable, "the program `docker` was not found").help(
        "Name the engine with the input `docker-host`, which needs no program. Or, on the command line, install the \
         Docker CLI and put it on the PATH: https://docs.docker.com/engine/install/",
    )
}

fn cannot_run(error: &std::io::Error) -> Error {
    Error::new(Code::Internal, format!("cannot run a program: {}", plain_reason(error)))
}

fn shown(words: &[OsString]) -> String {
    words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
