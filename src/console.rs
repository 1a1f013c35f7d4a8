//! The one output stream: every line of ours and of every child passes here, redacted once the masks are known.

mod foreign;
mod ours;

use std::io::Write;
use std::sync::{Arc, Mutex};

use tracing_subscriber::Layer as _;
use tracing_subscriber::layer::SubscriberExt as _;

pub use self::foreign::{Edit, Foreign};
use self::ours::{Kind, Ours};
use crate::github::workflow::{self, Annotation, Level};
use crate::mask::{Plan, Redactor};
use crate::progress;
use crate::sensitive::Sensitive;
use crate::settings::Platform;
use crate::visible::{of_others, without_command};
use zeroize::Zeroizing;

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
    held: Option<Vec<Piece>>,
    /// Whether it is a terminal that may be given colours.
    has_colours: bool,
}

/// Something to print. What is secret is taken out first: written out, it might not be recognised.
enum Piece {
    /// A text of ours.
    Ours(Ours),
    /// Lines that another program printed, redacted by what was known then.
    Foreign(Vec<u8>),
    /// The same where the runner could not be told to obey no commands.
    ForeignUnguarded(Vec<u8>),
    /// A command for the runner, without text from elsewhere.
    Command(String),
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
        let has_colours = platform.terminal.is_some_and(|terminal| terminal.has_colours);
        Self {
            state: Mutex::new(State { out, known, redactor, secrets, in_group: false, held, has_colours }),
            actions: platform.actions,
            tells_masks: platform.actions,
            debug: platform.debug,
            quiet: platform.quiet,
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
    pub fn start_redacting(&self, masks: &Plan, all: &Plan) {
        let mut state = self.state();
        let held = state.held.take();
        if self.tells_masks {
            for command in masks.workflow_masks().filter_map(workflow::add_mask).map(Zeroizing::new) {
                state.write(&command);
            }
        } else if self.actions {
            state.write(b"standard output is a file: the runner is not told what to mask, and nothing secret is written\n");
        }
        state.secrets = Some(Redactor::new(masks));
        state.redactor = Some(Redactor::new(all));
        state.print_held(held);
    }

    /// Takes values that are known later: prints the masks of these (`more`), and redacts `all` from here on.
    pub fn hide(&self, more: &Plan, all: &Plan) {
        let mut state = self.state();
        if self.tells_masks {
            for command in more.workflow_masks().filter_map(workflow::add_mask).map(Zeroizing::new) {
                state.write(&command);
            }
        }
        state.redactor = Some(Redactor::new(all));
    }

    /// Prints what has waited for masks that will not come: the mode reads no values, or the run has failed before.
    pub fn release(&self) {
        let mut state = self.state();
        let held = state.held.take();
        state.print_held(held);
    }

    /// Prints one line; nothing when the run is to be quiet. A line break in it is shown and breaks nothing.
    pub fn line(&self, text: &str) {
        if !self.quiet {
            self.end_line(text);
        }
    }

    /// Prints how a run ended, in one line, whether it is to be quiet or not.
    pub fn end_line(&self, text: &str) {
        self.state().ours(Kind::Line, text);
    }

    /// Opens a group of lines; one that is open is closed.
    pub fn group(&self, title: &str) {
        self.end_group();
        if self.quiet {
            return;
        }
        let mut state = self.state();
        state.ours(if self.actions { Kind::Group } else { Kind::Heading }, title);
        state.in_group = self.actions;
    }

    /// Closes the group that is open.
    pub fn end_group(&self) {
        let mut state = self.state();
        if std::mem::take(&mut state.in_group) {
            state.print(Piece::Command(workflow::end_group()));
        }
    }

    /// Prints a warning: an annotation under GitHub Actions.
    pub fn warning(&self, text: &str) {
        self.annotate(&Annotation::new(Level::Warning, text));
    }

    /// Prints a message, which under GitHub Actions is an annotation at its line of its file.
    pub fn annotate(&self, annotation: &Annotation) {
        let Annotation { level, message, title, file, line } = *annotation;
        let kind = if self.actions {
            let [title, file] = [title, file].map(|text| text.map(str::to_owned));
            Kind::Annotation { level, title, file, line }
        } else {
            Kind::Message(level)
        };
        self.state().ours(kind, message);
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

    fn ours(&mut self, kind: Kind, text: &str) {
        self.print(Piece::Ours(Ours { kind, text: text.to_owned() }));
    }

    /// Prints something, or keeps it until the masks are known: what is held is redacted by all that is known then.
    fn print(&mut self, piece: Piece) {
        let Some(held) = &mut self.held else {
            let made = self.made(piece);
            return self.write(&made);
        };
        match (held.last_mut(), piece) {
            (Some(Piece::Foreign(before)), Piece::Foreign(lines))
            | (Some(Piece::ForeignUnguarded(before)), Piece::ForeignUnguarded(lines)) => before.extend(lines),
            (_, piece) => held.push(piece),
        }
    }

    fn print_held(&mut self, held: Option<Vec<Piece>>) {
        for piece in held.into_iter().flatten() {
            // A value of several lines may be in several of them.
            let piece = match piece {
                Piece::Foreign(lines) => Piece::Foreign(self.redact(&lines)),
                Piece::ForeignUnguarded(lines) => Piece::ForeignUnguarded(self.redact(&lines)),
                piece => piece,
            };
            let made = self.made(piece);
            self.write(&made);
        }
    }

    fn made(&mut self, piece: Piece) -> Vec<u8> {
        let lines = |lines: &[u8], safe: fn(&str) -> String| -> Vec<u8> {
            let text = String::from_utf8_lossy(lines);
            text.split_terminator('\n').map(|line| safe(line) + "\n").collect::<String>().into_bytes()
        };
        match piece {
            Piece::Ours(Ours { kind, text }) => {
                let safe = self.redact(text.as_bytes());
                Ours::shown(&kind, &String::from_utf8_lossy(&safe), self.has_colours).into_bytes()
            }
            Piece::Foreign(text) => lines(&text, of_others),
            Piece::ForeignUnguarded(text) => lines(&text, |line| without_command(&of_others(line))),
            Piece::Command(command) => command.into_bytes(),
        }
    }

    /// Writes whole lines at once. A reader that has gone away is no reason to stop a deployment.
    fn write(&mut self, lines: &[u8]) {
        let _ = progress::aside(|| self.out.write_all(lines).and_then(|()| self.out.flush()));
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
        console.start_redacting(&plan, &plan);
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
        console.start_redacting(&plan, &plan);
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
        console.start_redacting(&plan, &plan);
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

    #[test]
    fn no_text_of_ours_begins_a_line_or_a_command_of_its_own_and_none_commands_a_terminal() {
        let name = "f\n::error::five\r::warning::six\u{1b}[31m\u{202e}";
        let shown = "f\\n::error::five\\r::warning::six\\u{1b}[31m\\u{202e}";
        for actions in [true, false] {
            let text = printed(actions, |console| {
                console.line(name);
                console.line("  ::add-mask::x");
                console.line("##[group]x");
                console.group(name);
                console.end_line(name);
                console.annotate(&Annotation {
                    file: Some("a\u{1b}.yml"),
                    ..Annotation::new(Level::Warning, "one\n::error::two\u{1b}[2J\rx\n\u{202e}canary-value")
                });
            });
            let lines: Vec<&str> =
                text.lines().filter(|line| !line.starts_with("::add-mask::canary")).collect();
            let group = if actions { format!("::group::{shown}") } else { shown.to_owned() };
            let message = if actions {
                vec!["::warning file=a\\u{1b}.yml::one%0A\\::error::two\\u{1b}[2J\\rx%0A\\u{202e}***"]
            } else {
                vec!["warning: one", "\\::error::two\\u{1b}[2J\\rx", "\\u{202e}***"]
            };
            let expected = [vec![shown, "\\::add-mask::x", "##\\[group]x", &group, shown], message].concat();
            let lines: Vec<&str> = lines
                .into_iter()
                .filter(|line| !line.contains("add-mask::") || line.starts_with('\\'))
                .collect();
            assert_eq!(lines, expected, "{actions}");
        }
    }

    #[test]
    fn a_value_with_control_characters_is_redacted_before_they_are_written_out() {
        let sink = Sink::default();
        let console = Console::to(Box::new(sink.clone()), &Platform::default(), Sensitive::default());
        console.warning("early a\u{1b}[31mcanary\u{7}b");
        let plan = Plan::new([("KEY", "a\u{1b}[31mcanary\u{7}b".as_bytes())]);
        console.start_redacting(&plan, &plan);
        console.line("late a\u{1b}[31mcanary\u{7}b");
        let bytes = sink.0.lock().unwrap().clone();
        assert_eq!(String::from_utf8(bytes).unwrap(), "warning: early ***\nlate ***\n");
    }

    #[test]
    fn what_a_child_prints_commands_no_terminal_whether_it_waits_for_the_masks_or_not() {
        let sink = Sink::default();
        let console = Console::to(Box::new(sink.clone()), &Platform::default(), Sensitive::default());
        let says = |console: &Console| {
            let mut child = console.foreign();
            child.stdout(b"\x1b[32mgreen\x1b]0;title\x07 cana\x1b[2Jry\xff\n::error::x\n");
            child.finish()
        };
        says(&console);
        let plan = Plan::new([("KEY", &b"canary-value"[..])]);
        console.start_redacting(&plan, &plan);
        let tail = says(&console);
        let bytes = sink.0.lock().unwrap().clone();
        let line = "\u{1b}[32mgreen\\u{1b}]0;title\\u{7} cana\\u{1b}[2Jry\u{fffd}\u{1b}[0m\n::error::x\n";
        assert_eq!(String::from_utf8(bytes).unwrap(), [line, line].concat());
        assert!(tail[0].starts_with("green"), "{tail:?}");
    }
}
