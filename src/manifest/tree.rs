//! The manifest file as a tree: every node has its place, and scalars keep their spelling.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Location, NonFiniteFloatPolicy, Spanned};
use zeroize::Zeroizing;

use crate::yaml::is_too_large;

/// The most bytes a manifest may have: it contains names and rules, not data.
const MAX_FILE_BYTES: usize = 1024 * 1024;

/// A place in the text: line and column, in characters, both counted from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) struct Mark {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// A node of the file. No `Debug`: it may hold a secret's default.
pub(super) struct Node {
    pub(super) mark: Mark,
    pub(super) kind: Kind,
}

/// What a node is.
pub(super) enum Kind {
    Null,
    /// `true` or `false`, without quotes.
    Bool(bool),
    /// A number without quotes, as it is written.
    Number(Zeroizing<String>),
    Text(Zeroizing<String>),
    List(Vec<Node>),
    /// The entries in their order; there may be duplicate keys.
    Map(Vec<(Node, Node)>),
}

/// Why there is no tree.
pub(super) struct Malformed {
    pub(super) mark: Option<Mark>,
    pub(super) fact: String,
}

/// Reads a file's bytes. `None`: it contains only comments.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<Node>, Malformed> {
    let fail = |fact: &str| Err(Malformed { mark: None, fact: fact.to_owned() });
    if bytes.len() > MAX_FILE_BYTES {
        return fail("the file is larger than 1 MiB");
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return fail("the file is not UTF-8 text");
    };
    // Offsets count from behind a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(None);
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: 32,
            max_nodes: 50_000,
            max_events: 200_000,
            max_documents: 8,
            max_aliases: 1_000,
            enforce_alias_anchor_ratio: false,
        },
        // The reader of the tree reports every duplicate with its place.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        reject_unsupported_tags: true,
        // An excerpt of the library's would show values.
        with_snippet: false,
    };
    let raw: Spanned<Raw> = serde_saphyr::from_str_with_options(text, options).map_err(|e| malformed(&e))?;
    Ok(Some(node(raw, text)))
}

/// The library's tree: scalars are typed, and their spelling is found by their place.
enum Raw {
    Null,
    Bool(bool),
    Number,
    Text(Zeroizing<String>),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<Raw>, Spanned<Raw>)>),
}

fn node(raw: Spanned<Raw>, text: &str) -> Node {
    let mark = mark(&raw.referenced);
    let kind = match raw.value {
        Raw::Null => Kind::Null,
        Raw::Bool(value) => Kind::Bool(value),
        Raw::Number => Kind::Number(Zeroizing::new(spelling(&raw.defined, text))),
        Raw::Text(value) => Kind::Text(value),
        Raw::List(items) => Kind::List(items.into_iter().map(|item| node(item, text)).collect()),
        Raw::Map(entries) => {
            Kind::Map(entries.into_iter().map(|(k, v)| (node(k, text), node(v, text))).collect())
        }
    };
    Node { mark, kind }
}

/// A plain scalar as it is written in the text.
fn spelling(place: &Location, text: &str) -> String {
    let span = place.span();
    let range = span.byte_offset().zip(span.byte_len()).and_then(|(at, length)| {
        let at = usize::try_from(at).ok()?;
        Some(at..at.checked_add(usize::try_from(length).ok()?)?)
    });
    range.and_then(|range| text.get(range)).unwrap_or_default().trim().to_owned()
}

fn mark(place: &Location) -> Mark {
    let number = |n: u64| usize::try_from(n).unwrap_or_default();
    Mark { line: number(place.line()), column: number(place.column()) }
}

/// The library's message, without anything of the text.
fn malformed(error: &serde_saphyr::Error) -> Malformed {
    use serde_saphyr::Error as E;
    let fact = match error {
        E::ExternalMessage { source, .. } => match source.as_ref() {
            // After a backtick comes a character of the text.
            serde_saphyr::ExternalMessageSource::Parser(scan) => {
                let info = scan.info();
                let info = info.split('`').next().unwrap_or_default().trim_end_matches([' ', ':']);
                format!("the file is not valid YAML here: {info}")
            }
            _ => "the file is not valid YAML here".to_owned(),
        },
        E::MultipleDocuments { .. } => "the file contains a second YAML document (`---`)".to_owned(),
        E::UnknownAnchor { .. } => {
            "an alias (`*`) refers to an anchor (`&`) that is not defined before it".to_owned()
        }
        E::MergeValueNotMapOrSeqOfMaps { .. } => "a merge key (`<<`) needs a map".to_owned(),
        E::UnsupportedTag { .. } => "this YAML tag (`!`) is not supported".to_owned(),
        _ if is_too_large(error) => {
            "the file is too large or nested too deeply, or becomes so by its aliases".to_owned()
        }
        E::AliasError { error, .. } => malformed(error).fact,
        _ => "the file is not valid YAML here".to_owned(),
    };
    let mark = error.location().map(|place| mark(&place)).filter(|mark| mark.line > 0);
    Malformed { mark, fact }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(Zeroizing::new(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Raw, E> {
        Ok(Raw::Text(Zeroizing::new(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }

    fn visit_bytes<E: de::Error>(self, _: &[u8]) -> Result<Raw, E> {
        Err(E::custom("binary"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree as one line: `kind@line:column`.
    fn sketch(node: &Node) -> String {
        let Mark { line, column } = node.mark;
        let kind = match &node.kind {
            Kind::Null => "null".to_owned(),
            Kind::Bool(value) => value.to_string(),
            Kind::Number(text) => format!("number {}", **text),
            Kind::Text(text) => format!("text {}", **text),
            Kind::List(items) => format!("[{}]", items.iter().map(sketch).collect::<Vec<_>>().join(", ")),
            Kind::Map(entries) => {
                let entries: Vec<_> =
                    entries.iter().map(|(k, v)| format!("{} = {}", sketch(k), sketch(v))).collect();
                format!("{{{}}}", entries.join(", "))
            }
        };
        format!("{kind}@{line}:{column}")
    }

    #[test]
    fn everything_knows_its_place_and_scalars_keep_their_spelling() {
        for (text, expected) in [
            ("a: 1", "{text a@1:1 = number 1@1:4}@1:1"),
            ("\u{feff}ä: 0x1F # c", "{text ä@1:1 = number 0x1F@1:4}@1:1"),
            ("a: 0400\nb: 0o400", "{text a@1:1 = text 0400@1:4, text b@2:1 = number 0o400@2:4}@1:1"),
            ("a: 1.50\na: yes", "{text a@1:1 = number 1.50@1:4, text a@2:1 = text yes@2:4}@1:1"),
            ("- true\n- 'true'\n- ~\n-", "[true@1:3, text true@2:3, null@3:3, null@4:2]@1:1"),
            (
                "{1: [x], true: &n 7, z: *n}",
                "{number 1@1:2 = [text x@1:6]@1:5, true@1:10 = number 7@1:19, text z@1:22 = number 7@1:25}@1:1",
            ),
            ("a: !!str 12", "{text a@1:1 = text 12@1:10}@1:1"),
        ] {
            let tree = parse(text.as_bytes()).ok().flatten().map(|node| sketch(&node));
            assert_eq!(tree.as_deref(), Some(expected), "{text}");
        }
    }
}
