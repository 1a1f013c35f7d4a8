//! What comes of a request for many items.

use crate::sources::Reply;

/// Something with its place among the items that were asked for.
pub(super) type At<T> = (usize, T);

/// The result of a request, and what is left to read one by one.
pub(super) struct Outcome<W> {
    pub(super) replies: Vec<At<Reply>>,
    pub(super) left: Vec<At<W>>,
}

impl<W> Outcome<W> {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self { replies: Vec::new(), left: Vec::new() }
    }

    /// All of it is left.
    pub(super) fn left(left: Vec<At<W>>) -> Self {
        Self { replies: Vec::new(), left }
    }

    /// Each has this reply.
    pub(super) fn replied(wanted: Vec<At<W>>, reply: impl Fn(&W) -> Reply) -> Self {
        let replies = wanted.into_iter().map(|(at, one)| (at, reply(&one))).collect();
        Self { replies, left: Vec::new() }
    }
}
