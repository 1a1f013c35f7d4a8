//! Nasty values against encoders that are not ours: whatever a program prints, no trace of the value is left.

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

/// Values that broke someone's masking, or could.
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

/// What independent encoders make of a text that stays in one line.
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
                    if !encoding.starts_with("hex") {
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
