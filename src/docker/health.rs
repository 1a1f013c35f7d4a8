//! The health gate: every service is healthy, or runs and stays up, or has ended with status 0.
//!
//! `docker compose up --wait` is not it: a service without a health check that dies a second later passes there, and a
//! one-shot that ends with status 0 fails.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::command::Tools;
use super::containers;
use super::engine::{self, Container};
use super::readers::{Readers, Seen};
pub use super::watched::restarts;
use super::watched::{Verdict, Watched, looks_well, verdict};
use crate::console::Console;
use crate::error::{Code, Error, Problem, Result};
use crate::progress;

const POLL: Duration = Duration::from_millis(250);

/// What the gate is about.
pub struct Gate<'a> {
    /// Docker's programs.
    pub tools: &'a Tools,
    /// Where the last lines of failed services go.
    pub console: &'a Console,
    /// The project's name.
    pub project: &'a str,
    /// The services that must be well, and have containers.
    pub services: &'a BTreeSet<String>,
    /// The project's containers before this deployment: as long as they were not touched they need not show again that
    /// they stay up.
    pub before: &'a [Container],
    /// Who can read the services' secrets.
    pub readers: &'a Readers,
    /// What was taken away from the services, with what gives it back.
    pub gone: &'a BTreeMap<String, Vec<String>>,
    /// How long to wait.
    pub timeout: Duration,
}

/// Whether containers that were not touched are all well: nothing to wait for.
pub fn all_well(containers: &[Container], services: &BTreeSet<String>) -> bool {
    containers.iter().filter(|container| services.contains(&container.service)).all(looks_well)
}

/// Waits until all services are well. Errors have the code [`Code::Unhealthy`] and name each service that failed; what its
/// container printed last goes to the log.
pub async fn wait(gate: Gate<'_>) -> Result<()> {
    let Gate { tools, project, services, before, timeout, .. } = gate;
    let start = Instant::now();
    let mut all: BTreeMap<String, Watched> = BTreeMap::new();
    let mut seen = Seen::new(gate.readers);
    let shown = progress::begin("waiting for the services");
    loop {
        let containers = engine::containers(tools, project).await?;
        let ours: Vec<&Container> = containers.iter().filter(|c| services.contains(&c.service)).collect();
        let late = start.elapsed() >= timeout;
        let mut pending = false;
        let mut failed: Vec<(&Container, String)> = Vec::new();
        for container in &ours {
            let known = || before.iter().find(|other| other.id == container.id);
            let watched = all.entry(container.id.clone()).or_insert_with(|| Watched::new(container, known()));
            let verdict = watched.judge(container);
            if !matches!(verdict, Verdict::Good) {
                seen.look(tools, container).await?;
            }
            match verdict {
                Verdict::Good | Verdict::Running => {}
                Verdict::Bad(why) => failed.push((container, describe(container, why))),
                Verdict::Wait if late => failed.push((container, watched.why_late(timeout))),
                Verdict::Wait => pending = true,
            }
        }
        let there: BTreeSet<&str> = ours.iter().map(|c| c.service.as_str()).collect();
        let absent: Vec<&str> =
            services.iter().map(String::as_str).filter(|service| !there.contains(service)).collect();
        if failed.is_empty() && !pending && absent.is_empty() {
            return Ok(());
        }
        let waiting = ours.iter().filter(|container| !looks_well(container)).map(|c| c.service.as_str());
        let waiting: BTreeSet<&str> = waiting.chain(absent.iter().copied()).collect();
        if !waiting.is_empty() {
            shown.tell(&format!("waiting for {}", waiting.into_iter().collect::<Vec<_>>().join(", ")));
        }
        // What is only not ready yet when another one fails is not to blame.
        if !failed.is_empty() || late {
            return Err(failure(&gate, &seen, &failed, &absent).await?);
        }
        sleep(POLL).await;
    }
}

/// Prints the last lines of the containers that are not well, for an `up` that did not come to its end: of those that
/// failed, or else of those that are not ready yet. `before` are those that were there before this run. Returns the services
/// of those that it is about.
pub async fn show_troubled(
    tools: &Tools,
    console: &Console,
    containers: &[Container],
    before: &[Container],
) -> Result<BTreeSet<String>> {
    let of = |wanted: fn(Verdict) -> bool| containers.iter().filter(move |c| wanted(verdict(c)));
    let failed: Vec<_> = of(|verdict| matches!(verdict, Verdict::Bad(_))).collect();
    let waiting = of(|verdict| verdict == Verdict::Wait).filter(|_| failed.is_empty());
    let mut services = BTreeSet::new();
    for container in failed.iter().copied().chain(waiting) {
        last_lines(tools, console, container, before).await?;
        services.insert(container.service.clone());
    }
    Ok(services)
}

fn describe(container: &Container, why: &str) -> String {
    match container.state() {
        engine::State::Exited(code) => format!("{why} with status {code}"),
        _ => why.to_owned(),
    }
}

/// Prints what a container of this run printed last. What an older one printed may hold values that have been replaced
/// since, which no mask of this run knows.
async fn last_lines(
    tools: &Tools,
    console: &Console,
    container: &Container,
    before: &[Container],
) -> Result<()> {
    let made = container.raw.get("Created").and_then(|at| at.as_str());
    let Some(made) = made.filter(|_| !before.iter().any(|other| other.id == container.id)) else {
        console.line(&format!(
            "the log of {0} is not shown: it is older than this run, and may hold earlier values. On the Docker host: \
             docker logs --tail 20 {0}",
            container.name
        ));
        return Ok(());
    };
    console.group(&format!("last lines of {}", container.name));
    // By the engine's own clock: a log driver that keeps lines by name may have some of a container before this one.
    let mut foreign = console.foreign();
    let shown = containers::show_log(tools, container, Some(made), &mut foreign).await;
    foreign.finish();
    console.end_group();
    shown
}

async fn failure(
    gate: &Gate<'_>,
    seen: &Seen<'_>,
    failed: &[(&Container, String)],
    absent: &[&str],
) -> Result<Error> {
    let mut problems = Vec::new();
    for (container, why) in failed {
        last_lines(gate.tools, gate.console, container, gate.before).await?;
        let mut problem = Problem::new(format!("service {} ({}) {why}", container.service, container.name));
        let known = seen.remedy(gate.tools, container).await?;
        let gone = gate.gone.get(&container.service).into_iter().flatten().cloned();
        let remedies: Vec<String> = known.into_iter().chain(gone).collect();
        if !remedies.is_empty() {
            problem = problem.remedy(remedies.join("\n"));
        }
        problems.push(problem);
    }
    problems.extend(absent.iter().map(|service| Problem::new(format!("service {service} has no container"))));
    Ok(Error::new(Code::Unhealthy, "services did not come up")
        .problems(problems)
        .hint("The last lines of each that this run made are in the log above. `wait-timeout` gives slow ones more time."))
}
