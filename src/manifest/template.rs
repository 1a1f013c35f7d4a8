//! Values that are composed of secrets: `postgres://app:{DB_PASSWORD|urlencode}@db/app`.
//!
//! `{NAME}` is a declared secret, `{NAME|filter}` one in an encoding, and `{{` and `}}` are braces.

use std::fmt::{self, Write as _};

use data_encoding::BASE64;
use zeroize::Zeroizing;

use super::MAX_VALUE_BYTES;
use super::finding::{list, named};
use crate::nearest::meant;
use crate::secret::{SecretName, SecretValue};

/// A template. Its text may contain a misplaced value, so `Debug` and `Display` show only the parts.
#[derive(Clone, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Part(SecretName, Vec<Filter>),
}

/// How a part is encoded before it is inserted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Filter {
    /// Percent-encoding: all but the unreserved characters (RFC 3986, section 2.3).
    Urlencode,
    /// RFC 4648, section 4, with padding.
    Base64,
    /// The inside of a JSON string, without its quotes (RFC 8259, section 7).
    Json,
}

const FILTERS: [(&str, Filter); 3] =
    [("urlencode", Filter::Urlencode), ("base64", Filter::Base64), ("json", Filter::Json)];

/// What is wrong with a text that is not a template, and where: a position in characters, counted from 1. It repeats
/// nothing of the text that could be a value.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct TemplateError {
    pub(super) fact: String,
    pub(super) help: Option<String>,
}

impl TemplateError {
    fn new(text: &str, at: usize, fact: impl fmt::Display) -> Self {
        let character = text.get(..at).map_or(0, |before| before.chars().count()) + 1;
        Self { fact: format!("is not valid at character {character}: {fact}"), help: None }
    }

    fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

impl Template {
    /// Reads a template.
    pub(super) fn parse(text: &str) -> Result<Self, TemplateError> {
        const BRACES: &str = "Write a literal brace as `{{` or `}}`.";
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, behind) = rest.split_at(at);
            let here = text.len() - behind.len();
            literal.push_str(before);
            if let Some(after) = behind.strip_prefix("{{").or_else(|| behind.strip_prefix("}}")) {
                literal.push_str(&behind[..1]);
                rest = after;
                continue;
            }
            let Some(inside) = behind.strip_prefix('{') else {
                return Err(TemplateError::new(text, here, "`}` without `{`").help(BRACES));
            };
            let Some((part, after)) = inside.split_once('}').filter(|(part, _)| !part.contains('{')) else {
                return Err(TemplateError::new(text, here, "`{` without `}`").help(BRACES));
            };
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            }
            pieces.push(read_part(text, here, part)?);
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        let template = Self(pieces);
        if template.parts().next().is_none() {
            let fact = "contains no secret".to_owned();
            let help = "Add one in braces, `{NAME}`. For a constant text, use `default`.";
            return Err(TemplateError { fact, help: Some(help.to_owned()) });
        }
        Ok(template)
    }

    /// The secrets in it, in order; one that occurs twice is listed twice.
    pub fn parts(&self) -> impl Iterator<Item = &SecretName> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Literal(_) => None,
            Piece::Part(name, _) => Some(name),
        })
    }

    /// The text with the parts' values in it.
    ///
    /// # Errors
    /// What is wrong with a part, or that it has no value; never a value.
    pub fn compose<'v>(
        &self,
        value_of: impl Fn(&SecretName) -> Option<&'v SecretValue>,
    ) -> Result<SecretValue, String> {
        let mut pieces: Vec<Zeroizing<Vec<u8>>> = Vec::with_capacity(self.0.len());
        let mut length = 0;
        for piece in &self.0 {
            let piece = match piece {
                Piece::Literal(text) => Zeroizing::new(text.clone().into_bytes()),
                Piece::Part(name, filters) => {
                    let value = value_of(name).ok_or_else(|| format!("{name} has no value"))?;
                    let mut bytes = Zeroizing::new(value.expose().to_vec());
                    for filter in filters {
                        bytes = filter
                            .apply(&bytes)
                            .map_err(|why| format!("{name} {why} ({})", value.shape()))?;
                        // Each makes it longer, so a long chain of them would fill the memory.
                        is_short_enough(bytes.len())?;
                    }
                    bytes
                }
            };
            length += piece.len();
            is_short_enough(length)?;
            pieces.push(piece);
        }
        // Room for all of it at once: growing would leave unwiped copies behind.
        let mut whole = Zeroizing::new(Vec::with_capacity(length));
        for piece in &pieces {
            whole.extend_from_slice(piece);
        }
        Ok(SecretValue::from(whole))
    }
}

fn is_short_enough(length: usize) -> Result<(), String> {
    if length > MAX_VALUE_BYTES { Err("it would be larger than 1 MiB".to_owned()) } else { Ok(()) }
}

/// `NAME`, or `NAME|filter|filter`; spaces around each are ignored.
fn read_part(text: &str, at: usize, part: &str) -> Result<Piece, TemplateError> {
    let mut words = part.split('|').map(str::trim);
    let name = SecretName::parse(words.next().unwrap_or_default()).map_err(|error| {
        TemplateError::new(text, at, format_args!("not a valid secret name: {error}"))
            .help("Write a secret as `{NAME}` or `{NAME|urlencode}`, and a literal brace as `{{` or `}}`.")
    })?;
    let filter = |word: &str| {
        let known = FILTERS.map(|(name, _)| name);
        FILTERS.iter().find(|(name, _)| *name == word).map(|(_, filter)| *filter).ok_or_else(|| {
            let fact = format!("unknown filter, {}", named(word));
            match meant(word, known) {
                Some(near) => TemplateError::new(text, at, format!("{fact}; did you mean `{near}`?")),
                None => TemplateError::new(text, at, fact).help(format!("The filters are {}.", list(known))),
            }
        })
    };
    Ok(Piece::Part(name, words.map(filter).collect::<Result<_, _>>()?))
}

impl Filter {
    /// The bytes in this encoding, or why they cannot be encoded.
    fn apply(self, bytes: &[u8]) -> Result<Zeroizing<Vec<u8>>, &'static str> {
        match self {
            Self::Urlencode => {
                let mut out = Zeroizing::new(Vec::with_capacity(bytes.len() * 3));
                for byte in bytes {
                    if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
                        out.push(*byte);
                    } else {
                        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
                        let [high, low] = [byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)]);
                        out.extend_from_slice(&[b'%', high, low]);
                    }
                }
                Ok(out)
            }
            Self::Base64 => {
                let mut out = Zeroizing::new(vec![0; BASE64.encode_len(bytes.len())]);
                BASE64.encode_mut(bytes, &mut out);
                Ok(out)
            }
            Self::Json => {
                const NO_TEXT: &str = "cannot be encoded as JSON, because it is not text";
                let text = std::str::from_utf8(bytes).map_err(|_| NO_TEXT)?;
                let mut quoted = Zeroizing::new(Vec::with_capacity(text.len() * 6 + 2));
                serde_json::to_writer(&mut *quoted, text).map_err(|_| NO_TEXT)?;
                let inside = quoted.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\""));
                Ok(Zeroizing::new(inside.unwrap_or_default().to_vec()))
            }
        }
    }

    fn name(self) -> &'static str {
        FILTERS.iter().find(|(_, filter)| *filter == self).map_or("", |(name, _)| name)
    }
}

impl fmt::Display for Template {
    /// The parts with their filters, without the text between them: `{DB_PASSWORD|urlencode} {DB_USER}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for piece in &self.0 {
            let Piece::Part(name, filters) = piece else { continue };
            if !std::mem::take(&mut first) {
                f.write_char(' ')?;
            }
            write!(f, "{{{name}")?;
            for filter in filters {
                write!(f, "|{}", filter.name())?;
            }
            f.write_char('}')?;
        }
        Ok(())
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn composed(text: &str, value: &[u8]) -> Result<Vec<u8>, String> {
        let value = SecretValue::new(value.to_vec());
        let template = Template::parse(text).map_err(|error| error.fact)?;
        let of = |name: &SecretName| (name.as_str() != "NONE").then_some(&value);
        template.compose(of).map(|value| value.expose().to_vec())
    }

    #[test]
    fn parts_are_put_in_with_their_filters_and_braces_stay() {
        for (text, value, expected) in [
            (
                "postgres://app:{PW|urlencode}@db/app",
                &b"a b/@\xff-._~"[..],
                "postgres://app:a%20b%2F%40%FF-._~@db/app",
            ),
            ("{PW}", b"p", "p"),
            ("{ PW | base64 }", b"any carnal pleas", "YW55IGNhcm5hbCBwbGVhcw=="),
            (r#"{{"pw": "{PW|json}"}}"#, b"a\"b\\c\nd\x01", r#"{"pw": "a\"b\\c\nd\u0001"}"#),
            ("{PW|json|urlencode}", b"\n", "%5Cn"),
            ("{PW}{PW}}}{{x", b"p", "pp}{x"),
            ("${{PW}}{PW}", b"p", "${PW}p"),
            ("Ü{PW}ü", b"p", "Üpü"),
        ] {
            assert_eq!(composed(text, value).as_deref(), Ok(expected.as_bytes()), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_and_without_the_text() {
        for (text, fact) in [
            ("canary{PW", "is not valid at character 7: `{` without `}`"),
            ("a}b{PW}", "is not valid at character 2: `}` without `{`"),
            ("{A{B}", "is not valid at character 1: `{` without `}`"),
            ("é{}", "is not valid at character 2: not a valid secret name: it is empty"),
            (
                "{a-b}",
                "is not valid at character 1: not a valid secret name: character 2 is not a letter (A-Z, a-z), digit or underscore",
            ),
            (
                "{PW|urlencod}",
                "is not valid at character 1: unknown filter, `urlencod`; did you mean `urlencode`?",
            ),
            ("{PW|}", "is not valid at character 1: unknown filter, an empty name"),
            ("canary {{PW}}", "contains no secret"),
            ("", "contains no secret"),
        ] {
            assert_eq!(composed(text, b"p").unwrap_err(), fact, "{text}");
        }
        let help = |text| Template::parse(text).err().and_then(|error| error.help).unwrap_or_default();
        assert_eq!(help("{PW|rot}"), "The filters are `urlencode`, `base64` and `json`.");
    }

    #[test]
    fn a_part_without_a_value_or_that_is_no_text_is_told_by_its_shape() {
        assert_eq!(composed("{NONE}", b"p").unwrap_err(), "NONE has no value");
        let why = composed("{PW|json}", b"\xff\xfe").unwrap_err();
        assert_eq!(why, "PW cannot be encoded as JSON, because it is not text (2 bytes, not UTF-8)");
    }

    #[test]
    fn the_text_between_the_parts_is_not_shown() {
        let template = Template::parse("canary{A|urlencode|json}canary{B}").unwrap();
        assert_eq!(format!("{template:?}"), "{A|urlencode|json} {B}");
    }
}
