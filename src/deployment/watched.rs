//! A container at the health gate, over time: whether it is well, is still coming up, or restarts again and again.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::engine::objects::{Container, Health, State};

/// How many restarts are too many.
const TOO_OFTEN: u64 = 3;
/// For how long one that was restarted too often must stay up: so long the engine itself waits until a start counts as a success.
const STAYS_UP_AT_LAST: Duration = Duration::from_secs(10);
/// No service must show for longer than this that it stays up, unless it was asked for.
const LONGEST: Duration = Duration::from_mins(1);
pub(super) const AGAIN_AND_AGAIN: &str = "ended and is restarted again and again";

/// What is to be thought of a container.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    Good,
    /// It runs without a health check; good once it has for long enough.
    Running,
    /// It is up, and is good if it still is after this time.
    Stays(Duration),
    Wait,
    Bad(&'static str),
}

/// A container that is looked at again and again.
pub(super) struct Watched {
    /// How long one without a health check must stay up.
    stable_for: Duration,
    /// When it was first seen, and when its latest start was.
    first: Instant,
    since: Instant,
    /// The restarts at the latest look, at the first, and before this deployment.
    restarts: u64,
    at_first: u64,
    before: u64,
    /// Whether it ran before this deployment and was not touched since.
    settled: bool,
    /// Whether it was there before this deployment.
    known: bool,
    /// Whether it had been restarted too often, and a short time ago, when it was first seen.
    in_doubt: bool,
}

impl Watched {
    /// A container that is seen for the first time. `before` is the same one before this deployment, if it was there, and
    /// `start` when it was started, if that was seen.
    pub(super) fn new(
        container: &Container,
        before: Option<&Container>,
        start: Option<Instant>,
        stable_for: Duration,
    ) -> Self {
        let restarts = container.restart_count();
        // A start by hand sets the count back.
        let counted = before.map(Container::restart_count).filter(|count| *count <= restarts);
        Self {
            stable_for,
            first: Instant::now(),
            since: start.unwrap_or_else(Instant::now),
            restarts,
            at_first: restarts,
            before: counted.unwrap_or(0),
            settled: before.is_some_and(|before| started(before) == started(container)),
            known: before.is_some(),
            in_doubt: in_doubt(container),
        }
    }

    /// What is to be thought of it now. A service that ended once, because what it needs was not up yet, may come up at
    /// the next try; what counts are all restarts since the deployment began, whatever else was waited for meanwhile.
    pub(super) fn judge(&mut self, container: &Container, start: Option<Instant>) -> Verdict {
        let restarts = container.restart_count();
        let later = start.filter(|at| *at > self.since);
        if restarts > self.restarts {
            (self.restarts, self.since) = (restarts, later.unwrap_or_else(Instant::now));
        } else if let Some(at) = later {
            self.since = at;
        }
        let seen_here = restarts.saturating_sub(self.at_first);
        let often = restarts.saturating_sub(self.before) >= TOO_OFTEN;
        let ended_here = seen_here > 0 || container.state() == State::Restarting;
        let again_and_again = ended_here && (often || self.in_doubt);
        match verdict(container) {
            Verdict::Running | Verdict::Good if again_and_again && is_up(container) => {
                Verdict::Bad(AGAIN_AND_AGAIN)
            }
            Verdict::Running if self.settled && !self.in_doubt => Verdict::Good,
            Verdict::Running | Verdict::Good if is_up(container) && !self.left(container).is_zero() => {
                Verdict::Stays(self.left(container))
            }
            Verdict::Bad(AGAIN_AND_AGAIN) if !again_and_again => Verdict::Wait,
            other => other,
        }
    }

    /// Why it is not well, for one that never was up for long enough.
    pub(super) fn why_late(&self, container: &Container, timeout: Duration) -> String {
        if self.in_doubt || self.restarts.saturating_sub(self.before) >= TOO_OFTEN {
            return AGAIN_AND_AGAIN.to_owned();
        }
        let timeout = humantime::format_duration(timeout);
        if !matches!(verdict(container), Verdict::Running | Verdict::Good) {
            return format!("is not ready after {timeout}");
        }
        let seconds = |time: Duration| humantime::format_duration(Duration::from_secs(time.as_secs()));
        format!(
            "had run for {} when `wait-timeout` ({timeout}) was over, and must stay up for {}",
            seconds(self.since.elapsed()),
            seconds(self.needed(container)),
        )
    }

    /// For how long it must still stay up.
    fn left(&self, container: &Container) -> Duration {
        self.needed(container).saturating_sub(self.since.elapsed())
    }

    /// For how long it must run without a restart: nothing with a health check that was never restarted; else longer
    /// than it has run before it ended, so that one that ends every few seconds never passes between two ends.
    fn needed(&self, container: &Container) -> Duration {
        let restarts = self.restarts.saturating_sub(self.before);
        let least = match verdict(container) {
            _ if self.in_doubt || restarts >= TOO_OFTEN => self.stable_for.max(STAYS_UP_AT_LAST),
            Verdict::Good if restarts == 0 => Duration::ZERO,
            _ => self.stable_for,
        };
        let period = match u32::try_from(restarts) {
            Ok(0) | Err(_) => Duration::ZERO,
            Ok(_) if self.known => self.since.duration_since(self.first),
            Ok(count) => lived(container).unwrap_or_default() / count,
        };
        (period * 2).min(LONGEST).max(least)
    }
}

/// Whether a container that was not touched is well, as far as one look tells.
pub(super) fn looks_well(container: &Container) -> bool {
    matches!(verdict(container), Verdict::Good | Verdict::Running) && !in_doubt(container)
}

/// What one look tells.
pub(super) fn verdict(container: &Container) -> Verdict {
    match container.state() {
        State::Running(Health::Healthy) => Verdict::Good,
        State::Running(Health::Unhealthy) => Verdict::Bad("is unhealthy"),
        State::Running(Health::None) => Verdict::Running,
        State::Exited(0) if !restarts(container) => Verdict::Good,
        State::Exited(_) if !restarts(container) => Verdict::Bad("ended"),
        State::Exited(_) | State::Restarting => Verdict::Bad(AGAIN_AND_AGAIN),
        State::Running(Health::Starting) | State::Other => Verdict::Wait,
    }
}

/// Whether the engine starts it again when it ends with status 0.
pub fn restarts(container: &Container) -> bool {
    let policy = container.raw.pointer("/HostConfig/RestartPolicy/Name").and_then(|name| name.as_str());
    matches!(policy, Some("always" | "unless-stopped"))
}

fn is_up(container: &Container) -> bool {
    matches!(container.state(), State::Running(_))
}

/// Restarted too often, the last time a short while ago. Of a container that has run for months the count alone tells
/// nothing.
fn in_doubt(container: &Container) -> bool {
    // A clock of the engine that is ahead of ours makes the time negative: then it was just now.
    let run = started(container).map(|at| SystemTime::now().duration_since(at).unwrap_or_default());
    container.restart_count() >= TOO_OFTEN && run.is_some_and(|run| run < LONGEST)
}

/// From its creation to its latest start, by the engine's clock.
fn lived(container: &Container) -> Option<Duration> {
    let created = container.raw.pointer("/Created").and_then(|at| at.as_str())?;
    started(container)?.duration_since(humantime::parse_rfc3339(created).ok()?).ok()
}

fn started(container: &Container) -> Option<SystemTime> {
    let started = container.raw.pointer("/State/StartedAt").and_then(|at| at.as_str())?;
    humantime::parse_rfc3339(started).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn container(state: &Value, policy: &str) -> Container {
        let raw = json!({"State": state, "HostConfig": {"RestartPolicy": {"Name": policy}}});
        Container { id: "i".into(), name: "n".into(), service: "s".into(), raw }
    }

    /// A running container that was started so many seconds ago, 20 seconds after it was made.
    fn running(restarts: u64, seconds_ago: u64, health: Option<&str>) -> Container {
        let at = |ago: u64| {
            let at = SystemTime::now() - Duration::from_secs(ago);
            humantime::format_rfc3339_nanos(at).to_string()
        };
        let health = health.map(|status| json!({"Status": status}));
        let state = json!({"Status": "running", "StartedAt": at(seconds_ago), "Health": health});
        let mut container = container(&state, "always");
        container.raw["RestartCount"] = json!(restarts);
        container.raw["Created"] = json!(at(seconds_ago + 20));
        container
    }

    const STABLE: Duration = Duration::from_secs(3);
    const HALF: Duration = Duration::from_millis(500);

    fn watched(container: &Container, before: Option<&Container>) -> Watched {
        Watched::new(container, before, None, STABLE)
    }

    #[test]
    fn a_one_shot_that_ended_well_is_good_and_a_daemon_that_ended_is_not() {
        for (state, policy, expected) in [
            (json!({"Status": "exited", "ExitCode": 0}), "no", Verdict::Good),
            (json!({"Status": "exited", "ExitCode": 3}), "no", Verdict::Bad("ended")),
            (json!({"Status": "exited", "ExitCode": 0}), "on-failure", Verdict::Good),
            (json!({"Status": "exited", "ExitCode": 0}), "always", Verdict::Bad(AGAIN_AND_AGAIN)),
            (json!({"Status": "running"}), "no", Verdict::Running),
            (json!({"Status": "running", "Health": {"Status": "starting"}}), "no", Verdict::Wait),
            (json!({"Status": "running", "Health": {"Status": "healthy"}}), "no", Verdict::Good),
            (
                json!({"Status": "running", "Health": {"Status": "unhealthy"}}),
                "no",
                Verdict::Bad("is unhealthy"),
            ),
            (json!({"Status": "created"}), "no", Verdict::Wait),
        ] {
            assert_eq!(verdict(&container(&state, policy)), expected, "{state} {policy}");
        }
    }

    #[test]
    fn a_crash_loop_that_is_up_at_the_moment_is_not_well() {
        assert!(looks_well(&running(0, 1, None)) && looks_well(&running(2, 1, None)));
        assert!(!looks_well(&running(7, 1, None)) && !looks_well(&running(7, 1, Some("healthy"))));
        assert!(looks_well(&running(7, 3600, None)), "it has run for an hour since");
    }

    #[tokio::test(start_paused = true)]
    async fn restarts_count_from_the_beginning_of_the_deployment() {
        for health in [None, Some("healthy")] {
            // Seven restarts while `up` waited for something else: it must stay up for long, and may not end once more.
            let mut seen = watched(&running(7, 1, health), None);
            tokio::time::advance(STABLE * 2).await;
            assert!(matches!(seen.judge(&running(7, 1, health), None), Verdict::Stays(_)));
            assert_eq!(seen.judge(&running(8, 1, health), None), Verdict::Bad(AGAIN_AND_AGAIN));
            let mut seen = watched(&running(7, 1, health), None);
            tokio::time::advance(STAYS_UP_AT_LAST).await;
            assert!(matches!(seen.judge(&running(7, 1, health), None), Verdict::Good | Verdict::Running));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_ends_every_few_seconds_is_not_well_between_two_ends() {
        let mut seen = watched(&running(1, 0, None), None);
        // One restart in 20 seconds.
        tokio::time::advance(Duration::from_secs(19)).await;
        assert!(matches!(seen.judge(&running(1, 0, None), None), Verdict::Stays(_)));
        tokio::time::advance(Duration::from_secs(22)).await;
        assert_eq!(seen.judge(&running(1, 0, None), None), Verdict::Running);
    }

    #[tokio::test(start_paused = true)]
    async fn what_ran_before_and_was_not_touched_need_not_show_it_again() {
        let old = running(9, 3600, None);
        let mut seen = watched(&old, Some(&old));
        assert_eq!(seen.judge(&old, None), Verdict::Good);
        let looping = running(9, 1, None);
        let mut seen = watched(&looping, Some(&looping));
        assert!(matches!(seen.judge(&looping, None), Verdict::Stays(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_to_stay_up_begins_with_the_start_that_was_told() {
        let start = Instant::now();
        tokio::time::advance(Duration::from_secs(2)).await;
        let one = running(0, 2, None);
        let mut seen = Watched::new(&one, None, Some(start), STABLE);
        assert_eq!(seen.judge(&one, Some(start)), Verdict::Stays(Duration::from_secs(1)));
        // It is started anew, by hand, so that its restarts do not tell.
        let again = Instant::now();
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(seen.judge(&one, Some(again)), Verdict::Stays(Duration::from_secs(2)));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(seen.judge(&one, Some(again)), Verdict::Running);
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_has_no_health_check_or_was_restarted_must_stay_up() {
        for (stable_for, health, restarts, expected) in [
            (0, None, 0, Verdict::Running),
            (90, None, 0, Verdict::Stays(Duration::from_secs(90))),
            (90, Some("healthy"), 0, Verdict::Good),
            (90, Some("healthy"), 1, Verdict::Stays(Duration::from_secs(90))),
            // Twice as long as it ran: 20 seconds.
            (0, None, 1, Verdict::Stays(Duration::from_secs(40))),
        ] {
            let one = running(restarts, 0, health);
            let mut seen = Watched::new(&one, None, None, Duration::from_secs(stable_for));
            // How long it ran is told by another clock, to the nanosecond.
            let verdict = match seen.judge(&one, None) {
                Verdict::Stays(left) => Verdict::Stays(Duration::from_secs((left + HALF).as_secs())),
                other => other,
            };
            assert_eq!(verdict, expected, "{stable_for} {health:?} {restarts}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_ran_for_too_short_is_told_apart_from_one_that_never_came_up() {
        let seen = Watched::new(&running(0, 0, None), None, None, Duration::from_secs(20));
        tokio::time::advance(Duration::from_secs(5)).await;
        let why = |container: &Container| seen.why_late(container, Duration::from_secs(9));
        assert_eq!(
            why(&running(0, 5, None)),
            "had run for 5s when `wait-timeout` (9s) was over, and must stay up for 20s"
        );
        assert_eq!(why(&running(0, 5, Some("starting"))), "is not ready after 9s");
    }
}
