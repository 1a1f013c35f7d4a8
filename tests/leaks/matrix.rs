//! Every value in every encoding, by encoders that are not the product's: nothing of it is left, and the leak is named.

use std::collections::BTreeSet;

use claude_secrets::mask::{Plan, Redactor};

use crate::adversarial_values;
use crate::forms::{Scanner, forms};

/// What the threat model calls a long value (bytes).
const LONG: usize = 16 * 1024;

/// Values that the deployed project does not have, in the shapes of the threat model.
const MORE: &[&str] = &[
    "postgres://app:p%40ss-canary%2Fword@db:5432/app",
    "Server=db;Uid=app;Pwd={canary;word-1};Encrypt=yes",
    "machine db login app password canary-of-netrc-7",
    "Tr0ub4dor&3=canary/plus+",
    "8374651290125",
];

#[test]
fn no_value_is_left_in_any_encoding() {
    let mut values: Vec<(String, Vec<u8>)> =
        adversarial_values::values().into_iter().map(|secret| (secret.name, secret.value)).collect();
    values.extend(MORE.iter().enumerate().map(|(i, value)| (format!("MORE_{i}"), value.as_bytes().to_vec())));
    assert!(values.len() >= 40);
    let mut encodings = BTreeSet::new();
    let mut cases = 0;
    for (name, value) in &values {
        let redactor = Redactor::new(&Plan::new([(name.as_str(), value.as_slice())]));
        let scanner = Scanner::new([(name.as_str(), value.as_slice())]);
        let mut stream = redactor.stream();
        for (encoding, form) in forms(value) {
            // A part of a value is found in a value alone; lines of a log are not values of several; and a long value is
            // looked for in these encodings, its lines as they are.
            let promised = value.len() <= LONG
                || encoding == "it is"
                || (form.len() >= value.len() && ["JSON", "JSON in JSON", "base64"].contains(&encoding));
            let is_several = form.iter().any(|byte| matches!(byte, b'\r' | b'\n'));
            if encoding == "a part" || is_several || !promised {
                continue;
            }
            let printed = [b"| ", form.as_slice(), b" |\n"].concat();
            assert!(!scanner.find(&printed).is_empty(), "{name} as {encoding}: the scanner sees it before");
            let redacted = redactor.redact_line(&printed);
            let left = scanner.find(&redacted);
            assert!(left.is_empty(), "{name} as {encoding} leaves {left:?}");
            let mut out = Vec::new();
            printed.chunks(7).for_each(|chunk| stream.push(chunk, &mut out));
            stream.finish(&mut out);
            assert!(out == *redacted, "{name} as {encoding}: the same in pieces");
            encodings.insert(encoding);
            cases += 1;
        }
        if !value.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
            assert_eq!(redactor.names_in(value), [name.as_str()], "{name}: a leak of the whole is named");
        }
    }
    assert!(encodings.len() >= 25 && cases >= 1000, "{} encodings, {cases} cases", encodings.len());
}

#[test]
fn a_log_without_masks_does_not_pass_the_scanner() {
    for secret in adversarial_values::values() {
        let scanner = Scanner::new([(secret.name.as_str(), secret.value.as_slice())]);
        assert!(!scanner.find(&secret.value).is_empty(), "{}", secret.name);
    }
}
