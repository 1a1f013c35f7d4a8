//! The position in a dotenv file: lines, spaces, keys and the raw extent of values.

use super::problem::{ErrorKind, ParseError};

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// A position. Its column is only counted when an error needs it: a file may be one long line of a great many entries.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// From 1.
    pub(super) line: usize,
    line_start: usize,
    at: usize,
}

/// What ended a key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyEnd {
    /// `=` or `:`, followed by the value.
    Separator,
    /// The end of its line: a bare key.
    Line,
    /// The end of the file, without a line break.
    File,
}

/// Reads forward only; keeps count of lines as it goes.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    line: usize,
    line_start: usize,
}

impl<'a> Cursor<'a> {
    /// At the start of the file, behind a byte order mark.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        Self { bytes, at: 0, line: 1, line_start: 0 }
    }

    pub(super) fn at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(super) fn place(&self) -> Place {
        Place { line: self.line, line_start: self.line_start, at: self.at }
    }

    /// An error at a place that was passed, in the value of this key.
    pub(super) fn fault(&self, place: Place, key: Option<&str>, kind: ErrorKind) -> ParseError {
        let before = self.bytes.get(place.line_start..place.at).unwrap_or_default();
        // Continuation bytes of UTF-8 are not characters of their own.
        let column = 1 + before.iter().filter(|&&byte| byte & 0xC0 != 0x80).count();
        ParseError::new(place.line, column, key, kind)
    }

    /// Skips white space and line breaks; gives the first byte of what follows.
    pub(super) fn next_statement(&mut self) -> Option<u8> {
        self.skip_while(char::is_whitespace);
        self.peek()
    }

    /// Skips an `export` with what separates it from its key; says whether there was one.
    pub(super) fn skip_export(&mut self) -> bool {
        let Some(after) = self.rest().strip_prefix(b"export") else {
            return false;
        };
        // Here Compose's notion of white space is the one of its regular expressions.
        if !matches!(after.first(), Some(b'\t' | b'\n' | b'\x0C' | b'\r' | b' ')) {
            return false;
        }
        self.advance(b"export".len());
        self.skip_while(is_blank);
        true
    }

    /// Takes a key, its end, and the blanks behind that. What cannot be in a key is an error, which does not say what it is.
    pub(super) fn take_key(&mut self) -> Result<(String, KeyEnd), ParseError> {
        let rest = self.rest();
        let mut length = 0;
        let end = loop {
            let Some((character, width)) = first_character(rest.get(length..).unwrap_or_default()) else {
                break KeyEnd::File;
            };
            match character {
                Some('=' | ':') => break KeyEnd::Separator,
                Some('\n') => break KeyEnd::Line,
                Some(known) if is_blank(known) || is_key_character(known) => length += width,
                _ => {
                    self.advance(length);
                    return Err(self.fault(self.place(), None, ErrorKind::UnexpectedCharacter));
                }
            }
        };
        let key = String::from_utf8_lossy(rest.get(..length).unwrap_or_default()).trim_end().to_owned();
        self.advance(length + usize::from(end != KeyEnd::File));
        self.skip_while(is_blank);
        Ok((key, end))
    }

    /// Takes the rest of the line, and the line break, which is not part of the result.
    pub(super) fn take_line(&mut self) -> &'a [u8] {
        let rest = self.rest();
        let length = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
        self.advance(length + 1);
        rest.get(..length).unwrap_or_default()
    }

    /// Takes a quoted value with its quotes; gives what is between them, or `None` where the quote does not end.
    pub(super) fn take_quoted(&mut self, quote: u8) -> Option<&'a [u8]> {
        let inside = self.rest().get(1..)?;
        let mut length = 0;
        loop {
            match *inside.get(length)? {
                b'\\' => length += 2,
                byte if byte == quote => break,
                _ => length += 1,
            }
        }
        self.advance(length + 2);
        inside.get(..length)
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn advance(&mut self, by: usize) {
        let to = (self.at + by).min(self.bytes.len());
        for (offset, _) in self
            .bytes
            .get(self.at..to)
            .unwrap_or_default()
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'\n')
        {
            self.line += 1;
            self.line_start = self.at + offset + 1;
        }
        self.at = to;
    }

    fn skip_while(&mut self, wanted: impl Fn(char) -> bool) {
        while let Some((Some(character), width)) = first_character(self.rest()) {
            if !wanted(character) {
                return;
            }
            self.advance(width);
        }
    }
}

/// An unquoted value: the line up to the first ` #`, without white space at its end.
pub(super) fn without_comment(line: &[u8]) -> &[u8] {
    let length = line.windows(2).position(|pair| pair == b" #").unwrap_or(line.len());
    let mut value = line.get(..length).unwrap_or_default();
    while let Some(shorter) = without_last_space(value) {
        value = shorter;
    }
    value
}

/// The text without its last character, if that is white space. Invalid UTF-8 is none.
fn without_last_space(text: &[u8]) -> Option<&[u8]> {
    let width = 1 + text.iter().rev().take_while(|&&byte| byte & 0xC0 == 0x80).count().min(3);
    let (before, last) = text.split_at_checked(text.len().checked_sub(width)?)?;
    let last = std::str::from_utf8(last).ok()?;
    last.chars().all(char::is_whitespace).then_some(before)
}

/// The first character and its width in bytes, `None` for a byte that is no UTF-8; nothing at the end.
fn first_character(bytes: &[u8]) -> Option<(Option<char>, usize)> {
    let first = *bytes.first()?;
    if first.is_ascii() {
        return Some((Some(char::from(first)), 1));
    }
    let window = bytes.get(..bytes.len().min(4))?;
    let character = window.utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next());
    Some((character, character.map_or(1, char::len_utf8)))
}

/// White space within a line, in Compose's sense: fewer characters than Unicode has.
fn is_blank(character: char) -> bool {
    matches!(character, '\t' | '\x0B' | '\x0C' | '\r' | ' ' | '\u{85}' | '\u{A0}')
}

fn is_key_character(character: char) -> bool {
    matches!(character, '_' | '.' | '-' | '[' | ']') || character.is_alphanumeric()
}
