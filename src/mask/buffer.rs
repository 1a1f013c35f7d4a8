//! A byte buffer that leaves no copies behind: wiped when it grows and when it is dropped.

use zeroize::Zeroize;

/// Bytes that may be part of a value. A plain `Vec` that grows leaves a copy in the memory that it frees.
pub(super) struct Buffer(Vec<u8>);

impl Buffer {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn push(&mut self, byte: u8) {
        self.reserve(1);
        self.0.push(byte);
    }

    pub(super) fn push_char(&mut self, character: char) {
        let mut utf8 = [0; 4];
        self.extend(character.encode_utf8(&mut utf8).as_bytes());
    }

    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    /// Adds `more` zero bytes at the end and returns them to be filled.
    pub(super) fn grow(&mut self, more: usize) -> &mut [u8] {
        self.reserve(more);
        let start = self.0.len();
        self.0.resize(start + more, 0);
        &mut self.0[start..]
    }

    /// Empties the buffer; its memory is kept, and wiped at the end.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Shortens the buffer to `length` bytes.
    pub(super) fn truncate(&mut self, length: usize) {
        self.0.truncate(length);
    }

    /// Removes the first `count` bytes.
    pub(super) fn drop_front(&mut self, count: usize) {
        self.0.drain(..count);
    }

    /// Frees memory beyond `capacity`, wiped, if the content fits into that.
    pub(super) fn shrink(&mut self, capacity: usize) {
        if self.0.capacity() > capacity && self.0.len() <= capacity {
            self.move_to(capacity);
        }
    }

    /// Frees all unused memory, wiped.
    pub(super) fn shrink_to_fit(&mut self) {
        self.shrink(self.0.len());
    }

    fn reserve(&mut self, more: usize) {
        let needed = self.0.len() + more;
        if needed > self.0.capacity() {
            self.move_to(needed.max(self.0.capacity() * 2).max(64));
        }
    }

    fn move_to(&mut self, capacity: usize) {
        let mut moved = Vec::with_capacity(capacity);
        moved.extend_from_slice(&self.0);
        self.0.zeroize();
        self.0 = moved;
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}
