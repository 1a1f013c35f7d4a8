//! Whether a value is too old, or about to expire, as far as its source knows.

use std::time::{Duration, SystemTime};

use super::{Origin, Resolution};
use crate::diagnostic::Diagnostic;
use crate::manifest::Secret;

const DAY: u64 = 24 * 60 * 60;

impl Resolution {
    /// Takes from somebody else when values were written whose source does not tell it, and warns of those that are older
    /// than `max-age`.
    pub fn date(&mut self, written: impl Fn(&Origin) -> Option<SystemTime>, max_age: Option<Duration>) {
        for resolved in &mut self.secrets {
            let Some(origin) = resolved.origin.as_mut().filter(|origin| origin.changed.is_none()) else {
                continue;
            };
            origin.changed = written(origin);
            if origin.changed.is_some()
                && let Some(found) = warning(&resolved.secret, origin, max_age)
            {
                self.warnings.push(Diagnostic { place: Some(resolved.secret.place.clone()), ..found });
            }
        }
    }
}

/// What is to be warned of: a value that has expired, will expire within `expires-within`, or is older than `max-age` (the
/// secret's own, else the run's). What a source does not tell is not guessed.
pub(super) fn warning(secret: &Secret, origin: &Origin, max_age: Option<Duration>) -> Option<Diagnostic> {
    let now = SystemTime::now();
    let name = &secret.name;
    let help = format!("Rotate it: {}.", origin.reference);
    if let Some(expires) = origin.expires {
        let left = expires.duration_since(now).ok();
        let soon = secret.freshness.expires_within;
        let text = match (left, soon) {
            (None, _) => format!("{name} expired on {}", date(expires)),
            (Some(left), Some(soon)) if left < soon => {
                format!(
                    "{name} expires on {}, in {} (expires-within: {})",
                    date(expires),
                    days(left),
                    days(soon)
                )
            }
            _ => return too_old(secret, origin, max_age, now),
        };
        return Some(Diagnostic::with_help(text, help));
    }
    too_old(secret, origin, max_age, now)
}

fn too_old(
    secret: &Secret,
    origin: &Origin,
    max_age: Option<Duration>,
    now: SystemTime,
) -> Option<Diagnostic> {
    let most = secret.freshness.max_age.or(max_age)?;
    let changed = origin.changed?;
    let age = now.duration_since(changed).ok().filter(|age| *age > most)?;
    let text = format!(
        "{} was written on {}, {} ago (max-age: {})",
        secret.name,
        date(changed),
        days(age),
        days(most)
    );
    Some(Diagnostic::with_help(text, format!("Rotate it: {}.", origin.reference)))
}

fn date(time: SystemTime) -> String {
    let text = humantime::format_rfc3339_seconds(time).to_string();
    text.split('T').next().unwrap_or_default().to_owned()
}

/// Whole days, or the exact time if it is shorter.
fn days(time: Duration) -> String {
    match time.as_secs() / DAY {
        0 => humantime::format_duration(Duration::from_secs(time.as_secs())).to_string(),
        1 => "1 day".to_owned(),
        n => format!("{n} days"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Place;
    use crate::manifest::Reference;
    use crate::resolve::{Resolved, State};
    use crate::secret::SecretName;

    fn said(max_age: u64, within: u64, written_ago: Option<u64>, left: Option<i64>) -> Option<String> {
        let days = |n: u64| Duration::from_secs(n * DAY);
        let place = Place { file: None, line: 1, column: 1 };
        let mut secret = Secret::named(SecretName::parse("KEY").ok()?, place);
        secret.freshness.max_age = Some(days(max_age)).filter(|span| !span.is_zero());
        secret.freshness.expires_within = Some(days(within)).filter(|span| !span.is_zero());
        let now = SystemTime::now();
        // A second more than whole days: time goes on while the test runs.
        let from_now = |n: i64| match u64::try_from(n) {
            Ok(n) => now + days(n) + Duration::from_secs(1),
            Err(_) => now - days(n.unsigned_abs()),
        };
        let reference = Reference::parse("env:KEY").unwrap();
        let origin = Origin {
            source: reference.source.clone(),
            reference,
            place: String::new(),
            version: None,
            changed: written_ago.map(|n| now - days(n)),
            expires: left.map(from_now),
        };
        warning(&secret, &origin, None).map(|warning| warning.fact)
    }

    #[test]
    fn a_date_that_the_source_does_not_tell_counts_for_max_age() {
        let place = Place { file: None, line: 3, column: 1 };
        let resolved = |name: &str, changed| {
            let reference = Reference::parse(&format!("env:{name}")).unwrap();
            let origin = Origin {
                source: reference.source.clone(),
                reference,
                place: String::new(),
                version: None,
                changed,
                expires: None,
            };
            Resolved {
                secret: Secret::named(SecretName::parse(name).ok().unwrap(), place.clone()),
                state: State::Found,
                value: None,
                origin: Some(origin),
                shadowed: Vec::new(),
                is_open: false,
            }
        };
        let now = SystemTime::now();
        let mut all = Resolution {
            secrets: vec![resolved("OLD", None), resolved("OWN", Some(now)), resolved("ELSE", None)],
            ..Resolution::default()
        };
        let old = now - Duration::from_secs(100 * DAY);
        all.date(
            |origin| (origin.reference.item != "ELSE").then_some(old),
            Some(Duration::from_secs(90 * DAY)),
        );
        let changed: Vec<_> =
            all.secrets.iter().map(|resolved| resolved.origin.as_ref().unwrap().changed).collect();
        assert_eq!(changed, [Some(old), Some(now), None]);
        assert_eq!(all.warnings.len(), 1);
        assert!(
            all.warnings[0].fact.starts_with("OLD was written on ") && all.warnings[0].place == Some(place)
        );
    }

    #[test]
    fn an_old_value_and_one_that_expires_are_warned_of_and_unknown_dates_are_not_guessed() {
        let holds = |said: Option<String>, part: &str| said.is_some_and(|text| text.contains(part));
        assert!(holds(said(90, 0, Some(91), None), "91 days ago (max-age: 90 days)"));
        assert_eq!(said(90, 0, Some(89), None), None);
        assert_eq!(said(90, 0, None, None), None);
        assert!(holds(said(0, 14, None, Some(3)), "in 3 days (expires-within: 14 days)"));
        assert_eq!(said(0, 14, None, Some(20)), None);
        assert!(holds(said(0, 0, None, Some(-1)), "KEY expired on "));
        assert!(holds(said(90, 14, Some(100), Some(20)), "100 days ago"));
    }
}
