//! What the launcher says: bytes put together one after the other, since names and paths need not be UTF-8 and the
//! formatting machinery of the standard library would be a good part of the program.

use std::io::Write as _;

/// A line, or several. It never holds a value.
#[derive(Default)]
pub(crate) struct Message(Vec<u8>);

impl Message {
    /// A message that begins with these bytes.
    pub(crate) fn new(text: impl AsRef<[u8]>) -> Self {
        Self::default().and(text)
    }

    /// The message with these bytes at its end.
    #[must_use]
    pub(crate) fn and(mut self, text: impl AsRef<[u8]>) -> Self {
        self.0.extend_from_slice(text.as_ref());
        self
    }

    /// The message with a number at its end.
    #[must_use]
    pub(crate) fn number(self, number: usize) -> Self {
        self.and(number.to_string())
    }

    /// The message with the kernel's words for an error at its end.
    #[must_use]
    pub(crate) fn error(self, error: nix::errno::Errno) -> Self {
        self.and(match error {
            nix::errno::Errno::EACCES => "permission denied",
            nix::errno::Errno::ENOENT => "no such file",
            other => other.desc(),
        })
    }

    /// Writes it to standard error. Nobody may be left to read it.
    pub(crate) fn complain(&self) {
        let _ = std::io::stderr().write_all(&self.line());
    }

    /// The whole line, with our name before it.
    pub(crate) fn into_text(self) -> String {
        String::from_utf8_lossy(&self.line()).into_owned()
    }

    fn line(&self) -> Vec<u8> {
        [b"claude-secrets: ", self.0.as_slice(), b"\n"].concat()
    }

    /// Writes it to standard output; false when that failed.
    pub(crate) fn print(&self) -> bool {
        let mut line = self.0.clone();
        line.push(b'\n');
        std::io::stdout().write_all(&line).is_ok()
    }
}
