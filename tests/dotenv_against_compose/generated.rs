//! Dotenv files made at random, the same ones in each run: mostly well-formed, full of what is easily read differently.

use proptest::collection::vec;
use proptest::prelude::{Strategy, any};
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use proptest::{option, prop_oneof};

/// Every `${` is either complete or an error by itself: whether an error in a default that is not used counts depends on
/// Compose's version.
#[rustfmt::skip]
const FRAGMENTS: &[&[u8]] = &[
    b"a", b"Z9", b"word", b" ", b"  ", b"\t", b"#", b" #", b" # ", b"=", b":", b"\\", b"\\\\", b"\\n", b"\\t",
    b"\\q", b"\\c", b"\\$", b"\\0101", b"\\0", b"\\012", b"\\0777", b"\\x41", b"\\u0041", b"$", b"$$", b"$1",
    b"$OUTER", b"$BLANK", b"$NOT_SET", b"$ONE", b"${ONE}", b"${OUTER}", b"${BLANK:-blank}", b"${BLANK-blank}",
    b"${NOT_SET:-d}", b"${NOT_SET-${OUTER}}", b"${OUTER:+alt}", b"${NOT_SET+alt}", b"${OUTER?e}",
    b"${NOT_SET:-{}}", b"${NOT_SET:-a b # c}", b"{", b"}", b"[", b"%0A", b"&", b"|", b";", b"`id`", b"$(id)",
    b"!", b"~", b"*", b"?", b"<", b">", b"/", b"\r", b"\x0B", b"\xC2\xA0", b"\xC2\x85", b"\xE2\x80\x83",
    b"\xC3\xA9", b"\xF0\x9F\x94\x91", b"\xFF", b"\xC3", b"\0", b"\x7F", b"\x1B", b"export ", b"ONE=",
];

/// So many files.
pub(crate) fn files(count: usize) -> impl Iterator<Item = Vec<u8>> {
    let mut runner = TestRunner::deterministic();
    let file = file();
    (0..count).map(move |_| file.new_tree(&mut runner).expect("nothing is filtered").current())
}

fn file() -> impl Strategy<Value = Vec<u8>> {
    let start = one_of(&[b"", b"", b"", b"\xEF\xBB\xBF", b"\n", b"\r\n"]);
    (start, vec(line(), 1..6)).prop_map(|(start, lines)| [start.to_vec(), lines.concat()].concat())
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    let end = one_of(&[b"\n", b"\n", b"\n", b"\r\n", b"\n\n", b" \n", b" # comment\n"]);
    let entry = (lead(), key(), separator(), value(), end)
        .prop_map(|(lead, key, separator, value, end)| [lead, key, separator, &value, end].concat());
    let bare =
        (lead(), key(), one_of(&[b"\n", b"\r\n", b" \n", b""])).prop_map(|(a, b, c)| [a, b, c].concat());
    let comment = text(0..5, b"\n").prop_map(|text| [b"#", &text[..], b"\n"].concat());
    let junk = vec(any::<u8>(), 0..6);
    prop_oneof![30 => entry, 3 => bare, 2 => comment, 1 => junk]
}

fn lead() -> impl Strategy<Value = &'static [u8]> {
    one_of(&[b"", b"", b"", b"  ", b"\t", b"export ", b"export \t", b" export  ", b"\xC2\xA0"])
}

fn key() -> impl Strategy<Value = &'static [u8]> {
    let keys: &[&[u8]] = &[
        b"ONE",
        b"TWO",
        b"THREE",
        b"lower",
        b"_U",
        b"A.B-C",
        b"1ST",
        b"x[0]",
        b"export",
        b"\xC3\xA9t\xC3\xA9",
        b"OUTER",
        b"BLANK",
        b"NOT_SET",
        b"A\tB",
    ];
    one_of(keys)
}

fn separator() -> impl Strategy<Value = &'static [u8]> {
    one_of(&[b"=", b"=", b"=", b" = ", b":", b": ", b"=\t", b" =", b"= \xC2\xA0"])
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    let escaped = |quote: u8| move |text: Vec<u8>| [&[quote], &text[..], &[quote]].concat();
    let inner = |other: &'static [u8]| {
        let more = one_of(&[b"\n", b"\r\n", b"\\\"", b"\\'", b"ab", other]);
        vec(prop_oneof![4 => one_of(FRAGMENTS).boxed(), 1 => more.boxed()], 0..7).prop_map(|parts| {
            let text = parts.concat();
            // A backslash at the end would take the closing quote along; that has cases of its own.
            if text.ends_with(b"\\") { [&text[..], b"."].concat() } else { text }
        })
    };
    let tail = option::weighted(0.1, one_of(&[b"y", b" y", b"#c", b" # c", b" B=2", b"'"]));
    let quoted =
        (prop_oneof![inner(b"\"").prop_map(escaped(b'\'')), inner(b"'").prop_map(escaped(b'"'))], tail)
            .prop_map(|(text, tail)| [&text[..], tail.unwrap_or_default()].concat());
    prop_oneof![2 => text(0..7, b""), 3 => quoted]
}

fn text(length: std::ops::Range<usize>, without: &'static [u8]) -> impl Strategy<Value = Vec<u8>> {
    vec(one_of(FRAGMENTS), length)
        .prop_map(move |parts| parts.concat().into_iter().filter(|byte| !without.contains(byte)).collect())
}

fn one_of(choices: &[&'static [u8]]) -> impl Strategy<Value = &'static [u8]> + use<> {
    select(choices.to_vec())
}
