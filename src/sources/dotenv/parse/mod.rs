//! The dotenv language as Docker Compose reads it: bytes in, entries out.
//!
//! The rules are those of Docker Compose 2.40 to 5.6 (compose-go v2.9.1 to v2.16.1); `tests/dotenv_against_compose.rs`
//! compares the two on the same files. Intended differences from Compose:
//!
//! - `$` stays a `$` under [`Interpolation::Literal`], and a warning says which entries Compose would have changed.
//! - A bare `KEY` inherits from the environment in Compose. Under [`Interpolation::Literal`] it is absent, with a warning.
//! - A bare `KEY` that ends the file without a line break, and `=value`, give Compose an entry without a name. No secret
//!   can have that name, so there is no entry, but a warning.
//! - [`Interpolation::Compose`] limits nesting to 64 levels and what a file can grow to to 16 MiB.
//! - Compose wants a letter or number (Unicode L or N) in a key, we also take what Unicode merely calls alphabetic.
//!
//! No error or warning contains any part of a value.

mod cursor;
mod interpolate;
mod problem;
mod quoted;

use std::collections::HashMap;

use zeroize::Zeroizing;

use cursor::{Cursor, KeyEnd, Place};
use interpolate::Expander;
pub use problem::{ErrorKind, ParseError, Warning, WarningKind};

/// The value of a variable outside of the file; `None` if it is not set.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<Zeroizing<Vec<u8>>>;

/// What a `$` in an unquoted or double-quoted value means.
#[derive(Clone, Copy)]
pub enum Interpolation<'a> {
    /// A literal `$`. Secrets often contain dollars: for Compose, `p$w0rd` is `p` and an unset variable.
    Literal,
    /// The same as in Compose, including `${X:-default}` and the like. The lookup wins over earlier lines of the file, as in
    /// Compose, and is what a bare `KEY` inherits from.
    Compose(Lookup<'a>),
}

/// How a value was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quoting {
    /// Without quotes, up to the end of the line or ` #`.
    Unquoted,
    /// In `'…'`.
    Single,
    /// In `"…"`.
    Double,
    /// Not at all: a bare `KEY`, whose value the lookup gave (only under [`Interpolation::Compose`]).
    Inherited,
}

/// One variable of the file. Holds a value, so it has no `Debug`.
pub struct Entry {
    /// The name as in the file. It is not always safe to print: a value of several lines without quotes can look
    /// like a key.
    pub key: String,
    /// The value's bytes, wiped when dropped.
    pub value: Zeroizing<Vec<u8>>,
    /// The line of the key, from 1.
    pub line: usize,
    /// How the value was written.
    pub quoting: Quoting,
}

/// A whole file, read. Holds values, so it has no `Debug`.
pub struct Parsed {
    /// One entry per key, in the order in which the keys first appear; of duplicate keys, the last value.
    pub entries: Vec<Entry>,
    /// What is legal but probably not intended, in the order of the file.
    pub warnings: Vec<Warning>,
}

impl Parsed {
    /// The entry of this exact name.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == name)
    }
}

/// Reads a dotenv file. Fails on what Compose rejects: a malformed key, a quote that does not end, and under
/// [`Interpolation::Compose`] a malformed or unmet `${…}`.
pub fn parse(bytes: &[u8], mode: Interpolation<'_>) -> Result<Parsed, ParseError> {
    let mut reader = Reader {
        cursor: Cursor::new(bytes),
        mode,
        entries: Entries::default(),
        warnings: Vec::new(),
        quote_ended: None,
        budget: interpolate::BUDGET,
    };
    while let Some(byte) = reader.cursor.next_statement() {
        if byte == b'#' {
            reader.cursor.take_line();
        } else {
            reader.statement()?;
        }
    }
    Ok(Parsed { entries: reader.entries.list, warnings: reader.warnings })
}

/// The entries so far, with an index, for files with very many of them.
#[derive(Default)]
struct Entries {
    list: Vec<Entry>,
    index: HashMap<String, usize>,
}

impl Entries {
    fn get(&self, key: &str) -> Option<Zeroizing<Vec<u8>>> {
        self.index.get(key).and_then(|&at| self.list.get(at)).map(|entry| entry.value.clone())
    }

    /// Puts the entry in, over one of the same key; gives the line of the one that it replaced.
    fn put(&mut self, entry: Entry) -> Option<usize> {
        if let Some(old) = self.index.get(&entry.key).and_then(|&at| self.list.get_mut(at)) {
            let line = old.line;
            *old = entry;
            return Some(line);
        }
        self.index.insert(entry.key.clone(), self.list.len());
        self.list.push(entry);
        None
    }
}

struct Reader<'a> {
    cursor: Cursor<'a>,
    mode: Interpolation<'a>,
    entries: Entries,
    warnings: Vec<Warning>,
    /// The line on which the last quoted value ended: other text on it was probably not intended as an entry.
    quote_ended: Option<usize>,
    /// How many bytes interpolation may still produce.
    budget: usize,
}

type Value = (Zeroizing<Vec<u8>>, Quoting);

impl Reader<'_> {
    fn warn(&mut self, line: usize, key: Option<&str>, kind: WarningKind) {
        self.warnings.push(Warning::new(line, key, kind));
    }

    /// Reads one `KEY=value`, `KEY: value` or bare `KEY`, each with or without `export`.
    fn statement(&mut self) -> Result<(), ParseError> {
        let export = self.cursor.place();
        if self.quote_ended == Some(export.line) {
            self.warn(export.line, None, WarningKind::TextAfterQuote);
        }
        if self.cursor.skip_export() && self.cursor.at_end() {
            return Err(self.cursor.fault(export, None, ErrorKind::NothingAfterExport));
        }
        let start = self.cursor.place();
        let (key, end) = self.cursor.take_key()?;
        let value = match end {
            // Compose takes whatever ends the file like this for a value without a key, spaces and all.
            KeyEnd::File => None,
            _ if key.contains(' ') => return Err(self.cursor.fault(start, None, ErrorKind::SpaceInKey)),
            KeyEnd::Separator => Some(self.value(&key)?),
            KeyEnd::Line => self.inherited(&key),
        };
        let Some((value, quoting)) = value else {
            let kind = if key.is_empty() { WarningKind::NoKey } else { WarningKind::Bare };
            self.warn(start.line, Some(&key), kind);
            return Ok(());
        };
        if key.is_empty() {
            self.warn(start.line, None, WarningKind::NoKey);
            return Ok(());
        }
        let entry = Entry { key: key.clone(), value, line: start.line, quoting };
        if let Some(first) = self.entries.put(entry) {
            self.warn(start.line, Some(&key), WarningKind::Duplicate { first });
        }
        Ok(())
    }

    /// The value of a bare key. Without a value it leaves an earlier entry of that key as it is, as in Compose.
    fn inherited(&self, key: &str) -> Option<Value> {
        match self.mode {
            Interpolation::Compose(lookup) if !key.is_empty() => {
                lookup(key).map(|value| (value, Quoting::Inherited))
            }
            _ => None,
        }
    }

    /// Reads the value after the separator and its spaces.
    fn value(&mut self, key: &str) -> Result<Value, ParseError> {
        let start = self.cursor.place();
        let (quote, quoting) = match self.cursor.peek() {
            Some(quote @ b'\'') => (quote, Quoting::Single),
            Some(quote @ b'"') => (quote, Quoting::Double),
            _ => {
                let text = cursor::without_comment(self.cursor.take_line());
                let value = self.dollars(key, start, text, text)?;
                return Ok((value, Quoting::Unquoted));
            }
        };
        let raw = self.cursor.take_quoted(quote);
        let raw = raw.ok_or_else(|| self.cursor.fault(start, Some(key), ErrorKind::UnterminatedQuote))?;
        self.quote_ended = Some(self.cursor.place().line);
        if quoting == Quoting::Single {
            return Ok((quoted::single(raw), quoting));
        }
        let literal = quoted::double(raw, b"$");
        if !literal.contains(&b'$') {
            return Ok((literal, quoting));
        }
        // Compose turns `\$` into `$$` first and interpolates afterwards, so what counts is how the dollars then pair up.
        let doubled = quoted::double(raw, b"$$");
        Ok((self.dollars(key, start, &literal, &doubled)?, quoting))
    }

    /// A value with its dollars read as the mode says: as in `literal`, or interpolated from `template`, which has `$$` for
    /// each escaped dollar.
    fn dollars(
        &mut self,
        key: &str,
        start: Place,
        literal: &[u8],
        template: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, ParseError> {
        let lookup = match self.mode {
            Interpolation::Literal => {
                if interpolate::would_change(template, template.len() - literal.len()) {
                    self.warn(start.line, Some(key), WarningKind::WouldInterpolate);
                }
                return Ok(Zeroizing::new(literal.to_vec()));
            }
            Interpolation::Compose(lookup) => lookup,
        };
        let entries = &self.entries;
        let lookup = |name: &str| lookup(name).or_else(|| entries.get(name));
        let mut expander = Expander::new(&lookup, &mut self.budget);
        let value = expander.expand(template);
        let value = value.map_err(|kind| self.cursor.fault(start, Some(key), kind))?;
        if expander.met_unset() {
            self.warn(start.line, Some(key), WarningKind::UnsetVariable);
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests;
