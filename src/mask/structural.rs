//! What is too plain to be masked: `{`, `true`, a port number. Masking those would hide half of a log and reveal where
//! they are.

use std::fmt;

/// Text with fewer characters than this, not counting spaces, is not masked.
const FEWEST_CHARACTERS: usize = 4;

/// A number with fewer characters than this is a port, a count or a year more often than a secret.
const FEWEST_DIGITS: usize = 6;

/// Common words of configuration. A value that is one of them protects nothing, and hiding it would hide the word
/// everywhere: in image names, paths and messages.
const COMMON_WORDS: &[&str] = &[
    "true",
    "false",
    "null",
    "none",
    "undefined",
    "enabled",
    "disabled",
    "default",
    "yes",
    "no",
    "on",
    "off",
    "auto",
    "local",
    "localhost",
    "production",
    "staging",
    "development",
    "prod",
    "test",
    "testing",
    "main",
    "master",
    "debug",
    "info",
    "warn",
    "warning",
    "error",
    "root",
    "admin",
    "user",
    "username",
    "password",
    "secret",
    "token",
    "postgres",
    "postgresql",
    "mysql",
    "mariadb",
    "mongodb",
    "redis",
    "docker",
    "http",
    "https",
    "service_account",
];

/// Why a value cannot be masked without harm. Its text does not contain the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmaskable {
    /// Fewer than four characters, not counting spaces.
    TooShort,
    /// Brackets, commas and quotes only, or one punctuation mark again and again.
    Punctuation,
    /// A number of fewer than six characters.
    ShortNumber,
    /// A common word of configuration (`true`, `localhost`).
    CommonWord,
    /// Several lines, each of which is too short or too plain to be masked by itself.
    PlainLines,
}

impl fmt::Display for Unmaskable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::TooShort => "it has fewer than 4 characters that are not blank",
            Self::Punctuation => "it consists of punctuation only",
            Self::ShortNumber => "it is a number of fewer than 6 characters",
            Self::CommonWord => "it is a word that logs are full of",
            Self::PlainLines => "each of its lines is too short or too plain",
        })
    }
}

/// Why `text` by itself must not be masked; `None` if it can be.
pub(super) fn why_not(text: &[u8]) -> Option<Unmaskable> {
    let text = text.trim_ascii();
    if is_short(text) {
        Some(Unmaskable::TooShort)
    } else if is_punctuation(text) {
        Some(Unmaskable::Punctuation)
    } else if is_number(text) && text.len() < FEWEST_DIGITS {
        Some(Unmaskable::ShortNumber)
    } else if COMMON_WORDS.iter().any(|word| word.as_bytes().eq_ignore_ascii_case(text)) {
        Some(Unmaskable::CommonWord)
    } else {
        None
    }
}

/// Whether a line of several contains something secret: not structure, and not the armour around a PEM key.
pub(super) fn is_worth_masking(line: &[u8]) -> bool {
    let bare = line.trim_ascii();
    // `true,` and `"8080"` are as plain as their content.
    let core = trim(bare, |byte| b",;:\"'".contains(&byte));
    why_not(bare).is_none()
        && !is_armour(bare)
        && !matches!(why_not(core), Some(reason) if reason != Unmaskable::TooShort)
}

/// The lines of `value`, split at CR and LF as the runner does, without the empty ones.
pub(super) fn lines(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| matches!(byte, b'\r' | b'\n')).filter(|line| !line.is_empty())
}

/// Whether `value` needs more than one line of a log.
pub(super) fn has_line_break(value: &[u8]) -> bool {
    value.iter().any(|byte| matches!(byte, b'\r' | b'\n'))
}

/// Whether `text` has fewer characters than it must; spaces do not count, bytes that are not UTF-8 count one each.
fn is_short(text: &[u8]) -> bool {
    let characters = text.utf8_chunks().flat_map(|chunk| {
        let characters = chunk.valid().chars().filter(|character| !character.is_whitespace());
        characters.chain(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER))
    });
    characters.take(FEWEST_CHARACTERS).count() < FEWEST_CHARACTERS
}

fn is_punctuation(text: &[u8]) -> bool {
    let mut marks = text.iter().filter(|byte| !byte.is_ascii_whitespace());
    let brackets = marks.clone().all(|byte| b"{}[](),:;\"'".contains(byte));
    let first = marks.next();
    brackets || (first.is_some_and(u8::is_ascii_punctuation) && marks.all(|mark| Some(mark) == first))
}

fn is_number(text: &[u8]) -> bool {
    text.iter().any(u8::is_ascii_digit)
        && text.iter().all(|byte| byte.is_ascii_digit() || b"+-.,_".contains(byte))
}

fn is_armour(line: &[u8]) -> bool {
    (line.starts_with(b"-----BEGIN ") || line.starts_with(b"-----END ")) && line.ends_with(b"-----")
}

fn trim(text: &[u8], drop: impl Fn(u8) -> bool) -> &[u8] {
    let start = text.iter().position(|&byte| !drop(byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|&byte| !drop(byte)).map_or(start, |last| last + 1);
    &text[start..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structural_lines_are_not_worth_masking() {
        for line in [
            "{",
            "}",
            "],",
            "}, {",
            "{}[]",
            "true",
            "null",
            "null,",
            "false",
            "\"true\",",
            "  42",
            "8080,",
            "-1.5",
            "abc",
            "a b c",
            "----",
            "=======",
            "\"\":",
            "   ",
            "-----BEGIN RSA PRIVATE KEY-----",
            "-----END CERTIFICATE-----",
            "\t-----END OPENSSH PRIVATE KEY-----  ",
            "ключ".get(..4).unwrap(),
        ] {
            assert!(!is_worth_masking(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn lines_with_content_are_worth_masking() {
        for line in [
            "abcd",
            "\"password\": \"x\",",
            "123456",
            "p@ss",
            "ключ",
            "MIIEowIBAAKCAQEA",
            "!@#$",
            "- BEGIN -",
        ] {
            assert!(is_worth_masking(line.as_bytes()), "{line}");
        }
        assert!(is_worth_masking(&[0xff, 0xfe, 0xfd, 0xfc]));
    }

    #[test]
    fn a_plain_value_says_why_it_cannot_be_masked() {
        for (value, why) in [
            ("", Unmaskable::TooShort),
            ("abc", Unmaskable::TooShort),
            ("        ", Unmaskable::TooShort),
            ("🔑", Unmaskable::TooShort),
            ("{[]}", Unmaskable::Punctuation),
            ("*****", Unmaskable::Punctuation),
            ("5432", Unmaskable::ShortNumber),
            ("True", Unmaskable::CommonWord),
            ("localhost\n", Unmaskable::CommonWord),
        ] {
            assert_eq!(why_not(value.as_bytes()), Some(why), "{value}");
        }
        assert_eq!(why_not(b"12345678"), None);
    }
}
