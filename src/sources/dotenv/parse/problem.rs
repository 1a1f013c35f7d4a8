//! Errors and warnings about a dotenv file: a place and a kind, never a part of the file's text other than a plain key.

use std::fmt;

/// Why the file cannot be read. Compose rejects it as well (but for the two limits).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParseError {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// The key of the value with the error, if it is a plain variable name.
    pub key: Option<String>,
    /// What it is.
    pub kind: ErrorKind,
}

/// The kinds of [`ParseError`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorKind {
    /// A character that is not allowed in a key.
    UnexpectedCharacter,
    /// A space within a key.
    SpaceInKey,
    /// An `export` at the end of the file.
    NothingAfterExport,
    /// A quote that is opened and never closed.
    UnterminatedQuote,
    /// `${` that does not start a well-formed reference (only under `Interpolation::Compose`).
    InvalidReference,
    /// `${X:?…}` of a variable that is not set (only under `Interpolation::Compose`).
    RequiredVariable,
    /// References nested too deep (only under `Interpolation::Compose`; a limit of ours).
    TooDeep,
    /// References that make the file too large (only under `Interpolation::Compose`; a limit of ours).
    TooLarge,
}

/// Something legal that is probably not intended.
#[derive(Clone, PartialEq, Eq)]
pub struct Warning {
    /// The line of the key, from 1.
    pub line: usize,
    /// What it is.
    pub kind: WarningKind,
    key: Option<String>,
}

/// The kinds of [`Warning`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WarningKind {
    /// The value holds a `$` that Compose would interpolate; here it was kept.
    WouldInterpolate,
    /// A key without separator and value. The key cannot be printed: it may be a line of an unquoted multi-line secret.
    Bare,
    /// A line with a value and without a key.
    NoKey,
    /// The key was already set, in the given line; this value is used.
    Duplicate {
        /// The line of the value that is not used, from 1.
        first: usize,
    },
    /// Something other than a comment follows the closing quote, and was read as another entry.
    TextAfterQuote,
    /// The value refers to a variable that is not set (only under `Interpolation::Compose`).
    UnsetVariable,
}

impl ParseError {
    pub(super) fn new(line: usize, column: usize, key: Option<&str>, kind: ErrorKind) -> Self {
        let key = key.filter(|key| is_plain(key)).map(str::to_owned);
        Self { line, column, key, kind }
    }

    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self.kind {
            ErrorKind::UnexpectedCharacter | ErrorKind::SpaceInKey | ErrorKind::NothingAfterExport => {
                "write each entry as `NAME=value`, and put a value of several lines in single quotes"
            }
            ErrorKind::UnterminatedQuote => {
                "close the quote; a quote inside the value is written with a backslash before it"
            }
            ErrorKind::InvalidReference | ErrorKind::RequiredVariable => {
                "put the value in single quotes, where `$` is literal"
            }
            ErrorKind::TooDeep | ErrorKind::TooLarge => "write the value out instead of referring to others",
        }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)?;
        if let Some(key) = &self.key {
            write!(f, " ({key})")?;
        }
        f.write_str(match self.kind {
            ErrorKind::UnexpectedCharacter => ": a character that cannot be part of a key",
            ErrorKind::SpaceInKey => ": a key with a space in it",
            ErrorKind::NothingAfterExport => ": `export` without a key",
            ErrorKind::UnterminatedQuote => ": a quote that is never closed",
            ErrorKind::InvalidReference => ": `${` without a well-formed reference",
            ErrorKind::RequiredVariable => ": a required variable has no value",
            ErrorKind::TooDeep => ": references nested too deep",
            ErrorKind::TooLarge => ": references that expand to too much",
        })
    }
}

impl std::error::Error for ParseError {}

impl Warning {
    pub(super) fn new(line: usize, key: Option<&str>, kind: WarningKind) -> Self {
        Self { line, kind, key: key.map(str::to_owned) }
    }

    /// The key, if it can be printed: a plain variable name that has a value.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref().filter(|key| self.kind != WarningKind::Bare && is_plain(key))
    }

    /// Whether this is about the secret of this name, so that a key that cannot be printed can be identified if the name
    /// is known.
    pub fn is_about(&self, name: &str) -> bool {
        self.key.as_deref() == Some(name)
    }

    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self.kind {
            WarningKind::WouldInterpolate => {
                "put the value in single quotes, so that Docker Compose reads the same value as we do"
            }
            WarningKind::Bare => {
                "write `NAME=value`, or remove the line; a value of several lines needs quotes"
            }
            WarningKind::NoKey => "write the key before the `=`, or remove the line",
            WarningKind::Duplicate { .. } => "remove one of the two lines",
            WarningKind::TextAfterQuote => {
                "start a new line after the closing quote; a quote inside the value is written with a backslash before it"
            }
            WarningKind::UnsetVariable => {
                "set the variable, or put the value in single quotes if the `$` is part of it"
            }
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if let Some(key) = self.key() {
            write!(f, " ({key})")?;
        }
        match self.kind {
            WarningKind::WouldInterpolate => f.write_str(
                ": the value was used as it is, but contains a `$` that Docker Compose would interpolate",
            ),
            WarningKind::Bare => f.write_str(": a key without a value, so the line is ignored"),
            WarningKind::NoKey => f.write_str(": no key, so the line is ignored"),
            WarningKind::Duplicate { first } => {
                write!(f, ": the key was already set on line {first}; this one is used")
            }
            WarningKind::TextAfterQuote => {
                f.write_str(": text after a closing quote was read as another entry")
            }
            WarningKind::UnsetVariable => f.write_str(": the value refers to a variable that is not set"),
        }
    }
}

/// The same as `Display`: a derived one would show keys that cannot be printed.
impl fmt::Debug for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Warning({self})")
    }
}

/// Whether a key is a plain variable name of ordinary length. Others may be anything, including a line of a value.
fn is_plain(key: &str) -> bool {
    let mut bytes = key.bytes();
    key.len() <= 128
        && bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}
