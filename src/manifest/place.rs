//! Where something was declared.

use std::fmt;
use std::path::PathBuf;

/// A position in the manifest or in the `secrets` input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file; `None` for the `secrets` input.
    pub file: Option<PathBuf>,
    /// The line, counted from 1.
    pub line: usize,
    /// The column, in characters, counted from 1.
    pub column: usize,
}

impl fmt::Display for Place {
    /// `file:line:column`, in words for the input.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{}:{}:{}", file.display(), self.line, self.column),
            None => write!(f, "input `secrets`, line {}, column {}", self.line, self.column),
        }
    }
}
