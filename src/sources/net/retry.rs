//! When a request is retried, and how long to wait before that.

use std::time::{Duration, SystemTime};

use backon::{BackoffBuilder, ExponentialBuilder};
use reqwest::header::RETRY_AFTER;
use tokio::time::Instant;

use super::{ATTEMPTS, Answer, FIRST_WAIT, Failure, LONGEST_WAIT};

/// The result of a failed attempt.
pub(super) enum Try {
    /// A response that may be different a moment later.
    Answer(Answer),
    /// No response.
    Failure(Failure),
}

/// The waits before the attempts after the first: a random part of a time that doubles ("full jitter"), so that many
/// clients that failed together do not retry together.
pub(super) fn waits() -> impl Iterator<Item = Duration> + Send + Sync + Unpin {
    ExponentialBuilder::default()
        .with_min_delay(FIRST_WAIT)
        .with_max_delay(LONGEST_WAIT)
        .with_max_times(ATTEMPTS as usize - 1)
        .build()
        .map(|longest| longest.mul_f64(random_part()))
}

fn random_part() -> f64 {
    // Without randomness, every client waits the longest time, which is slower but correct.
    getrandom::u32().map_or(1.0, |number| f64::from(number) / f64::from(u32::MAX))
}

impl Try {
    /// How long to wait, given what we would wait by ourselves: at least what the server asks for. `None` when there is
    /// no time for that.
    pub(super) fn wait(&self, own: Duration, deadline: Instant) -> Option<Duration> {
        let asked = match self {
            Self::Answer(answer) => {
                answer.headers.get(RETRY_AFTER).and_then(|text| retry_after(text.to_str().ok()?))
            }
            Self::Failure(_) => None,
        };
        let wait = own.max(asked.unwrap_or_default());
        Instant::now().checked_add(wait).filter(|at| *at < deadline).map(|_| wait)
    }
}

/// What `Retry-After` asks for: seconds, or a date (RFC 9110 section 10.2.3).
pub(crate) fn retry_after(text: &str) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number that is too large for us is a time that is too long, too.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    Some(at.duration_since(SystemTime::now()).unwrap_or_default())
}
