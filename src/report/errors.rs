//! Errors and their places, as the report holds them.

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Problem};
use crate::manifest::Place;

/// An error as the report holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ErrorRow {
    /// The stable token, as in the `error-code` output and in `docs/errors.md`.
    pub code: String,
    /// The fact, one or more lines.
    pub fact: String,
    /// Each problem, when several stand behind the fact.
    pub problems: Vec<ProblemRow>,
    /// The remedies.
    pub hints: Vec<String>,
    /// Where it is, when it is at one place of a file.
    pub place: Option<PlaceRow>,
}

/// One problem of an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ProblemRow {
    /// What is wrong.
    pub fact: String,
    /// How to put it right, when something better than the error's hints is known.
    pub remedy: Option<String>,
    /// Where it is, when it is at one place of a file.
    pub place: Option<PlaceRow>,
}

/// A place in a file of the user's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PlaceRow {
    /// The file, relative to the workspace where it is in it.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The column, in characters, counted from 1.
    pub column: usize,
}

impl PlaceRow {
    /// The place as the report holds it; `None` for one in an input, which is in no file that we know.
    pub fn of(place: &Place) -> Option<Self> {
        let file = place.file.as_ref()?.display().to_string();
        Some(Self { file, line: place.line, column: place.column })
    }
}

impl From<&Error> for ErrorRow {
    fn from(error: &Error) -> Self {
        Self {
            code: error.code.token().to_owned(),
            fact: error.fact.clone(),
            problems: error.problems.iter().map(ProblemRow::from).collect(),
            hints: error.hints.clone(),
            place: error.place.as_deref().and_then(PlaceRow::of),
        }
    }
}

impl From<&Problem> for ProblemRow {
    fn from(problem: &Problem) -> Self {
        Self {
            fact: problem.fact.clone(),
            remedy: problem.remedy.clone(),
            place: problem.place.as_ref().and_then(PlaceRow::of),
        }
    }
}
