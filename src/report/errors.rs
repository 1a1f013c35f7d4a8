//! Errors and their places, as the report holds them.

use schemars::JsonSchema;
use serde::Serialize;

use crate::diagnostic::{Diagnostic, Place, PlaceRow, in_file};
use crate::error::Error;

/// An error as the report holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ErrorRow {
    /// The stable token, as in the `error-code` output and in `docs/errors.md`.
    pub code: String,
    /// The fact, one or more lines.
    pub fact: String,
    /// Each problem, when several stand behind the fact.
    pub problems: Vec<Diagnostic>,
    /// What to do about it.
    pub help: Vec<String>,
    /// Where it is, when it is at one place of a file.
    #[serde(serialize_with = "in_file")]
    #[schemars(with = "Option<PlaceRow>")]
    pub place: Option<Place>,
}

impl From<&Error> for ErrorRow {
    fn from(error: &Error) -> Self {
        Self {
            code: error.code.token().to_owned(),
            fact: error.fact.clone(),
            problems: error.problems.clone(),
            help: error.help.clone(),
            place: error.place.as_deref().cloned(),
        }
    }
}
