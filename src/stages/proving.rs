//! The Proof stage: what is proved of a project, and what the run says of it.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::access::ServiceAccess;
use crate::compose::images::Images;
use crate::delivery::reach::SecretsPlace;
use crate::delivery::{in_clear, launch};
use crate::engine::host_paths::HostPaths;
use crate::engine::objects::{self, Container};
use crate::engine::tools::Tools;
use crate::error::Result;
use crate::manifest::Secret;
use crate::proof::mounts::Own;
use crate::proof::readers::GrantedFile;
use crate::proof::{self, Subject};
use crate::stages::declared::Declared;
use crate::stages::planning::Planned;
use crate::stages::project::Prepared;
use crate::stages::run::Run;

/// What the proof needs to know of a run.
pub(crate) struct Proof<'a> {
    pub(crate) prepared: &'a Prepared,
    pub(crate) planned: &'a Planned,
    pub(crate) tools: &'a Tools,
    pub(crate) host: &'a HostPaths,
    pub(crate) images: &'a Images,
    /// What [`inputs`] says.
    pub(crate) inputs: &'a [PathBuf],
}

impl Proof<'_> {
    /// Proves it for these containers, which must be all that the project has. `replaced` are those of them that the next
    /// deployment replaces anyway.
    pub(crate) async fn of(&self, run: &mut Run, containers: &[Container], replaced: bool) -> Result<()> {
        self.prove(run, containers, replaced, async { true }).await
    }

    /// The same while services show that they stay up. Whether their processes are to be looked at is told when they have,
    /// since a program may give up root some time after its start.
    pub(crate) async fn while_waiting(
        &self,
        run: &mut Run,
        containers: &[Container],
        reads: impl Future<Output = bool>,
    ) -> Result<()> {
        self.prove(run, containers, false, reads).await
    }

    async fn prove(
        &self,
        run: &mut Run,
        containers: &[Container],
        replaced: bool,
        reads: impl Future<Output = bool>,
    ) -> Result<()> {
        run.begin_stage("Proof");
        let name = &self.prepared.project.model.name;
        let beside = objects::beside_services(self.tools, name, containers).await?;
        let stale = |container: &&Container| replaced && self.planned.stale.contains_key(&container.service);
        let (replaced, containers) = containers.iter().partition(stale);
        let bytes = self.prepared.override_file.read()?;
        let path = self.prepared.override_file.path();
        let subject = Subject {
            project: &self.prepared.project,
            containers,
            replaced,
            beside,
            images: self.images,
            override_file: bytes.map(|bytes| (path, &self.prepared.host_override, bytes)),
            report: &run.report,
            granted: self.granted(),
            inputs: self.inputs.to_vec(),
            own: self.own(&run.settings.secrets_dir),
            outdated: &self.planned.outdated,
            in_clear: in_clear::values(&self.prepared.access, &self.planned.plans),
        };
        let proved = proof::prove(self.tools, &run.console, &subject, reads).await?;
        for line in &proved.lines {
            run.console.line(line);
        }
        for warning in proved.warnings {
            run.report.warn(warning);
        }
        Ok(())
    }

    /// What the containers may mount of the secrets.
    fn own(&self, below: &Path) -> Own<'_> {
        let project = &self.prepared.project;
        let services = project.model.services.keys();
        let mut files: BTreeMap<String, BTreeSet<PathBuf>> =
            services.map(|service| (service.clone(), BTreeSet::from([launch::path()]))).collect();
        for ((service, _), path) in &self.planned.paths {
            files.entry(service.clone()).or_default().insert(path.clone());
        }
        let place =
            SecretsPlace::new(self.host, &project.files.directory, project.directory.as_path(), below);
        Own { project: &project.model.name, place, files }
    }

    /// The files that each service was granted, with their owners and modes as they are.
    fn granted(&self) -> BTreeMap<String, Vec<GrantedFile>> {
        let Planned { plans, paths, files, .. } = self.planned;
        let planned: BTreeMap<&PathBuf, _> = files.iter().map(|file| (&file.path, file)).collect();
        let of_service = |(service, plan): (&String, &crate::delivery::plan::ServicePlan)| {
            let of_file = |file: &crate::delivery::plan::PlannedFile| {
                let target = file.target();
                if self.prepared.choice.kind.in_volumes() {
                    let (owner, mode) = file.permissions(plan.reader, 0o400);
                    let (uid, gid) = owner.unwrap_or((0, 0));
                    return Some(GrantedFile { target, uid, gid, mode, seen_from_host: false });
                }
                let path = paths.get(&(service.clone(), file.file.clone()))?;
                let seen_from_host = self.host.own_id.is_none();
                // The container may have an older file of this name, which had the same owner and mode.
                let there = std::fs::symlink_metadata(self.prepared.secrets_dir.path().join(path)).ok();
                let (uid, gid, mode) = if let Some(meta) = there {
                    (meta.uid(), meta.gid(), meta.mode() & 0o7777)
                } else {
                    let planned = planned.get(path)?;
                    let (uid, gid) = planned.owner?;
                    (uid, gid, planned.mode)
                };
                Some(GrantedFile { target, uid, gid, mode, seen_from_host })
            };
            let access = self.prepared.access.services.get(service);
            let set_at_start = access.map(ServiceAccess::read_by_launcher_alone).unwrap_or_default();
            let files = plan.files.iter().filter(|file| !set_at_start.contains(file.file.as_str()));
            (service.clone(), files.filter_map(of_file).collect())
        };
        plans.iter().map(of_service).collect()
    }
}

/// The files and directories of this machine that the run reads secrets from: values in them are no leak, though git
/// should ignore them.
pub(crate) fn inputs(run: &Run, declared: &Declared) -> Vec<PathBuf> {
    let settings = &run.settings;
    let project = &declared.files.directory;
    let mut named: Vec<PathBuf> = settings.env_files.clone();
    if named.is_empty() {
        named.push(".env".into());
    }
    let manifest = &declared.manifest;
    let directories = manifest.sources.iter().filter(|(id, _)| manifest.kind(id) == "docker-secrets");
    named.extend(directories.filter_map(|(_, config)| config.settings.get("dir")).map(PathBuf::from));
    for variable in manifest.secrets.iter().flat_map(Secret::variables) {
        named.extend(settings.variables.text(&format!("{variable}_FILE")).map(PathBuf::from));
    }
    let both = named.iter().flat_map(|path| [project.join(path), settings.workspace.join(path)]);
    both.filter_map(|path| path.canonicalize().ok()).collect()
}
