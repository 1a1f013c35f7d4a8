//! The parts of a value that can occur by themselves, and the class of each.
//!
//! | part | class |
//! |---|---|
//! | the whole value | secret |
//! | a leaf of JSON, at any depth, of any line | by its key and its look (`leaf`) |
//! | the password in a URL, before an `@`, in a list of `key=value`, in a `.netrc`, in lines of `key: value` | secret |
//! | everything else in such a list or line | by its key and its look |
//! | a line of several | secret if its content is; else it is only hidden in the log |
//! | the decoded content of a part in base64 or JSON | as above |
//!
//! A field that a reference selects is a value of its own.

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL_NOPAD};

use super::buffer::Buffer;
use super::credentials;
use super::json;
use super::leaf::{Class, Says, class, says};
use super::structural::{has_line_break, is_worth_masking, lines, why_not};

/// How deep parts may be nested: JSON in a string in JSON, base64 in that. Each level costs the length again.
const DEEPEST: usize = 12;

/// Shorter base64 decodes to text by chance.
const SHORTEST_BASE64: usize = 12;

/// Parts overlap: a list of pairs contains pairs. The limit for all of them, as a multiple of the value's length.
const MOST_LOOKED_AT: usize = 32;

/// Calls `part` with every part of `value` except the whole. A part may occur more than once.
pub(super) fn each(value: &[u8], part: &mut dyn FnMut(Class, &[u8])) {
    Search { budget: MOST_LOOKED_AT * value.len(), part }.inside(Says::Secret, value, 0);
}

/// Calls `line` with the lines of `value` that are worth masking, and the class of each: at least
/// [`Class::LogOnly`].
pub(super) fn each_line(value: &[u8], line: &mut dyn FnMut(Class, &[u8])) {
    let mut is_public = false;
    for text in lines(value) {
        is_public = begins_public_block(text).unwrap_or(is_public);
        if is_worth_masking(text) {
            line(if is_public { Class::LogOnly } else { class_of_line(text) }, text);
        }
    }
}

/// A line has the class of its content.
fn class_of_line(line: &[u8]) -> Class {
    let own = match credentials::key_and_value(line) {
        Some((key, value)) => class(says(key), value),
        None if json::is_document(line) => Class::LogOnly,
        // Prose, a `.netrc`: plain as long as each word is.
        None => {
            let words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
            words.map(|word| class(Says::Nothing, word)).max().unwrap_or(Class::LogOnly)
        }
    };
    let mut most = own.max(Class::LogOnly);
    if most < Class::Secret {
        let mut part = |class, _: &[u8]| most = most.max(class);
        Search { budget: MOST_LOOKED_AT * line.len(), part: &mut part }.inside(Says::Nothing, line, 0);
    }
    most
}

/// Whether the lines that follow are public: a certificate, a public key. `None` if `line` does not tell.
fn begins_public_block(line: &[u8]) -> Option<bool> {
    let line = line.trim_ascii();
    let label = line.strip_prefix(b"-----BEGIN ").and_then(|line| line.strip_suffix(b"-----"));
    if let Some(label) = label {
        return Some(label.ends_with(b"CERTIFICATE") || label.ends_with(b"PUBLIC KEY"));
    }
    line.starts_with(b"-----END ").then_some(false)
}

struct Search<'f> {
    budget: usize,
    part: &'f mut dyn FnMut(Class, &[u8]),
}

impl Search<'_> {
    /// Looks for parts in a text; `said` is what its key says.
    fn inside(&mut self, said: Says, text: &[u8], depth: usize) {
        if depth == DEEPEST || text.len() > self.budget {
            return;
        }
        self.budget -= text.len();
        if json::is_document(text) {
            json::each_leaf(text, &mut |place, leaf| {
                // A value in quotes: what is in them is the value.
                let said = if place.is_whole() { said } else { place.says() };
                self.found(said, leaf, depth);
                // Docker's logins, and the header of the same name.
                if place.key().is_some_and(|key| key.eq_ignore_ascii_case(b"auth")) {
                    in_base64(leaf, &mut |text| {
                        credentials::basic(text, &mut |said, text| self.found(said, text, depth));
                    });
                }
            });
            return;
        }
        credentials::each(text, &mut |said, found| {
            if found.len() < text.len() {
                self.found(said, found, depth);
            }
        });
        in_base64(text, &mut |decoded| self.found(said, decoded, depth));
    }

    /// A part, and what is in it.
    fn found(&mut self, said: Says, text: &[u8], depth: usize) {
        if why_not(text).is_some() {
            return;
        }
        let class = class(said, text);
        if class > Class::Plain {
            (self.part)(class, text);
        }
        self.inside(said, text, depth + 1);
    }
}

/// Calls `part` with the decoded base64 of `text`, if that is text.
fn in_base64(text: &[u8], part: &mut dyn FnMut(&[u8])) {
    let text = text.trim_ascii();
    let basic = text.strip_prefix(b"Basic ").unwrap_or(text);
    if basic.len() < SHORTEST_BASE64 || has_line_break(basic) {
        return;
    }
    for encoding in [&BASE64, &BASE64_NOPAD, &BASE64URL_NOPAD] {
        let Ok(room) = encoding.decode_len(basic.len()) else { continue };
        let mut decoded = Buffer::new();
        let Ok(length) = encoding.decode_mut(basic, decoded.grow(room)) else { continue };
        decoded.truncate(length);
        let is_text = std::str::from_utf8(decoded.as_slice())
            .is_ok_and(|text| text.chars().all(|c| !c.is_control() || c.is_whitespace()));
        if is_text {
            part(decoded.as_slice());
        }
        return;
    }
}
