//! How text is escaped by the programs that print it: one driver for backslash escapes, one for replacements,
//! one for percent-encoding.

use super::buffer::Buffer;

/// One dialect of backslash escapes.
pub(super) struct Escapes {
    /// Characters that only get a backslash.
    pub(super) quoted: &'static str,
    /// Characters that get a backslash and a letter: `("\n", 'n')` as pairs.
    pub(super) named: &'static [(char, char)],
    /// Further ASCII characters that are written as numbers.
    pub(super) numbered: &'static str,
    /// What else stays as it is.
    pub(super) plain: Plain,
    /// How a character is written as a number.
    pub(super) number: Number,
}

/// Which characters stay as they are, when the other fields of [`Escapes`] say nothing about them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Plain {
    /// All but the controls below U+0020, as JSON demands.
    NoControl,
    /// As `NoControl`, but U+2028 and U+2029 are numbered too, as in Go's JSON.
    NoSeparator,
    /// What can be printed.
    Printable,
    /// Printable ASCII.
    Ascii,
}

/// How a character becomes a number.
#[derive(Clone, Copy)]
pub(super) enum Number {
    /// `\u00e9`, with surrogate pairs: JSON.
    Utf16Lower,
    /// `\u00E9`, with surrogate pairs.
    Utf16Upper,
    /// `\x07`, `\u00e9`, `\U0001f511`: Go.
    Go,
    /// `\x07`, `\xe9`, `\u0439`, `\U0001f511`: Python.
    Python,
    /// As Python, in upper case: YAML.
    Yaml,
    /// `\u{e9}`: Rust.
    Braces,
    /// `\303\251`, byte by byte: C, Bash.
    Octal,
    /// `\xc3\xa9`, byte by byte.
    Bytes,
}

/// Appends `value` to `out` as `dialect` writes it. Bytes outside UTF-8 become `\xff` or `\377` in dialects that
/// have that and stay as they are in the others.
pub(super) fn backslash(value: &[u8], dialect: &Escapes, out: &mut Buffer) {
    for chunk in value.utf8_chunks() {
        for character in chunk.valid().chars() {
            if dialect.quoted.contains(character) {
                out.push(b'\\');
                out.push_char(character);
            } else if let Some((_, letter)) = dialect.named.iter().find(|(from, _)| *from == character) {
                out.push(b'\\');
                out.push_char(*letter);
            } else if dialect.numbered.contains(character) || !is_plain(character, dialect.plain) {
                number(character, dialect.number, out);
            } else {
                out.push_char(character);
            }
        }
        for &byte in chunk.invalid() {
            match dialect.number {
                Number::Octal => octal(byte, out),
                Number::Go | Number::Python | Number::Bytes => hex_byte(byte, LOWER, out),
                Number::Yaml => hex_byte(byte, UPPER, out),
                Number::Utf16Lower | Number::Utf16Upper | Number::Braces => out.push(byte),
            }
        }
    }
}

/// Appends `value` to `out` with each byte of `table` replaced by its text.
pub(super) fn replace(value: &[u8], table: &[(u8, &str)], out: &mut Buffer) {
    for &byte in value {
        match table.iter().find(|(from, _)| *from == byte) {
            Some((_, to)) => out.extend(to.as_bytes()),
            None => out.push(byte),
        }
    }
}

/// Appends `value` to `out` percent-encoded (RFC 3986, section 2.1). Letters, digits and the bytes of `kept` stay;
/// `plus_for_blank` is the rule of HTML forms; `upper` is the case of the hexadecimal digits.
pub(super) fn percent(value: &[u8], kept: &[u8], plus_for_blank: bool, upper: bool, out: &mut Buffer) {
    let digits = if upper { UPPER } else { LOWER };
    for &byte in value {
        if byte.is_ascii_alphanumeric() || kept.contains(&byte) {
            out.push(byte);
        } else if byte == b' ' && plus_for_blank {
            out.push(b'+');
        } else {
            out.push(b'%');
            hex_digits(u32::from(byte), 2, digits, out);
        }
    }
}

/// Appends `value` to `out` as hexadecimal digits.
pub(super) fn hex(value: &[u8], upper: bool, out: &mut Buffer) {
    let digits = if upper { UPPER } else { LOWER };
    for &byte in value {
        hex_digits(u32::from(byte), 2, digits, out);
    }
}

const LOWER: &[u8; 16] = b"0123456789abcdef";
const UPPER: &[u8; 16] = b"0123456789ABCDEF";

fn is_plain(character: char, plain: Plain) -> bool {
    match plain {
        Plain::NoControl => character >= ' ',
        Plain::NoSeparator => character >= ' ' && !matches!(character, '\u{2028}' | '\u{2029}'),
        Plain::Ascii => matches!(character, ' '..='~'),
        Plain::Printable => {
            // The standard library's own judgement, which escapes what cannot be seen; it escapes quotes too.
            matches!(character, ' '..='~') || (!character.is_ascii() && character.escape_debug().len() == 1)
        }
    }
}

fn number(character: char, style: Number, out: &mut Buffer) {
    let code = u32::from(character);
    match style {
        Number::Utf16Lower | Number::Utf16Upper => {
            let digits = if matches!(style, Number::Utf16Upper) { UPPER } else { LOWER };
            for unit in character.encode_utf16(&mut [0; 2]) {
                out.extend(b"\\u");
                hex_digits(u32::from(*unit), 4, digits, out);
            }
        }
        Number::Go => sized(code, 0x7f, LOWER, out),
        Number::Python => sized(code, 0xff, LOWER, out),
        Number::Yaml => sized(code, 0xff, UPPER, out),
        Number::Braces => {
            out.extend(b"\\u{");
            let width = (1..8).find(|width| code >> (4 * width) == 0).unwrap_or(8);
            hex_digits(code, width, LOWER, out);
            out.push(b'}');
        }
        Number::Octal => character.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| octal(byte, out)),
        Number::Bytes => {
            character.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| hex_byte(byte, LOWER, out));
        }
    }
}

/// `\x`, `\u` or `\U`, whichever holds `code`; `\x` up to `last_short`.
fn sized(code: u32, last_short: u32, digits: &[u8; 16], out: &mut Buffer) {
    let (letter, width) = match code {
        _ if code <= last_short => (b'x', 2),
        0..=0xffff => (b'u', 4),
        _ => (b'U', 8),
    };
    out.push(b'\\');
    out.push(letter);
    hex_digits(code, width, digits, out);
}

fn hex_byte(byte: u8, digits: &[u8; 16], out: &mut Buffer) {
    out.extend(b"\\x");
    hex_digits(u32::from(byte), 2, digits, out);
}

fn hex_digits(code: u32, width: u32, digits: &[u8; 16], out: &mut Buffer) {
    for place in (0..width).rev() {
        out.push(digits[(code >> (4 * place) & 15) as usize]);
    }
}

fn octal(byte: u8, out: &mut Buffer) {
    out.push(b'\\');
    for shift in [6, 3, 0] {
        out.push(b'0' + (byte >> shift & 7));
    }
}
