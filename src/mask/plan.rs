//! The strings that must not be printed: every form of every value, determined once.

use std::sync::Arc;

use super::buffer::Buffer;
use super::builder::Builder;
use super::structural::Unmaskable;

/// A value longer than this (bytes) gets fewer forms: itself, its lines and parts, JSON, and standard
/// base64 at all three offsets. Percent-encoding, URL-safe base64, hexadecimal digits and the escapes of shells,
/// YAML, XML and programming languages are omitted: each would need its full length in memory again.
pub(super) const ALL_FORMS_UP_TO: usize = 16 * 1024;

/// The patterns of all values, and what to send to the runner.
///
/// It contains values, so it has no `Debug`, and its memory is wiped when the last plan and redactor that share it
/// are gone.
#[derive(Clone)]
pub struct Plan {
    pub(super) patterns: Arc<Patterns>,
    pub(super) unmaskable: Vec<(String, Unmaskable)>,
}

/// All patterns, end to end in one buffer, and whose they are.
pub(super) struct Patterns {
    pub(super) bytes: Buffer,
    /// Sorted by their bytes, without duplicates and line breaks.
    pub(super) spans: Vec<Span>,
    /// What the runner is sent, longest first.
    pub(super) commands: Vec<Span>,
    pub(super) names: Vec<String>,
}

/// Where a pattern is in the buffer, and the secret it belongs to.
#[derive(Clone, Copy)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Index into `names`.
    pub(super) name: usize,
    /// Whether it is a form of a secret part, and not only hidden in the log.
    pub(super) secret: bool,
}

impl Patterns {
    pub(super) fn bytes(&self, span: Span) -> &[u8] {
        &self.bytes.as_slice()[span.start..span.end]
    }
}

impl Plan {
    /// Determines every string in which the values can occur.
    ///
    /// Takes pairs of a secret's name and its value. A value need not be UTF-8; an empty one needs no mask. Of a
    /// value of several lines each line counts, but for structure (`{`, `true`, numbers, fewer than four
    /// characters, the BEGIN and END of PEM); of a JSON value, a URL, a list of `key=value` and the like each part
    /// counts that is secret by itself, and what stands beside it is hidden in the log alone: see [`mask`](super).
    /// A value above 16 KiB gets fewer forms: itself, lines, parts, JSON, standard base64.
    #[must_use]
    pub fn new<'a>(secrets: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let mut builder = Builder::new();
        for (name, value) in secrets {
            builder.secret(name, value);
        }
        builder.finish()
    }

    /// The secrets that cannot be masked without hiding half of the log, with the reason. Nothing hides these values, so the
    /// user should know.
    pub fn unmaskable(&self) -> Vec<(&str, Unmaskable)> {
        self.unmaskable.iter().map(|(name, reason)| (name.as_str(), *reason)).collect()
    }

    /// What to print as `::add-mask::` under GitHub Actions, longest first, unescaped.
    ///
    /// The runner masks what it is sent *and each line of it*, so a text of several lines would mask every `{`
    /// in the job's log: each item here is one line of UTF-8, not blank, at least four bytes long. It is the
    /// value's lines, its parts, and for the whole value JSON, percent-encoding and base64. The runner adds
    /// its own encodings of each; `act` adds none.
    ///
    /// A value with `%0A`, `%0D` or `%25` in it may be decoded wrongly by `act`, which replaces escapes in random
    /// order; GitHub's runner decodes it right.
    pub fn workflow_masks(&self) -> impl Iterator<Item = &[u8]> {
        self.patterns.commands.iter().map(|span| self.patterns.bytes(*span))
    }

    /// How many different patterns there are.
    pub fn len(&self) -> usize {
        self.patterns.spans.len()
    }

    /// Whether there is nothing to mask.
    pub fn is_empty(&self) -> bool {
        self.patterns.spans.is_empty()
    }

    /// How many bytes of memory the patterns take.
    pub fn memory(&self) -> usize {
        self.patterns.bytes.len() + std::mem::size_of::<Span>() * self.patterns.spans.len()
    }

    /// The patterns of secret parts, for tests.
    #[cfg(test)]
    pub(super) fn secret(&self) -> impl Iterator<Item = &[u8]> {
        let secret = self.patterns.spans.iter().filter(|span| span.secret);
        secret.map(|span| self.patterns.bytes(*span))
    }

    /// All patterns, for tests.
    #[cfg(test)]
    pub(super) fn all(&self) -> impl Iterator<Item = &[u8]> {
        self.patterns.spans.iter().map(|span| self.patterns.bytes(*span))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::computed::Computed;
    use crate::mask::builder::{LONGEST_COMMAND, MOST_COMMANDS};
    use crate::mask::{Redactor, structural};

    fn plan(value: &[u8]) -> Plan {
        Plan::new([("NAME", value)])
    }

    fn masks(value: &[u8]) -> Vec<String> {
        plan(value).workflow_masks().map(|mask| String::from_utf8(mask.to_vec()).unwrap()).collect()
    }

    #[test]
    fn no_pattern_is_twice_there_has_a_line_break_or_is_short() {
        let values: [&[u8]; 4] =
            [b"one\r\ntwo {\n}\nthree four\n", b"{\"a\": \"b\\nlong line\\n\"}", b"same", b"same"];
        let plan = Plan::new(values.map(|value| ("NAME", value)));
        let all: Vec<&[u8]> = plan.all().collect();
        assert!(all.is_sorted_by(|a, b| a < b));
        assert!(all.iter().all(|pattern| pattern.len() >= 4 && !structural::has_line_break(pattern)));
        assert_eq!(all.len(), plan.len());
    }

    #[test]
    fn what_is_given_twice_takes_the_memory_of_one() {
        let value: &[u8] = b"correct horse battery staple";
        let (once, twice) = (plan(value), Plan::new([("NAME", value), ("NAME", value)]));
        assert_eq!(once.patterns.bytes.len(), twice.patterns.bytes.len());
        assert_eq!(once.len(), twice.len());
    }

    #[test]
    fn what_cannot_be_masked_is_named_with_its_reason() {
        let values: [(&str, &[u8]); 7] = [
            ("EMPTY", b""),
            ("SHORT", b"abc"),
            ("FLAG", b"true"),
            ("PORT", b"5432"),
            ("BRACES", b"{ [] }"),
            ("LINES", b"ab\ncd\nef"),
            ("GOOD", b"correct horse"),
        ];
        let plan = Plan::new(values);
        assert_eq!(
            plan.unmaskable(),
            [
                ("SHORT", Unmaskable::TooShort),
                ("FLAG", Unmaskable::CommonWord),
                ("PORT", Unmaskable::ShortNumber),
                ("BRACES", Unmaskable::Punctuation),
                ("LINES", Unmaskable::PlainLines),
            ]
        );
        let redactor = Redactor::new(&plan);
        assert_eq!(redactor.redact_text("abc true 5432 { [] } ab cd ef"), "abc true 5432 { [] } ab cd ef");
        assert_eq!(redactor.redact_text(r#""ab\ncd\nef""#), "\"***\"", "as one line it can be masked");
        assert_eq!(plan.unmaskable()[0].1.to_string(), "it has fewer than 4 characters that are not blank");
    }

    #[test]
    fn the_runner_is_never_sent_several_lines_structure_or_blanks() {
        let values: [&[u8]; 5] = [
            b"{\n  \"password\": \"open sesame\",\n  \"on\": true\n}\n",
            b"-----BEGIN KEY-----\nMIIEowIBAAKCAQEA\n-----END KEY-----\n",
            b"  padded value  ",
            b"\xff\xfe not text",
            b"first \xff line\nsecond line\n",
        ];
        for value in values {
            let masks = masks(value);
            assert!(
                masks.is_sorted_by(|a, b| a.len() > b.len() || (a.len() == b.len() && a < b)),
                "longest first"
            );
            for mask in &masks {
                assert!(structural::why_not(mask.as_bytes()).is_none() && !mask.contains(['\n', '\r']));
            }
        }
    }

    #[test]
    fn the_runner_is_sent_lines_fields_and_the_encodings_of_the_whole() {
        let sent = masks(b"{\n  \"password\": \"open sesame\"\n}\n");
        for expected in [
            "\"password\": \"open sesame\"",
            "open sesame",
            r#"{\n  \"password\": \"open sesame\"\n}\n"#,
            "%7B%0A%20%20%22password%22%3A%20%22open%20sesame%22%0A%7D%0A",
            "open%20sesame",
            "ewogICJwYXNzd29yZCI6ICJvcGVuIHNlc2FtZSIKfQ",
            "b3BlbiBzZXNhbW",
        ] {
            assert!(sent.iter().any(|mask| mask == expected), "{expected}");
        }
        let sent = masks(b"first \xff line\nsecond line\n");
        assert!(sent.contains(&"second line".to_owned()));
        assert!(sent.iter().any(|mask| mask.starts_with("Zmlyc3Qg/yBsaW5l")), "base64, for what is not text");
        assert!(sent.iter().any(|mask| mask.starts_with("first%20%FF%20line")));
    }

    #[test]
    fn the_runner_is_not_flooded() {
        assert!(masks(b"sk-ant-0123456789abcdef").len() <= 8);
        let lines: String = (0..20_000).map(|i| i.to_string() + " is the line\n").collect();
        assert!(masks(lines.as_bytes()).len() <= MOST_COMMANDS);
        let long = "é-long-".repeat(20_000);
        let sent = masks(long.as_bytes());
        assert!(sent.iter().all(|mask| (4..=LONGEST_COMMAND).contains(&mask.len())));
        assert!(sent.len() < 100);
    }

    #[test]
    fn a_value_of_one_mebibyte_is_planned_fast_and_small() {
        let mut random = 1_u32;
        let mut next = || {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            u8::try_from(random >> 24).unwrap()
        };
        let bytes: Vec<u8> = (0..1 << 20).map(|_| next()).collect();
        let letters: Vec<u8> = bytes.iter().map(|byte| b'a' + byte % 26).collect();
        let lines: Vec<u8> =
            letters.iter().enumerate().map(|(i, b)| if i % 65 == 64 { b'\n' } else { *b }).collect();
        let short_lines: Vec<u8> =
            letters.iter().enumerate().map(|(i, b)| if i % 6 == 5 { b'\n' } else { *b }).collect();
        let fields = format!(
            "[{}]",
            lines[..500_000].split(|b| *b == b'\n').fold(String::new(), |text, line| {
                let comma = if text.is_empty() { "" } else { ",\n" };
                text + comma + "\"" + std::str::from_utf8(line).unwrap() + "\""
            })
        );
        for (kind, value) in [
            ("bytes", bytes),
            ("letters", letters),
            ("lines", lines),
            ("short lines", short_lines),
            ("same", vec![b'a'; 1 << 20]),
            ("fields", fields.into_bytes()),
        ] {
            let start = Computed::start();
            let plan = plan(&value);
            let planned = start.elapsed();
            let redactor = Redactor::new(&plan);
            let built = start.elapsed();
            let redacted = redactor.redact_line(&value);
            let all = start.elapsed();
            println!(
                "{kind}: {} patterns, {} bytes, planned {planned:?}, built {built:?}, redacted {all:?}",
                plan.len(),
                plan.patterns.bytes.len()
            );
            assert!(plan.patterns.bytes.len() < 12 << 20, "{kind}");
            assert!(redacted.len() < value.len() / 4 * 3, "{kind}");
            // Without optimisation; with it, a tenth.
            assert!(planned < Duration::from_secs(10), "{kind}: {planned:?}");
        }
    }
}
