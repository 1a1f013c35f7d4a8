//! The stages Delivery, Deployment and Proof: what was planned is done.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use crate::access::{Access, ServiceAccess};
use crate::compose::images::Images;
use crate::count::count;
use crate::delivery::TARGET;
use crate::delivery::in_clear;
use crate::delivery::volume;
use crate::deployment::health;
use crate::deployment::up::{self, Scope};
use crate::engine::events::Events;
use crate::engine::host_paths::HostPaths;
use crate::engine::lock::{EngineLock, Holder};
use crate::engine::objects::{self, Container};
use crate::engine::tools::Tools;
use crate::engine::volumes;
use crate::error::{Error, Result};
use crate::manifest::Secret;
use crate::release;
use crate::report::Outcome;
use crate::resolve::Resolution;
use crate::secret::SecretValue;
use crate::stages::foreseen;
use crate::stages::locks::LOCK_WAIT;
use crate::stages::locks::project_lock;
use crate::stages::overriding;
use crate::stages::planning;
use crate::stages::planning::Planned;
use crate::stages::project::Prepared;
use crate::stages::proving::Proof;
use crate::stages::recording;
use crate::stages::rows;
use crate::stages::run::Run;

/// What a deployment works with.
pub(crate) struct Deployment<'a> {
    pub(crate) prepared: &'a Prepared,
    pub(crate) secrets: &'a [(&'a Secret, &'a SecretValue)],
    pub(crate) resolution: &'a Resolution,
    pub(crate) tools: &'a Tools,
    pub(crate) host: &'a HostPaths,
    /// The images that were there before any was pulled or built.
    pub(crate) before: &'a Images,
    pub(crate) images: &'a Images,
    /// Where the run reads secrets from.
    pub(crate) inputs: &'a [PathBuf],
    /// How long a service without a health check must stay up.
    pub(crate) stable_for: Duration,
}

impl Deployment<'_> {
    /// All services are up to date. What a checkout wiped from the workspace is written again; no container notices.
    pub(crate) async fn refresh(&self, run: &mut Run, planned: &Planned) -> Result<Outcome> {
        run.begin_stage("Delivery");
        if !self.prepared.difference(&planned.files)?.is_empty() || planned.override_text.is_some() {
            let _lock = project_lock(run, self.prepared).await?;
            self.write_files(run, planned)?;
        }
        run.console.line("all services are up to date; nothing is restarted");
        rows::services(run, self.prepared, planned, self.images, &planned.containers);
        if run.settings.compose.wait && !health::all_well(&planned.containers, &planned.started) {
            let events = Events::of(self.tools, &self.prepared.project.model.name);
            let now = self.gate(run, planned, Some(&events)).await?;
            self.record(run, planned, &now).await;
        } else {
            self.proof(planned).of(run, &planned.containers, false).await?;
            self.record(run, planned, &planned.containers).await;
        }
        Ok(Outcome::Unchanged)
    }

    /// Puts what is going to change into the report.
    pub(crate) async fn foresee(&self, run: &mut Run, planned: &Planned) -> Result<()> {
        let Self { prepared, resolution, tools, before: images, .. } = *self;
        let text = planned.override_text.as_deref();
        let mut plan =
            foreseen::plan(run, foreseen::Foreseen { prepared, planned, resolution, tools, images, text })
                .await?;
        // They are there now, so that nothing hangs on them any more.
        plan.services.iter_mut().for_each(|service| service.if_image_changes = false);
        run.report.changed = plan.changed();
        run.report.plan = Some(plan);
        Ok(())
    }

    /// Notes what is left now.
    async fn record(&self, run: &mut Run, planned: &Planned, now: &[Container]) {
        let Self { prepared, resolution, tools, .. } = *self;
        recording::note(run, recording::Deployed { prepared, planned, resolution, tools, now }).await;
    }

    pub(crate) fn proof<'p>(&'p self, planned: &'p Planned) -> Proof<'p> {
        let Self { prepared, tools, host, images, inputs, .. } = *self;
        Proof { prepared, planned, tools, host, images, inputs }
    }

    pub(crate) async fn deploy(&self, run: &mut Run, planned: Planned) -> Result<Outcome> {
        run.begin_stage("Delivery");
        let _files = project_lock(run, self.prepared).await?;
        let name = &self.prepared.project.model.name;
        let holder = Holder::current(self.host.own_id.as_deref());
        let lock = EngineLock::take(self.tools, name, &holder, LOCK_WAIT).await?;
        let result = self.deploy_locked(run, planned).await;
        lock.release(self.tools).await;
        result
    }

    async fn deploy_locked(&self, run: &mut Run, mut planned: Planned) -> Result<Outcome> {
        // Another run may have changed the project while this one waited for the lock.
        let mut now = objects::containers(self.tools, &self.prepared.project.model.name).await?;
        if up::remove_unfinished(self.tools, &now).await? {
            now = objects::containers(self.tools, &self.prepared.project.model.name).await?;
        }
        if ids(&now) != ids(&planned.containers) {
            planned = planning::plan_delivery(run, self.prepared, self.secrets, self.tools, self.images, now)
                .await?;
            let text = overriding::text(run, self.prepared, planned.parts(self.images), &planned.stamp);
            planned.override_text = Some(text);
            self.foresee(run, &planned).await?;
        }
        for (service, why) in &planned.stale {
            run.console.line(&format!("{service}: {}", why.text()));
        }
        let written = match self.write_volumes(run, &planned).await {
            // Nothing that is started may see files of an earlier delivery.
            Ok(()) => self.write_files(run, &planned),
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            // Nothing refers to the new volumes yet; the launcher's stays where a container has it.
            let new = |(service, _): &(&String, &String)| {
                planned.revisions.get(*service).is_some_and(|found| found.volume.is_none())
            };
            let new = planned.volumes.iter().filter(new).map(|(_, name)| name.clone());
            let launcher = overriding::launcher_volume(&self.prepared.project.model.name);
            let unused: Vec<String> = new.chain([launcher]).collect();
            // What cannot be removed now is removed by a later deployment.
            let _ = volumes::remove(&self.tools.uninterrupted(), &unused).await;
            return Err(error);
        }
        run.interrupt.check()?;

        run.begin_stage("Deployment");
        let stale: BTreeSet<String> = planned.stale.keys().cloned().collect();
        let scope = if stale == planned.started { Scope::Whole } else { Scope::Only(&stale) };
        let project = &self.prepared.project;
        let events = run.settings.compose.wait.then(|| Events::of(self.tools, &project.model.name));
        let result = if stale.is_empty() {
            Ok(())
        } else {
            let values = in_clear::values(&self.prepared.access, &planned.plans);
            let tools = in_clear::given_to(self.tools, &values);
            up::up(&tools, project, &self.prepared.host_override, &run.settings.compose, &scope).await
        };
        if let Err(error) = result {
            let tools = self.tools.uninterrupted();
            let after = objects::containers(&tools, &project.model.name).await?;
            rows::services(run, self.prepared, &planned, self.images, &after);
            let troubled = health::show_troubled(&tools, &run.console, &after, &planned.containers).await?;
            let mut gone = gone_from(&self.prepared.access);
            let help = troubled.iter().filter_map(|service| Some((service, gone.remove(service)?)));
            let help =
                help.flat_map(|(service, all)| all.into_iter().map(move |hint| format!("{service}: {hint}")));
            return Err(help.fold(error, Error::help));
        }
        if run.settings.compose.remove_orphans {
            let after = objects::containers(self.tools, &project.model.name).await?;
            for gone in up::remove_orphans(self.tools, project, &after).await? {
                run.console.line(&format!("removed {gone}, whose service is gone"));
            }
        }
        let after = self.gate(run, &planned, events.as_ref()).await?;
        self.tidy(run, &planned).await?;
        self.record(run, &planned, &after).await;
        let is_provider =
            |name: &String| project.model.services.get(name).is_some_and(|s| s.provider.is_some());
        if !planned.stale.is_empty() && planned.stale.keys().all(is_provider) {
            run.console.line("all services are up to date; nothing is restarted");
            return Ok(Outcome::Unchanged);
        }
        Ok(Outcome::Deployed)
    }

    /// Removes what the delivery no longer uses: older volumes.
    async fn tidy(&self, run: &mut Run, planned: &Planned) -> Result<()> {
        let project = &self.prepared.project.model.name;
        for volume in
            volume::remove_old(self.tools, project, &planned.volumes, &volumes_of(&planned.containers))
                .await?
        {
            run.report.note(format!("the volume {volume} is still in use and stays for now"));
        }
        if !self.prepared.release.is_empty() {
            let now = objects::containers(self.tools, project).await?;
            let release = &self.prepared.release;
            release::remove_old(self.tools, project, release, &[&planned.containers, &now]).await?;
        }
        Ok(())
    }

    /// Files and override; with delivery `volume` the override alone, and files of a delivery by files before this one
    /// are removed. So are those of a `secrets-dir` before this one.
    fn write_files(&self, run: &mut Run, planned: &Planned) -> Result<()> {
        if let Some(former) = &self.prepared.former_dir {
            for path in former.remove_own()? {
                run.console.line(&format!("removed {}: `secrets-dir` is another one now", path.display()));
            }
        }
        if self.prepared.choice.kind.in_files() {
            let done = self.prepared.secrets_dir.write(&planned.files)?;
            let written = done.new.len() + done.changed.len();
            run.console.line(&written_files(written, done.unchanged.len()));
        } else {
            for path in self.prepared.secrets_dir.remove_own()? {
                run.console.line(&format!("removed {}: the secrets are in volumes now", path.display()));
            }
        }
        if let Some(text) = &planned.override_text
            && self.prepared.override_file.write(text.as_bytes(), 0o644)?
        {
            run.console.line(&format!("{} written", run.settings.override_file.display()));
        }
        Ok(())
    }
}

/// What each service's program does not get any more, with what gives it back.
pub(crate) fn gone_from(access: &Access) -> BTreeMap<String, Vec<String>> {
    let remedies = |(service, own): (&String, &ServiceAccess)| {
        (service.clone(), own.gone.iter().map(|gone| gone.help(service)).collect())
    };
    access.services.iter().map(remedies).collect()
}

/// What is said of the secret files that were written.
pub(crate) fn written_files(written: usize, unchanged: usize) -> String {
    let rest = if unchanged == 0 { String::new() } else { format!(", {unchanged} unchanged") };
    format!("{} written{rest}", count(written, "secret file"))
}

/// The volumes of ours that containers mount.
pub(crate) fn volumes_of(containers: &[Container]) -> BTreeSet<String> {
    let mounts = containers.iter().flat_map(Container::mounts);
    mounts
        .filter(|(kind, _, target)| *kind == "volume" && *target == TARGET)
        .map(|(_, name, _)| name.to_owned())
        .collect()
}

fn ids(containers: &[Container]) -> BTreeSet<String> {
    containers.iter().map(|container| container.id.clone()).collect()
}

/// The services' containers by service.
pub(crate) fn by_service(containers: &[Container]) -> BTreeMap<&str, Vec<&Container>> {
    let mut all: BTreeMap<&str, Vec<&Container>> = BTreeMap::new();
    for container in containers {
        all.entry(&container.service).or_default().push(container);
    }
    all
}
