//! Why an item was not handed out, before it is known for which question.

use crate::sources::{Listing, Refusal, Reply};

/// A refusal, with who is to blame.
#[derive(Clone)]
pub(super) enum No {
    /// We may not have it.
    Denied(Refusal),
    /// It could not be asked, or the answer was no good.
    Failed(Refusal),
}

impl No {
    /// A refusal that says we may not.
    pub(super) fn denied(fact: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Denied(Refusal::new(fact, remedy))
    }

    /// A refusal that says something went wrong.
    pub(super) fn failed(fact: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Failed(Refusal::new(fact, remedy))
    }
}

impl From<No> for Reply {
    fn from(no: No) -> Self {
        match no {
            No::Denied(refusal) => Self::Denied(refusal),
            No::Failed(refusal) => Self::Failed(refusal),
        }
    }
}

impl From<No> for Listing {
    fn from(no: No) -> Self {
        match no {
            No::Denied(refusal) => Self::Denied(refusal),
            No::Failed(refusal) => Self::Failed(refusal),
        }
    }
}
