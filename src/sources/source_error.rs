//! A refusal that is not about one request yet: a failed login is the reply for every item and every list.

use super::{Listing, Reply, Signing};
use crate::diagnostic::Diagnostic;
use crate::error::Error;

/// Why nothing can be read.
#[derive(Clone)]
pub(super) enum SourceError {
    /// The store refuses.
    Denied(Diagnostic),
    /// It could not be asked, or its response was not valid.
    Failed(Diagnostic),
}

impl SourceError {
    /// A denial with its fact and remedy.
    pub(super) fn denied(fact: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Denied(Diagnostic::with_help(fact, help))
    }

    /// A failure with its fact and remedy.
    pub(super) fn failed(fact: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Failed(Diagnostic::with_help(fact, help))
    }

    /// That there is no client to ask with. Settings were checked when the source was opened: what is left is this machine's.
    pub(super) fn no_client(error: Error) -> Self {
        Self::Failed(Diagnostic::with_help(error.fact, error.help.join("\n")))
    }

    /// The same, with `what` as its subject.
    pub(super) fn about(self, what: &str) -> Self {
        match self {
            Self::Denied(refusal) => Self::Denied(refusal.about(what)),
            Self::Failed(refusal) => Self::Failed(refusal.about(what)),
        }
    }

    /// The reply for an item.
    pub(super) fn reply(self) -> Reply {
        match self {
            Self::Denied(refusal) => Reply::Denied(refusal),
            Self::Failed(refusal) => Reply::Failed(refusal),
        }
    }

    /// The reply for the list below a prefix.
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
