//! The dialects in which programs escape text, as tables.

use super::escape::{Escapes, Number, Plain};

const SHORT: &[(char, char)] = &[('\u{8}', 'b'), ('\t', 't'), ('\n', 'n'), ('\u{c}', 'f'), ('\r', 'r')];
const SHORTEST: &[(char, char)] = &[('\t', 't'), ('\n', 'n'), ('\r', 'r')];
const JAVA_NAMES: &[(char, char)] = &[('\t', 't'), ('\n', 'n'), ('\u{c}', 'f'), ('\r', 'r')];
const C_NAMES: &[(char, char)] =
    &[('\u{7}', 'a'), ('\u{8}', 'b'), ('\t', 't'), ('\n', 'n'), ('\u{b}', 'v'), ('\u{c}', 'f'), ('\r', 'r')];
const BASH_NAMES: &[(char, char)] = &[
    ('\u{7}', 'a'),
    ('\u{8}', 'b'),
    ('\t', 't'),
    ('\n', 'n'),
    ('\u{b}', 'v'),
    ('\u{c}', 'f'),
    ('\r', 'r'),
    ('\u{1b}', 'E'),
];
const YAML_NAMES: &[(char, char)] = &[
    ('\0', '0'),
    ('\u{7}', 'a'),
    ('\u{8}', 'b'),
    ('\t', 't'),
    ('\n', 'n'),
    ('\u{b}', 'v'),
    ('\u{c}', 'f'),
    ('\r', 'r'),
    ('\u{1b}', 'e'),
    ('\u{85}', 'N'),
    ('\u{a0}', '_'),
    ('\u{2028}', 'L'),
    ('\u{2029}', 'P'),
];

const fn dialect(
    quoted: &'static str,
    named: &'static [(char, char)],
    numbered: &'static str,
    plain: Plain,
    number: Number,
) -> Escapes {
    Escapes { quoted, named, numbered, plain, number }
}

/// JSON strings (RFC 8259, section 7), as encoders differ. The first two are the most usual.
pub(super) const JSON: &[Escapes] = &[
    dialect("\"\\", SHORT, "", Plain::NoControl, Number::Utf16Lower),
    // Go, before and since 1.22, and without its care for HTML.
    dialect("\"\\", SHORTEST, "<>&", Plain::NoSeparator, Number::Utf16Lower),
    dialect("\"\\", SHORT, "<>&", Plain::NoSeparator, Number::Utf16Lower),
    dialect("\"\\", SHORT, "", Plain::NoSeparator, Number::Utf16Lower),
    dialect("\"\\", SHORTEST, "", Plain::NoSeparator, Number::Utf16Lower),
    // PHP, with and without JSON_UNESCAPED_UNICODE.
    dialect("\"\\/", SHORT, "", Plain::Ascii, Number::Utf16Lower),
    dialect("\"\\/", SHORT, "", Plain::NoSeparator, Number::Utf16Lower),
    // Python.
    dialect("\"\\", SHORT, "", Plain::Ascii, Number::Utf16Lower),
    // Gson, and .NET's System.Text.Json.
    dialect("\"\\", SHORT, "<>&='", Plain::NoSeparator, Number::Utf16Lower),
    dialect("\\", SHORT, "\"<>&'+`", Plain::Ascii, Number::Utf16Upper),
    // Numbers for all that may have one, in both cases.
    dialect("\"\\", SHORT, "", Plain::Ascii, Number::Utf16Upper),
    dialect("\"\\", &[], "", Plain::NoControl, Number::Utf16Lower),
    dialect("\"\\", &[], "", Plain::Ascii, Number::Utf16Lower),
    dialect("\"\\", &[], "", Plain::Ascii, Number::Utf16Upper),
    dialect("", &[], "\"\\/<>&'", Plain::Ascii, Number::Utf16Lower),
];

/// Quoted strings of languages and shells. The first three are what Compose and other Go programs print.
pub(super) const QUOTED: &[Escapes] = &[
    // Go's %q and %+q; YAML in double quotes.
    dialect("\"\\", C_NAMES, "", Plain::Printable, Number::Go),
    dialect("\"\\", YAML_NAMES, "", Plain::Printable, Number::Yaml),
    dialect("\"\\", C_NAMES, "", Plain::Ascii, Number::Go),
    dialect("\"\\", YAML_NAMES, "", Plain::Ascii, Number::Yaml),
    // Rust.
    dialect(
        "\"\\",
        &[('\0', '0'), ('\t', 't'), ('\n', 'n'), ('\r', 'r')],
        "",
        Plain::Printable,
        Number::Braces,
    ),
    dialect("\"'\\", SHORTEST, "", Plain::Ascii, Number::Bytes),
    // Python, by the quotes that it chooses; its bytes.
    dialect("\\", SHORTEST, "", Plain::Printable, Number::Python),
    dialect("'\\", SHORTEST, "", Plain::Printable, Number::Python),
    dialect("\\", SHORTEST, "", Plain::Ascii, Number::Python),
    dialect("\\", SHORTEST, "", Plain::Ascii, Number::Bytes),
    dialect("'\\", SHORTEST, "", Plain::Ascii, Number::Bytes),
    // JavaScript and others, in single quotes.
    dialect("'\\", SHORT, "", Plain::NoControl, Number::Utf16Lower),
    // C, and Bash's $'…', with and without a UTF-8 locale.
    dialect("\"\\", C_NAMES, "", Plain::Ascii, Number::Octal),
    dialect("'\\", BASH_NAMES, "", Plain::Printable, Number::Octal),
    dialect("'\\", BASH_NAMES, "", Plain::Ascii, Number::Octal),
    // Bash's printf %q and tab completion; inside double quotes; a dotenv file.
    dialect(" \t'\"\\|&;()<>!{}*[]?^$`,", &[], "", Plain::NoControl, Number::Octal),
    dialect("\"\\", SHORTEST, "", Plain::NoControl, Number::Octal),
    dialect("\"\\$", SHORTEST, "", Plain::NoControl, Number::Octal),
    // Java's properties: keys, values, and in both cases what other programs write.
    dialect(" \\:=#!", JAVA_NAMES, "", Plain::Ascii, Number::Utf16Upper),
    dialect("\\:=#!", JAVA_NAMES, "", Plain::Ascii, Number::Utf16Upper),
    dialect("\\:=#!", JAVA_NAMES, "", Plain::Ascii, Number::Utf16Lower),
    dialect("\\:=#!", JAVA_NAMES, "", Plain::NoControl, Number::Utf16Lower),
    // JSON made of text in which the double quote alone was escaped.
    dialect("\"", &[], "", Plain::NoControl, Number::Octal),
];

/// What is replaced byte by byte.
pub(super) const REPLACED: &[&[(u8, &str)]] = &[
    // Shell: in single quotes (two ways), in double quotes.
    &[(b'\'', r"'\''")],
    &[(b'\'', r#"'"'"'"#)],
    &[(b'"', r#"\""#), (b'\\', r"\\"), (b'$', r"\$"), (b'`', r"\`")],
    &[(b'"', r#"\""#), (b'\\', r"\\"), (b'$', r"\$"), (b'`', r"\`"), (b'!', r"\!")],
    &[(b'"', r#"\""#)],
    &[(b'$', r"\$")],
    // YAML and SQL in single quotes, CSV.
    &[(b'\'', "''")],
    &[(b'"', "\"\"")],
    // A workflow command's data and properties.
    &[(b'%', "%25"), (b'\r', "%0D"), (b'\n', "%0A")],
    &[(b'%', "%25"), (b'\r', "%0D"), (b'\n', "%0A"), (b':', "%3A"), (b',', "%2C")],
    // XML and HTML: text only, then the ways to write the quotes.
    &[(b'&', "&amp;"), (b'<', "&lt;"), (b'>', "&gt;")],
    &[(b'&', "&amp;"), (b'<', "&lt;"), (b'>', "&gt;"), (b'"', "&quot;")],
    &[(b'&', "&amp;"), (b'<', "&lt;"), (b'>', "&gt;"), (b'"', "&quot;"), (b'\'', "&apos;")],
    &[(b'&', "&amp;"), (b'<', "&lt;"), (b'>', "&gt;"), (b'"', "&quot;"), (b'\'', "&#39;")],
    &[(b'&', "&amp;"), (b'<', "&lt;"), (b'>', "&gt;"), (b'"', "&quot;"), (b'\'', "&#x27;")],
    &[(b'&', "&amp;"), (b'<', "&lt;"), (b'>', "&gt;"), (b'"', "&quot;"), (b'\'', "&#039;")],
    &[(b'&', "&amp;"), (b'<', "&lt;"), (b'>', "&gt;"), (b'"', "&#34;"), (b'\'', "&#39;")],
    &[
        (b'&', "&amp;"),
        (b'<', "&lt;"),
        (b'>', "&gt;"),
        (b'"', "&#34;"),
        (b'\'', "&#39;"),
        (b'\t', "&#x9;"),
        (b'\n', "&#xA;"),
        (b'\r', "&#xD;"),
    ],
    &[(b'&', "&amp;"), (b'<', "&lt;")],
    // All that has a name in HTML 5.
    &[
        (b'\t', "&Tab;"),
        (b'\n', "&NewLine;"),
        (b'!', "&excl;"),
        (b'"', "&quot;"),
        (b'#', "&num;"),
        (b'$', "&dollar;"),
        (b'%', "&percnt;"),
        (b'&', "&amp;"),
        (b'\'', "&apos;"),
        (b'(', "&lpar;"),
        (b')', "&rpar;"),
        (b'*', "&ast;"),
        (b'+', "&plus;"),
        (b',', "&comma;"),
        (b'.', "&period;"),
        (b'/', "&sol;"),
        (b':', "&colon;"),
        (b';', "&semi;"),
        (b'<', "&lt;"),
        (b'=', "&equals;"),
        (b'>', "&gt;"),
        (b'?', "&quest;"),
        (b'@', "&commat;"),
        (b'[', "&lbrack;"),
        (b'\\', "&bsol;"),
        (b']', "&rbrack;"),
        (b'^', "&Hat;"),
        (b'_', "&lowbar;"),
        (b'`', "&grave;"),
        (b'{', "&lbrace;"),
        (b'|', "&vert;"),
        (b'}', "&rbrace;"),
    ],
];

/// What stays besides letters and digits, and whether a blank becomes `+`. The first is RFC 3986's.
pub(super) const KEPT_IN_URLS: &[(&[u8], bool)] = &[
    (b"-._~", false),
    // Forms: Go and Python, browsers.
    (b"-._~", true),
    (b"-._*", true),
    // JavaScript: encodeURIComponent, encodeURI.
    (b"-._~!*'()", false),
    (b"-._~!*'();,/?:@&=+$#", false),
    // Python's quote.
    (b"-._~/", false),
    // Go: user and password, path segment, path.
    (b"-._~$&+,;=", false),
    (b"-._~$&+=:@", false),
    (b"-._~$&+,/:;=@", false),
    // RFC 3986: user and password, path segment.
    (b"-._~!$&'()*+,;=", false),
    (b"-._~!$&'()*+,;=:@", false),
    // Only what a URL cannot hold.
    (b"-._~!$&'()*+,;=:@/?#[]\"<>\\^`{|}", false),
];
