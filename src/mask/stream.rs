//! Redacts output that arrives in chunks, without making anyone wait for more than a value could need.

use std::io::{self, Write};

use super::buffer::Buffer;
use super::{MASK, Redactor};

/// Memory that a stream keeps between chunks (bytes).
const KEPT: usize = 16 * 1024;

/// Redacts chunks of one stream of output. Cut as they may be, what comes out is what
/// [`Redactor::redact_line`] makes of the whole.
///
/// No pattern holds a line break, so all up to the last CR or LF comes out at once, progress bars too. Of a line
/// that has not ended, only what may be the beginning of a value stays back: at most 1,023 bytes.
pub struct Stream {
    redactor: Redactor,
    held: Buffer,
    /// A `***` that has been printed stands for everything up to here in `held`; zero when it ends just before.
    masked: Option<usize>,
}

impl Stream {
    /// Starts a stream.
    #[must_use]
    pub fn new(redactor: Redactor) -> Self {
        Self {
            redactor,
            held: Buffer::new(),
            masked: None,
        }
    }

    /// Takes the next chunk and appends to `out` all that is decided.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        self.held.extend(chunk);
        let text = self.held.as_slice();
        let line = text
            .iter()
            .rposition(|byte| matches!(byte, b'\r' | b'\n'))
            .map_or(0, |end| end + 1);
        let decided = line + self.redactor.undecided_from(&text[line..]);
        self.release(decided, out);
    }

    /// Ends the stream: appends what was held back to `out`. The stream can then be used anew.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.release(self.held.len(), out);
        self.masked = None;
    }

    /// Appends the redacted first `decided` bytes to `out`. No undecided value begins before that.
    fn release(&mut self, decided: usize, out: &mut Vec<u8>) {
        let text = self.held.as_slice();
        let mut done = self.masked.unwrap_or(0);
        let mut behind_mask = self.masked.is_some();
        for hit in self.redactor.hits(text) {
            if hit.start >= decided {
                break;
            }
            if behind_mask && hit.start <= done {
                done = done.max(hit.end);
                continue;
            }
            out.extend_from_slice(&text[done..hit.start]);
            out.extend_from_slice(MASK.as_bytes());
            done = hit.end;
            behind_mask = true;
        }
        if done < decided {
            out.extend_from_slice(&text[done..decided]);
            behind_mask = false;
            done = decided;
        }
        self.masked = behind_mask.then_some(done - decided);
        self.held.drop_front(decided);
        self.held.shrink(KEPT);
    }
}

/// A writer that redacts what is written to it. Call [`finish`](Self::finish) at the end; a writer that is
/// dropped instead writes what it held back and ignores errors.
pub struct RedactingWriter<W: Write> {
    stream: Stream,
    inner: Option<W>,
    redacted: Vec<u8>,
}

impl<W: Write> RedactingWriter<W> {
    /// Wraps `inner`.
    pub fn new(redactor: &Redactor, inner: W) -> Self {
        Self {
            stream: redactor.stream(),
            inner: Some(inner),
            redacted: Vec::new(),
        }
    }

    /// Writes what was held back, flushes, and returns the inner writer.
    ///
    /// # Errors
    /// Those of the inner writer.
    pub fn finish(mut self) -> io::Result<W> {
        self.redacted.clear();
        self.stream.finish(&mut self.redacted);
        let mut inner = self
            .inner
            .take()
            .ok_or_else(|| io::Error::other("the writer has ended"))?;
        inner.write_all(&self.redacted)?;
        inner.flush()?;
        Ok(inner)
    }
}

impl<W: Write> Write for RedactingWriter<W> {
    fn write(&mut self, chunk: &[u8]) -> io::Result<usize> {
        self.redacted.clear();
        self.stream.push(chunk, &mut self.redacted);
        if let Some(inner) = &mut self.inner {
            inner.write_all(&self.redacted)?;
        }
        Ok(chunk.len())
    }

    /// Flushes the inner writer. What may be the beginning of a value stays back even then.
    fn flush(&mut self) -> io::Result<()> {
        self.inner.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl<W: Write> Drop for RedactingWriter<W> {
    fn drop(&mut self) {
        if let Some(mut inner) = self.inner.take() {
            self.redacted.clear();
            self.stream.finish(&mut self.redacted);
            let _ = inner.write_all(&self.redacted);
        }
    }
}
