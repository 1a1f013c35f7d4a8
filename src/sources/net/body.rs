//! Limits on what servers may send: for each response, and for all responses of a run together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use zeroize::Zeroizing;

use super::Failure;
use crate::files::Gathered;

/// No store has a larger response.
pub const MAX_BODY: usize = 16 * 1024 * 1024;
/// What all stores may send in one run: four times a thousand secrets of AWS's maximum size.
pub(super) const MAX_BODIES: usize = 256 * 1024 * 1024;

/// What is left for responses in this run. Clones share it.
#[derive(Clone, Debug)]
pub struct Room(Arc<AtomicUsize>);

impl Room {
    /// All of it.
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicUsize::new(MAX_BODIES)))
    }

    fn take(&self, bytes: usize) -> bool {
        let less = |left: usize| left.checked_sub(bytes);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

/// The body of a response while it is received.
pub struct Body<'r> {
    room: &'r Room,
    bytes: Gathered,
}

impl<'r> Body<'r> {
    /// Nothing yet.
    pub fn new(room: &'r Room) -> Self {
        Self { room, bytes: Gathered::new(MAX_BODY) }
    }

    /// Adds a piece.
    ///
    /// # Errors
    /// The response, or all of them together, are larger than any store's.
    pub fn add(&mut self, piece: &[u8]) -> Result<(), Failure> {
        if !self.bytes.add(piece) {
            return Err(Failure::TooLong);
        }
        if !self.room.take(piece.len()) {
            return Err(Failure::TooMuch);
        }
        Ok(())
    }

    /// All of it; wiped when it is dropped.
    pub fn whole(self) -> Zeroizing<Vec<u8>> {
        self.bytes.whole()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_and_all_answers_together_have_their_limits() {
        let room = Room::new();
        let piece = vec![b'x'; 1024 * 1024];
        for _ in 0..MAX_BODIES / MAX_BODY {
            let mut body = Body::new(&room);
            for _ in 0..MAX_BODY / piece.len() {
                assert!(body.add(&piece).is_ok());
            }
            assert_eq!(body.add(b"x"), Err(Failure::TooLong));
            assert_eq!(body.whole().len(), MAX_BODY);
        }
        assert_eq!(Body::new(&room).add(b"x"), Err(Failure::TooMuch));
    }
}
