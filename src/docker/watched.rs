//! A container at the health gate, over time: whether it is well, is still coming up, or restarts again and again.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::engine::{Container, Health, State};

/// How long a service without a health check must run to count as staying up.
const STAYS_UP: Duration = Duration::from_secs(3);
/// How many restarts are too many.
const TOO_OFTEN: u64 = 3;
/// The same for one that was restarted too often: so long the engine itself waits until a start counts as a success.
const STAYS_UP_AT_LAST: Duration = Duration::from_secs(10);
/// No service must show for longer than this that it stays up.
const LONGEST: Duration = Duration::from_mins(1);
pub(super) const AGAIN_AND_AGAIN: &str = "ended and is restarted again and again";

/// What is to be thought of a container.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    Good,
    /// It runs without a health check; good once it has for long enough.
    Running,
    Wait,
    Bad(&'static str),
}

/// A container that is looked at again and again.
pub(super) struct Watched {
    /// When it was first seen, and when its latest restart was.
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
    /// A container that is seen for the first time. `before` is the same one before this deployment, if it was there.
    pub(super) fn new(container: &Container, before: Option<&Container>) -> Self {
        let restarts = container.restart_count();
        // A start by hand sets the count back.
        let counted = before.map(Container::restart_count).filter(|count| *count <= restarts);
        Self {
            first: Instant::now(),
            since: Instant::now(),
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
    pub(super) fn judge(&mut self, container: &Container) -> Verdict {
        let restarts = container.restart_count();
        if restarts > self.restarts {
            (self.restarts, self.since) = (restarts, Instant::now());
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
            Verdict::Running | Verdict::Good
                if is_up(container) && self.since.elapsed() < self.needed(container) =>
            {
                Verdict::Wait
            }
            Verdict::Bad(AGAIN_AND_AGAIN) if !again_and_again => Verdict::Wait,
            other => other,
        }
    }

    /// Why it is not well, for one that never was up for long enough.
    pub(super) fn why_late(&self, timeout: Duration) -> String {
        if self.in_doubt || self.restarts.saturating_sub(self.before) >= TOO_OFTEN {
            return AGAIN_AND_AGAIN.to_owned();
        }
        format!("is not ready after {}", humantime::format_duration(timeout))
    }

    /// For how long it must run without a restart: nothing with a health check that was never restarted; else longer
    /// than it has run before it ended, so that one that ends every few seconds never passes between two ends.
    fn needed(&self, container: &Container) -> Duration {
        let restarts = self.restarts.saturating_sub(self.before);
        let least = match verdict(container) {
            _ if self.in_doubt || restarts >= TOO_OFTEN => STAYS_UP_AT_LAST,
            Verdict::Good if restarts == 0 => Duration::ZERO,
            _ => STAYS_UP,
        };
        let period = match u32::try_from(restarts) {
            Ok(0) | Err(_) => Duration::ZERO,
            Ok(_) if self.known => self.since.duration_since(self.first),
            Ok(count) => lived(container).unwrap_or_default() / count,
        };
        least.max(period * 2).min(LONGEST)
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
            let mut watched = Watched::new(&running(7, 1, health), None);
            tokio::time::advance(STAYS_UP * 2).await;
            assert_eq!(watched.judge(&running(7, 1, health)), Verdict::Wait);
            assert_eq!(watched.judge(&running(8, 1, health)), Verdict::Bad(AGAIN_AND_AGAIN));
            let mut watched = Watched::new(&running(7, 1, health), None);
            tokio::time::advance(STAYS_UP_AT_LAST).await;
            assert!(matches!(watched.judge(&running(7, 1, health)), Verdict::Good | Verdict::Running));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_ends_every_few_seconds_is_not_well_between_two_ends() {
        let mut watched = Watched::new(&running(1, 0, None), None);
        // One restart in 20 seconds.
        tokio::time::advance(Duration::from_secs(19)).await;
        assert_eq!(watched.judge(&running(1, 0, None)), Verdict::Wait);
        tokio::time::advance(Duration::from_secs(22)).await;
        assert_eq!(watched.judge(&running(1, 0, None)), Verdict::Running);
    }

    #[tokio::test(start_paused = true)]
    async fn what_ran_before_and_was_not_touched_need_not_show_it_again() {
        let old = running(9, 3600, None);
        let mut watched = Watched::new(&old, Some(&old));
        assert_eq!(watched.judge(&old), Verdict::Good);
        let looping = running(9, 1, None);
        let mut watched = Watched::new(&looping, Some(&looping));
        assert_eq!(watched.judge(&looping), Verdict::Wait);
    }
}
