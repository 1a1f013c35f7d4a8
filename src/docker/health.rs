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

/// Waits for the containers of `services`, which must be there. `settled` are the ids of containers that ran before this
/// deployment and were not touched: they need not show again that they stay up. Errors have the code
/// [`Code::Unhealthy`] and name each service that failed; what its container printed last goes to the log.
pub async fn wait(
    tools: &Tools,
    console: &Console,
    project: &str,
    services: &BTreeSet<String>,
    settled: &BTreeSet<String>,
    timeout: Duration,
) -> Result<()> {
    let start = Instant::now();
    let mut running_since: BTreeMap<String, (Instant, u64)> = BTreeMap::new();
    loop {
        let containers = engine::containers(tools, project).await?;
        let ours: Vec<&Container> = containers
            .iter()
            .filter(|c| services.contains(&c.service))
            .collect();
        let mut pending = Vec::new();
        let mut failed: Vec<(&Container, String)> = Vec::new();
        for container in &ours {
            match verdict(container) {
                Verdict::Good => {}
                Verdict::Running if settled.contains(&container.id) => {}
                Verdict::Running => {
                    let restarts = container.restart_count();
                    let (since, before) = *running_since
                        .entry(container.id.clone())
                        .or_insert((Instant::now(), restarts));
                    if restarts > before {
                        failed.push((
                            container,
                            format!("ended and was restarted {} times", restarts - before),
                        ));
                    } else if since.elapsed() < STAYS_UP {
                        pending.push(container);
                    }
                }
                Verdict::Wait => pending.push(container),
                Verdict::Bad(why) => failed.push((container, describe(container, why))),
            }
        }
        let there: BTreeSet<&str> = ours.iter().map(|c| c.service.as_str()).collect();
        let absent = services.iter().any(|service| !there.contains(service.as_str()));
        if failed.is_empty() && pending.is_empty() && !absent {
            return Ok(());
        }
        if !failed.is_empty() || start.elapsed() >= timeout {
            for container in pending {
                failed.push((
                    container,
                    format!("is not ready after {}", humantime::format_duration(timeout)),
                ));
            }
            return Err(failure(tools, console, &failed).await?);
        }
        sleep(POLL).await;
    }
}

fn verdict(container: &Container) -> Verdict {
    match container.state() {
        State::Running(Health::Healthy) => Verdict::Good,
        State::Running(Health::Unhealthy) => Verdict::Bad("is unhealthy"),
        State::Running(Health::None) => Verdict::Running,
        State::Exited(0) if !restarts(container) => Verdict::Good,
        State::Exited(_) if !restarts(container) => Verdict::Bad("ended"),
        State::Exited(_) | State::Restarting => Verdict::Bad("ended and is restarted again and again"),
        State::Running(Health::Starting) | State::Other => Verdict::Wait,
    }
}

/// Whether the engine starts it again when it ends with status 0.
pub fn restarts(container: &Container) -> bool {
    let policy = container
        .raw
        .pointer("/HostConfig/RestartPolicy/Name")
        .and_then(|name| name.as_str());
    matches!(policy, Some("always" | "unless-stopped"))
}

fn describe(container: &Container, why: &str) -> String {
    match container.state() {
        State::Exited(code) => format!("{why} with status {code}"),
        _ => why.to_owned(),
    }
}

async fn failure(tools: &Tools, console: &Console, failed: &[(&Container, String)]) -> Result<Error> {
    for (container, _) in failed {
        console.group(&format!("last lines of {}", container.name));
        tools
            .docker(["logs", "--tail", "20", &container.id])
            .stream()
            .await?;
        console.end_group();
    }
    let problems = failed
        .iter()
        .map(|(container, why)| {
            Problem::new(format!(
                "service {} ({}) {why}",
                container.service, container.name
            ))
        })
        .collect::<Vec<_>>();
    let fact = if problems.is_empty() {
        "a service has no container"
    } else {
        "services did not come up"
    };
    Ok(Error::new(Code::Unhealthy, fact)
        .problems(problems)
        .hint("The last lines of each are in the log above. `wait-timeout` gives slow ones more time."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn container(state: &serde_json::Value, policy: &str) -> Container {
        let raw = json!({"State": state, "HostConfig": {"RestartPolicy": {"Name": policy}}});
        Container {
            id: "i".into(),
            name: "n".into(),
            service: "s".into(),
            raw,
        }
    }

    #[test]
    fn a_one_shot_that_ended_well_is_good_and_a_daemon_that_ended_is_not() {
        for (state, policy, expected) in [
            (json!({"Status": "exited", "ExitCode": 0}), "no", Verdict::Good),
            (
                json!({"Status": "exited", "ExitCode": 3}),
                "no",
                Verdict::Bad("ended"),
            ),
            (
                json!({"Status": "exited", "ExitCode": 0}),
                "on-failure",
                Verdict::Good,
            ),
            (
                json!({"Status": "exited", "ExitCode": 0}),
                "always",
                Verdict::Bad("ended and is restarted again and again"),
            ),
            (json!({"Status": "running"}), "no", Verdict::Running),
            (
                json!({"Status": "running", "Health": {"Status": "starting"}}),
                "no",
                Verdict::Wait,
            ),
            (
                json!({"Status": "running", "Health": {"Status": "healthy"}}),
                "no",
                Verdict::Good,
            ),
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
