//! The override file of a project, for what is to be handed out, and what Compose makes of the two together.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::access::{Entry, Owners, ServiceAccess};
use crate::compose::images::Images;
use crate::compose::model::Model;
use crate::compose::placeholder::STAND_IN;
use crate::compose::placeholder::literal;
use crate::compose::project::With;
use crate::compose::service::{OwnFile, Service};
use crate::compose::shown::check_merged;
use crate::delivery::TARGET;
use crate::delivery::choose::Kind;
use crate::delivery::launch::{self, Launch};
use crate::delivery::override_file::{Mount, OverrideFile, ServiceOverride, Variables};
use crate::delivery::plan::{Available, PlanInput, ServicePlan, Users, lay_out, names_in_volume, plan};
use crate::delivery::workers;
use crate::engine::objects;
use crate::engine::tools::Tools;
use crate::error::{Code, Error, Result};
use crate::manifest::Secret;
use crate::release::Instead;
use crate::secret::SecretValue;
use crate::stages::keys::Keys;
use crate::stages::keys::kept;
use crate::stages::keys::not_planned;
use crate::stages::merged::check_mounts;
use crate::stages::planning::Labels;
use crate::stages::planning::uses_launcher;
use crate::stages::project::Prepared;
use crate::stages::run::Run;

/// What an override file is made from, besides the project.
#[derive(Clone, Copy)]
pub(crate) struct Parts<'a> {
    pub(crate) plans: &'a BTreeMap<String, ServicePlan>,
    /// Which file of the secrets directory each service mounts: (service, file) → path.
    pub(crate) paths: &'a BTreeMap<(String, String), PathBuf>,
    /// The name of each service's volume, with delivery `volume`.
    pub(crate) volumes: &'a BTreeMap<String, String>,
    pub(crate) labels: &'a Labels,
    pub(crate) images: &'a Images,
}

/// An override file's text.
pub(crate) struct Made {
    pub(crate) text: String,
    /// Services whose program could not be put behind the launcher, since their images are not here.
    pub(crate) incomplete: Vec<String>,
}

/// The override file, checked: Compose merges it with the project, before anything is written, and no secret may be left
/// in the outcome.
pub(crate) async fn checked(
    run: &Run,
    prepared: &mut Prepared,
    parts: Parts<'_>,
    secrets: &[&Secret],
    tools: &Tools,
    stamp: &str,
) -> Result<Made> {
    prepared.project.read_as_written(tools).await?;
    prepared.engine = EngineSide::of(prepared, tools).await?;
    let (mut all, mut incomplete) = file(run, prepared, parts);
    let mut merged = prepared.project.merged(tools, With::Input(&all.to_yaml(stamp))).await?;
    let read_elsewhere = read_elsewhere(&all, &prepared.project.model, &merged);
    prepared.emptied = still_there(prepared, &merged);
    if !read_elsewhere.is_empty() || !prepared.emptied.is_empty() {
        prepared.project.model.keep_environment(&read_elsewhere);
        (all, incomplete) = file(run, prepared, parts);
        merged = prepared.project.merged(tools, With::Input(&all.to_yaml(stamp))).await?;
    }
    check(run, prepared, secrets, &merged)?;
    let ours =
        parts.volumes.values().cloned().chain([launcher_volume(&prepared.project.model.name)]).collect();
    check_mounts(&merged, &prepared.project.model, &all, &prepared.access, &ours)?;
    prepared.engine.check(&all)?;
    Ok(Made { text: all.to_yaml(stamp), incomplete })
}

/// The same for `secrets` whose values nobody has asked for: the file has no revisions then.
pub(crate) async fn without_values(
    run: &Run,
    prepared: &mut Prepared,
    secrets: &[&Secret],
    tools: &Tools,
    images: &Images,
) -> Result<Made> {
    let empty = SecretValue::new(Vec::new());
    let plans = plan(PlanInput {
        tools,
        project: &prepared.project,
        access: &prepared.access,
        available: secrets
            .iter()
            .map(|secret| (secret.name.clone(), Available { value: &empty, spec: &secret.file }))
            .collect(),
        own: &prepared.own,
        images,
        kind: prepared.choice.kind,
        users: Users::new(),
    })
    .await?;
    let (_, paths) = lay_out(&plans, rustix::process::geteuid().is_root());
    let (none, no_labels) = (BTreeMap::new(), BTreeMap::new());
    let parts = Parts { plans: &plans, paths: &paths, volumes: &none, labels: &no_labels, images };
    checked(run, prepared, parts, secrets, tools, "-").await
}

/// The text of the override file for a plan that is made anew; [`checked`] must have been called for the project.
pub(crate) fn text(run: &Run, prepared: &Prepared, parts: Parts<'_>, stamp: &str) -> String {
    file(run, prepared, parts).0.to_yaml(stamp)
}

fn file(run: &Run, prepared: &Prepared, parts: Parts<'_>) -> (OverrideFile, Vec<String>) {
    let keys = keys(prepared, parts.plans, parts.paths);
    Overriding { prepared, parts, keys, secrets_dir: &run.settings.secrets_dir }.file()
}

/// The keys of the override file.
pub(crate) fn keys(
    prepared: &Prepared,
    plans: &BTreeMap<String, ServicePlan>,
    paths: &BTreeMap<(String, String), PathBuf>,
) -> Keys {
    Keys::new(prepared.choice.kind, &prepared.project.model, &prepared.access, plans, paths)
}

struct Overriding<'a> {
    prepared: &'a Prepared,
    parts: Parts<'a>,
    keys: Keys,
    /// Relative to the project directory.
    secrets_dir: &'a Path,
}

impl Overriding<'_> {
    fn file(&self) -> (OverrideFile, Vec<String>) {
        let mut all = OverrideFile::default();
        let mut incomplete = Vec::new();
        let none = BTreeSet::new();
        let services = &self.prepared.project.model.services;
        for (service, access) in
            services.values().filter_map(|s| Some((s, self.prepared.access.services.get(&s.name)?)))
        {
            let name = &service.name;
            let environment =
                Variables::new(service, access, self.prepared.emptied.get(name).unwrap_or(&none));
            let mut own = ServiceOverride { environment, ..Default::default() };
            if own.environment.need_launcher() {
                own.launch = Launch::new(service, self.parts.images.get(&service.image));
                if own.launch.is_some() {
                    own.mounts.push(self.launcher(&mut all));
                } else {
                    incomplete.push(name.clone());
                }
            }
            own.environment.values.extend(self.workers(name));
            if let Some(plan) = self.parts.plans.get(name) {
                match self.parts.volumes.get(name) {
                    Some(volume) => self.in_volume(service, plan, volume, &mut own, &mut all),
                    None => self.in_files(service, access, plan, &mut own, &mut all),
                }
                own.own_configs = own_configs(service, access);
            }
            own.labels = self.parts.labels.get(name).cloned().unwrap_or_default();
            self.project_files(service, &mut own);
            all.services.insert(name.clone(), own);
        }
        (all, incomplete)
    }

    /// What of the checkout was copied to the engine's machine, in place of the project's own mounts.
    fn project_files(&self, service: &Service, own: &mut ServiceOverride) {
        for placed in self.prepared.release.of_service(&service.name) {
            match &placed.instead {
                Instead::Mount => {}
                Instead::Config(name) => {
                    own.own_configs
                        .get_or_insert_with(|| service.configs.clone())
                        .retain(|config| config.source != *name);
                }
                Instead::Secret(name) => {
                    own.own_secrets
                        .get_or_insert_with(|| service.secrets.clone())
                        .retain(|secret| secret.source != *name);
                }
            }
            let source = format!("{}/volumes/{}", self.prepared.engine.data_directory, placed.path);
            let target = placed.target.clone();
            own.mounts.push(if placed.read_only {
                Mount::File { source, target }
            } else {
                Mount::Data { source, target }
            });
        }
    }

    /// The variable by which a service is told what to mount at `/run/secrets` of the workers that it starts.
    fn workers(&self, service: &str) -> Option<(String, Option<String>)> {
        let set = workers::set_of(service);
        self.parts.plans.get(&set)?;
        let directory = || self.prepared.host_secrets_dir.join(workers::directory(service)).to_string();
        let volume = self.parts.volumes.get(&set).cloned();
        let (name, value) =
            volume.map_or_else(|| (workers::HOST_DIR, directory()), |volume| (workers::VOLUME, volume));
        Some((name.to_owned(), Some(literal(&value))))
    }

    /// The mount of the launcher.
    fn launcher(&self, all: &mut OverrideFile) -> Mount {
        match self.prepared.choice.kind {
            Kind::Volume => {
                let key = self.keys.launcher();
                all.volumes.insert(key.clone(), launcher_volume(&self.prepared.project.model.name));
                Mount::Volume { key, target: launch::DIRECTORY.to_owned() }
            }
            Kind::File => Mount::File {
                source: format!("./{}/{}", self.secrets_dir.display(), launch::path().display()),
                target: format!("{}/{}", launch::DIRECTORY, launch::PROGRAM),
            },
        }
    }

    fn in_volume(
        &self,
        service: &Service,
        plan: &ServicePlan,
        volume: &str,
        own: &mut ServiceOverride,
        all: &mut OverrideFile,
    ) {
        let Some(key) = self.keys.volume(&service.name).cloned() else { return };
        all.volumes.insert(key.clone(), volume.to_owned());
        own.mounts.push(Mount::Volume { key, target: TARGET.to_owned() });
        // A place outside of the volume's: the engine's machine has the volume's file at a path of its own.
        let names = names_in_volume(&plan.files);
        own.mounts.extend(names.into_iter().filter(|(file, _)| file.starts_with('/')).map(|(file, name)| {
            Mount::File {
                source: format!("{}/volumes/{volume}/_data/{name}", self.prepared.engine.data_directory),
                target: file.to_owned(),
            }
        }));
        if !service.secrets.is_empty() {
            own.own_secrets = Some(not_planned(&service.secrets, plan));
        }
    }

    fn in_files(
        &self,
        service: &Service,
        access: &ServiceAccess,
        plan: &ServicePlan,
        own: &mut ServiceOverride,
        all: &mut OverrideFile,
    ) {
        let name = &service.name;
        for file in &plan.files {
            let Some(path) = self.parts.paths.get(&(name.clone(), file.file.clone())) else {
                continue;
            };
            let Some(key) = self.keys.secret(path).cloned() else { continue };
            let defined = self.prepared.project.model.own_file("secrets", &key).is_some();
            let text = format!("./{}/{}", self.secrets_dir.display(), path.display());
            all.secrets.insert(key.clone(), (text, defined));
            own.secrets.push((key, file.target()));
        }
        let rest = kept(service, Some(access), Some(plan));
        if rest.len() < service.secrets.len() {
            own.own_secrets = Some(rest);
        }
    }
}

/// The name of a project's volume that holds the launcher.
pub(crate) fn launcher_volume(project: &str) -> String {
    launch::volume(project)
}

/// What must be known of the engine's machine.
#[derive(Default)]
pub(crate) struct EngineSide {
    /// Where its data lies; empty when no service needs that.
    data_directory: String,
    /// What it is; empty when no service needs the launcher, or there is no engine.
    architecture: String,
}

impl EngineSide {
    async fn of(prepared: &Prepared, tools: &Tools) -> Result<Self> {
        if !prepared.has_engine {
            return Ok(Self::default());
        }
        let outside = |own: &ServiceAccess| {
            own.composed.iter().any(|composed| composed.file.starts_with('/'))
                || own.secrets.iter().flat_map(|s| &s.places).any(|(place, _)| place.starts_with('/'))
        };
        let in_volumes = prepared.choice.kind.in_volumes();
        let outside = in_volumes && prepared.access.services.values().any(outside);
        let data_directory = if outside || !prepared.release.is_empty() {
            objects::data_directory(tools).await?
        } else {
            String::new()
        };
        let architecture = if uses_launcher(prepared) {
            objects::architecture(tools).await.unwrap_or_default()
        } else {
            String::new()
        };
        Ok(Self { data_directory, architecture })
    }

    /// The launcher runs on the engine's machine.
    fn check(&self, all: &OverrideFile) -> Result<()> {
        let launched = all.services.values().any(|service| service.launch.is_some());
        if !launched || self.architecture.is_empty() || self.architecture == objects::own_architecture() {
            return Ok(());
        }
        Err(self.wrong_architecture(all))
    }

    fn wrong_architecture(&self, all: &OverrideFile) -> Error {
        let services: Vec<&str> = all
            .services
            .iter()
            .filter(|(_, service)| service.launch.is_some())
            .map(|(name, _)| name.as_str())
            .collect();
        Error::new(
            Code::LauncherMissing,
            format!(
                "the engine's machine is {}, this program and its launcher are for {}: variables of {} cannot be set",
                self.architecture,
                objects::own_architecture(),
                services.join(", ")
            ),
        )
        .help(
            "Run this action on a machine like the engine's, or let the services read files: `deliver: file` in the \
             manifest's `services:`.",
        )
    }
}

/// A service's configs without those that this action fills; `None` when it fills none.
fn own_configs(service: &Service, access: &ServiceAccess) -> Option<Vec<OwnFile>> {
    let taken = |config: &&OwnFile| access.taken.contains(&Entry::Config(config.source.clone()));
    let any = service.configs.iter().any(|config| taken(&config));
    any.then(|| service.configs.iter().filter(|config| !taken(config)).cloned().collect())
}

/// Services of which a variable that the override repeats word for word reads differently there, since the words are
/// in a project that is included with an env file of its own. These must keep their own environment.
fn read_elsewhere(overriding: &OverrideFile, model: &Model, merged: &serde_json::Value) -> BTreeSet<String> {
    let differs = |(name, own): &(&String, &ServiceOverride)| {
        let Some(service) = model.services.get(*name).filter(|_| own.environment.replace) else {
            return false;
        };
        let there = Model::environment(merged, name);
        let mut repeated = own
            .environment
            .values
            .iter()
            .filter(|(v, text)| service.written.environment.get(*v) == Some(*text));
        repeated.any(|(variable, _)| there.get(variable) != service.environment.get(variable))
    };
    overriding.services.iter().filter(differs).map(|(name, _)| name.clone()).collect()
}

/// Variables that are taken away and have a value in the merged model all the same: an `env_file` gives it, too.
fn still_there(prepared: &Prepared, merged: &serde_json::Value) -> BTreeMap<String, BTreeSet<String>> {
    let mut all = BTreeMap::new();
    for (name, own) in &prepared.access.services {
        let there = Model::environment(merged, name);
        let has_value =
            |variable: &str| there.get(variable).is_some_and(|v| v.as_ref().is_some_and(|v| !v.is_empty()));
        let (at_start, as_files) = (own.at_start(), own.as_files());
        let gone =
            at_start.keys().chain(as_files.keys()).copied().chain(own.withdrawn.iter().map(String::as_str));
        let left: BTreeSet<String> = gone.filter(|name| has_value(name)).map(str::to_owned).collect();
        if !left.is_empty() {
            all.insert(name.clone(), left);
        }
    }
    all
}

fn check(run: &Run, prepared: &Prepared, secrets: &[&Secret], merged: &serde_json::Value) -> Result<()> {
    // One without a value is what Compose makes of it: a default, or nothing.
    let absent = |secret: &Secret| prepared.absent.contains(&secret.name);
    let sensitive = secrets.iter().filter(|secret| secret.sensitive && !absent(secret));
    let names: BTreeSet<String> =
        Owners::new(sensitive.copied()).iter().map(|(variable, _)| variable.to_owned()).collect();
    let in_clear = |service: &str, variable: &str| {
        prepared.access.services.get(service).is_some_and(|own| own.in_clear().contains_key(variable))
    };
    let secrets_in = |text: &str| run.console.secrets_in(text.as_bytes());
    let project = &prepared.project;
    let stands = |service: &str, variable: &str, text: &str| text == STAND_IN && in_clear(service, variable);
    check_merged(merged, &project.model, &names, &stands, &project.search(&secrets_in))
}
