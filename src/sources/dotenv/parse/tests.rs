//! What the comparison with Compose cannot show: places, messages, limits, hostile input.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::computed::Computed;

fn literal(file: &[u8]) -> Parsed {
    parse(file, Interpolation::Literal).ok().unwrap()
}

fn fault(file: &[u8]) -> ParseError {
    parse(file, Interpolation::Literal).err().unwrap()
}

fn interpolated(file: &[u8]) -> Result<Parsed, ParseError> {
    parse(file, Interpolation::Compose(&|_| None))
}

fn warnings(file: &[u8]) -> Vec<(usize, WarningKind)> {
    literal(file).warnings.iter().map(|warning| (warning.line, warning.kind)).collect()
}

#[test]
fn entries_tell_their_line_and_quoting() {
    let parsed = literal(b"\xEF\xBB\xBF# c\r\nA='x\r\ny'\r\n\r\nexport B: z # c\nC=\"q\"");
    let told: Vec<_> = parsed
        .entries
        .iter()
        .map(|entry| (entry.key.as_str(), entry.value.as_slice(), entry.line, entry.quoting))
        .collect();
    let expected: [(_, &[u8], _, _); 3] = [
        ("A", b"x\r\ny", 2, Quoting::Single),
        ("B", b"z", 5, Quoting::Unquoted),
        ("C", b"q", 6, Quoting::Double),
    ];
    assert_eq!(told, expected);
}

#[test]
fn of_keys_that_come_twice_the_last_value_counts_and_a_warning_names_both_lines() {
    let parsed = literal(b"A=1\nB=2\nA=3\n");
    assert_eq!(parsed.entries.len(), 2);
    assert_eq!(parsed.get("A").map(|entry| (entry.value.as_slice(), entry.line)), Some((&b"3"[..], 3)));
    assert_eq!(
        parsed.warnings[0].to_string(),
        "line 3 (A): the key was already set on line 1; this one is used"
    );
}

#[test]
fn dollars_are_kept_and_those_that_compose_would_read_are_told() {
    let cases: [(&[u8], &[u8], bool); 14] = [
        (b"A=p$w0rd", b"p$w0rd", true),
        (b"A='p$w0rd'", b"p$w0rd", false),
        (b"A=\"p$w0rd\"", b"p$w0rd", true),
        (b"A=\"p\\$w0rd\"", b"p$w0rd", false),
        (b"A=$$", b"$$", true),
        (b"A=\"\\$\\$\"", b"$$", false),
        (b"A=\"$\\$\"", b"$$", false),
        (b"A=\"$\\$x\"", b"$$x", true),
        (b"A=\"\\$$x\"", b"$$x", true),
        (b"A=\\$x", b"\\$x", true),
        (b"A=${", b"${", true),
        (b"A=$1", b"$1", false),
        (b"A=a$", b"a$", false),
        (b"A=\"\\0044x\"", b"$x", true),
    ];
    for (file, value, told) in cases {
        let parsed = literal(file);
        assert_eq!(parsed.entries[0].value.as_slice(), value, "{}", file.escape_ascii());
        let expected = [(1, WarningKind::WouldInterpolate)];
        assert_eq!(warnings(file), if told { &expected[..] } else { &[] }, "{}", file.escape_ascii());
    }
}

#[test]
fn what_is_read_as_more_entries_than_meant_is_told() {
    assert_eq!(warnings(b"A='x' B=y\n"), [(1, WarningKind::TextAfterQuote)]);
    assert_eq!(warnings(b"A='x\n'y\n"), [(2, WarningKind::TextAfterQuote), (2, WarningKind::Bare)]);
    assert_eq!(warnings(b"A='x' # y\nB=z\n"), []);
    assert_eq!(warnings(b"=x\n"), [(1, WarningKind::NoKey)]);
    assert_eq!(warnings(b"A=1\nA"), [(2, WarningKind::Bare)]);
}

#[test]
fn errors_have_a_place_and_a_kind() {
    let cases: [(&[u8], usize, usize, ErrorKind); 7] = [
        (b"A=b\n\xC3\xA9\xC3\xA9+=c", 2, 3, ErrorKind::UnexpectedCharacter),
        (b"A=b\n  C D=c", 2, 3, ErrorKind::SpaceInKey),
        (b"A=b\n export ", 2, 2, ErrorKind::NothingAfterExport),
        (b"A='x\ny'\nB= \"c\nD=e", 3, 4, ErrorKind::UnterminatedQuote),
        (b"A='b\\'", 1, 3, ErrorKind::UnterminatedQuote),
        (b"\xFF=c", 1, 1, ErrorKind::UnexpectedCharacter),
        (b"A='it''s'", 1, 7, ErrorKind::UnexpectedCharacter),
    ];
    for (file, line, column, kind) in cases {
        let error = fault(file);
        let shown = file.escape_ascii();
        assert_eq!((error.line, error.column, error.kind), (line, column, kind), "{shown}");
    }
    assert_eq!(fault(b"KEY='x").to_string(), "line 1, column 5 (KEY): a quote that is never closed");
}

#[test]
fn references_that_compose_rejects_are_errors_when_interpolating() {
    let nested = |depth: usize| [b"A=".to_vec(), b"${X:-".repeat(depth), b"}".repeat(depth)].concat();
    assert!(interpolated(&nested(64)).is_ok());
    let cases = [
        (b"A=${".to_vec(), ErrorKind::InvalidReference),
        (b"A=${X:?secret}".to_vec(), ErrorKind::RequiredVariable),
        (nested(65), ErrorKind::TooDeep),
        (nested(100_000), ErrorKind::TooDeep),
    ];
    for (file, kind) in cases {
        assert_eq!(interpolated(&file).err().map(|error| error.kind), Some(kind));
    }
}

#[test]
fn no_message_shows_a_part_of_a_value() {
    let files: [&[u8]; 14] = [
        b"KEY=-----BEGIN\nS3cr3tS3cr3t\n",
        b"KEY=x\nS3cr3tS3cr3t",
        b"KEY=x\nS3cr3t+x",
        b"KEY=x\nS3cr3t x=",
        b"KEY='S3cr3t",
        b"KEY=p$S3cr3t",
        b"KEY=${S3cr3t",
        b"KEY=${X:?S3cr3t}",
        b"KEY='x'S3cr3t",
        b"KEY='x'S3cr3t=y",
        b"S3cr3t\xC3\xA9='x",
        b"=S3cr3t",
        b"='S3cr3t",
        b"export S3cr3t/x",
    ];
    for file in files {
        for result in [parse(file, Interpolation::Literal), interpolated(file)] {
            let told: Vec<String> = match result {
                Err(error) => vec![format!("{error} {error:?} {}", error.help())],
                Ok(parsed) => {
                    let told = parsed.warnings.iter();
                    told.map(|warning| format!("{warning} {warning:?} {}", warning.help())).collect()
                }
            };
            assert!(!told.is_empty(), "nothing told of {}", file.escape_ascii());
            assert!(!told.concat().contains("S3cr3t"), "{told:?}");
        }
    }
}

#[test]
fn a_bare_key_can_be_told_by_who_knows_its_name() {
    let parsed = literal(b"API_KEY\n");
    assert!(parsed.get("API_KEY").is_none());
    assert!(parsed.warnings[0].is_about("API_KEY") && parsed.warnings[0].key().is_none());
}

#[test]
fn hostile_files_are_read_quickly() {
    let mebibyte = |pattern: &[u8]| pattern.repeat((1 << 20) / pattern.len());
    let large = [b"A=".to_vec(), mebibyte(b"x"), b"\n".to_vec()].concat();
    let doubling: Vec<u8> =
        (0..200_u32).flat_map(|at| format!("V{}=$V{at}$V{at}\n", at + 1).into_bytes()).collect();
    let files = [
        mebibyte(b"A\n"),
        mebibyte(b"#\n"),
        mebibyte(b"'"),
        mebibyte(b"A='' "),
        mebibyte(b"export "),
        [b"A=".to_vec(), mebibyte(b"$")].concat(),
        [b"A=".to_vec(), mebibyte(b" ")].concat(),
        [b"A=".to_vec(), mebibyte(b"${A:-")].concat(),
        [b"A=".to_vec(), mebibyte(b"${A:-x}")].concat(),
        [b"A=".to_vec(), mebibyte(b"${A:-{x}")].concat(),
        [b"A=\"".to_vec(), mebibyte(b"\\0")].concat(),
        [large.clone(), b"B=".to_vec(), mebibyte(b"$A")].concat(),
        [large, b"B=".to_vec(), mebibyte(b"${A:+}")].concat(),
        [b"V0=xxxxxxxx\n".to_vec(), doubling].concat(),
        (0..100_000_u32).flat_map(|at| format!("K{at}=v\n").into_bytes()).collect(),
    ];
    for file in files {
        let start = Computed::start();
        let told = [parse(&file, Interpolation::Literal).is_ok(), interpolated(&file).is_ok()];
        let shown = file.get(..20).unwrap().escape_ascii();
        let took = start.elapsed();
        assert!(took < Duration::from_secs(5), "{shown} {told:?} took {took:?}");
    }
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(file in any::<Vec<u8>>()) {
        let _ = (parse(&file, Interpolation::Literal), interpolated(&file));
    }

    #[test]
    fn nothing_made_of_its_own_signs_makes_it_panic(file in "[A$\\{}:+?\\-=#'\" \n\\\\0é\u{2003}]{0,80}") {
        let literal = parse(file.as_bytes(), Interpolation::Literal);
        let interpolated = interpolated(file.as_bytes());
        prop_assert!(literal.is_ok() || interpolated.is_err());
    }

    #[test]
    fn a_value_in_single_quotes_comes_out_as_it_went_in(value in any::<Vec<u8>>()) {
        // The one thing that single quotes cannot hold is a backslash before a quote or the end.
        let value: Vec<u8> = value.into_iter().filter(|byte| *byte != b'\\').collect();
        let quoted: Vec<u8> = value.iter().flat_map(|byte| if *byte == b'\'' { vec![b'\\', b'\''] } else { vec![*byte] }).collect();
        let parsed = literal(&[b"A='", &quoted[..], b"'\n"].concat());
        prop_assert_eq!(parsed.entries[0].value.as_slice(), &value[..]);
        prop_assert!(parsed.warnings.is_empty());
    }
}
