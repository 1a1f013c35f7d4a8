//! Text in which every character, or every one that is not a letter or digit, is written as a number: dumps of bytes,
//! strings of programming languages, entities of HTML.

use super::buffer::Buffer;

/// A way to write numbers instead of characters.
#[derive(Clone, Copy)]
pub(super) struct Spelling {
    unit: Unit,
    before: &'static str,
    digits: Digits,
    after: &'static str,
    between: &'static str,
}

/// The meaning of a number.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Byte,
    Utf16,
    Character,
}

#[derive(Clone, Copy)]
enum Digits {
    Decimal,
    /// At least this many.
    Lower(usize),
    Upper(usize),
    Octal,
}

const fn spelling(
    unit: Unit,
    before: &'static str,
    digits: Digits,
    after: &'static str,
    between: &'static str,
) -> Spelling {
    Spelling { unit, before, digits, after, between }
}

use Digits::{Decimal, Lower, Octal, Upper};
use Unit::{Byte, Character, Utf16};

/// Numbers that something marks as such. Letters and digits may stay.
pub(super) const MARKED: &[Spelling] = &[
    spelling(Byte, "\\x", Lower(2), "", ""),
    spelling(Byte, "\\x", Upper(2), "", ""),
    spelling(Byte, "\\", Octal, "", ""),
    spelling(Byte, "%", Lower(2), "", ""),
    spelling(Byte, "%", Upper(2), "", ""),
    spelling(Byte, "=", Upper(2), "", ""),
    spelling(Utf16, "\\u", Lower(4), "", ""),
    spelling(Utf16, "\\u", Upper(4), "", ""),
    spelling(Character, "\\u{", Lower(1), "}", ""),
    spelling(Character, "&#", Decimal, ";", ""),
    spelling(Character, "&#x", Lower(1), ";", ""),
    spelling(Character, "&#x", Upper(1), ";", ""),
    spelling(Character, "&#x", Lower(2), ";", ""),
    spelling(Character, "&#x", Upper(2), ";", ""),
];

/// Lists of numbers: a dump of bytes, a certificate's fingerprint, .NET's `BitConverter`, a buffer of Node.js, Go's and
/// Rust's way to print bytes, JSON.
pub(super) const LISTED: &[Spelling] = &[
    spelling(Byte, "", Lower(2), "", " "),
    spelling(Byte, "", Upper(2), "", " "),
    spelling(Byte, "", Lower(2), "", ":"),
    spelling(Byte, "", Upper(2), "", ":"),
    spelling(Byte, "", Lower(2), "", "-"),
    spelling(Byte, "", Upper(2), "", "-"),
    spelling(Byte, "0x", Lower(2), "", ", "),
    spelling(Byte, "0x", Upper(2), "", ", "),
    spelling(Byte, "", Decimal, "", " "),
    spelling(Byte, "", Decimal, "", ","),
    spelling(Byte, "", Decimal, "", ", "),
];

/// What templates of web pages write as an entity besides `&`, `<` and `>`.
pub(super) const ENTITIES: &[&str] = &["/", "=", "+", "/=", "=`", "/=`", "+=", "+=`", "+/="];

/// Appends `text` to `out`, all of it as numbers, or with letters and digits as they are.
pub(super) fn spell(text: &[u8], spelling: &Spelling, keep_words: bool, out: &mut Buffer) {
    let start = out.len();
    let write = |number: u32, kept: Option<u8>, out: &mut Buffer| {
        if out.len() > start {
            out.extend(spelling.between.as_bytes());
        }
        match kept.filter(|byte| keep_words && byte.is_ascii_alphanumeric()) {
            Some(byte) => out.push(byte),
            None => self::number(number, spelling, out),
        }
    };
    if spelling.unit == Byte {
        for &byte in text {
            write(u32::from(byte), Some(byte), out);
        }
        return;
    }
    for chunk in text.utf8_chunks() {
        for character in chunk.valid().chars() {
            let ascii = u8::try_from(character).ok().filter(u8::is_ascii);
            if spelling.unit == Utf16 {
                let units = character.encode_utf16(&mut [0; 2]).to_vec();
                for unit in units {
                    write(u32::from(unit), ascii, out);
                }
            } else {
                write(u32::from(character), ascii, out);
            }
        }
        chunk.invalid().iter().for_each(|byte| out.push(*byte));
    }
}

/// How quotes are written in HTML.
#[derive(Clone, Copy)]
pub(super) enum Quotes {
    /// They stay: text between elements.
    Stay,
    /// `&quot;`, and `&#39;` as most programs write it.
    Usual,
    /// `&quot;`, and `'` as the other characters.
    AsOthers,
}

/// Appends `text` to `out` as HTML, with the characters of `others` as numbers.
pub(super) fn html(text: &[u8], others: &str, spelling: &Spelling, quotes: Quotes, out: &mut Buffer) {
    for &byte in text {
        match (byte, quotes) {
            (b'&', _) => out.extend(b"&amp;"),
            (b'<', _) => out.extend(b"&lt;"),
            (b'>', _) => out.extend(b"&gt;"),
            (b'"', Quotes::Usual | Quotes::AsOthers) => out.extend(b"&quot;"),
            (b'\'', Quotes::Usual) => out.extend(b"&#39;"),
            (b'\'', Quotes::AsOthers) => number(u32::from(byte), spelling, out),
            _ if others.as_bytes().contains(&byte) => number(u32::from(byte), spelling, out),
            _ => out.push(byte),
        }
    }
}

/// The spellings of entities: decimal, hexadecimal in both cases.
pub(super) fn entities() -> impl Iterator<Item = &'static Spelling> {
    MARKED.iter().filter(|spelling| spelling.after == ";")
}

/// A line of quoted-printable (characters), its soft line break not counted.
const QUOTED_PRINTABLE_LINE: usize = 75;

/// Appends one line of text to `out` as quoted-printable (RFC 2045), without soft line breaks, and returns where those
/// would be.
pub(super) fn quoted_printable(text: &[u8], out: &mut Buffer) -> Vec<usize> {
    let mut breaks = Vec::new();
    let mut line = out.len();
    for (at, &byte) in text.iter().enumerate() {
        let is_blank = matches!(byte, b' ' | b'\t');
        let stays = byte.is_ascii_graphic() && byte != b'=' || is_blank && at + 1 < text.len();
        if out.len() + if stays { 1 } else { 3 } > line + QUOTED_PRINTABLE_LINE {
            line = out.len();
            breaks.push(line);
        }
        if stays {
            out.push(byte);
        } else {
            number(u32::from(byte), &spelling(Byte, "=", Upper(2), "", ""), out);
        }
    }
    breaks
}

fn number(number: u32, spelling: &Spelling, out: &mut Buffer) {
    out.extend(spelling.before.as_bytes());
    let (base, width, digits) = match spelling.digits {
        Decimal => (10, 1, b"0123456789ABCDEF"),
        Lower(width) => (16, width, b"0123456789abcdef"),
        Upper(width) => (16, width, b"0123456789ABCDEF"),
        Octal => (8, 3, b"0123456789ABCDEF"),
    };
    let mut reversed = [0; 10];
    let mut count = 0;
    let mut rest = number;
    while rest > 0 || count < width {
        reversed[count] = digits[(rest % base) as usize];
        rest /= base;
        count += 1;
    }
    reversed[..count].iter().rev().for_each(|digit| out.push(*digit));
    out.extend(spelling.after.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Buffer)) -> String {
        let mut out = Buffer::new();
        write(&mut out);
        String::from_utf8(out.as_slice().to_vec()).unwrap()
    }

    #[test]
    fn characters_are_written_as_numbers_in_every_way() {
        let all = |spellings: &[Spelling], keep| -> Vec<String> {
            spellings
                .iter()
                .map(|spelling| written(|out| spell("a/é".as_bytes(), spelling, keep, out)))
                .collect()
        };
        let expected = [
            r"\x61\x2f\xc3\xa9",
            r"\x61\x2F\xC3\xA9",
            r"\141\057\303\251",
            "%61%2f%c3%a9",
            "%61%2F%C3%A9",
            "=61=2F=C3=A9",
            r"\u0061\u002f\u00e9",
            r"\u0061\u002F\u00E9",
            r"\u{61}\u{2f}\u{e9}",
            "&#97;&#47;&#233;",
            "&#x61;&#x2f;&#xe9;",
            "&#x61;&#x2F;&#xE9;",
            "&#x61;&#x2f;&#xe9;",
            "&#x61;&#x2F;&#xE9;",
        ];
        assert_eq!(all(MARKED, false), expected);
        assert_eq!(all(MARKED, true)[0], r"a\x2f\xc3\xa9");
        let expected = [
            "61 2f c3 a9",
            "61 2F C3 A9",
            "61:2f:c3:a9",
            "61:2F:C3:A9",
            "61-2f-c3-a9",
            "61-2F-C3-A9",
            "0x61, 0x2f, 0xc3, 0xa9",
            "0x61, 0x2F, 0xC3, 0xA9",
            "97 47 195 169",
            "97,47,195,169",
            "97, 47, 195, 169",
        ];
        assert_eq!(all(LISTED, false), expected);
        assert_eq!(
            written(|out| html(b"<a='/'>", "/", &MARKED[11], Quotes::Usual, out)),
            "&lt;a=&#39;&#x2F;&#39;&gt;"
        );
    }

    #[test]
    fn quoted_printable_says_where_it_may_break() {
        assert_eq!(written(|out| assert!(quoted_printable(b"a=b \xff ", out).is_empty())), "a=3Db =FF=20");
        let mut out = Buffer::new();
        assert_eq!(
            quoted_printable(&[vec![b'a'; 74], b"==".to_vec(), vec![b'b'; 80]].concat(), &mut out),
            [74, 149]
        );
    }
}
