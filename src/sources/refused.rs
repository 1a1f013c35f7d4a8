//! A refusal that is not about one question yet: a login that failed is the reply to every item, and to every list.

use super::{Listing, Refusal, Reply, Signing};
use crate::error::Error;

/// Why nothing is handed out.
#[derive(Clone)]
pub(super) enum Refused {
    /// The store refuses.
    Denied(Refusal),
    /// It could not be asked, or its answer was no good.
    Failed(Refusal),
}

impl Refused {
    /// A denial with its fact and remedy.
    pub(super) fn denied(fact: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Denied(Refusal::new(fact, remedy))
    }

    /// A failure with its fact and remedy.
    pub(super) fn failed(fact: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Failed(Refusal::new(fact, remedy))
    }

    /// The same, said of `what`.
    pub(super) fn about(self, what: &str) -> Self {
        match self {
            Self::Denied(refusal) => Self::Denied(refusal.about(what)),
            Self::Failed(refusal) => Self::Failed(refusal.about(what)),
        }
    }

    /// What is said to the question for an item.
    pub(super) fn reply(self) -> Reply {
        match self {
            Self::Denied(refusal) => Reply::Denied(refusal),
            Self::Failed(refusal) => Reply::Failed(refusal),
        }
    }

    /// What is said to the question what lies below a prefix.
    pub(super) fn listing(self) -> Listing {
        match self {
            Self::Denied(refusal) => Listing::Denied(refusal),
            Self::Failed(refusal) => Listing::Failed(refusal),
        }
    }

    /// What is said to the question for a certificate.
    pub(super) fn signing(self) -> Signing {
        match self {
            Self::Denied(refusal) => Signing::Denied(refusal),
            Self::Failed(refusal) => Signing::Failed(refusal),
        }
    }

    #[cfg(test)]
    pub(super) fn fact(&self) -> &str {
        let (Self::Denied(refusal) | Self::Failed(refusal)) = self;
        &refusal.fact
    }
}

impl Refusal {
    /// The same, said of `what`.
    pub(super) fn about(self, what: &str) -> Self {
        Self { fact: format!("{what}: {}", self.fact), ..self }
    }
}

impl From<Error> for Refusal {
    /// What is wrong with the settings of a client shows only when it is made, and then fails every item.
    fn from(error: Error) -> Self {
        Self { fact: error.fact, remedy: error.hints.join("\n") }
    }
}
