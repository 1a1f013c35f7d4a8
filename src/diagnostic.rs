//! What a user is told of one thing: the fact, the help, and the place. Every message of a run, from an error's problems to a
//! remark of a source, is one of these.

use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

/// One fact, with what to do about it. It contains no secret value; values are described by their shape.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Diagnostic {
    /// What is wrong or worth knowing, naming the secret, service or file.
    pub fact: String,
    /// What to do about it, preferably as text to paste.
    pub help: Option<String>,
    /// Where it is, when it is at one place of a file.
    #[serde(serialize_with = "in_file")]
    #[schemars(with = "Option<PlaceRow>")]
    pub place: Option<Place>,
}

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

/// A place in a file of the user's, as reports hold it.
#[derive(Serialize, JsonSchema)]
pub struct PlaceRow {
    /// The file, relative to the workspace where it is in it.
    file: String,
    /// The line, counted from 1.
    line: usize,
    /// The column, in characters, counted from 1.
    column: usize,
}

impl Diagnostic {
    /// A fact without help.
    pub fn new(fact: impl Into<String>) -> Self {
        Self { fact: fact.into(), help: None, place: None }
    }

    /// A fact with help.
    pub fn with_help(fact: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(fact).help(help)
    }

    /// The same with help.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same with its place.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// The help, empty when there is none.
    pub fn help_text(&self) -> &str {
        self.help.as_deref().unwrap_or_default()
    }

    /// The same with `what` as its subject.
    #[must_use]
    pub fn about(self, what: &str) -> Self {
        Self { fact: format!("{what}: {}", self.fact), ..self }
    }
}

/// Writes a place as reports hold it: one in an input is in no file that they could name.
///
/// # Errors
/// The serializer's.
pub fn in_file<S: Serializer>(place: &Option<Place>, serializer: S) -> Result<S::Ok, S::Error> {
    let row = place.as_ref().and_then(|place| {
        let file = place.file.as_ref()?.display().to_string();
        Some(PlaceRow { file, line: place.line, column: place.column })
    });
    row.serialize(serializer)
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
