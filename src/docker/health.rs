//! The health gate: every service is healthy, or runs and stays up, or has ended with status 0.
//!
//! `docker compose up --wait` is not it: a service without a health check that dies a second later passes there, and a
//! one-shot that ends with status 0 fails.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::command::Tools;
use super::engine::{self, Container, Health, State};
use crate::console::Console;
use crate::error::{Code, Error, Problem, Result};

/// How long a service without a health check must run to count as staying up.
const STAYS_UP: Duration = Duration::from_secs(3);
/// How many restarts are too many.
const TOO_OFTEN: u64 = 3;
const AGAIN_AND_AGAIN: &str = "ended and is restarted again and again";
const POLL: Duration = Duration::from_millis(250);

/// Where a container stands at the gate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    Good,
    /// It runs without a health check; good once it has for long enough.
    Running,
    Wait,
    Bad(&'static str),
}

/// Whether containers that were not touched are all well: nothing to wait for.
pub fn all_well(containers: &[Container], services: &BTreeSet<String>) -> bool {
    containers
        .iter()
        .filter(|container| services.contains(&container.service))
        .all(|container| matches!(verdict(container), Verdict::Good | Verdict::Running))
}

/// Waits for the containers of `services`, which must be there. `settled` are containers that ran before this deployment,
/// by id and start: as long as they were not touched they need not show again that they stay up. Errors have the code
/// [`Code::Unhealthy`] and name each service that failed; what its container printed last goes to the log.
pub async fn wait(
    tools: &Tools,
    console: &Console,
    project: &str,
    services: &BTreeSet<String>,
    settled: &BTreeSet<(String, String)>,
    timeout: Duration,
) -> Result<()> {
    let start = Instant::now();
    let mut watched: BTreeMap<String, Watched> = BTreeMap::new();
    loop {
        let containers = engine::containers(tools, project).await?;
        let ours: Vec<&Container> = containers.iter().filter(|c| services.contains(&c.service)).collect();
        let mut pending = Vec::new();
        let mut failed: Vec<(&Container, String)> = Vec::new();
        for container in &ours {
            let watched = watched.entry(container.id.clone()).or_insert_with(|| Watched::new(container));
            match watched.judge(container, settled.contains(&run_of(container))) {
                Verdict::Good | Verdict::Running => {}
                Verdict::Wait => pending.push(*container),
                Verdict::Bad(why) => failed.push((container, describe(container, why))),
            }
        }
        let there: BTreeSet<&str> = ours.iter().map(|c| c.service.as_str()).collect();
        let absent: Vec<&str> =
            services.iter().map(String::as_str).filter(|service| !there.contains(service)).collect();
        if failed.is_empty() && pending.is_empty() && absent.is_empty() {
            return Ok(());
        }
        if !failed.is_empty() || start.elapsed() >= timeout {
            let late = format!("is not ready after {}", humantime::format_duration(timeout));
            failed.extend(pending.into_iter().map(|container| (container, late.clone())));
            return Err(failure(tools, console, &failed, &absent, settled).await?);
        }
        sleep(POLL).await;
    }
}

/// Which run of a container this is: its id, and when it was started.
pub fn run_of(container: &Container) -> (String, String) {
    let started = container.raw.pointer("/State/StartedAt").and_then(|at| at.as_str());
    (container.id.clone(), started.unwrap_or_default().to_owned())
}

/// Prints the last lines of the containers that are not well, for an `up` that did not come to its end. `before` are those
/// that were there before this run.
pub async fn show_troubled(
    tools: &Tools,
    console: &Console,
    containers: &[Container],
    before: &BTreeSet<(String, String)>,
) -> Result<()> {
    for container in containers.iter().filter(|c| !matches!(verdict(c), Verdict::Good | Verdict::Running)) {
        last_lines(tools, console, container, before).await?;
    }
    Ok(())
}

/// A container at the gate, over time.
struct Watched {
    since: Instant,
    restarts: u64,
    restarts_at_first: u64,
}

impl Watched {
    fn new(container: &Container) -> Self {
        let restarts = container.restart_count();
        Self { since: Instant::now(), restarts, restarts_at_first: restarts }
    }

    /// A service that ended once, because what it needs was not up yet, may come up at the next try.
    fn judge(&mut self, container: &Container, settled: bool) -> Verdict {
        let restarts = container.restart_count();
        if restarts > self.restarts {
            (self.restarts, self.since) = (restarts, Instant::now());
        }
        let again_and_again = restarts - self.restarts_at_first.min(restarts) >= TOO_OFTEN;
        match verdict(container) {
            Verdict::Running if settled => Verdict::Good,
            Verdict::Running if again_and_again => Verdict::Bad(AGAIN_AND_AGAIN),
            Verdict::Running if self.since.elapsed() < STAYS_UP => Verdict::Wait,
            Verdict::Bad(AGAIN_AND_AGAIN) if !again_and_again => Verdict::Wait,
            other => other,
        }
    }
}

fn verdict(container: &Container) -> Verdict {
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

fn describe(container: &Container, why: &str) -> String {
    match container.state() {
        State::Exited(code) => format!("{why} with status {code}"),
        _ => why.to_owned(),
    }
}

/// Prints what a container of this run printed last. What an older one printed may hold values that have been replaced
/// since, which no mask of this run knows.
async fn last_lines(
    tools: &Tools,
    console: &Console,
    container: &Container,
    before: &BTreeSet<(String, String)>,
) -> Result<()> {
    let made = container.raw.get("Created").and_then(|at| at.as_str());
    let Some(made) = made.filter(|_| !before.iter().any(|(id, _)| *id == container.id)) else {
        console.line(&format!(
            "the log of {0} is not shown: it is older than this run, and may hold earlier values. On the Docker host: \
             docker logs --tail 20 {0}",
            container.name
        ));
        return Ok(());
    };
    console.group(&format!("last lines of {}", container.name));
    // By the engine's own clock: a log driver that keeps lines by name may have some of a container before this one.
    tools.docker(&["logs", "--tail=20"]).option("--since", made).names([&container.id]).stream().await?;
    console.end_group();
    Ok(())
}

async fn failure(
    tools: &Tools,
    console: &Console,
    failed: &[(&Container, String)],
    absent: &[&str],
    before: &BTreeSet<(String, String)>,
) -> Result<Error> {
    for (container, _) in failed {
        last_lines(tools, console, container, before).await?;
    }
    let ended = failed.iter().map(|(container, why)| {
        Problem::new(format!("service {} ({}) {why}", container.service, container.name))
    });
    let missing = absent.iter().map(|service| Problem::new(format!("service {service} has no container")));
    Ok(Error::new(Code::Unhealthy, "services did not come up")
        .problems(ended.chain(missing).collect())
        .hint("The last lines of each that this run made are in the log above. `wait-timeout` gives slow ones more time."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn container(state: &serde_json::Value, policy: &str) -> Container {
        let raw = json!({"State": state, "HostConfig": {"RestartPolicy": {"Name": policy}}});
        Container { id: "i".into(), name: "n".into(), service: "s".into(), raw }
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
}
