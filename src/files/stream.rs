//! Reads what a program or a server sends, and never more of it than a limit.

use std::io::{Error, ErrorKind, Result};

use tokio::io::{AsyncRead, AsyncReadExt};
use zeroize::Zeroizing;

/// How much room is taken at first.
const FIRST: usize = 8 * 1024;

/// Bytes that come in pieces. Where they need more room, what they leave behind is wiped.
pub struct Gathered {
    bytes: Zeroizing<Vec<u8>>,
    most: usize,
}

impl Gathered {
    /// Nothing yet, and at most `most` bytes in the end.
    pub fn new(most: usize) -> Self {
        Self { bytes: Zeroizing::default(), most }
    }

    /// Adds a piece. Returns whether there was room: when not, nothing of the piece is kept.
    #[must_use]
    pub fn add(&mut self, piece: &[u8]) -> bool {
        let length = self.bytes.len() + piece.len();
        if length > self.most {
            return false;
        }
        if length > self.bytes.capacity() {
            let room = length.max(self.bytes.capacity() * 2).max(FIRST).min(self.most);
            let mut larger = Zeroizing::new(Vec::with_capacity(room));
            larger.extend_from_slice(&self.bytes);
            self.bytes = larger;
        }
        self.bytes.extend_from_slice(piece);
        true
    }

    /// All of them.
    pub fn whole(self) -> Zeroizing<Vec<u8>> {
        self.bytes
    }
}

/// Reads a stream to its end.
///
/// # Errors
/// The system's; `FileTooLarge`, and nothing further is read, when it has more than `most` bytes.
pub async fn all_of(mut stream: impl AsyncRead + Unpin, most: usize) -> Result<Zeroizing<Vec<u8>>> {
    let mut gathered = Gathered::new(most);
    let mut piece = Zeroizing::new(vec![0; FIRST]);
    loop {
        let length = stream.read(&mut piece).await?;
        if length == 0 {
            return Ok(gathered.whole());
        }
        if !gathered.add(piece.get(..length).unwrap_or_default()) {
            return Err(Error::new(ErrorKind::FileTooLarge, "it is longer than what is read of it"));
        }
    }
}

/// Reads a stream to its end and keeps its first `most` bytes, so that who writes to it is not held up.
///
/// # Errors
/// The system's.
pub async fn beginning_of(mut stream: impl AsyncRead + Unpin, most: usize) -> Result<Zeroizing<Vec<u8>>> {
    let mut gathered = Gathered::new(most);
    let mut piece = Zeroizing::new(vec![0; FIRST]);
    let mut room = most;
    loop {
        let length = stream.read(&mut piece).await?;
        if length == 0 {
            return Ok(gathered.whole());
        }
        let kept = length.min(room);
        if gathered.add(piece.get(..kept).unwrap_or_default()) {
            room -= kept;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stream_is_read_up_to_its_limit_and_no_further() {
        for (length, most, whole) in
            [(0, 0, true), (1, 0, false), (100_000, 100_000, true), (100_001, 100_000, false)]
        {
            let bytes = vec![b'x'; length];
            let read = all_of(&bytes[..], most).await;
            assert_eq!(read.is_ok_and(|read| *read == bytes), whole, "{length} of {most}");
            let kept = beginning_of(&bytes[..], most).await.unwrap();
            assert!(*kept == bytes[..length.min(most)]);
        }
        let endless = all_of(tokio::io::repeat(b'x'), 1_000_000).await;
        assert_eq!(endless.err().unwrap().kind(), ErrorKind::FileTooLarge);
    }

    #[test]
    fn no_more_room_is_taken_than_the_limit() {
        let mut gathered = Gathered::new(20_000);
        for _ in 0..20 {
            assert!(gathered.add(&[0; 1000]));
        }
        assert!(!gathered.add(&[0]));
        assert_eq!((gathered.bytes.len(), gathered.bytes.capacity()), (20_000, 20_000));
    }
}
