//! Tests difficult values with independent encoders: whatever a program prints, no trace of the value is left.

use std::fmt::Write as _;

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Plan, Redactor, structural};

const PEM: &str = "-----BEGIN PRIVATE KEY-----\n\
    MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n\
    MzEfYyjiWA4R4/M2bS1GB4t7NXp98C3SC6dVMvDuictGeurT8jNbvJZHtCSuYEvu\n\
    NMoSfm76oqFvAp8Gy0iz5sxjZmSnXyCdPEovGhLa0VzMaQ8s+CLOyS56YyCFGeJZ\n\
    qgtzJ6GR3eqoYSW9b9UMvkBpZODSctWSNGj3P7jRFDO5VoTwCQAWbFnOjDfH5Ulg\n\
    p2PKSQnSJP3AJLQNFNe7br1XbrhV//eO+t51mIpGSDCUv3E0DDFcWDTH9cXDTTlR\n\
    ZVEiR2BwpZOOkE/Z0/BVnhZYL71oZV34bKfWjQIt6V/isSMahdsAASACp4ZTGtwi\n\
    VuNd9tyb\n\
    -----END PRIVATE KEY-----\n";

const PRETTY: &str = "{\n  \"username\": \"svc-deploy\",\n  \"password\": \"p\\\"a$s\\\\w/ö<rd>&\",\n  \
    \"nested\": {\n    \"enabled\": true,\n    \"pin\": null\n  }\n}\n";

/// Values that have broken masking somewhere, or could.
fn values() -> Vec<String> {
    let mut values: Vec<String> = [
        PEM,
        PRETTY,
        "Abcd",
        "ab-d",
        "a b c d",
        "pa$$word",
        "${HOME}/x$1",
        "p%0Aq%25r%0D",
        "100%safe%",
        "::add-mask::hello",
        "it's \"quoted\" `here`",
        "back\\slash\\n\\\\end",
        "trailing backslash\\",
        " leading and trailing ",
        "\tTabbed\tvalue\t",
        "ends with newline\n",
        "\n\nblank lines around\n\n",
        "crlf line one\r\ncrlf line two\r\n",
        "old mac one\rold mac two",
        "first line\nab\nlast line",
        "<script>alert('x')&amp;</script>",
        "a&b=c;d?e#f/g:h@i,j+k",
        "user:p@ss/w?rd#1",
        "+++plus+++slash///",
        "!@#$%^&*()_+-=[]{}|;':\",./<>?`~",
        "пароль-секрет",
        "密码是一个秘密",
        "key🔑with🔐emoji",
        "e\u{301}clair combining",
        "zero\u{200b}width\u{feff}bom",
        "line\u{2028}separator\u{2029}para",
        "nbsp\u{a0}nel\u{85}end",
        "bell\u{7}back\u{8}esc\u{1b}[31mred\u{1b}[0m",
        "null\0byte\0inside",
        "delete\u{7f}char",
        "vertical\u{b}tab\u{c}feed",
        "aaaaaaaaaaaaaaaa",
        "abababababababab",
        "12345678",
        "deadbeefdeadbeef",
        "\"in double quotes\"",
        "'in single quotes'",
        "sk-ant-api03-AbCdEfGhIjKlMnOpQrStUvWxYz0123456789_-AA",
        "ghs_16C7e42F292c6912E7710c838347Ae178B4a",
        "postgres://u:p%40ss@db:5432/app?sslmode=require",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        "[\"json\", \"array of\", \"strings\"]",
        "A=1\nB_KEY=value two\nexport C='x y z'\n",
        "# comment: yaml\nkey: |\n  block scalar\n  more of it\n",
        "<?xml version=\"1.0\"?><k v='1'>&#10;</k>",
    ]
    .map(str::to_owned)
    .into();
    values.push("0123456789abcdef".repeat(256));
    values.push(
        (0..12_000).map(|i| char::from(b'!' + u8::try_from(i * i * 7 % 94).unwrap())).collect::<String>(),
    );
    values.push((0..300).fold(String::new(), |mut text, i| {
        writeln!(text, "line number {i} of a long \"file\"").unwrap();
        text
    }));
    assert!(values.len() >= 50);
    values
}

fn redactor(values: &[&[u8]]) -> Redactor {
    let names: Vec<String> = (0..values.len()).map(|i| format!("S{i}")).collect();
    Redactor::new(&Plan::new(names.iter().map(String::as_str).zip(values.iter().copied())))
}

fn percent(text: &str, set: &'static AsciiSet) -> String {
    utf8_percent_encode(text, set).to_string()
}

/// Lower-cases the hexadecimal digits behind `%`.
fn lower_percent(text: &str) -> String {
    let mut out = String::new();
    let mut digits = 0;
    for c in text.chars() {
        out.push(if digits > 0 { c.to_ascii_lowercase() } else { c });
        digits = if c == '%' { 2_u8 } else { digits.saturating_sub(1) };
    }
    out
}

fn unicode_escaped(text: &str, upper: bool, all: bool) -> String {
    let mut out = String::new();
    for unit in text.encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte @ b' '..=b'~') if !all && !b"\"\\".contains(&byte) => out.push(char::from(byte)),
            Ok(byte @ (b'"' | b'\\')) => out.extend(['\\', char::from(byte)]),
            Ok(b'\n') if !all => out.push_str("\\n"),
            Ok(b'\r') if !all => out.push_str("\\r"),
            Ok(b'\t') if !all => out.push_str("\\t"),
            Ok(8) if !all => out.push_str("\\b"),
            Ok(12) if !all => out.push_str("\\f"),
            Ok(byte @ b' '..=b'~') => out.push(char::from(byte)),
            _ if upper => write!(out, "\\u{unit:04X}").unwrap(),
            _ => write!(out, "\\u{unit:04x}").unwrap(),
        }
    }
    out
}

/// The output of independent encoders for a text that stays in one line.
#[allow(clippy::too_many_lines)] // a table
fn encodings(text: &str) -> Vec<(&'static str, String)> {
    const RFC3986: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    const QUOTE: &AsciiSet = &RFC3986.remove(b'/');
    const COMPONENT: &AsciiSet = &RFC3986.remove(b'!').remove(b'*').remove(b'\'').remove(b'(').remove(b')');
    let json = serde_json::to_string(text).unwrap();
    let json = json[1..json.len() - 1].to_owned();
    let again = serde_json::to_string(&json).unwrap();
    let mut all = vec![
        ("json", json.clone()),
        ("json twice", again[1..again.len() - 1].to_owned()),
        ("json, slashes escaped", json.replace('/', "\\/")),
        (
            "json, safe for html",
            json.replace('<', "\\u003c")
                .replace('>', "\\u003e")
                .replace('&', "\\u0026")
                .replace('\u{2028}', "\\u2028")
                .replace('\u{2029}', "\\u2029"),
        ),
        ("json, ascii", unicode_escaped(text, false, false)),
        ("json, ascii, upper", unicode_escaped(text, true, false)),
        ("json, ascii, slashes", unicode_escaped(text, false, false).replace('/', "\\/")),
        ("json, all numbers", unicode_escaped(text, false, true)),
        ("json, compose", {
            let doubled = serde_json::to_string(&text.replace('$', "$$")).unwrap();
            doubled[1..doubled.len() - 1].to_owned()
        }),
        ("percent", percent(text, RFC3986)),
        ("percent, lower", lower_percent(&percent(text, RFC3986))),
        ("percent, slashes kept", percent(text, QUOTE)),
        ("percent, component", percent(text, COMPONENT)),
        ("percent, form", percent(text, RFC3986).replace("%20", "+")),
        ("percent, form, lower", lower_percent(&percent(text, RFC3986).replace("%20", "+"))),
        ("workflow command", text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")),
        ("bytes", text.as_bytes().escape_ascii().to_string()),
    ];
    let third = serde_json::to_string(&again[1..again.len() - 1]).unwrap();
    all.push(("json three times", third[1..third.len() - 1].to_owned()));
    let numbered = |write: &dyn Fn(char) -> String| text.chars().map(write).collect::<String>();
    let bytes = |write: &dyn Fn(&u8) -> String, between: &str| {
        text.as_bytes().iter().map(write).collect::<Vec<_>>().join(between)
    };
    let except_words = |write: &dyn Fn(char) -> String| {
        numbered(&|c| if c.is_ascii_alphanumeric() { c.to_string() } else { write(c) })
    };
    if text.len() <= 4096 {
        all.extend([
            ("every byte as \\x", bytes(&|b| format!("\\x{b:02x}"), "")),
            ("every byte as \\x, upper", bytes(&|b| format!("\\x{b:02X}"), "")),
            ("every byte in octal", bytes(&|b| format!("\\{b:03o}"), "")),
            ("every byte as %", bytes(&|b| format!("%{b:02x}"), "")),
            ("every byte as %, upper", bytes(&|b| format!("%{b:02X}"), "")),
            ("every character as &#", numbered(&|c| format!("&#{};", u32::from(c)))),
            ("every character as &#x", numbered(&|c| format!("&#x{:x};", u32::from(c)))),
            ("every character as &#x, upper", numbered(&|c| format!("&#x{:X};", u32::from(c)))),
            ("all but words as &#", except_words(&|c| format!("&#{};", u32::from(c)))),
            ("all but words as &#x", except_words(&|c| format!("&#x{:x};", u32::from(c)))),
            ("all but words as &#x, upper", except_words(&|c| format!("&#x{:X};", u32::from(c)))),
        ]);
    }
    if (8..=4096).contains(&text.len()) {
        all.extend([
            ("hex, blanks", bytes(&|b| format!("{b:02x}"), " ")),
            ("hex, colons", bytes(&|b| format!("{b:02x}"), ":")),
            ("hex, blanks, upper", bytes(&|b| format!("{b:02X}"), " ")),
            ("hex, colons, upper", bytes(&|b| format!("{b:02X}"), ":")),
            ("hex, dashes, upper", bytes(&|b| format!("{b:02X}"), "-")),
            ("numbers", bytes(&u8::to_string, " ")),
            ("numbers, as JSON", bytes(&u8::to_string, ",")),
            ("numbers, as Rust", bytes(&u8::to_string, ", ")),
        ]);
    }
    let debug = format!("{text:?}");
    all.push(("rust", debug[1..debug.len() - 1].to_owned()));
    if text.len() >= 8 {
        all.push(("hex", HEXLOWER.encode(text.as_bytes())));
        all.push(("hex, upper", HEXUPPER.encode(text.as_bytes())));
    }
    if !structural::has_line_break(text.as_bytes()) {
        all.extend([
            ("as it is", text.to_owned()),
            ("xml", text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")),
            (
                "html",
                text.replace('&', "&amp;")
                    .replace('<', "&lt;")
                    .replace('>', "&gt;")
                    .replace('"', "&quot;")
                    .replace('\'', "&#39;"),
            ),
            ("html, mustache", {
                let names = [('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;"), ('"', "&quot;"), ('\'', "&#39;")];
                let numbers = [('/', "&#x2F;"), ('`', "&#x60;"), ('=', "&#x3D;")];
                let has_all = numbers.iter().all(|(from, _)| text.contains(*from));
                let numbers = if has_all { &numbers[..] } else { &[] };
                let write = |c: char| match names.iter().chain(numbers).find(|(from, _)| *from == c) {
                    Some((_, to)) => (*to).to_owned(),
                    None => c.to_string(),
                };
                text.chars().map(write).collect()
            }),
            (
                "html, equals",
                text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('=', "&#61;"),
            ),
            ("properties", {
                let escaped = text.replace('\\', "\\\\").replace('\t', "\\t").replace('\u{c}', "\\f");
                let escaped =
                    escaped.replace(':', "\\:").replace('=', "\\=").replace('#', "\\#").replace('!', "\\!");
                escaped.chars().fold(String::new(), |mut out, c| {
                    match c {
                        ' '..='~' => out.push(c),
                        _ => c
                            .encode_utf16(&mut [0; 2])
                            .iter()
                            .for_each(|unit| write!(out, "\\u{unit:04X}").unwrap()),
                    }
                    out
                })
            }),
            (
                "quoted-printable",
                text.bytes().enumerate().fold(String::new(), |mut out, (at, b)| {
                    match b {
                        b'=' => out.push_str("=3D"),
                        b' ' | b'\t' if at + 1 < text.len() => out.push(char::from(b)),
                        b'!'..=b'~' => out.push(char::from(b)),
                        _ => write!(out, "={b:02X}").unwrap(),
                    }
                    out
                }),
            ),
            ("shell", text.replace('\'', r"'\''")),
            ("shell, python", text.replace('\'', r#"'"'"'"#)),
            ("compose", text.replace('$', "$$")),
            ("yaml, single quotes", text.replace('\'', "''")),
            ("double quotes escaped", text.replace('"', "\\\"")),
        ]);
    }
    all
}

#[test]
fn no_encoding_of_a_nasty_value_leaves_a_trace() {
    let mut cases = 0;
    for (index, value) in values().iter().enumerate() {
        let redactor = redactor(&[value.as_bytes()]);
        for (encoding, encoded) in encodings(value) {
            let printed = format!("<{encoded}>");
            let redacted = redactor.redact_text(&printed);
            assert!(redacted == "<***>", "value {index} as {encoding} leaves {} characters", redacted.len());
            assert_eq!(redactor.names_in(printed.as_bytes()), ["S0"], "value {index} as {encoding}");
            cases += 1;
        }
    }
    assert!(cases > 1000, "{cases}");
}

#[test]
fn every_line_of_a_nasty_value_is_redacted_unless_it_is_structure() {
    for (index, value) in values().iter().enumerate() {
        let redactor = redactor(&[value.as_bytes()]);
        for (number, line) in value.split(['\n', '\r']).enumerate() {
            let printed = format!("| {line} |");
            let redacted = redactor.redact_text(&printed);
            if structural::is_worth_masking(line.as_bytes()) {
                let left = redacted.replace([' ', '\t'], "");
                assert!(left == "|***|", "value {index}, line {number}");
                for (encoding, encoded) in encodings(line.trim_ascii()) {
                    // As numbers, a value is only searched as a whole.
                    if !["hex", "every", "numbers"].iter().any(|dump| encoding.starts_with(dump)) {
                        let left = redactor.redact_text(&encoded).into_owned();
                        assert!(left == "***", "value {index}, line {number} as {encoding}");
                    }
                }
            } else if structural::has_line_break(value.as_bytes()) {
                assert!(redacted == printed, "value {index}, line {number} is structure");
            }
        }
    }
}

#[test]
fn base64_leaves_no_whole_character_of_a_value_whatever_its_neighbours() {
    for (index, value) in values().iter().enumerate() {
        let redactor = redactor(&[value.as_bytes()]);
        for (name, encoding) in [
            ("padded", BASE64),
            ("unpadded", BASE64_NOPAD),
            ("url-safe", BASE64URL),
            ("url-safe, unpadded", BASE64URL_NOPAD),
        ] {
            for before in ["", "u", "us", "user:", "admin:", "abc:"] {
                for after in ["", "\n", ":x", "@example.com"] {
                    let encoded = encoding.encode(format!("{before}{value}{after}").as_bytes());
                    let first = (before.len() * 8).div_ceil(6);
                    let last = (before.len() + value.len()) * 8 / 6;
                    let printed = format!("({encoded})");
                    let redacted = redactor.redact_text(&printed);
                    let context = format!("value {index}, {name}, {before:?}, {after:?}");
                    let (head, tail) = redacted.split_once("***").expect(&context);
                    assert!(head.len() <= 1 + first, "{context}: {} characters before", head.len());
                    assert!(tail.len() <= encoded.len() - last + 1, "{context}: {} behind", tail.len());
                    assert!(!tail.contains('*'), "{context}: one mask");
                    if before.is_empty() && matches!(after, "" | "\n") {
                        assert_eq!(redacted, "(***)", "{context}: nothing at all is left");
                    }
                }
            }
        }
    }
}

#[test]
fn base64_of_other_encodings_and_base32_are_recognised() {
    for (index, value) in values().iter().enumerate().filter(|(_, value)| (8..=4096).contains(&value.len())) {
        let redactor = redactor(&[value.as_bytes()]);
        let little: Vec<u8> = value.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = value.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let json = serde_json::to_string(value).unwrap();
        for before in ["", "u", "us", "user", "user:"] {
            let with = |text: &[u8]| [before.as_bytes(), text, b"\n"].concat();
            let once = BASE64.encode(&with(value.as_bytes()));
            for (encoding, encoded) in [
                ("base64 of UTF-16LE", BASE64.encode(&with(&little))),
                ("base64 of UTF-16BE", BASE64URL.encode(&with(&big))),
                ("base64 of JSON", BASE64.encode(&with(json.as_bytes()))),
                ("base64 of base64", BASE64.encode(once.as_bytes())),
                ("base64 of base64 with something before", BASE64.encode(&with(once.as_bytes()))),
                ("base32", data_encoding::BASE32.encode(&with(value.as_bytes()))),
            ] {
                let redacted = redactor.redact_text(&encoded);
                let left = redacted.len() - redacted.matches("***").count() * 3;
                assert!(redacted.contains("***"), "value {index} as {encoding} behind {before:?}");
                assert!(
                    left <= 24 + 2 * before.len(),
                    "value {index} as {encoding} leaves {left} characters"
                );
                assert_eq!(redactor.names_in(encoded.as_bytes()), ["S0"]);
            }
        }
    }
}

#[test]
fn quoted_printable_in_lines_is_redacted_line_by_line() {
    let value = "no=line=break ".repeat(30);
    let redactor = redactor(&[value.as_bytes()]);
    let encoded = value.trim_end().replace('=', "=3D") + "=20";
    let (mut rest, mut lines) = (encoded.as_str(), Vec::new());
    while rest.len() > 75 {
        let cut = (73..=75)
            .rev()
            .find(|cut| !rest[..*cut].ends_with('=') && !rest[..*cut - 1].ends_with('='))
            .unwrap();
        lines.push(&rest[..cut]);
        rest = &rest[cut..];
    }
    assert!(lines.len() >= 4);
    for line in lines {
        assert_eq!(redactor.redact_text(&format!("{line}=")), "***=");
    }
}

#[test]
fn ordinary_text_is_left_alone_by_all_forms_of_ordinary_values() {
    let values: Vec<String> = (1..200_u32)
        .map(|i| {
            HEXLOWER.encode(&i.wrapping_mul(2_654_435_761).to_be_bytes()) + &"aZ3-x".repeat(i as usize % 5)
        })
        .collect();
    let values: Vec<&[u8]> = values.iter().map(String::as_bytes).collect();
    let redactor = redactor(&values);
    let text: String = (0..3000_u32).fold(String::new(), |mut text, i| {
        let noise = i.wrapping_mul(0x9e37_79b9);
        writeln!(
            text,
            "2026-01-01T00:{:02}:00Z commit {noise:08x} took {i} ms, 0x{i:02x}, [{i}, {noise}]",
            i % 60
        )
        .unwrap();
        writeln!(
            text,
            "{:02x} {:02x} 00 61 62 63 | {} | &amp;#{i}; | \\x1b[3{}m",
            i % 256,
            noise % 256,
            BASE64.encode(&noise.to_le_bytes()),
            i % 8
        )
        .unwrap();
        text
    });
    assert!(redactor.redact_text(&text) == text);
}

#[test]
fn wrapped_base64_is_redacted_line_by_line() {
    for width in [64, 76] {
        for input in [PEM.to_owned(), "no-line-break ".repeat(30), format!("{PEM}\n")] {
            let redactor = redactor(&[input.trim_ascii_end().as_bytes(), input.as_bytes()]);
            let encoded = BASE64.encode(input.as_bytes());
            for line in encoded.as_bytes().chunks(width).filter(|line| line.len() >= 8) {
                assert_eq!(&*redactor.redact_line(line), b"***", "{width}");
            }
        }
    }
}

#[test]
fn strings_inside_a_json_value_are_redacted_one_by_one() {
    let redactor = redactor(&[PRETTY.as_bytes()]);
    let password = "p\"a$s\\w/ö<rd>&";
    for (encoding, encoded) in encodings(password) {
        assert_eq!(redactor.redact_text(&encoded), "***", "{encoding}");
    }
    let structure = "{ \"enabled\": true }, null, [ ], username, svc-deploy";
    assert_eq!(
        redactor.redact_text(structure).replace("\"enabled\": true", "***"),
        structure.replace("\"enabled\": true", "***")
    );
}

#[test]
fn bytes_outside_utf8_are_redacted_as_they_are_and_as_others_print_them() {
    let value = b"\xff\xfebinary \x80 secret\xc3(\xf0\x9f end\xff";
    let redactor = redactor(&[value]);
    let lossy = String::from_utf8_lossy(value).into_owned();
    let json = serde_json::to_string(&lossy).unwrap();
    for printed in [
        value.to_vec(),
        lossy.clone().into_bytes(),
        json.as_bytes()[1..json.len() - 1].to_vec(),
        unicode_escaped(&lossy, false, false).into_bytes(),
        BASE64.encode(value).into_bytes(),
        HEXLOWER.encode(value).into_bytes(),
        value.escape_ascii().to_string().into_bytes(),
        percent_encoding::percent_encode(value, NON_ALPHANUMERIC).to_string().into_bytes(),
    ] {
        assert_eq!(&*redactor.redact_line(&printed), b"***", "{}", printed.len());
    }
}

#[test]
fn values_that_contain_overlap_and_continue_each_other_are_all_redacted() {
    let values: [&[u8]; 6] =
        [b"sesame", b"sesame-long", b"my-sesame", b"long-tail", b"me-lo", b"sesame-longer"];
    let redactor = redactor(&values);
    for (printed, redacted) in [
        ("sesame", "***"),
        ("my-sesame-long-tail", "***"),
        ("xsesame-longx", "x***x"),
        ("sesamesesame", "***"),
        ("sesame sesame", "*** ***"),
        ("sesame-longer", "***"),
        ("sesame-longe", "***e"),
        ("my-sesam my-sesame", "my-sesam ***"),
        ("me-lo!", "***!"),
    ] {
        assert_eq!(redactor.redact_text(printed), redacted, "{printed}");
    }
    assert_eq!(redactor.names_in(b"my-sesame-long-tail"), ["S0", "S1", "S2", "S3", "S4"]);
    assert_eq!(redactor.names_in(b"nothing here"), [""; 0]);
}
