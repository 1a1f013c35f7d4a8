//! A secret's name and its value: a name that is valid, a value that cannot be printed.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::reserved;

/// What to do about a name that another program reads.
pub const ANOTHER_NAME: &str = "Use a name with another beginning, for example the project's, and write where the secret is stored: `BOT_NAME = env:…`.";

/// The name of a declared secret: a valid variable name (`[A-Za-z_][A-Za-z0-9_]*`, POSIX XBD 8.1 with lower case allowed),
/// at most 200 characters, so that its file name is valid too, and not a name that the programs of a run read themselves.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretName(String);

/// Why a text is not a [`SecretName`]. Its `Display` describes the shape of the text, never the text itself,
/// because it may be a misplaced value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum NameError {
    /// The text is empty.
    Empty,
    /// The text is longer than 200 characters; holds its length in bytes.
    TooLong(usize),
    /// The first character is a digit.
    StartsWithDigit,
    /// Another program reads the variable of this name, or of this name with `_FILE` appended; holds which.
    Reserved(&'static str),
    /// A character is not an ASCII letter, digit or underscore; holds its position, counted from 1.
    BadCharacter(usize),
}

impl SecretName {
    /// Takes a text and returns it as a name, or what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > 200 {
            return Err(NameError::TooLong(text.len()));
        }
        if let Some(at) = text.chars().position(|c| !(c.is_ascii_alphanumeric() || c == '_')) {
            return Err(NameError::BadCharacter(at + 1));
        }
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(NameError::StartsWithDigit);
        }
        if let Some(reader) = reserved::reader_for_secret(text) {
            return Err(NameError::Reserved(reader));
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as it was declared.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the secret's file: the lower-cased name.
    pub fn file_name(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty"),
            Self::TooLong(length) => write!(f, "it has {length} characters; at most 200 are allowed"),
            Self::Reserved(reader) => {
                write!(f, "{reader} reads a variable of that name, or of that name with `_FILE` appended")
            }
            Self::StartsWithDigit => f.write_str("it starts with a digit"),
            Self::BadCharacter(at) => {
                write!(f, "character {at} is not a letter (A-Z, a-z), digit or underscore")
            }
        }
    }
}

/// The bytes of a secret. It has no `Debug`, `Display` or `Serialize`. Clones share the bytes, which are wiped when the last one
/// is dropped.
#[derive(Clone)]
pub struct SecretValue(Arc<Zeroizing<Vec<u8>>>);

impl SecretValue {
    /// Takes ownership of the bytes; they are wiped when the value and all of its clones are dropped.
    pub fn new(bytes: Vec<u8>) -> Self {
        Zeroizing::new(bytes).into()
    }

    /// The bytes themselves. Every caller is a place where a value could leak.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How an error may describe a value: its length and its kind, e.g. `108 bytes, 3 lines`.
    pub fn shape(&self) -> String {
        let bytes = self.expose();
        let mut parts = vec![match bytes.len() {
            0 => "empty".to_owned(),
            1 => "1 byte".to_owned(),
            n => format!("{n} bytes"),
        }];
        let lines = bytes.split(|b| *b == b'\n').count();
        if lines > 1 {
            parts.push(format!("{lines} lines"));
        }
        if std::str::from_utf8(bytes).is_err() {
            parts.push("not UTF-8".to_owned());
        } else if bytes.contains(&0) {
            parts.push("contains NUL".to_owned());
        }
        parts.join(", ")
    }
}

impl From<Zeroizing<Vec<u8>>> for SecretValue {
    fn from(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(Arc::new(bytes))
    }
}

impl PartialEq for SecretValue {
    /// Compares without stopping at the first difference, so that the time does not show where values differ.
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (self.expose(), other.expose());
        a.len() == b.len() && a.iter().zip(b).fold(0u8, |sum, (x, y)| sum | (x ^ y)) == 0
    }
}

impl Eq for SecretValue {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_variable_names() {
        for good in ["A", "_a", "ANTHROPIC_API_KEY", "a1"] {
            assert!(SecretName::parse(good).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("", NameError::Empty),
            ("1A", NameError::StartsWithDigit),
            ("A-B", NameError::BadCharacter(2)),
            ("Ä", NameError::BadCharacter(1)),
            ("A B", NameError::BadCharacter(2)),
        ] {
            assert!(SecretName::parse(bad).err() == Some(why), "{bad}");
        }
    }

    #[test]
    fn a_shape_tells_length_and_kind_only() {
        assert_eq!(SecretValue::new(b"s3cret".to_vec()).shape(), "6 bytes");
        assert_eq!(SecretValue::new(b"a\nb\xff".to_vec()).shape(), "4 bytes, 2 lines, not UTF-8");
        assert_eq!(SecretValue::new(vec![]).shape(), "empty");
    }
}
