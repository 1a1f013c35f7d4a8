use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::diagnostic::Diagnostic;
use crate::diagnostic::Place;
use crate::manifest::{Reference, Rules, Trim};
use crate::resolve::Origin;
use crate::secret::SecretName;

/// A time between the dates of the tests.
fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

fn resolved(name: &str, value: &[u8], reference: &str, rules: Rules) -> Resolved {
    let reference = Reference::parse(reference).unwrap();
    let place = Place { file: None, line: 1, column: 1 };
    Resolved {
        secret: Secret { rules, ..Secret::named(SecretName::parse(name).ok().unwrap(), place) },
        state: State::Found,
        value: Some(SecretValue::new(value.to_vec())),
        origin: Some(Origin {
            source: reference.source.clone(),
            reference,
            place: "somewhere".to_owned(),
            version: None,
            changed: None,
            expires: None,
        }),
        shadowed: Vec::new(),
        is_open: false,
    }
}

/// The rules that say something of a value, whose bytes none of them repeats.
fn said(name: &str, value: &[u8], rules: Rules) -> Vec<String> {
    let all = warnings(&[resolved(name, value, &format!("env:{name}"), rules)], now(), true);
    for warning in &all {
        let told = format!("{}{}", warning.fact, warning.help.clone().unwrap_or_default());
        let value = String::from_utf8_lossy(value);
        assert!(value.trim().len() < 5 || !told.contains(value.trim()), "{told}");
        assert!(warning.place.is_some());
    }
    let rule = |warning: &Diagnostic| {
        let rule = warning.fact.rsplit_once(" [").unwrap().1.trim_end_matches(']').to_owned();
        assert!(RULES.iter().any(|known| known.name == rule), "{rule} is not in the table");
        rule
    };
    all.iter().map(rule).collect()
}

fn of(name: &str, value: &str) -> Vec<String> {
    said(name, value.as_bytes(), Rules::default())
}

#[test]
fn placeholders_are_told_and_words_that_hold_them_are_not() {
    for value in [
        "changeme",
        "CHANGE_ME",
        "change-this",
        "your_key",
        "your-api-key-here",
        "xxx",
        "XXXXXXXX",
        "xxxx-xxxx",
        "<token>",
        "${API_KEY}",
        "{{ api_key }}",
        "todo",
        "null",
        "********",
        "insert_key_here",
        "[token]",
    ] {
        assert_eq!(of("DB_PASS", value), ["placeholder"], "{value}");
    }
    for value in
        ["", "yourself", "xx", "changemeister", "s3cret-example-9", "[1, 2]", "x1xx", "correct-horse"]
    {
        assert!(!of("DB_PASS", value).contains(&"placeholder".to_owned()), "{value}");
    }
}

#[test]
fn a_value_of_another_kind_than_its_name_is_told_unless_the_manifest_describes_it() {
    assert_eq!(of("ANTHROPIC_API_KEY", "ghp_canary0123456789"), ["wrong-kind"]);
    assert_eq!(of("BOT_GITHUB_TOKEN", "sk-ant-canary012345"), ["wrong-kind"]);
    assert_eq!(of("AWS_ACCESS_KEY_ID", "canary0123456789"), ["wrong-kind"]);
    for (name, value) in [
        ("ANTHROPIC_API_KEY", "sk-ant-canary012345"),
        ("GITHUB_TOKEN", "github_pat_canary"),
        ("MYGITHUB_TOKEN", "canary0123456789"),
        ("AWS_ACCESS_KEY_ID", "ASIAcanary"),
        ("KEY", "canary0123456789"),
    ] {
        assert_eq!(of(name, value), [""; 0], "{name}");
    }
    let described = Rules { starts_with: Some("ghp_".into()), ..Rules::default() };
    assert_eq!(said("ANTHROPIC_API_KEY", b"ghp_canary0123456789", described), [""; 0]);
}

#[test]
fn base64_of_what_is_expected_is_told() {
    let encode = |text: &str| data_encoding::BASE64.encode(text.as_bytes());
    assert_eq!(of("ANTHROPIC_API_KEY", &encode("sk-ant-canary012345")), ["encoded"]);
    assert_eq!(of("TLS", &encode("-----BEGIN PRIVATE KEY-----\ncanary")), ["encoded"]);
    assert_eq!(of("KEY", &encode("anything else at all")), [""; 0]);
}

#[test]
fn blanks_quotes_and_whole_objects_are_told() {
    for (value, rule) in [
        ("canary-value\n", "blanks"),
        ("canary-value\r\n", "blanks"),
        (" canary-value", "blanks"),
        ("canary-value\t", "blanks"),
        ("\"canary-value\"", "quoted"),
        ("'canary-value'", "quoted"),
        ("{\"password\": \"canary-value\"}", "whole-json"),
    ] {
        assert_eq!(of("DB_PASS", value), [rule], "{value:?}");
    }
    for value in ["canary value", "line one\nline two\n", "it's", "{not json}", "'", "\n"] {
        assert_eq!(of("DB_PASS", value), [""; 0], "{value:?}");
    }
    for name in ["GOOGLE_CREDENTIALS", "APP_CONFIG", "KEYS_JSON"] {
        assert_eq!(of(name, "{\"password\": \"canary-value\"}"), [""; 0], "{name}");
    }
    assert!(said("A", b"canary-value\n", Rules { trim: Trim::Newline, ..Rules::default() }).len() < 2);
    assert_eq!(said("BYTES", b"\xff\xfe ", Rules::default()), [""; 0]);
}

#[test]
fn a_token_or_certificate_out_of_date_is_told_by_its_dates_alone() {
    let part = |text: &str| data_encoding::BASE64URL_NOPAD.encode(text.as_bytes());
    let token = |claims: &str| format!("{}.{}.canary-signature", part("{\"alg\":\"none\"}"), part(claims));
    assert_eq!(of("TOKEN_A", &token("{\"sub\":\"canary\",\"exp\":1600000000}")), ["expired"]);
    assert_eq!(of("TOKEN_A", &token("{\"nbf\":1800000000.5}")), ["expired"]);
    for claims in
        ["{\"exp\":1800000000}", "{}", "{\"exp\":\"soon\"}", "{\"exp\":1e300}", "{\"exp\":-5e300}", "[]"]
    {
        assert_eq!(of("TOKEN_A", &token(claims)), [""; 0], "{claims}");
    }
    assert_eq!(of("TOKEN_A", "a.b.c"), [""; 0]);
    let certificate = |from: i32, until: i32| {
        let mut parameters = rcgen::CertificateParams::new(vec!["canary.example".to_owned()]).unwrap();
        parameters.not_before = rcgen::date_time_ymd(from, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(until, 1, 1);
        parameters.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem()
    };
    assert_eq!(of("TLS", &certificate(2010, 2020)), ["expired"]);
    assert_eq!(of("TLS", &certificate(2030, 2040)), ["expired"]);
    assert_eq!(of("TLS", &certificate(2010, 2040)), [""; 0]);
    assert_eq!(of("TLS", "-----BEGIN CERTIFICATE-----\ncanary\n-----END CERTIFICATE-----\n"), [""; 0]);
}

#[test]
fn a_token_of_the_job_is_told_under_github_actions() {
    assert_eq!(of("GITHUB_TOKEN", "ghs_canary0123456789"), ["dies-with-job"]);
    let secrets = vec![resolved("GITHUB_TOKEN", b"ghs_canary0123456789", "env:A", Rules::default())];
    assert!(warnings(&secrets, now(), false).is_empty());
}

#[test]
fn two_secrets_with_one_value_are_told_unless_they_are_one_by_reference() {
    let pair = |first: (&str, &[u8]), second: (&str, &[u8])| {
        let secrets = vec![
            resolved("A", first.1, first.0, Rules::default()),
            resolved("B", second.1, second.0, Rules::default()),
        ];
        let all = warnings(&secrets, now(), true);
        all.iter().map(|warning| warning.fact.clone()).collect::<Vec<_>>()
    };
    let value: &[u8] = b"canary-value-0123";
    assert_eq!(
        pair(("env:A", value), ("env:B", value)),
        ["A and B have the same value (17 bytes) [same-value]"]
    );
    assert!(pair(("env:A", value), ("env:A", value)).is_empty());
    assert!(pair(("env:A", b"short"), ("env:B", b"short")).is_empty());
    assert!(pair(("env:A", value), ("env:B", b"canary-value-0124")).is_empty());
}
