//! What is wrong with a node, in our own words: serde's messages quote the value.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use super::finding::{choice, list};
use super::tree::Mark;
use crate::nearest::meant;

/// What is wrong with a node, as the end of a sentence that starts with the node's name.
#[derive(Clone)]
pub(super) struct Fault {
    pub(super) fact: String,
    pub(super) help: Option<String>,
    pub(super) mark: Option<Mark>,
}

impl Fault {
    pub(super) fn new(fact: impl Into<String>) -> Self {
        Self { fact: fact.into(), help: None, mark: None }
    }

    pub(super) fn help(mut self, help: &str) -> Self {
        self.help = Some(help.to_owned());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fact)
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fact)
    }
}

impl std::error::Error for Fault {}

/// serde's own wording quotes values, so every constructor has a new one.
impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!("must be {expected}"))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!("must be {expected}"))
    }

    fn invalid_length(_: usize, expected: &dyn Expected) -> Self {
        Self::new(format!("must be {expected}"))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let known = expected.iter().copied();
        let fact = format!("must be {}", choice(known.clone()));
        Self::new(match meant(variant, known) {
            Some(word) => format!("{fact}; did you mean `{word}`?"),
            None => fact,
        })
    }

    fn unknown_field(_: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!("has an unknown key; the keys are {}", list(expected.iter().copied())))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(format!("has no `{field}`"))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::new(format!("has `{field}` twice"))
    }
}
