//! The health gate: every service is healthy, or runs and stays up, or has ended with status 0.
//!
//! `docker compose up --wait` is not it: a service without a health check that dies a second later passes there, and a
//! one-shot that ends with status 0 fails.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::readers::{Readers, Seen};
pub use super::watched::restarts;
use super::watched::{Verdict, Watched, looks_well, verdict};
use crate::console::Console;
use crate::diagnostic::Diagnostic;
use crate::engine::containers;
use crate::engine::events::Events;
use crate::engine::objects::{self, Container, State};
use crate::engine::tools::Tools;
use crate::error::{Code, Error, Result};
use crate::progress;

/// How often everything is looked at where the engine tells what happens: a connection may break without a sign.
const SELDOM: Duration = Duration::from_secs(2);
/// The same where it tells nothing.
const OFTEN: Duration = Duration::from_millis(250);
/// How long others may fail after the first one, to be told together with it: a wrong password ends several services, one
/// after the other.
const TOGETHER: Duration = Duration::from_secs(1);

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
    /// How long a service without a health check must stay up.
    pub stable_for: Duration,
    /// What becomes of the containers, listened for since before they were started.
    pub events: &'a Events,
}

/// What a service was waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Awaited {
    /// That its health check passes.
    Health,
    /// That it stays up.
    StaysUp,
    /// That it ends with status 0.
    End,
}

/// The gate while services come up.
pub struct Watch<'a> {
    gate: Gate<'a>,
    begun: Instant,
    /// All of the project's containers.
    containers: Vec<Container>,
    watched: BTreeMap<String, Watched>,
    seen: Seen<'a>,
    /// Services that were not well at the first look: what was waited for, and how long, for those that are well now.
    waited: BTreeMap<String, Option<(Awaited, Duration)>>,
}

/// What one look at all containers shows.
struct Sight {
    failed: Vec<(Container, String)>,
    absent: Vec<String>,
    /// Something must still happen.
    is_pending: bool,
    /// The longest and the shortest time that containers which are up must still stay up.
    stays: Option<(Duration, Duration)>,
}

/// Whether containers that were not touched are all well: nothing to wait for.
pub fn all_well(containers: &[Container], services: &BTreeSet<String>) -> bool {
    containers.iter().filter(|container| services.contains(&container.service)).all(looks_well)
}

impl<'a> Watch<'a> {
    /// Takes the first look.
    ///
    /// # Errors
    /// Those of the engine.
    pub async fn begin(gate: Gate<'a>) -> Result<Self> {
        // What happens between the look and the first news would be missed.
        gate.events.begun().await;
        let begun = Instant::now();
        let seen = Seen::new(gate.readers);
        let (containers, watched, waited) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        let mut this = Self { gate, begun, containers, watched, seen, waited };
        this.look_at_all().await?;
        Ok(this)
    }

    /// The project's containers, as they were seen last.
    pub fn containers(&self) -> &[Container] {
        &self.containers
    }

    /// What each service was waited for that was not well at once, and how long.
    pub fn waited(&self) -> impl Iterator<Item = (&str, Awaited, Duration)> {
        self.waited.iter().filter_map(|(service, waited)| {
            let (what, time) = (*waited)?;
            Some((service.as_str(), what, time))
        })
    }

    /// How long the gate has been waited at.
    pub fn time(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Waits for everything that must happen: health checks that pass, one-shots that end, containers that come up. What
    /// may be left is that services stay up.
    ///
    /// # Errors
    /// [`Code::Unhealthy`], with each service that failed; what its container printed last goes to the log.
    pub async fn settle(&mut self) -> Result<()> {
        self.until(|sight| !sight.is_pending && sight.absent.is_empty()).await
    }

    /// Waits until all services are well.
    ///
    /// # Errors
    /// The same.
    pub async fn stay(&mut self) -> Result<()> {
        self.until(|sight| !sight.is_pending && sight.absent.is_empty() && sight.stays.is_none()).await
    }

    async fn until(&mut self, is_enough: impl Fn(&Sight) -> bool) -> Result<()> {
        let shown = progress::begin("waiting for the services");
        loop {
            let sight = self.judge().await?;
            // What is only not ready yet when another one fails is not to blame.
            if !sight.failed.is_empty() {
                let sight = self.with_others(sight).await?;
                return Err(self.failure(&sight).await?);
            }
            if is_enough(&sight) {
                return Ok(());
            }
            if self.is_late() {
                return Err(self.failure(&sight).await?);
            }
            let waiting = self.ours().filter(|container| !looks_well(container)).map(|c| c.service.as_str());
            let waiting: BTreeSet<&str> = waiting.chain(sight.absent.iter().map(String::as_str)).collect();
            if !waiting.is_empty() {
                shown.tell(&format!("waiting for {}", waiting.into_iter().collect::<Vec<_>>().join(", ")));
            } else if let Some((longest, _)) = sight.stays {
                shown.tell(&format!("the services must stay up for {} s more", longest.as_secs() + 1));
            }
            self.wait(sight.stays.map(|(_, shortest)| shortest)).await?;
        }
    }

    /// What failed, and what fails within a moment after it.
    async fn with_others(&mut self, mut sight: Sight) -> Result<Sight> {
        self.gate.tools.interrupt().or(sleep(TOGETHER)).await?;
        self.look_at_all().await?;
        let later = self.judge().await?;
        let known = |id: &str| sight.failed.iter().any(|(container, _)| container.id == id);
        let others: Vec<_> =
            later.failed.into_iter().filter(|(container, _)| !known(&container.id)).collect();
        sight.failed.extend(others);
        Ok(sight)
    }

    /// Waits until something has happened or is due, and looks at it.
    async fn wait(&mut self, due: Option<Duration>) -> Result<()> {
        let Gate { tools, events, timeout, .. } = self.gate;
        let now = Instant::now();
        let every = if events.are_told() { SELDOM } else { OFTEN };
        let next = [Some(now + every), due.map(|due| now + due), self.begun.checked_add(timeout)];
        let next = next.into_iter().flatten().min().unwrap_or(now);
        tokio::select! {
            () = events.news() => self.look_at(&events.take()).await,
            () = sleep_until(next) => self.look_at_all().await,
            () = tools.interrupt().wait() => Err(tools.interrupt().error()),
        }
    }

    async fn look_at_all(&mut self) -> Result<()> {
        // What is told from now on is newer than what is seen.
        self.gate.events.take();
        self.containers = objects::containers(self.gate.tools, self.gate.project).await?;
        Ok(())
    }

    /// Looks at containers of which something was told.
    async fn look_at(&mut self, changed: &BTreeSet<String>) -> Result<()> {
        let ids: Vec<String> = changed.iter().cloned().collect();
        let found = objects::inspect(self.gate.tools, &ids).await?;
        for now in &found {
            // One that is new, or no service's own.
            let Some(known) = self.containers.iter_mut().find(|container| container.id == now.id) else {
                return self.look_at_all().await;
            };
            known.clone_from(now);
        }
        if found.len() < ids.len() { self.look_at_all().await } else { Ok(()) }
    }

    fn ours(&self) -> impl Iterator<Item = &Container> {
        self.containers.iter().filter(|container| self.gate.services.contains(&container.service))
    }

    fn is_late(&self) -> bool {
        self.begun.elapsed() >= self.gate.timeout
    }

    /// What is to be thought of the containers as they were seen last.
    async fn judge(&mut self) -> Result<Sight> {
        let Gate { tools, services, before, timeout, stable_for, events, .. } = self.gate;
        let (late, ours) = (self.is_late(), self.ours().cloned().collect::<Vec<_>>());
        let mut sight = Sight { failed: Vec::new(), absent: Vec::new(), is_pending: false, stays: None };
        let mut well: BTreeMap<&str, bool> = BTreeMap::new();
        for container in &ours {
            let start = events.start_of(&container.id);
            let known = || before.iter().find(|other| other.id == container.id);
            let new = || Watched::new(container, known(), start, stable_for);
            let watched = self.watched.entry(container.id.clone()).or_insert_with(new);
            let verdict = watched.judge(container, start);
            if verdict != Verdict::Good {
                self.seen.look(tools, container).await?;
            }
            let is_well = matches!(verdict, Verdict::Good | Verdict::Running);
            *well.entry(&container.service).or_insert(true) &= is_well;
            match verdict {
                Verdict::Good | Verdict::Running => {}
                Verdict::Bad(why) => sight.failed.push((container.clone(), describe(container, why))),
                // There was no more time than it was to stay up.
                Verdict::Stays(_) if late && stable_for >= timeout => {}
                Verdict::Wait | Verdict::Stays(_) if late => {
                    sight.failed.push((container.clone(), watched.why_late(container, timeout)));
                }
                Verdict::Stays(left) => {
                    let (longest, shortest) = sight.stays.unwrap_or((left, left));
                    sight.stays = Some((longest.max(left), shortest.min(left)));
                }
                Verdict::Wait => sight.is_pending = true,
            }
        }
        sight.absent =
            services.iter().filter(|service| !well.contains_key(service.as_str())).cloned().collect();
        self.note(&well, &ours);
        Ok(sight)
    }

    /// Notes since when services are well that were not.
    fn note(&mut self, well: &BTreeMap<&str, bool>, ours: &[Container]) {
        let time = self.begun.elapsed();
        for (service, is_well) in well {
            if !is_well {
                self.waited.insert((*service).to_owned(), None);
            } else if let Some(waited) = self.waited.get_mut(*service)
                && waited.is_none()
            {
                let mut own = ours.iter().filter(|container| container.service == *service);
                let what = own.next().map(|container| match container.state() {
                    State::Exited(_) => Awaited::End,
                    State::Running(objects::Health::None) => Awaited::StaysUp,
                    _ => Awaited::Health,
                });
                *waited = what.map(|what| (what, time));
            }
        }
    }

    async fn failure(&self, sight: &Sight) -> Result<Error> {
        let gate = &self.gate;
        let mut problems = Vec::new();
        for (container, why) in &sight.failed {
            last_lines(gate.tools, gate.console, container, gate.before).await?;
            let mut problem =
                Diagnostic::new(format!("service {} ({}) {why}", container.service, container.name));
            let known = self.seen.help(gate.tools, container).await?;
            let gone = gate.gone.get(&container.service).into_iter().flatten().cloned();
            let remedies: Vec<String> = known.into_iter().chain(gone).collect();
            if !remedies.is_empty() {
                problem = problem.help(remedies.join("\n"));
            }
            problems.push(problem);
        }
        let absent = sight.absent.iter();
        problems.extend(absent.map(|service| Diagnostic::new(format!("service {service} has no container"))));
        Ok(Error::new(Code::Unhealthy, "services did not come up").problems(problems).help(
            "The last lines of each that this run made are in the log above. `wait-timeout` gives slow ones more time.",
        ))
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
