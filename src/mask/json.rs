//! The leaves of JSON: every string and number in it, with the keys above it, at any depth, in any number of
//! documents one after the other.
//!
//! It has its own parser, because all others stop at 128 levels or use the stack for each, and stop at the first error.

use super::buffer::Buffer;
use super::leaf::{Says, is_neutral, says};

/// Where a leaf is.
pub(super) struct Place<'p> {
    open: &'p [Open],
    keys: &'p [u8],
}

/// An object or list that has begun and not ended.
struct Open {
    object: bool,
    /// Where in `keys` the current key begins; it ends where the next one begins.
    key: usize,
    /// What the object's `name` says, since `{"name": "DB_PASSWORD", "value": "…"}` puts the key there.
    name: Says,
}

/// What may come next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Value,
    KeyOrEnd,
    Colon,
    CommaOrEnd,
}

/// Calls `leaf` with every string, unescaped, and every number of the JSON documents in `text`. A mistake ends a
/// document; the next one may begin on a later line. Text that is not JSON has no leaves.
pub(super) fn each_leaf(text: &[u8], leaf: &mut dyn FnMut(&Place, &[u8])) {
    let mut rest = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    while !rest.is_empty() {
        let done = document(rest, leaf);
        rest = rest[done.min(rest.len())..].trim_ascii_start();
        // Documents may follow each other directly; after an error, only a new line starts a new one.
        while !is_document(rest) && !rest.is_empty() {
            let line =
                rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).map_or(rest.len(), |end| end + 1);
            rest = rest[line..].trim_ascii_start();
        }
    }
}

/// Whether `text` begins as a JSON object, list or string does.
pub(super) fn is_document(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    // RFC 7464 puts a record separator before each document.
    let start = text.iter().find(|byte| !byte.is_ascii_whitespace() && **byte != 0x1e);
    matches!(start, Some(b'{' | b'[' | b'"'))
}

/// Reads one document and returns where it, or what is right of it, ends.
fn document(text: &[u8], leaf: &mut dyn FnMut(&Place, &[u8])) -> usize {
    let mut open: Vec<Open> = Vec::new();
    let mut keys = Buffer::new();
    let mut string = Buffer::new();
    let mut next = Next::Value;
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        at += 1;
        match (next, byte) {
            (_, b' ' | b'\t' | b'\n' | b'\r') => continue,
            (Next::Value, 0x1e) if open.is_empty() => continue,
            (Next::Value, b'{' | b'[') => {
                open.push(Open { object: byte == b'{', key: keys.len(), name: Says::Nothing });
                next = if byte == b'{' { Next::KeyOrEnd } else { Next::Value };
                continue;
            }
            (Next::KeyOrEnd | Next::CommaOrEnd, b'}') | (Next::Value | Next::CommaOrEnd, b']') => {
                if open.last().is_none_or(|last| last.object != (byte == b'}')) {
                    return at;
                }
                if let Some(closed) = open.pop() {
                    keys.truncate(closed.key);
                }
                next = Next::CommaOrEnd;
            }
            (Next::KeyOrEnd, b'"') => {
                let Some(end) = unescape(text, at, &mut string) else { return text.len() };
                at = end;
                if let Some(last) = open.last() {
                    keys.truncate(last.key);
                    keys.extend(string.as_slice());
                }
                next = Next::Colon;
                continue;
            }
            (Next::Colon, b':') => {
                next = Next::Value;
                continue;
            }
            (Next::CommaOrEnd, b',') => {
                next = if open.last().is_some_and(|last| last.object) { Next::KeyOrEnd } else { Next::Value };
                continue;
            }
            (Next::Value, b'"') => {
                let Some(end) = unescape(text, at, &mut string) else { return text.len() };
                at = end;
                let place = Place { open: &open, keys: keys.as_slice() };
                leaf(&place, string.as_slice());
                let is_name = place.key().is_some_and(is_name);
                let said = if is_name { says(string.as_slice()) } else { Says::Nothing };
                if let Some(last) = open.last_mut().filter(|_| said != Says::Nothing) {
                    last.name = said;
                }
                next = Next::CommaOrEnd;
            }
            (Next::Value, b'-' | b'0'..=b'9' | b'a'..=b'z') => {
                let length = text[at..]
                    .iter()
                    .take_while(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
                let end = at + length.count();
                let word = &text[at - 1..end];
                at = end;
                if !byte.is_ascii_lowercase() {
                    leaf(&Place { open: &open, keys: keys.as_slice() }, word);
                } else if word == b"true"
                    && (Place { open: &open, keys: keys.as_slice() }).key() == Some(b"sensitive")
                {
                    // An output of Terraform: `{"sensitive": true, "value": "…"}`.
                    if let Some(last) = open.last_mut() {
                        last.name = Says::Secret;
                    }
                }
                next = Next::CommaOrEnd;
            }
            _ => return at,
        }
        if open.is_empty() {
            return at;
        }
    }
    at
}

fn is_name(key: &[u8]) -> bool {
    [&b"name"[..], b"key", b"field", b"id", b"label", b"title"]
        .iter()
        .any(|name| name.eq_ignore_ascii_case(key))
}

impl Place<'_> {
    /// The key right above the leaf, or `None` in a list or outside of everything.
    pub(super) fn key(&self) -> Option<&[u8]> {
        let last = self.open.last().filter(|last| last.object)?;
        self.keys.get(last.key..)
    }

    /// Whether the leaf is the whole document: a string outside of objects and lists.
    pub(super) fn is_whole(&self) -> bool {
        self.open.is_empty()
    }

    /// What the keys above the leaf say about it: the nearest one that says anything. An outer key for something that is not
    /// secret says nothing about its content; the content of something secret is probably secret.
    pub(super) fn says(&self) -> Says {
        let mut end = self.keys.len();
        let mut direct = true;
        for open in self.open.iter().rev() {
            let key = &self.keys[open.key.min(end)..end];
            end = open.key.min(end);
            if !open.object {
                continue;
            }
            let neutral = is_neutral(key);
            let said = match (neutral, open.name) {
                (true, Says::Nothing) => Says::Nothing,
                (true, name) => name,
                (false, _) => says(key),
            };
            match said {
                Says::Nothing => direct &= neutral,
                Says::Public if direct => return Says::Public,
                Says::Secret if direct => return Says::Secret,
                Says::Secret | Says::Maybe => return Says::Maybe,
                Says::Public => {}
            }
        }
        Says::Nothing
    }
}

/// Puts the string that begins at `at`, behind its quote, into `out` and returns where its closing quote ends; `None`
/// without one.
fn unescape(text: &[u8], mut at: usize, out: &mut Buffer) -> Option<usize> {
    out.clear();
    loop {
        let plain = text[at..].iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
        out.extend(&text[at..at + plain]);
        at += plain + 1;
        if text[at - 1] == b'"' {
            return Some(at);
        }
        let &escape = text.get(at)?;
        at += 1;
        match escape {
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'u' => {
                let first = unit(text, at)?;
                at += 4;
                let second = || (text.get(at..at + 2) == Some(b"\\u")).then(|| unit(text, at + 2)).flatten();
                let units =
                    [first, if (0xd800..0xdc00).contains(&first) { second().unwrap_or(0) } else { 0 }];
                let used = if matches!(units[1], 0xdc00..0xe000) { 2 } else { 1 };
                at += 6 * (used - 1);
                for character in char::decode_utf16(units[..used].iter().copied()) {
                    out.push_char(character.unwrap_or(char::REPLACEMENT_CHARACTER));
                }
            }
            other => out.push(other),
        }
    }
}

fn unit(text: &[u8], at: usize) -> Option<u16> {
    let digits = std::str::from_utf8(text.get(at..at + 4)?).ok()?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(text: &str) -> Vec<String> {
        let mut all = Vec::new();
        each_leaf(text.as_bytes(), &mut |place, leaf| {
            let key =
                place.key().map(|key| String::from_utf8_lossy(key).into_owned() + "=").unwrap_or_default();
            all.push(key + &String::from_utf8_lossy(leaf));
        });
        all
    }

    #[test]
    fn every_string_and_number_is_a_leaf() {
        for (text, expected) in [
            (
                r#"{"a": "one", "b": {"c": 83746512, "d": [true, null, "two", -1.5e3]}}"#,
                &["a=one", "c=83746512", "two", "-1.5e3"][..],
            ),
            (r#""alone""#, &["alone"]),
            (r#"["x\n\"\\\/\u00e9\ud83d\udd11\ud83d!"]"#, &["x\n\"\\/é🔑\u{fffd}!"]),
            ("{\"a\":1}\n{\"b\":\"two\"}\n\n{\"c\":3}", &["a=1", "b=two", "c=3"]),
            ("{\"a\":1}{\"b\":2} [\"c\"]", &["a=1", "b=2", "c"]),
            ("\u{1e}{\"a\":1}\n\u{1e}{\"a\":2}\n", &["a=1", "a=2"]),
            ("\u{feff}{\"a\":1}", &["a=1"]),
            ("{\"a\": 1, oops}\nnot JSON\n{\"b\": \"two\"}", &["a=1", "b=two"]),
            ("{\"a\": \"one\", \"b\": \"cut", &["a=one"]),
            ("{\"a\"}", &[]),
            ("]", &[]),
            ("plain text", &[]),
            ("", &[]),
        ] {
            assert_eq!(leaves(text), expected, "{text}");
        }
    }

    #[test]
    fn depth_is_no_limit() {
        for depth in [129, 100_000] {
            let text = "{\"a\":[".repeat(depth) + "\"deep\"" + &"]}".repeat(depth);
            assert_eq!(leaves(&text), ["deep"]);
            assert_eq!(leaves(&"[".repeat(depth)), [""; 0]);
        }
    }

    #[test]
    fn a_key_stays_with_its_own_value() {
        assert_eq!(
            leaves(r#"{"a": {"b": 1}, "c": {"d": {"e": 2}, "f": 3}, "g": 4}"#),
            ["b=1", "e=2", "f=3", "g=4"]
        );
    }

    #[test]
    fn the_nearest_key_that_says_anything_decides() {
        for (text, expected) in [
            (r#"{"password": "x"}"#, Says::Secret),
            (r#"{"db_password": {"type": "", "value": "x"}}"#, Says::Secret),
            (r#"{"db_host": {"value": "x"}}"#, Says::Public),
            (r#"{"out": {"sensitive": true, "value": "x"}}"#, Says::Secret),
            (r#"{"out": {"sensitive": false, "value": "x"}}"#, Says::Nothing),
            (r#"[{"name": "DB_PASSWORD", "value": "x"}]"#, Says::Secret),
            (r#"[{"name": "DB_USER", "value": "x"}]"#, Says::Public),
            (r#"{"passwords": ["", "x"]}"#, Says::Secret),
            (r#"{"secret": {"foo": "x"}}"#, Says::Maybe),
            (r#"{"secret": {"user": "x"}}"#, Says::Public),
            (r#"{"database": {"foo": "x"}}"#, Says::Nothing),
            (r#"{"user": {"password": "x"}}"#, Says::Secret),
            (r#"["x"]"#, Says::Nothing),
        ] {
            let mut said = None;
            each_leaf(text.as_bytes(), &mut |place, leaf| {
                if leaf == b"x" {
                    said = Some(place.says());
                }
            });
            assert_eq!(said, Some(expected), "{text}");
        }
    }
}
