//! Workflow commands: lines that GitHub's runner takes out of a step's output and obeys.
//!
//! Each function returns one command with the line break that ends it. It must be printed at the beginning of a
//! line: the runner allows blanks before a command, `act` prints such a line, mask and all. Commands count on
//! both output streams, but their order across the two is not kept, so all of them, and all other output, belong
//! on one.

use std::fmt;
use std::io;

use data_encoding::HEXLOWER;

/// Escapes the text of a command: what follows its second `::`.
///
/// The percent sign goes first, since the runner undoes it last.
#[must_use]
pub fn escape_data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes the value of a property (`file=…,line=…`), where a colon or comma would end it.
#[must_use]
pub fn escape_property(text: &str) -> String {
    escape_data(text).replace(':', "%3A").replace(',', "%2C")
}

/// Returns the command that makes the runner print `***` for `value` from now on, or `None` where it would do
/// harm: for a blank value (`act` then masks every blank) and for one of several lines (the runner then masks
/// each line, `{` too).
///
/// The command holds the value. It must never be printed but under GitHub Actions, and not between
/// [`StopCommands::begin`] and [`StopCommands::end`], where the runner prints it as it is.
#[must_use]
pub fn add_mask(value: &[u8]) -> Option<Vec<u8>> {
    const COMMAND: &[u8] = b"::add-mask::";
    if value.trim_ascii().is_empty() || value.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
        return None;
    }
    // Room for all that may come: a vector that grows leaves a copy of the value behind.
    let mut line = Vec::with_capacity(COMMAND.len() + 3 * value.len() + 1);
    line.extend_from_slice(COMMAND);
    for &byte in value {
        match byte {
            b'%' => line.extend_from_slice(b"%25"),
            _ => line.push(byte),
        }
    }
    line.push(b'\n');
    Some(line)
}

/// Returns the command that begins a foldable group of lines.
#[must_use]
pub fn group(title: &str) -> String {
    format!("::group::{}\n", escape_data(title))
}

/// Returns the command that ends the group.
#[must_use]
pub fn end_group() -> String {
    "::endgroup::\n".to_owned()
}

/// How grave an annotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// For information.
    Notice,
    /// Something to look at.
    Warning,
    /// What made the run fail.
    Error,
}

/// A message that GitHub shows beside the run, at a line of a file where it names one.
///
/// GitHub shows ten errors and ten warnings a step and drops the rest. Its `Display` is the whole command.
#[derive(Clone, Debug)]
pub struct Annotation<'a> {
    /// How grave it is.
    pub level: Level,
    /// What it says. Line breaks are kept.
    pub message: &'a str,
    /// A short heading.
    pub title: Option<&'a str>,
    /// The file, relative to the repository.
    pub file: Option<&'a str>,
    /// The line in the file, from 1 on.
    pub line: Option<u32>,
}

impl<'a> Annotation<'a> {
    /// An annotation without title and place.
    pub fn new(level: Level, message: &'a str) -> Self {
        Self { level, message, title: None, file: None, line: None }
    }
}

/// Returns a notice without title and place, as a command.
#[must_use]
pub fn notice(message: &str) -> String {
    Annotation::new(Level::Notice, message).to_string()
}

/// Returns a warning without title and place, as a command.
#[must_use]
pub fn warning(message: &str) -> String {
    Annotation::new(Level::Warning, message).to_string()
}

/// Returns an error without title and place, as a command.
#[must_use]
pub fn error(message: &str) -> String {
    Annotation::new(Level::Error, message).to_string()
}

impl fmt::Display for Level {
    /// The name of its command.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

impl fmt::Display for Annotation<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "::{}", self.level)?;
        let line = self.line.map(|line| line.to_string());
        let properties = [("file", self.file), ("line", line.as_deref()), ("title", self.title)];
        let mut separator = ' ';
        for (name, value) in properties {
            // The runner drops a property that is empty.
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                write!(out, "{separator}{name}={}", escape_property(value))?;
                separator = ',';
            }
        }
        writeln!(out, "::{}", escape_data(self.message))
    }
}

/// A stretch of output in which the runner obeys no command, for what others print.
///
/// All masks must be out before it begins. The runner masks the token, so nothing in between can learn it.
pub struct StopCommands {
    token: String,
}

impl StopCommands {
    /// Draws a token that nobody can guess.
    ///
    /// # Errors
    /// When the operating system gives no random bytes.
    pub fn new() -> io::Result<Self> {
        Ok(Self { token: random_token()? })
    }

    /// Returns the line after which commands are plain text.
    #[must_use]
    pub fn begin(&self) -> String {
        format!("::stop-commands::{}\n", self.token)
    }

    /// Returns the line after which commands count again.
    ///
    /// `at_line_start` says whether the output in between ended with a line break. If it did not, one is put
    /// before the command: the runner would not see it within a line, and ignore all later commands.
    #[must_use]
    pub fn end(&self, at_line_start: bool) -> String {
        format!("{}::{}::\n", if at_line_start { "" } else { "\n" }, self.token)
    }
}

/// 32 hexadecimal digits that nobody can guess. The runner masks a token of more than six characters.
pub(super) fn random_token() -> io::Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(HEXLOWER.encode(&bytes))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// What the runner understands of one line: name, properties and text of a command.
    #[derive(Debug, PartialEq)]
    struct Command {
        name: String,
        properties: BTreeMap<String, String>,
        data: String,
    }

    /// A line as the runner's `ActionCommand` parses it: leading blanks, `::`, the name up to a blank, the
    /// properties up to the next `::`; escapes undone with the percent sign last.
    fn parse(line: &str) -> Option<Command> {
        let rest = line.trim_start().strip_prefix("::")?;
        let (head, data) = rest.split_once("::")?;
        let (name, properties) = head.split_once(' ').unwrap_or((head, ""));
        let undo = |text: &str| text.replace("%0D", "\r").replace("%0A", "\n");
        let properties = properties.trim().split(',').filter_map(|property| {
            let (name, value) = property.split_once('=')?;
            let value = undo(value).replace("%3A", ":").replace("%2C", ",").replace("%25", "%");
            (!value.is_empty()).then(|| (name.to_owned(), value))
        });
        Some(Command {
            name: name.to_owned(),
            properties: properties.collect(),
            data: undo(data).replace("%25", "%"),
        })
    }

    /// The commands that the runner obeys in a log, of those that it knows, with its rule for stopping.
    fn obeyed(log: &str) -> Vec<Command> {
        const KNOWN: &[&str] = &[
            "add-mask",
            "group",
            "endgroup",
            "notice",
            "warning",
            "error",
            "stop-commands",
            "set-env",
            "debug",
        ];
        let mut stopped: Option<String> = None;
        let mut obeyed = Vec::new();
        // The runner reads lines as .NET does: CR, LF or both end one.
        for line in log.split(['\r', '\n']) {
            let Some(command) = parse(line) else { continue };
            match &stopped {
                Some(token) if command.name.eq_ignore_ascii_case(token) => stopped = None,
                None if command.name == "stop-commands" => stopped = Some(command.data),
                None if KNOWN.contains(&command.name.as_str()) => obeyed.push(command),
                _ => {}
            }
        }
        obeyed
    }

    fn only(line: &str) -> Command {
        assert!(line.ends_with('\n') && line.starts_with("::"));
        let mut all = obeyed(line);
        assert_eq!(all.len(), 1, "{line}");
        all.remove(0)
    }

    #[test]
    fn what_is_escaped_arrives_as_it_was() {
        for text in ["plain", "100%", "%0A", "%25", "%250A", "a\nb\r\nc", "::error::x", "a,b:c=d", "ü🔑", ""]
        {
            assert_eq!(only(&warning(text)).data, text);
            let annotation = Annotation {
                title: Some(text),
                file: Some("a,b:c.yml"),
                line: Some(7),
                ..Annotation::new(Level::Error, text)
            };
            let command = only(&annotation.to_string());
            assert_eq!((command.name.as_str(), command.data.as_str()), ("error", text));
            assert_eq!(command.properties.get("title").map_or("", String::as_str), text);
            assert_eq!(command.properties["file"], "a,b:c.yml");
            assert_eq!(command.properties["line"], "7");
            assert_eq!(only(&group(text)).data, text);
        }
        assert_eq!(only(&end_group()).name, "endgroup");
        assert_eq!(notice("x"), "::notice::x\n");
        assert_eq!(error("x"), "::error::x\n");
    }

    #[test]
    fn a_mask_arrives_as_it_was() {
        for value in ["p%0Aq", "%", "%25", " blank around ", "::stop-commands::x", "a:b,c"] {
            let line = String::from_utf8(add_mask(value.as_bytes()).unwrap()).unwrap();
            assert_eq!(
                only(&line),
                Command { name: "add-mask".to_owned(), properties: BTreeMap::new(), data: value.to_owned() }
            );
        }
    }

    #[test]
    fn a_mask_that_would_hide_everything_is_not_made() {
        for value in ["", " ", " \t ", "a\nb", "secret\n", "a\rb"] {
            assert_eq!(add_mask(value.as_bytes()), None, "{value:?}");
        }
    }

    #[test]
    fn foreign_output_cannot_inject_a_command() {
        let foreign = "::add-mask::e\n  ::error::fake\n::stop-commands::mine\n::mine::\n::set-env name=A::b\n\
                       ::pause-logging::\r::warning::x\n::::\n::group::unfinished line";
        assert_eq!(obeyed(foreign).len(), 5, "outside of a block, most of these count");
        let block = StopCommands::new().unwrap();
        let log = format!("{}{foreign}{}{}", block.begin(), block.end(false), notice("after"));
        let obeyed = obeyed(&log);
        assert_eq!(obeyed.len(), 1, "{obeyed:?}");
        assert_eq!(obeyed[0].data, "after");
        assert_eq!(block.end(true).len() + 1, block.end(false).len());
    }

    #[test]
    fn each_block_has_its_own_token_long_enough_to_be_masked() {
        let (first, second) = (StopCommands::new().unwrap(), StopCommands::new().unwrap());
        assert_ne!(first.begin(), second.begin());
        assert_eq!(first.token.len(), 32);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_text_arrives_as_it_was(text in "[%a0AD25:,=\r\n\\PC]*", title in "[%a:,=0A\n]*") {
            let annotation = Annotation { title: Some(&title), ..Annotation::new(Level::Warning, &text) };
            let command = only(&annotation.to_string());
            prop_assert_eq!(command.data, text);
            prop_assert_eq!(command.properties.get("title").map_or("", String::as_str), title);
        }

        #[test]
        fn any_foreign_output_is_obeyed_in_nothing(foreign in "(::|add-mask|error|group|stop-commands|[a-f \r\n])*") {
            let block = StopCommands::new().unwrap();
            let at_line_start = foreign.is_empty() || foreign.ends_with('\n');
            let log = format!("{}{foreign}{}{}", block.begin(), block.end(at_line_start), notice("after"));
            prop_assert_eq!(obeyed(&log).len(), 1);
        }
    }
}
