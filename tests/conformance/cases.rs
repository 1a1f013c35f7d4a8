//! The cases: what is put into the peer, what is asked, and what must come of it.

use std::collections::BTreeSet;
use std::time::Duration;

use claude_secrets::error::Code;
use claude_secrets::resolve::State;
use claude_secrets::sources::net::ATTEMPTS;

use crate::fixture::{self, Case};
use crate::harness::{Bench, Outcome, item_of, names};

/// A case with its name in the log, its line in the table, and what it does.
pub(crate) struct Entry {
    pub(crate) case: Case,
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) run: fn(&Bench<'_>),
}

/// Every case, in the order of the table.
pub(crate) const CASES: &[Entry] = &[
    entry(Case::Found, "found", "found: the value arrives byte for byte", found),
    entry(Case::Absent, "absent", "absent: a lower source wins", absent),
    entry(Case::Denied, "denied", "denied: it blocks, and is not retried", denied),
    entry(Case::Down, "down", "nothing listens: failed", down),
    entry(Case::Hanging, "hanging", "the server never answers: failed, in time", hanging),
    entry(Case::BadTls, "bad-tls", "the certificate is not trusted: failed", bad_tls),
    entry(Case::ServerError, "server-error", "status 500: failed, after more attempts", server_error),
    entry(Case::Truncated, "truncated", "the answer ends in the middle: failed", truncated),
    entry(
        Case::ResetThenFound,
        "reset-then-found",
        "two connections are reset, then: found",
        reset_then_found,
    ),
    entry(
        Case::ThrottledThenFound,
        "throttled-then-found",
        "throttled twice, then: found",
        throttled_then_found,
    ),
    entry(Case::Empty, "empty", "an empty value", empty),
    entry(Case::Binary, "binary", "a value of all 256 bytes", binary),
    entry(Case::MultiLine, "multi-line", "a value of many lines, quotes and dollars", multi_line),
    entry(Case::Large, "large", "a value of 64 KB", large),
    entry(Case::JsonField, "json-field", "a field of an item", json_field),
    entry(Case::JsonNull, "json-null", "a field that is null: absent", json_null),
    entry(
        Case::MissingField,
        "missing-field",
        "a field that does not exist: the error lists the existing ones",
        missing_field,
    ),
    entry(Case::Version, "version", "an older version, and the newest", version),
    entry(Case::Batch, "batch", "300 items, some absent, some denied, in few requests", batch),
    entry(Case::AskedOnce, "asked-once", "two references to one item: asked once", asked_once),
    entry(Case::Cancelled, "cancelled", "a stopped run makes no more requests", cancelled),
    entry(Case::Deadline, "deadline", "the deadline passes: what arrived in time counts", deadline),
    entry(Case::Wildcard, "wildcard", "the items with a common prefix", wildcard),
];

const fn entry(case: Case, name: &'static str, title: &'static str, run: fn(&Bench<'_>)) -> Entry {
    Entry { case, name, title, run }
}

fn found(bench: &Bench<'_>) {
    bench.put("found-item", "canary-found");
    bench.put("found-other", "canary-other");
    let outcome = bench.key("found-item").done();
    outcome.found("KEY", b"canary-found");
    is_clean(&outcome);
    at_most(&outcome, bench.fixture.most_requests(1));
}

fn absent(bench: &Bench<'_>) {
    let below = bench.key_above_lower("absent-item").done();
    below.found_below("KEY");
    is_clean(&below);
    at_most(&below, ATTEMPTS as usize - 1);
    let nowhere = bench.key("absent-item").done();
    assert_eq!(nowhere.ended(), Some((Code::SecretsMissing, 3)));
    assert_eq!(nowhere.secret("KEY").state, State::Missing);
    let fact = nowhere.error().unwrap().problems[0].fact.clone();
    assert!(fact.contains("looked at: "), "{fact}");
}

fn denied(bench: &Bench<'_>) {
    bench.put("denied-item", "canary-denied");
    let blocked = bench.key_above_lower("denied-item").done();
    blocked.refused("KEY", State::Denied, "denied-item");
    assert_eq!(blocked.ended(), Some((Code::SourceDenied, 4)));
    assert!(blocked.problem("KEY").help.unwrap().contains("`KEY = env:LOWER`"), "the other way out");
    at_most(&blocked, ATTEMPTS as usize - 1);
    let passed = bench.key_above_lower("denied-item").input("on-source-error", "next").done();
    passed.found_below("KEY");
    assert!(passed.resolution.degraded && passed.ended().is_none());
    let warnings = &passed.resolution.warnings;
    assert!(warnings.iter().any(|warning| names(&warning.fact, "denied-item")), "{warnings:?}");
}

fn down(bench: &Bench<'_>) {
    let outcome = fails(bench, "down-item", fixture::State::Down);
    assert!(outcome.asked.is_none_or(|asked| asked.all == 0));
}

fn hanging(bench: &Bench<'_>) {
    bench.put("hanging-item", "canary-hanging");
    let run = bench.key_above_lower("hanging-item").in_state(fixture::State::Hanging);
    let outcome = run.input("timeout", "1s").done();
    outcome.refused("KEY", State::Failed, "hanging-item");
    assert!(outcome.took < Duration::from_secs(3), "{:?}", outcome.took);
}

fn bad_tls(bench: &Bench<'_>) {
    let outcome = fails(bench, "bad-tls-item", fixture::State::BadTls);
    let help = outcome.problem("KEY").help.unwrap();
    assert!(help.contains("ca-certificates"), "{help}");
}

fn server_error(bench: &Bench<'_>) {
    let outcome = fails(bench, "server-error-item", fixture::State::Failing);
    let asked = outcome.asked.expect("a server was asked");
    assert!(asked.all > 1, "one attempt");
}

fn truncated(bench: &Bench<'_>) {
    fails(bench, "truncated-item", fixture::State::Truncating);
}

fn reset_then_found(bench: &Bench<'_>) {
    found_in(bench, "reset-item", fixture::State::Resetting);
}

fn throttled_then_found(bench: &Bench<'_>) {
    found_in(bench, "throttled-item", fixture::State::Throttling);
}

fn empty(bench: &Bench<'_>) {
    bench.put("empty-item", "");
    let strict = bench.key_above_lower("empty-item").done();
    if bench.fixture.empty_is_absent() {
        return strict.found_below("KEY");
    }
    assert_eq!(strict.secret("KEY").state, State::Invalid);
    assert_eq!(strict.ended(), Some((Code::SecretInvalid, 3)));
    bench.key_above_lower("empty-item").allowing_empty().done().found("KEY", b"");
}

fn binary(bench: &Bench<'_>) {
    let all: Vec<u8> = (0..=255).chain(*b"canary").chain([0, 0xff, b'\n', 0]).collect();
    bench.put("binary-item", &all);
    bench.key("binary-item").done().found("KEY", &all);
}

fn multi_line(bench: &Bench<'_>) {
    let text = "-----BEGIN canary-----\n  \"quoted\" \\n $HOME ${HOME} `x` # no comment\n\n\tümläut 🔑 %40\n-----END canary-----\n\n";
    bench.put("multi-line-item", text);
    bench.key("multi-line-item").done().found("KEY", text.as_bytes());
}

fn large(bench: &Bench<'_>) {
    let text: String = "canary-0123456789\n".chars().cycle().take(65_536).collect();
    bench.put("large-item", &text);
    bench.key("large-item").done().found("KEY", text.as_bytes());
}

fn json_field(bench: &Bench<'_>) {
    let of = bench.fixture.reference("json-field-item");
    bench.fixture.put_fields("json-field-item", r#"{"user":"canary-user","pass word":"canary \"p\\n"}"#);
    let run = bench.run().secret("USER", &[format!("{of}#user")]);
    let outcome = run.secret("PASSWORD", &[format!("{of}#pass word")]).done();
    outcome.found("USER", b"canary-user");
    outcome.found("PASSWORD", b"canary \"p\\n");
    is_clean(&outcome);
}

fn json_null(bench: &Bench<'_>) {
    bench.fixture.put_fields("json-null-item", r#"{"there":"canary-there","none":null}"#);
    let field = format!("{}#none", bench.fixture.reference("json-null-item"));
    let outcome = bench.run().secret("KEY", &[field, "env:LOWER".to_owned()]).done();
    outcome.found_below("KEY");
    is_clean(&outcome);
}

fn missing_field(bench: &Bench<'_>) {
    let fields = r#"{"user":"canary-user","password":"canary-password"}"#;
    bench.fixture.put_fields("missing-field-item", fields);
    let field = format!("{}#passwort", bench.fixture.reference("missing-field-item"));
    let outcome = bench.run().secret("KEY", &[field, "env:LOWER".to_owned()]).done();
    outcome.refused("KEY", State::Failed, "missing-field-item");
    assert_eq!(outcome.ended(), Some((Code::SourceFailed, 4)));
    let fact = outcome.problem("KEY").fact;
    assert!(["passwort", "user", "password"].iter().all(|name| fact.contains(name)), "{fact}");
}

fn version(bench: &Bench<'_>) {
    bench.put("version-item", "canary-first");
    bench.put("version-item", "canary-second");
    let run = bench.key("version-item").secret("OLD", &[bench.fixture.previous("version-item")]);
    let outcome = run.done();
    outcome.found("KEY", b"canary-second");
    outcome.found("OLD", b"canary-first");
    let version = |name: &str| outcome.secret(name).origin.as_ref().and_then(|origin| origin.version.clone());
    assert!(version("KEY").is_some() && version("OLD").is_some(), "the versions come with the values");
    assert_ne!(version("KEY"), version("OLD"));
}

fn batch(bench: &Bench<'_>) {
    let item = |number: usize| match number % 15 {
        3 if bench.fixture.gap(Case::Denied).is_none() => format!("denied-batch-{number}"),
        7 | 8 => format!("absent-batch-{number}"),
        _ => format!("batch-{number}"),
    };
    let all: Vec<String> = (0..300).map(item).collect();
    let there = all.iter().filter(|item| !item.starts_with("absent-"));
    let value = |item: &str| format!("canary of {item}").into_bytes();
    for item in there {
        bench.put(item, value(item));
    }
    let outcome = all
        .iter()
        .enumerate()
        .fold(bench.run(), |run, (number, item)| {
            run.secret(&format!("KEY_{number}"), &[bench.fixture.reference(item)])
        })
        .done();
    for (number, item) in all.iter().enumerate() {
        let name = format!("KEY_{number}");
        match item.split('-').next() {
            Some("denied") => outcome.refused(&name, State::Denied, item),
            Some("absent") => assert_eq!(outcome.secret(&name).state, State::Missing, "{item}"),
            _ => outcome.found(&name, &value(item)),
        }
    }
    let problems = all.iter().filter(|item| !item.starts_with("batch-")).count();
    assert_eq!(outcome.error().unwrap().problems.len(), problems);
    at_most(&outcome, bench.fixture.most_requests(all.len()));
}

fn asked_once(bench: &Bench<'_>) {
    let fields = r#"{"user":"canary-user","password":"canary-password"}"#;
    bench.fixture.put_fields("asked-once-item", fields);
    let field = |name: &str| [format!("{}#{name}", bench.fixture.reference("asked-once-item"))];
    let run = bench.run().secret("USER", &field("user")).secret("PASSWORD", &field("password"));
    let outcome = run.secret("AGAIN", &field("password")).done();
    outcome.found("USER", b"canary-user");
    outcome.found("PASSWORD", b"canary-password");
    outcome.found("AGAIN", b"canary-password");
    let asked = outcome.asked.expect("a source whose requests can be counted");
    assert!((1..=bench.fixture.most_requests(1)).contains(&asked.values), "{asked:?}");
}

fn cancelled(bench: &Bench<'_>) {
    bench.put("cancelled-item", "canary-cancelled");
    // A fault is met with more attempts, each after at most a second: a run that went on would be seen.
    let (then, later) = bench.key("cancelled-item").in_state(fixture::State::Failing).dropped();
    assert_eq!(then, later, "what was asked when it was dropped, and afterwards");
}

fn deadline(bench: &Bench<'_>) {
    let all: Vec<String> = (0..45).map(|number| format!("deadline-{number}")).collect();
    let value = |item: &str| format!("canary of {item}").into_bytes();
    for item in &all {
        bench.put(item, value(item));
    }
    let run = all.iter().enumerate().fold(bench.run(), |run, (number, item)| {
        run.secret(&format!("KEY_{number}"), &[bench.fixture.reference(item)])
    });
    let outcome = run.in_state(fixture::State::Stalling).input("timeout", "2s").done();
    assert!(outcome.took < Duration::from_secs(6), "{:?}", outcome.took);
    let mut counts = [0, 0];
    for (number, item) in all.iter().enumerate() {
        let name = format!("KEY_{number}");
        let has_it = outcome.secret(&name).value.is_some();
        counts[usize::from(has_it)] += 1;
        if has_it {
            outcome.found(&name, &value(item));
        } else {
            outcome.refused(&name, State::Failed, item);
        }
    }
    assert!(counts[0] > 0 && counts[1] > 0, "{} came in time, {} did not", counts[1], counts[0]);
}

fn wildcard(bench: &Bench<'_>) {
    for name in ["wildcard-one", "wildcard-two", "wild-other"] {
        bench.put(name, format!("canary of {name}"));
    }
    let item = |name: &str| item_of(&bench.fixture.reference(name));
    let listed = bench.key("wildcard-one").listed(&bench.fixture.prefix("wildcard-"));
    let expected = BTreeSet::from([item("wildcard-one"), item("wildcard-two")]);
    assert_eq!(listed.len(), expected.len(), "{listed:?}");
    assert_eq!(BTreeSet::from_iter(listed), expected);
}

/// A secret whose source is in a bad state: it fails, and nothing from below takes its place.
fn fails(bench: &Bench<'_>, item: &str, state: fixture::State) -> Outcome {
    bench.put(item, format!("canary of {item}"));
    let outcome = bench.key_above_lower(item).in_state(state).done();
    outcome.refused("KEY", State::Failed, item);
    assert_eq!(outcome.ended(), Some((Code::SourceFailed, 4)));
    outcome
}

/// A secret whose source is in a bad state for a moment.
fn found_in(bench: &Bench<'_>, item: &str, state: fixture::State) {
    bench.put(item, format!("canary of {item}"));
    let outcome = bench.key(item).in_state(state).done();
    outcome.found("KEY", format!("canary of {item}").as_bytes());
    is_clean(&outcome);
    let asked = outcome.asked.expect("a server was asked");
    assert!(asked.all > 2, "the fault was not met: {asked:?}");
}

/// Nothing is wrong, and nothing has been passed over.
fn is_clean(outcome: &Outcome) {
    let said = || outcome.said().join("\n");
    assert!(outcome.ended().is_none() && !outcome.resolution.degraded, "{}", said());
    assert!(outcome.resolution.warnings.is_empty() && outcome.resolution.notes.is_empty(), "{}", said());
}

fn at_most(outcome: &Outcome, requests: usize) {
    let asked = outcome.asked.map_or(0, |asked| asked.values);
    assert!(asked <= requests, "{asked} requests for values, {requests} are enough");
}
