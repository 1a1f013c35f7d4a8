//! `deploy`: all stages. The project runs with its secrets, and only what changed was touched.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::planning::{self, Planned};
use super::project::{self, Prepared};
use super::{Run, gather, reporting};
use crate::delivery::ProjectLock;
use crate::delivery::choose::Kind;
use crate::delivery::override_file::TARGET;
use crate::delivery::plan::Reader;
use crate::delivery::volume::{self, NewVolume, VolumeFile};
use crate::docker::command::Tools;
use crate::docker::engine::{self, Container};
use crate::docker::health;
use crate::docker::host_paths::HostPaths;
use crate::docker::images::{self, Images};
use crate::docker::lock::{EngineLock, Holder};
use crate::docker::logins::Logins;
use crate::docker::up::{self, Scope};
use crate::error::{Code, Error, Result};
use crate::manifest::Secret;
use crate::proof;
use crate::report::Outcome;
use crate::secret::SecretValue;

/// How long a run waits for another one that changes the same project.
pub(super) const LOCK_WAIT: Duration = Duration::from_mins(5);

pub(super) async fn run(run: &mut Run) -> Result<Outcome> {
    let early = gather::early_tools(run);
    let host = gather::host_paths(run, &early).await?;
    let mut declared = gather::declared(run)?;
    let resolution = gather::resolved(run, &mut declared, &early, &host).await?;
    let secrets: Vec<(&Secret, &SecretValue)> = resolution.available().collect();
    let names: Vec<&Secret> = secrets.iter().map(|(secret, _)| *secret).collect();
    let absent: Vec<&Secret> = resolution.without_value().collect();
    let declared_secrets = resolution.declared();
    let tools = gather::tools(run, &declared_secrets, Some(&resolution));
    gather::check_socket(&tools)?;
    let mut prepared = project::prepare(run, &declared, &names, &absent, &tools, &host).await?;
    reporting::deployment_notes(run, &secrets);

    let images = images(run, &mut prepared, &tools).await?;
    let containers = std::mem::take(&mut prepared.containers);
    let mut planned = planning::plan_delivery(run, &prepared, &secrets, &tools, &images, containers).await?;
    run.check_strict()?;
    run.report.changed = planning::changed(&planned, &prepared, &secrets);
    let stands = planned.stale.is_empty() && !has_orphans(run, &prepared, &planned);
    if !stands || !planning::override_is_current(&prepared, &planned)? {
        engine::check_versions(&tools).await?;
        let text =
            planning::checked_override(run, &mut prepared, &planned, &declared_secrets, &tools).await?;
        planned.override_text = Some(text);
    }
    let deployment =
        Deployment { prepared: &prepared, secrets: &secrets, tools: &tools, host: &host, images: &images };
    if stands {
        return deployment.refresh(run, &planned).await;
    }
    deployment.deploy(run, planned).await
}

/// The images, pulled or built first: nothing that runs is touched by that.
async fn images(run: &mut Run, prepared: &mut Prepared, tools: &Tools) -> Result<Images> {
    let services = planning::services_of(run, prepared);
    let present =
        images::present(tools, &prepared.project, &services, std::mem::take(&mut prepared.images)).await?;
    let settings = &run.settings.compose;
    if images::missing(&prepared.project, settings, &services, &present) == (Vec::new(), Vec::new()) {
        return Ok(present);
    }
    let settings = settings.clone();
    run.begin_stage("Images");
    let logins = Logins::new(tools, &run.settings.registries).await?;
    let tools = logins.as_ref().map_or_else(|| tools.clone(), |logins| logins.tools(tools));
    images::ensure(&tools, &prepared.project, &settings, &services, present).await
}

fn has_orphans(run: &Run, prepared: &Prepared, planned: &Planned) -> bool {
    let known = &prepared.project.model.services;
    run.settings.compose.remove_orphans && planned.containers.iter().any(|c| !known.contains_key(&c.service))
}

/// What a deployment works with.
struct Deployment<'a> {
    prepared: &'a Prepared,
    secrets: &'a [(&'a Secret, &'a SecretValue)],
    tools: &'a Tools,
    host: &'a HostPaths,
    images: &'a Images,
}

impl Deployment<'_> {
    /// Everything stands as it shall. What a checkout wiped from the workspace is written again; no container notices.
    async fn refresh(&self, run: &mut Run, planned: &Planned) -> Result<Outcome> {
        run.begin_stage("Delivery");
        let files = self.prepared.choice.kind == Kind::File
            && !self.prepared.secrets_dir.compare(&planned.files)?.is_empty();
        if files || planned.override_text.is_some() {
            let _lock = project_lock(run, self.prepared).await?;
            self.write_files(run, planned)?;
        }
        run.console.line("every service stands as it shall; nothing is restarted");
        reporting::services(run, self.prepared, planned, &planned.containers);
        if run.settings.compose.wait && !health::all_well(&planned.containers, &planned.started) {
            self.wait(run, &planned.containers, &planned.started).await?;
        }
        Ok(Outcome::Unchanged)
    }

    async fn deploy(&self, run: &mut Run, planned: Planned) -> Result<Outcome> {
        run.begin_stage("Delivery");
        let _files = project_lock(run, self.prepared).await?;
        let name = &self.prepared.project.model.name;
        let any_image = self.images.keys().next().cloned().unwrap_or_default();
        let holder = Holder::me(self.host.own_id.as_deref());
        let lock = EngineLock::take(self.tools, name, &any_image, &holder, LOCK_WAIT).await?;
        let result = self.deploy_locked(run, planned).await;
        lock.release(self.tools).await;
        result
    }

    async fn deploy_locked(&self, run: &mut Run, mut planned: Planned) -> Result<Outcome> {
        // Another run may have changed the project while this one waited for the lock.
        let now = engine::containers(self.tools, &self.prepared.project.model.name).await?;
        if ids(&now) != ids(&planned.containers) {
            planned = planning::plan_delivery(run, self.prepared, self.secrets, self.tools, self.images, now)
                .await?;
            planned.override_text = Some(planning::override_text(run, self.prepared, &planned));
        }
        for (service, why) in &planned.stale {
            run.console.line(&format!("{service}: {why}"));
        }
        let written = match self.write_volumes(run, &planned).await {
            Ok(()) => self.write_files(run, &planned),
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            // Nothing refers to the new volumes yet.
            for (service, name) in &planned.volumes {
                if planned.revisions.get(service).is_some_and(|found| found.volume.is_none()) {
                    let tools = self.tools.uninterrupted();
                    tools.docker(&["volume", "rm", "--force"]).names([name]).output().await?;
                }
            }
            return Err(error);
        }
        run.interrupt.check()?;

        run.begin_stage("Deployment");
        let stale: BTreeSet<String> = planned.stale.keys().cloned().collect();
        let scope = if stale == planned.started { Scope::Whole } else { Scope::Only(&stale) };
        let project = &self.prepared.project;
        let result = if stale.is_empty() {
            Ok(())
        } else {
            up::up(self.tools, project, &self.prepared.host_override, &run.settings.compose, &scope).await
        };
        let after = engine::containers(&self.tools.uninterrupted(), &project.model.name).await?;
        reporting::services(run, self.prepared, &planned, &after);
        if result.is_err() {
            let before = planned.containers.iter().map(health::run_of).collect();
            health::show_troubled(&self.tools.uninterrupted(), &run.console, &after, &before).await?;
        }
        result?;
        if run.settings.compose.remove_orphans {
            for gone in up::remove_orphans(self.tools, project, &after).await? {
                run.console.line(&format!("removed {gone}, whose service is gone"));
            }
        }
        let waited = if run.settings.compose.wait {
            self.wait(run, &planned.containers, &planned.started).await
        } else {
            Ok(())
        };
        let after = engine::containers(&self.tools.uninterrupted(), &project.model.name).await?;
        reporting::services(run, self.prepared, &planned, &after);
        waited?;

        run.begin_stage("Proof");
        let count = proof::nothing_leaked(self.tools, &run.console, &project.model.name).await?;
        run.console.line(&format!("no secret is visible in `docker inspect` of {count} containers"));
        self.tidy(run, &planned).await?;
        Ok(Outcome::Deployed)
    }

    /// Removes what the delivery no longer uses: older volumes, and files of a delivery by files before this one.
    async fn tidy(&self, run: &mut Run, planned: &Planned) -> Result<()> {
        let project = &self.prepared.project.model.name;
        for volume in
            volume::remove_old(self.tools, project, &planned.volumes, &volumes_of(&planned.containers))
                .await?
        {
            run.report.note(format!("the volume {volume} is still in use and stays for now"));
        }
        if self.prepared.choice.kind == Kind::Volume {
            for path in self.prepared.secrets_dir.remove()? {
                run.console.line(&format!("removed {}: the secrets are in volumes now", path.display()));
            }
        }
        Ok(())
    }

    /// The health gate, for services that shall have containers at all.
    async fn wait(&self, run: &Run, before: &[Container], services: &BTreeSet<String>) -> Result<()> {
        let settled = before.iter().map(health::run_of).collect();
        let model = &self.prepared.project.model;
        let scaled = |name: &&String| model.services.get(*name).is_some_and(|service| service.replicas > 0);
        let services: BTreeSet<String> = services.iter().filter(scaled).cloned().collect();
        let timeout = run.settings.compose.wait_timeout;
        health::wait(self.tools, &run.console, &model.name, &services, &settled, timeout).await
    }

    /// Files and override; with delivery `volume` the override alone.
    fn write_files(&self, run: &mut Run, planned: &Planned) -> Result<()> {
        if self.prepared.choice.kind == Kind::File {
            let done = self.prepared.secrets_dir.write(&planned.files)?;
            let written = done.new.len() + done.changed.len();
            run.console
                .line(&format!("{written} secret files written, {} as they were", done.unchanged.len()));
        }
        if let Some(text) = &planned.override_text
            && self.prepared.override_file.write(text.as_bytes(), 0o644)?
        {
            run.console.line(&format!("{} written", run.settings.override_file.display()));
        }
        Ok(())
    }

    async fn write_volumes(&self, run: &Run, planned: &Planned) -> Result<()> {
        if self.prepared.choice.kind != Kind::Volume {
            return Ok(());
        }
        let project = &self.prepared.project;
        volume::remove_incomplete(self.tools, &project.model.name).await?;
        for (service, name) in &planned.volumes {
            let (Some(plan), Some(found)) = (planned.plans.get(service), planned.revisions.get(service))
            else {
                continue;
            };
            let Some(definition) = project.model.services.get(service).filter(|_| found.volume.is_none())
            else {
                continue;
            };
            // Services that are not started now have no image yet, and any image will do.
            let image = if self.images.contains_key(&definition.image) {
                Some(&definition.image)
            } else {
                self.images.keys().next()
            };
            let Some(image) = image else {
                return Err(Error::new(
                    Code::DeliveryFailed,
                    format!("there is no image to fill the volume of {service} with"),
                ));
            };
            let files: Vec<VolumeFile> =
                plan.files.iter().map(|file| volume_file(file, plan.reader)).collect();
            let new = NewVolume {
                name,
                project: &project.model.name,
                service,
                revision: found.revision.label(),
                image,
                files: &files,
            };
            volume::create(self.tools, &new).await?;
            run.console.line(&format!("{service}: {} secrets in the volume {name}", files.len()));
        }
        Ok(())
    }
}

fn volume_file(file: &crate::delivery::plan::PlannedFile, reader: Reader) -> VolumeFile<'_> {
    let (owner, mode) = file.permissions(reader, 0o400);
    let (uid, gid) = owner.unwrap_or((0, 0));
    VolumeFile { name: &file.file, value: &file.value, mode, uid, gid }
}

/// The volumes of ours that containers mount.
fn volumes_of(containers: &[Container]) -> BTreeSet<String> {
    let mounts = containers.iter().flat_map(Container::mounts);
    mounts
        .filter(|(kind, _, target)| *kind == "volume" && *target == TARGET)
        .map(|(_, name, _)| name.to_owned())
        .collect()
}

fn ids(containers: &[Container]) -> BTreeSet<String> {
    containers.iter().map(|container| container.id.clone()).collect()
}

/// The lock on the project's files, waited for without blocking signals.
pub(super) async fn project_lock(run: &Run, prepared: &Prepared) -> Result<ProjectLock> {
    lock_directory(run, &prepared.project.files.directory).await
}

/// The lock on the files of a project directory.
pub(super) async fn lock_directory(run: &Run, directory: &std::path::Path) -> Result<ProjectLock> {
    let start = Instant::now();
    loop {
        if let Some(lock) = ProjectLock::try_lock(directory)? {
            if !lock.is_exclusive() {
                run.console.line(
                    "this file system knows no locks: two runs at once are kept apart by the engine alone",
                );
            }
            return Ok(lock);
        }
        if start.elapsed() >= LOCK_WAIT {
            return Err(ProjectLock::locked(directory, LOCK_WAIT));
        }
        tokio::select! {
            () = run.interrupt.wait() => return Err(run.interrupt.error()),
            () = sleep(Duration::from_millis(100)) => {}
        }
    }
}

/// The services' containers by service.
pub(super) fn by_service(containers: &[Container]) -> BTreeMap<&str, Vec<&Container>> {
    let mut all: BTreeMap<&str, Vec<&Container>> = BTreeMap::new();
    for container in containers {
        all.entry(&container.service).or_default().push(container);
    }
    all
}
