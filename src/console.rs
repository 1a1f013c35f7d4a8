//! The one output stream: every line of ours and of every child passes here, redacted once the masks are known.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Arc, Mutex};

use tracing_subscriber::Layer as _;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::github::workflow::{self, Annotation, Level, StopCommands};
use crate::mask::{Plan, Redactor, Stream};
use crate::progress;
use crate::sensitive::Sensitive;
use crate::settings::Platform;
use zeroize::Zeroizing;

/// How many of a child's last lines are kept for an error message.
const TAIL: usize = 12;
/// A line that is longer is printed in parts.
const LONGEST_LINE: usize = 64 * 1024;

/// The stream. Under GitHub Actions it is standard output and speaks workflow commands; elsewhere standard error, so
/// that standard output stays free for what a command is asked to print.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Console {
    state: Mutex<State>,
    actions: bool,
    /// Whether the runner hears what is printed, and may be told the masks.
    tells_masks: bool,
    debug: bool,
    /// Whether only annotations and the end are printed.
    quiet: bool,
    /// Whether it is a terminal that may be given colours.
    has_colours: bool,
}

/// How a word is shown on a terminal (ECMA-48, "Select graphic rendition").
#[derive(Clone, Copy)]
enum Style {
    Bold,
    Red,
    Green,
    Yellow,
    Dim,
}

impl Style {
    fn on(self, text: &str) -> String {
        let code = match self {
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Red => "31",
            Self::Green => "32",
            Self::Yellow => "33",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// The beginnings of lines that are shown in colour.
const COLOURED: &[(&str, Style)] = &[
    ("error:", Style::Red),
    ("warning:", Style::Yellow),
    ("failed", Style::Red),
    ("deployed", Style::Green),
    ("unchanged", Style::Green),
    ("validated", Style::Green),
    ("in-sync", Style::Green),
    ("created", Style::Green),
    ("removed:", Style::Green),
    ("+ ", Style::Green),
    ("~ ", Style::Yellow),
    ("- ", Style::Red),
    ("! ", Style::Yellow),
    ("more on this:", Style::Dim),
];

/// A line with its beginning in colour. What is in it already is left as it is.
fn coloured(line: &str) -> String {
    match COLOURED.iter().find(|(beginning, _)| line.starts_with(beginning)) {
        Some((beginning, style)) => format!("{}{}", style.on(beginning), &line[beginning.len()..]),
        None => line.to_owned(),
    }
}

struct State {
    out: Box<dyn Write + Send>,
    /// What is secret by name or place; the redactor is made of it when there is first something to redact.
    known: Sensitive,
    redactor: Option<Redactor>,
    /// The values of the secrets alone, once they are known: what must not be found anywhere.
    secrets: Option<Redactor>,
    in_group: bool,
    /// What was said before the masks were known. The masks come before anything else, so it has to wait for them.
    held: Option<Vec<u8>>,
}

/// The output of one child, redacted line by line. Under GitHub Actions it stands between `::stop-commands::` and its
/// token, so that nothing in it is taken for a workflow command.
pub struct Foreign<'a> {
    console: &'a Console,
    out: Pipe,
    err: Pipe,
    stopped: Option<StopCommands>,
    tail: VecDeque<String>,
    edit: Option<Edit>,
}

/// Changes a line of a child before it is printed, or leaves it out.
pub type Edit = Box<dyn Fn(&str) -> Option<String> + Send>;

/// One pipe of a child: what is redacted of it and not yet printed, up to the end of its line.
struct Pipe {
    stream: Stream,
    line: Vec<u8>,
}

impl Console {
    /// The stream for where the run stands. What is `known` to be secret is redacted from the first line on.
    pub fn new(platform: &Platform, known: Sensitive) -> Self {
        // The runner hears both streams; standard output is kept free for a report that is asked for there.
        let by_stdout = platform.actions && !platform.json;
        let out: Box<dyn Write + Send> =
            if by_stdout { Box::new(std::io::stdout()) } else { Box::new(std::io::stderr()) };
        let is_file = if by_stdout { is_file(&std::io::stdout()) } else { is_file(&std::io::stderr()) };
        Self { tells_masks: platform.actions && !is_file, ..Self::to(out, platform, known) }
    }

    /// The stream into any writer, as for tests.
    pub fn to(out: Box<dyn Write + Send>, platform: &Platform, known: Sensitive) -> Self {
        let (redactor, secrets, held) = (None, None, Some(Vec::new()));
        Self {
            state: Mutex::new(State { out, known, redactor, secrets, in_group: false, held }),
            actions: platform.actions,
            tells_masks: platform.actions,
            debug: platform.debug,
            quiet: platform.quiet,
            has_colours: platform.terminal.is_some_and(|terminal| terminal.has_colours),
        }
    }

    /// Redacts what is `known` now from here on, and what waits to be printed as well.
    pub fn know(&self, known: Sensitive) {
        let mut state = self.state();
        state.known = known;
        state.redactor = None;
    }

    /// Takes the values of the secrets: prints their masks, under GitHub Actions only (elsewhere that would be the leak),
    /// then what was said before, and redacts `all` from here on.
    pub fn arm(&self, masks: &Plan, all: &Plan) {
        let mut state = self.state();
        let held = state.held.take().unwrap_or_default();
        if self.tells_masks {
            for command in masks.workflow_masks().filter_map(workflow::add_mask).map(Zeroizing::new) {
                state.raw(&command);
            }
        } else if self.actions {
            state.raw(b"standard output is a file: the runner is not told what to mask, and nothing secret is written\n");
        }
        state.secrets = Some(Redactor::new(masks));
        state.redactor = Some(Redactor::new(all));
        let held = state.redact(&held);
        state.raw(&held);
    }

    /// Takes values that are known later: prints the masks of these (`more`), and redacts `all` from here on.
    pub fn hide(&self, more: &Plan, all: &Plan) {
        let mut state = self.state();
        if self.tells_masks {
            for command in more.workflow_masks().filter_map(workflow::add_mask).map(Zeroizing::new) {
                state.raw(&command);
            }
        }
        state.redactor = Some(Redactor::new(all));
    }

    /// Prints what has waited for masks that will not come: the mode reads no values, or the run has failed before.
    pub fn release(&self) {
        let mut state = self.state();
        if let Some(held) = state.held.take() {
            let held = state.redact(&held);
            state.raw(&held);
        }
    }

    /// Prints a line, or several; nothing when the run is to be quiet.
    pub fn line(&self, text: &str) {
        if !self.quiet {
            self.end_line(text);
        }
    }

    /// Prints how a run ended, whether it is to be quiet or not.
    pub fn end_line(&self, text: &str) {
        if self.has_colours {
            let lines: Vec<String> = text.lines().map(coloured).collect();
            self.state().text(&lines.join("\n"));
        } else {
            self.state().text(text);
        }
    }

    /// Opens a group of lines; one that is open is closed.
    pub fn group(&self, title: &str) {
        self.end_group();
        if self.quiet {
            return;
        }
        let mut state = self.state();
        if self.actions {
            let safe = state.redact(title.as_bytes());
            state.raw(workflow::group(&String::from_utf8_lossy(&safe)).as_bytes());
            state.in_group = true;
        } else if self.has_colours {
            state.text(&Style::Bold.on(title));
        } else {
            state.text(title);
        }
    }

    /// Closes the group that is open.
    pub fn end_group(&self) {
        let mut state = self.state();
        if std::mem::take(&mut state.in_group) {
            state.raw(workflow::end_group().as_bytes());
        }
    }

    /// Prints a warning: an annotation under GitHub Actions.
    pub fn warning(&self, text: &str) {
        self.annotate(&Annotation::new(Level::Warning, text));
    }

    /// Prints a message, which under GitHub Actions is an annotation at its line of its file.
    pub fn annotate(&self, annotation: &Annotation) {
        let mut state = self.state();
        if self.actions {
            let safe = state.redact(annotation.message.as_bytes());
            let safe = Annotation { message: &String::from_utf8_lossy(&safe), ..annotation.clone() };
            state.raw(safe.to_string().as_bytes());
        } else {
            let text = format!("{}: {}", annotation.level, annotation.message);
            state.text(&if self.has_colours { coloured(&text) } else { text });
        }
    }

    /// Prints the program's own trace events on this stream, when details are wanted. Events of libraries are never
    /// printed: some show what they send.
    pub fn take_log_of_this_process(self: &Arc<Self>) {
        if !self.debug {
            return;
        }
        let own =
            tracing_subscriber::filter::Targets::new().with_target("claude_secrets", tracing::Level::DEBUG);
        let console = self.clone();
        let layer = tracing_subscriber::fmt::layer()
            .without_time()
            .with_ansi(false)
            .with_writer(move || Trace(console.clone()));
        let subscriber = tracing_subscriber::registry().with(layer.with_filter(own));
        // A second call in one process keeps the first.
        let _ = tracing::subscriber::set_global_default(subscriber);
    }

    /// A copy of the bytes without anything that is known to be secret.
    pub fn redacted(&self, bytes: &[u8]) -> Vec<u8> {
        self.state().redact(bytes)
    }

    /// Names of the secrets whose values the bytes hold, in any form that is masked.
    pub fn secrets_in(&self, bytes: &[u8]) -> Vec<String> {
        let state = self.state();
        let names = state.secrets.as_ref().map(|redactor| redactor.names_in(bytes)).unwrap_or_default();
        names.into_iter().map(str::to_owned).collect()
    }

    /// The stream for one child's output.
    pub fn foreign(&self) -> Foreign<'_> {
        let mut state = self.state();
        // Without random numbers commands stay in force: better an odd line than none at all.
        let stopped = if self.actions && !self.quiet { StopCommands::new().ok() } else { None };
        if let Some(stopped) = &stopped {
            state.raw(stopped.begin().as_bytes());
        }
        let [out, err] = [(); 2].map(|()| Pipe { stream: state.redactor().stream(), line: Vec::new() });
        Foreign { console: self, out, err, stopped, tail: VecDeque::new(), edit: None }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // A panic while the lock was held leaves a stream that still works.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl State {
    fn redactor(&mut self) -> &Redactor {
        let known = &self.known;
        self.redactor.get_or_insert_with(|| Redactor::new(&known.plan([])))
    }

    fn redact(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.redactor().redact_line(bytes).into_owned()
    }

    fn text(&mut self, text: &str) {
        // What is held is redacted when it is printed, by all that is known then.
        let mut safe =
            if self.held.is_some() { text.as_bytes().to_vec() } else { self.redact(text.as_bytes()) };
        safe.push(b'\n');
        self.raw(&safe);
    }

    /// Writes whole lines at once. A reader that has gone away is no reason to stop a deployment.
    fn raw(&mut self, lines: &[u8]) {
        if let Some(held) = &mut self.held {
            held.extend_from_slice(lines);
            return;
        }
        let _ = progress::aside(|| self.out.write_all(lines).and_then(|()| self.out.flush()));
    }
}

impl Foreign<'_> {
    /// The same stream with every line changed by `edit`, after it was redacted.
    #[must_use]
    pub fn edited(mut self, edit: Option<Edit>) -> Self {
        self.edit = edit;
        self
    }

    /// Takes bytes of the child's standard output.
    pub fn stdout(&mut self, bytes: &[u8]) {
        let lines = self.out.push(bytes);
        self.print(lines);
    }

    /// Takes bytes of the child's standard error.
    pub fn stderr(&mut self, bytes: &[u8]) {
        let lines = self.err.push(bytes);
        self.print(lines);
    }

    /// Prints what is left and takes commands again; returns the last lines.
    pub fn finish(mut self) -> Vec<String> {
        for lines in [self.out.finish(), self.err.finish()] {
            self.print(lines);
        }
        std::mem::take(&mut self.tail).into()
    }

    fn print(&mut self, lines: Vec<Vec<u8>>) {
        for mut line in lines {
            if let Some(edit) = &self.edit {
                match edit(&String::from_utf8_lossy(&line)) {
                    Some(edited) => line = edited.into_bytes(),
                    None => continue,
                }
            }
            if self.tail.len() == TAIL {
                self.tail.pop_front();
            }
            self.tail.push_back(String::from_utf8_lossy(&line).into_owned());
            line.push(b'\n');
            if !self.console.quiet {
                self.console.state().raw(&line);
            }
        }
    }
}

impl Drop for Foreign<'_> {
    fn drop(&mut self) {
        if let Some(stopped) = &self.stopped {
            self.console.state().raw(stopped.end(true).as_bytes());
        }
    }
}

impl Pipe {
    /// Redacts a chunk and returns the lines that it completes, without their ends.
    fn push(&mut self, chunk: &[u8]) -> Vec<Vec<u8>> {
        self.stream.push(chunk, &mut self.line);
        let end = self.line.iter().rposition(|byte| matches!(byte, b'\n' | b'\r'));
        let end =
            end.map(|end| end + 1).or_else(|| (self.line.len() > LONGEST_LINE).then_some(self.line.len()));
        let Some(end) = end else { return Vec::new() };
        let rest = self.line.split_off(end);
        split(&std::mem::replace(&mut self.line, rest))
    }

    fn finish(&mut self) -> Vec<Vec<u8>> {
        self.stream.finish(&mut self.line);
        split(&std::mem::take(&mut self.line))
    }
}

/// Where trace events go: one line of the stream each.
struct Trace(Arc<Console>);

impl Write for Trace {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.line(String::from_utf8_lossy(bytes).trim_end());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Whether a stream of ours is a file: what is printed there stays, and nobody takes commands out of it.
fn is_file(stream: &impl std::os::fd::AsFd) -> bool {
    rustix::fs::fstat(stream).is_ok_and(|found| {
        rustix::fs::FileType::from_raw_mode(found.st_mode) == rustix::fs::FileType::RegularFile
    })
}

fn split(text: &[u8]) -> Vec<Vec<u8>> {
    text.split(|byte| matches!(byte, b'\n' | b'\r'))
        .filter(|line| !line.is_empty())
        .map(<[u8]>::to_vec)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn printed(actions: bool, act: impl FnOnce(&Console)) -> String {
        let sink = Sink::default();
        let platform = Platform { actions, ..Platform::default() };
        let console = Console::to(Box::new(sink.clone()), &platform, Sensitive::default());
        let plan = Plan::new([("KEY", &b"canary-value"[..])]);
        console.arm(&plan, &plan);
        act(&console);
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn masks_are_printed_under_github_actions_alone() {
        let masks = printed(true, |_| {});
        assert!(masks.lines().all(|line| line.starts_with("::add-mask::")));
        assert!(masks.lines().any(|line| line == "::add-mask::canary-value"));
        assert_eq!(printed(false, |_| {}), "");
    }

    #[test]
    fn what_is_said_before_the_masks_comes_behind_them_and_redacted() {
        let sink = Sink::default();
        let platform = Platform { actions: true, ..Platform::default() };
        let console = Console::to(Box::new(sink.clone()), &platform, Sensitive::default());
        console.line("early canary-value");
        assert!(sink.0.lock().unwrap().is_empty());
        let plan = Plan::new([("KEY", &b"canary-value"[..])]);
        console.arm(&plan, &plan);
        let bytes = sink.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let (last, masks) = lines.split_last().unwrap();
        assert_eq!(*last, "early ***");
        assert!(masks.contains(&"::add-mask::canary-value"), "{text}");
        assert!(masks.iter().all(|line| line.starts_with("::add-mask::")), "{text}");
    }

    #[test]
    fn what_is_known_later_is_masked_and_hidden_from_there_on() {
        let (more, all) = (
            Plan::new([("URL", &b"u:canary-value@db"[..])]),
            Plan::new([("KEY", &b"canary-value"[..]), ("URL", b"u:canary-value@db")]),
        );
        let encoded = data_encoding::BASE64.encode(b"u:canary-value@db");
        let text = printed(true, |console| {
            console.hide(&more, &all);
            console.line(&format!("u:canary-value@db {encoded}"));
        });
        assert!(text.lines().any(|line| line == "::add-mask::u:canary-value@db"), "{text}");
        assert!(text.ends_with("\n*** ***\n"), "{text}");
    }

    #[test]
    fn everything_is_redacted() {
        let text = printed(false, |console| {
            console.line("a canary-value b");
            console.warning("canary-value");
            console.group("canary-value");
        });
        assert_eq!(text, "a *** b\nwarning: ***\n***\n");
    }

    #[test]
    fn a_quiet_run_prints_masks_annotations_and_the_end() {
        let sink = Sink::default();
        let platform = Platform { actions: true, quiet: true, ..Platform::default() };
        let console = Console::to(Box::new(sink.clone()), &platform, Sensitive::default());
        let plan = Plan::new([("KEY", &b"canary-value"[..])]);
        console.group("Secrets");
        console.line("a line");
        console.arm(&plan, &plan);
        let mut child = console.foreign();
        child.stdout(b"of a child canary-value\n");
        assert_eq!(child.finish(), ["of a child ***"]);
        console.warning("look");
        console.end_line("deployed canary-value");
        let bytes = sink.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        let rest: Vec<&str> = text.lines().filter(|line| !line.starts_with("::add-mask::")).collect();
        assert_eq!(rest, ["::warning::look", "deployed ***"]);
        assert!(text.contains("::add-mask::canary-value\n"), "{text}");
    }

    #[test]
    fn a_childs_output_is_redacted_over_chunks_and_cannot_speak_to_the_runner() {
        let text = printed(true, |console| {
            let mut child = console.foreign();
            child.stdout(b"one cana");
            child.stderr(b"::error::other\n");
            child.stdout(b"ry-value two\nrest");
            assert_eq!(child.finish(), ["::error::other", "one *** two", "rest"]);
            console.line("after");
        });
        let lines: Vec<_> = text.lines().skip_while(|line| !line.starts_with("::stop-commands::")).collect();
        let token = lines[0].trim_start_matches("::stop-commands::");
        assert_eq!(lines[1..], ["::error::other", "one *** two", "rest", &format!("::{token}::"), "after"]);
    }
}
