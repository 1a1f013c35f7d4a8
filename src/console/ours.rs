//! What is printed of our own: each text with what it is, so that nothing in it begins a line or a command of its own.

use crate::github::workflow::{self, Annotation, Level};
use crate::visible::{in_lines, in_one_line, visible};

/// A text of ours before it is redacted and printed.
pub(super) struct Ours {
    pub(super) kind: Kind,
    pub(super) text: String,
}

/// What a text is.
pub(super) enum Kind {
    /// One line.
    Line,
    /// The heading of what follows.
    Heading,
    /// The heading of a group that the runner folds.
    Group,
    /// A message of one line or more.
    Message(Level),
    /// A message that GitHub shows beside the run.
    Annotation { level: Level, title: Option<String>, file: Option<String>, line: Option<u32> },
}

impl Ours {
    /// What is printed, of a text that is redacted: with the end of its line.
    pub(super) fn shown(kind: &Kind, safe: &str, has_colours: bool) -> String {
        let in_colour = |text: String| if has_colours { coloured(&text) } else { text };
        match kind {
            Kind::Line => in_colour(in_one_line(safe)) + "\n",
            Kind::Heading if has_colours => Style::Bold.on(&in_one_line(safe)) + "\n",
            Kind::Heading => in_one_line(safe) + "\n",
            Kind::Group => workflow::group(&in_one_line(safe)),
            Kind::Message(level) => in_colour(in_lines(&format!("{level}: {safe}"))) + "\n",
            Kind::Annotation { level, title, file, line } => {
                let [title, file] = [title, file].map(|text| text.as_deref().map(visible));
                let (title, file) = (title.as_deref(), file.as_deref());
                let message = &in_lines(safe);
                Annotation { level: *level, message, title, file, line: *line }.to_string()
            }
        }
    }
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
