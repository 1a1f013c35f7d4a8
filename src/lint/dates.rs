//! The rule about dates: tokens and certificates that are out of date. Nothing else in them is checked.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use x509_parser::pem::Pem;
use zeroize::Zeroizing;

use super::{Said, Subject};
use crate::sources::DATES;

/// The dates of a JSON Web Token (RFC 7519, 4.1.4 and 4.1.5), in seconds since 1970, perhaps with a fraction.
#[derive(Deserialize)]
struct Claims {
    exp: Option<f64>,
    nbf: Option<f64>,
}

/// From when until when something is valid.
struct Validity {
    from: Option<SystemTime>,
    until: Option<SystemTime>,
    what: &'static str,
}

pub(super) fn expired(subject: &Subject<'_>, now: SystemTime) -> Option<Said> {
    let Validity { from, until, what } = token(subject).or_else(|| certificate(subject))?;
    let day = |time: SystemTime| humantime::format_rfc3339_seconds(time).to_string();
    let fact = match (from, until) {
        (_, Some(until)) if until < now => format!("is {what} that expired at {}", day(until)),
        (Some(from), _) if from > now => format!("is {what} that is not valid before {}", day(from)),
        _ => return None,
    };
    Some(Said::new("expired", fact, "Renew it at its issuer."))
}

fn token(subject: &Subject<'_>) -> Option<Validity> {
    let mut parts = subject.text?.split('.');
    let (Some(head), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    let decoded = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).ok().map(Zeroizing::new);
    decoded(head).filter(|head| head.starts_with(b"{"))?;
    let claims: Claims = serde_json::from_slice(&decoded(claims)?).ok()?;
    let time = |seconds: f64| {
        let since = Duration::try_from_secs_f64(seconds).ok().filter(|since| *since < DATES)?;
        Some(UNIX_EPOCH + since)
    };
    Some(Validity {
        from: claims.nbf.and_then(time),
        until: claims.exp.and_then(time),
        what: "a JSON Web Token",
    })
}

/// The first certificate of a PEM text, which is the subject's own in a chain.
fn certificate(subject: &Subject<'_>) -> Option<Validity> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    let text = subject.text?;
    let from = text.find(BEGIN)?;
    let pem = Pem::iter_from_buffer(&text.as_bytes()[from..]).next()?.ok()?;
    let validity = pem.parse_x509().ok()?.validity().clone();
    let time = |timestamp: i64| Some(UNIX_EPOCH + Duration::from_secs(u64::try_from(timestamp).ok()?));
    Some(Validity {
        from: time(validity.not_before.timestamp()),
        until: time(validity.not_after.timestamp()).filter(|time| *time < UNIX_EPOCH + DATES),
        what: "a certificate",
    })
}
