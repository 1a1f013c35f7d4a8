//! The forms in which a text can occur: the encodings that programs use when they print it.

use super::base32;
use super::base64::{Alphabet, Ending, encode};
use super::buffer::Buffer;
use super::dialects::{JSON, KEPT_IN_URLS, QUOTED, REPLACED};
use super::escape::{Escapes, backslash, hex, percent, replace};
use super::spelled::{ENTITIES, LISTED, MARKED, Quotes, entities, html, quoted_printable, spell};
use super::structural::has_line_break;

/// The kind of a form.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// The text itself.
    Raw,
    /// A JSON string as most programs write it.
    Json,
    /// The part of standard or URL-safe base64 that does not depend on neighbours.
    Base64,
    /// Percent-encoding as RFC 3986 wants it.
    Url,
    /// Any other.
    Other,
}

/// How many forms a text gets.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Extent {
    /// All of them: a value, or a field of a JSON value.
    Full,
    /// All escapes, base64 and hexadecimal digits: one line of a value, or what is only hidden in the log.
    Line,
    /// All escapes: a short line of a value.
    Escapes,
    /// Only the text, JSON and standard base64: a value too long for more.
    Few,
    /// Only the text: a line or field of such a value.
    Raw,
}

/// Calls `emit` with every form of `text`. A form may occur more than once, and may contain line breaks.
pub(super) fn each(text: &[u8], extent: Extent, emit: &mut dyn FnMut(Form, &[u8])) {
    emit(Form::Raw, text);
    match extent {
        Extent::Raw => {}
        Extent::Few => {
            let mut forms = Forms { scratch: Buffer::new(), emit };
            forms.json(text, &JSON[..2]);
            forms.json_again(text, &JSON[..1], 2);
            forms.base64(text, &[Alphabet::Standard], &[Ending::Unknown], Form::Base64);
        }
        Extent::Escapes => Forms { scratch: Buffer::new(), emit }.escapes(text),
        Extent::Line => {
            let mut forms = Forms { scratch: Buffer::new(), emit };
            forms.escapes(text);
            // The engine's logs are JSON: each byte outside of UTF-8 comes back as U+FFFD.
            forms.lossy(text);
            forms.base64(text, BOTH, &[Ending::Unknown], Form::Base64);
            forms.hex(text);
        }
        Extent::Full => {
            let mut forms = Forms { scratch: Buffer::new(), emit };
            forms.escapes(text);
            forms.lossy(text);
            forms.base64(text, BOTH, &[Ending::Unknown], Form::Base64);
            forms.base64(text, BOTH, &[Ending::End, Ending::Padded], Form::Other);
            forms.base64_of_a_line(text);
            forms.hex(text);
            if text.len() <= SPELLED_UP_TO {
                forms.spelled(text);
                forms.base32(text);
                forms.base64_of_encoded(text);
            }
        }
    }
}

/// Hexadecimal digits of fewer bytes occur by chance, for example in commit IDs.
const SHORTEST_HEX: usize = 8;

/// A longer text (bytes) is not searched as numbers, in base32 or in base64 of another encoding: together, these take a
/// hundred times its length.
const SPELLED_UP_TO: usize = 4 * 1024;

const BOTH: &[Alphabet] = &[Alphabet::Standard, Alphabet::UrlSafe];

/// Widths at which `base64` (76, RFC 2045) and `openssl` (64, RFC 7468) break lines.
const WRAPPED_AT: [usize; 2] = [76, 64];

/// A shorter line of wrapped base64 (characters) is not searched.
const SHORTEST_WRAPPED: usize = 8;

struct Forms<'a> {
    scratch: Buffer,
    emit: &'a mut dyn FnMut(Form, &[u8]),
}

impl Forms<'_> {
    fn form(&mut self, form: Form, write: impl FnOnce(&mut Buffer)) {
        self.scratch.clear();
        write(&mut self.scratch);
        (self.emit)(form, self.scratch.as_slice());
    }

    fn other(&mut self, write: impl FnOnce(&mut Buffer)) {
        self.form(Form::Other, write);
    }

    fn json(&mut self, text: &[u8], dialects: &[Escapes]) {
        for dialect in dialects {
            self.form(Form::Json, |out| backslash(text, dialect, out));
        }
    }

    fn escapes(&mut self, text: &[u8]) {
        if text.len() <= SPELLED_UP_TO && !text.iter().all(u8::is_ascii_alphanumeric) {
            for spelling in MARKED {
                self.other(|out| spell(text, spelling, true, out));
            }
        }
        // No dialect below changes these.
        if text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte)) {
            return;
        }
        self.json(text, &JSON[..1]);
        for dialect in JSON[1..].iter().chain(QUOTED) {
            self.other(|out| backslash(text, dialect, out));
        }
        for table in REPLACED {
            self.other(|out| replace(text, table, out));
        }
        self.percent(text);
        for dialect in [0, 1, 7] {
            self.json_again(text, &JSON[dialect..=dialect], 3);
        }
        self.compose(text);
        self.web(text);
    }

    fn percent(&mut self, text: &[u8]) {
        for upper in [true, false] {
            for (index, (kept, plus)) in KEPT_IN_URLS.iter().enumerate() {
                let form = if index == 0 && upper { Form::Url } else { Form::Other };
                self.form(form, |out| percent(text, kept, *plus, upper, out));
            }
        }
    }

    /// JSON as a string inside JSON, as often as `times` in all: labels in `docker inspect`, log drivers, logs of logs.
    fn json_again(&mut self, text: &[u8], dialects: &[Escapes], times: usize) {
        for dialect in dialects {
            let mut once = Buffer::new();
            backslash(text, dialect, &mut once);
            for _ in 1..times {
                let mut again = Buffer::new();
                backslash(once.as_slice(), &JSON[0], &mut again);
                self.other(|out| out.extend(again.as_slice()));
                once = again;
            }
        }
    }

    /// Quoted-printable, and what templates of web pages make of `=`, `/` and the like.
    fn web(&mut self, text: &[u8]) {
        if has_line_break(text) {
            return;
        }
        let mut line = Buffer::new();
        let breaks = quoted_printable(text, &mut line);
        self.other(|out| out.extend(line.as_slice()));
        let mut start = 0;
        for end in breaks.iter().copied().chain([line.len()]).filter(|_| !breaks.is_empty()) {
            if end - start >= SHORTEST_WRAPPED {
                self.other(|out| out.extend(&line.as_slice()[start..end]));
            }
            start = end;
        }
        for others in ENTITIES.iter().filter(|others| others.bytes().all(|other| text.contains(&other))) {
            for spelling in entities() {
                for quotes in [Quotes::Stay, Quotes::Usual, Quotes::AsOthers] {
                    self.other(|out| html(text, others, spelling, quotes, out));
                }
            }
        }
    }

    fn hex(&mut self, text: &[u8]) {
        if text.len() >= SHORTEST_HEX {
            self.other(|out| hex(text, false, out));
            self.other(|out| hex(text, true, out));
        }
    }

    /// Every byte or character as a number. In lists, short ones occur by chance.
    fn spelled(&mut self, text: &[u8]) {
        for spelling in MARKED.iter().chain(LISTED.iter().filter(|_| text.len() >= SHORTEST_HEX)) {
            self.other(|out| spell(text, spelling, false, out));
        }
    }

    fn base32(&mut self, text: &[u8]) {
        if text.len() < SHORTEST_HEX {
            return;
        }
        for offset in 0..base32::OFFSETS {
            self.other(|out| base32::core(text, offset, false, out));
        }
        self.other(|out| base32::core(text, 0, true, out));
    }

    /// Base64 of UTF-16 (as `PowerShell` takes commands), of a JSON string and of base64.
    fn base64_of_encoded(&mut self, text: &[u8]) {
        if let Ok(text) = std::str::from_utf8(text) {
            for big in [false, true] {
                let mut utf16 = Buffer::new();
                for unit in text.encode_utf16() {
                    utf16.extend(&if big { unit.to_be_bytes() } else { unit.to_le_bytes() });
                }
                // Of ASCII both orders hold the same, but for a zero at one end.
                let bytes = utf16.as_slice();
                let bytes = if big { bytes.get(1..) } else { bytes.get(..bytes.len().saturating_sub(1)) };
                self.base64(bytes.unwrap_or_default(), BOTH, &[Ending::Unknown], Form::Other);
            }
        }
        for dialect in [&JSON[0], &JSON[1], &JSON[7]] {
            let mut json = Buffer::new();
            backslash(text, dialect, &mut json);
            self.base64(json.as_slice(), BOTH, &[Ending::Unknown], Form::Other);
        }
        for offset in 0..3 {
            let mut once = Buffer::new();
            encode(text, Alphabet::Standard, offset, Ending::Unknown, &mut once);
            if once.len() >= SHORTEST_WRAPPED {
                self.base64(once.as_slice(), &[Alphabet::Standard], &[Ending::Unknown], Form::Other);
            }
        }
    }

    /// `docker compose config` doubles each `$`, and then writes JSON or YAML.
    fn compose(&mut self, text: &[u8]) {
        if !text.contains(&b'$') {
            return;
        }
        let mut doubled = Buffer::new();
        replace(text, &[(b'$', "$$")], &mut doubled);
        let doubled = doubled.as_slice();
        self.other(|out| out.extend(doubled));
        self.other(|out| replace(doubled, &[(b'\'', "''")], out));
        for dialect in JSON[..2].iter().chain(&QUOTED[..3]) {
            self.other(|out| backslash(doubled, dialect, out));
        }
    }

    /// The output of programs that print only text for bytes that are not UTF-8: U+FFFD for each wrong byte (Go), or
    /// for each wrong sequence (Rust, Python).
    fn lossy(&mut self, text: &[u8]) {
        if std::str::from_utf8(text).is_ok() {
            return;
        }
        for each_byte in [true, false] {
            let mut lossy = Buffer::new();
            let mut kept = 0;
            for chunk in text.utf8_chunks() {
                lossy.extend(chunk.valid().as_bytes());
                kept += chunk.valid().trim().chars().count();
                let wrong = chunk.invalid().len();
                for _ in 0..if each_byte { wrong } else { wrong.min(1) } {
                    lossy.push_char(char::REPLACEMENT_CHARACTER);
                }
            }
            if kept < 4 {
                return;
            }
            let lossy = lossy.as_slice();
            self.other(|out| out.extend(lossy));
            for dialect in JSON {
                self.other(|out| backslash(lossy, dialect, out));
            }
        }
    }

    fn base64(&mut self, text: &[u8], alphabets: &[Alphabet], endings: &[Ending], form: Form) {
        for &alphabet in alphabets {
            for offset in 0..3 {
                for &ending in endings {
                    self.form(form, |out| encode(text, alphabet, offset, ending, out));
                }
            }
        }
    }

    /// `echo "$VALUE" | base64`, and what `base64` breaks into lines.
    fn base64_of_a_line(&mut self, text: &[u8]) {
        let mut line = Buffer::new();
        line.extend(text);
        line.push(b'\n');
        let line = line.as_slice();
        self.base64(line, BOTH, &[Ending::Unknown, Ending::End, Ending::Padded], Form::Other);
        for input in [text, line] {
            let mut encoded = Buffer::new();
            encode(input, Alphabet::Standard, 0, Ending::Padded, &mut encoded);
            for width in WRAPPED_AT {
                if encoded.len() > width {
                    // The last line may be little more than the newline; that occurs in any base64.
                    let parts =
                        encoded.as_slice().chunks(width).filter(|part| part.len() >= SHORTEST_WRAPPED);
                    parts.for_each(|part| (self.emit)(Form::Other, part));
                }
            }
        }
        if has_line_break(text) {
            // Git and mail convert newlines: the same text with CRLF.
            let mut network = Buffer::new();
            for (index, part) in text.split(|&byte| byte == b'\n').enumerate() {
                if index > 0 {
                    network.extend(b"\r\n");
                }
                network.extend(part.strip_suffix(b"\r").unwrap_or(part));
            }
            self.base64(network.as_slice(), &[Alphabet::Standard], &[Ending::Unknown], Form::Other);
        }
    }
}
