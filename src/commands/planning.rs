//! What shall be, held against what is: files and owners, revisions, the override file, and the services that differ.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::json;
use sha2::{Digest, Sha256};

use super::Run;
use super::project::Prepared;
use crate::access::variables_of;
use crate::delivery::SecretFile;
use crate::delivery::choose::Kind;
use crate::delivery::override_file::{OverrideFile, ServiceOverride, TARGET, Variables};
use crate::delivery::plan::{Available, Basis, ServicePlan, lay_out, plan};
use crate::delivery::revision::Content;
use crate::delivery::standing::{
    self, CONFIG, ENVIRONMENT, FILES, ServiceRevision, Wanted, difference, with_followers,
};
use crate::delivery::volume::{self, REVISION};
use crate::docker::command::Tools;
use crate::docker::engine::Container;
use crate::docker::images::Images;
use crate::docker::model::Model;
use crate::docker::project::{With, check_merged};
use crate::error::{Code, Error, Result};
use crate::manifest::Secret;
use crate::secret::{SecretName, SecretValue};

/// The whole plan of a delivery.
pub(super) struct Planned {
    pub(super) plans: BTreeMap<String, ServicePlan>,
    /// The files of delivery `file`.
    pub(super) files: Vec<SecretFile>,
    pub(super) revisions: BTreeMap<String, ServiceRevision>,
    /// The name of each service's volume, with delivery `volume`.
    pub(super) volumes: BTreeMap<String, String>,
    /// The text of the override file, unless the one that is there is right.
    pub(super) override_text: Option<String>,
    /// Which file of the secrets directory each service mounts: (service, file) → path.
    pub(super) paths: BTreeMap<(String, String), PathBuf>,
    /// The labels of each service's containers.
    pub(super) labels: Labels,
    /// What the override file must be stamped with to be the right one.
    pub(super) stamp: String,
    /// The services to bring up, with the reason; in a set of those that are to be started.
    pub(super) stale: BTreeMap<String, &'static str>,
    /// The services that run with older secrets and are not started by this run.
    pub(super) outdated: BTreeSet<String>,
    /// The services that this run starts.
    pub(super) started: BTreeSet<String>,
    /// The project's containers before anything was changed.
    pub(super) containers: Vec<Container>,
}

/// Labels by service.
pub(super) type Labels = BTreeMap<String, BTreeMap<String, String>>;

/// Plans the delivery of values.
pub(super) async fn plan_delivery(
    run: &Run,
    prepared: &Prepared,
    secrets: &[(&Secret, &SecretValue)],
    tools: &Tools,
    images: &Images,
    containers: Vec<Container>,
) -> Result<Planned> {
    let project = &prepared.project;
    let name = &project.model.name;
    let kind = prepared.choice.kind;
    check_environment(run, &containers)?;
    let available: BTreeMap<SecretName, Available> = secrets
        .iter()
        .map(|(secret, value)| (secret.name.clone(), Available { value, spec: &secret.file }))
        .collect();
    let users = standing::known_users(&containers);
    let (access, own) = (&prepared.access, &prepared.own);
    let plans = plan(Basis { tools, project, access, available, own, images, kind, users }).await?;
    let (files, paths) = lay_out(&plans, rustix::process::geteuid().is_root());
    let services = || project.model.services.keys();
    let mut revisions = standing::revisions(services(), &plans, &containers, &[])?;
    if kind == Kind::Volume && !standing::all_known(kind, &plans, &revisions) {
        let volumes = volume::complete(tools, name).await?;
        revisions = standing::revisions(services(), &plans, &containers, &volumes)?;
    }
    let volumes = volume_names(name, kind, &plans, &revisions);
    let labels = labels(run, prepared, &plans, &paths, &revisions)?;
    let started = project.model.started_by(&run.settings.compose.services);
    let mut stale = BTreeMap::new();
    for service in project.model.services.values().filter(|service| started.contains(&service.name)) {
        let none = BTreeMap::new();
        let wanted = Wanted {
            service,
            labels: labels.get(&service.name).unwrap_or(&none),
            mounts: standing::mounts(
                kind,
                &service.name,
                plans.get(&service.name),
                &prepared.host_secrets_dir,
                &paths,
                volumes.get(&service.name),
            ),
        };
        let why = difference(&wanted, &containers, images);
        let why = why.or(run.settings.compose.force_recreate.then_some("force-recreate"));
        if let Some(why) = why {
            stale.insert(service.name.clone(), why);
        }
    }
    let followers = with_followers(&project.model.services, stale.keys().cloned().collect());
    for follower in followers.intersection(&started) {
        stale.entry(follower.clone()).or_insert("it follows a service that changes");
    }
    let stale = with_providers(&project.model, &started, stale);
    let others = project.model.services.keys().filter(|name| !started.contains(*name)).cloned();
    let outdated = standing::outdated(others, &revisions, &containers);
    let stamp = stamp(run, &labels, &volumes);
    Ok(Planned {
        plans,
        files,
        revisions,
        volumes,
        stamp,
        override_text: None,
        labels,
        paths,
        stale,
        outdated,
        started,
        containers,
    })
}

/// Adds the services that providers manage, as far as they are to be started: those that a service in `stale` depends on,
/// and those that none depends on. Of the latter nothing in the engine tells whether they are up to date; and a
/// provider must be one that can be asked again and again (Compose's documentation of extensions).
fn with_providers(
    model: &Model,
    started: &BTreeSet<String>,
    mut stale: BTreeMap<String, &'static str>,
) -> BTreeMap<String, &'static str> {
    let (providers, others): (Vec<&str>, Vec<&str>) = started
        .iter()
        .map(String::as_str)
        .partition(|name| model.services.get(*name).is_some_and(|service| service.provider.is_some()));
    let needed = model.providers_of(others);
    let asked = model.providers_of(stale.keys().map(String::as_str));
    for provider in providers {
        if asked.contains(provider) {
            stale.entry(provider.to_owned()).or_insert("a service that depends on it changes");
        } else if !needed.contains(provider) {
            stale.entry(provider.to_owned()).or_insert("its provider is asked in every run");
        }
    }
    stale
}

/// The labels of each service's containers: its revision, a seal over what else makes its container what it is, and what
/// later runs want to know.
pub(super) fn labels(
    run: &Run,
    prepared: &Prepared,
    plans: &BTreeMap<String, ServicePlan>,
    paths: &BTreeMap<(String, String), PathBuf>,
    revisions: &BTreeMap<String, ServiceRevision>,
) -> Result<Labels> {
    // A service without a container or a volume, now and after this run, has nothing to remember a label by: each run
    // would give it a new one, and the override file a new text.
    let model = &prepared.project.model;
    let started = model.started_by(&run.settings.compose.services);
    let remembered = |(name, found): &(&String, &ServiceRevision)| {
        let in_volume = prepared.choice.kind == Kind::Volume && plans.contains_key(*name);
        let runs = started.contains(*name) && model.services.get(*name).is_some_and(|s| s.replicas > 0);
        found.known || in_volume || runs
    };
    let label = |(name, found): (&String, &ServiceRevision)| {
        let mut own = BTreeMap::from([(REVISION.to_owned(), found.revision.label().to_owned())]);
        if let Some(user) = plans.get(name).and_then(|plan| plan.user.clone()) {
            own.insert(standing::USER.to_owned(), user);
        }
        if let Some(environment) = &run.settings.environment {
            own.insert(ENVIRONMENT.to_owned(), environment.clone());
        }
        let access = prepared.access.services.get(name);
        let granted: Vec<_> = access
            .into_iter()
            .flat_map(|access| &access.secrets)
            .map(|granted| {
                (&granted.file, &granted.variables, paths.get(&(name.clone(), granted.file.clone())))
            })
            .collect();
        let withdrawn = access.map(|access| &access.withdrawn);
        let place = (prepared.choice.kind == Kind::File).then(|| prepared.host_secrets_dir.to_string());
        let how = json!([prepared.choice.kind.name(), place, granted, withdrawn]);
        let definition = format!("{}\n{how}", prepared.project.model.definition(name));
        own.insert(CONFIG.to_owned(), found.revision.seal(&definition));
        if let Some(files) = files(prepared, plans.get(name), name) {
            own.insert(FILES.to_owned(), found.revision.beside(&files)?);
        }
        Ok((name.clone(), own))
    };
    revisions.iter().filter(remembered).map(label).collect()
}

/// What is in the files that a service's definition names, but for those that this run delivers; `None` when it names none.
fn files(prepared: &Prepared, plan: Option<&ServicePlan>, service: &str) -> Option<Content> {
    let delivered = |name: &String| plan.is_some_and(|plan| plan.files.iter().any(|file| file.file == *name));
    let mounted = prepared.mounted.get(service)?.iter();
    let left: Vec<_> = mounted.filter(|file| !file.secret.as_ref().is_some_and(delivered)).collect();
    let mut content = Content::default();
    content.add(FILES.as_bytes());
    for file in &left {
        content.add(file.content.as_bytes());
    }
    (!left.is_empty()).then_some(content)
}

/// A digest of everything that the override file is made from: labels and names, no values.
pub(super) fn stamp(run: &Run, labels: &Labels, volumes: &BTreeMap<String, String>) -> String {
    let all = json!([env!("CARGO_PKG_VERSION"), run.settings.secrets_dir, labels, volumes]).to_string();
    data_encoding::BASE64URL_NOPAD.encode(&Sha256::digest(all)[..16])
}

/// Whether the override file that is there is the one for this plan.
pub(super) fn override_is_current(prepared: &Prepared, planned: &Planned) -> Result<bool> {
    Ok(prepared.override_file.read()?.is_some_and(|bytes| OverrideFile::is_current(&bytes, &planned.stamp)))
}

/// The text of the override file for a plan that is made anew; [`checked_override`] must have been called for the project.
pub(super) fn override_text(run: &Run, prepared: &Prepared, planned: &Planned) -> String {
    overriding(run, prepared, planned).to_yaml(&planned.stamp)
}

fn overriding(run: &Run, prepared: &Prepared, planned: &Planned) -> OverrideFile {
    let Planned { plans, paths, volumes, labels, .. } = planned;
    override_file(run, prepared, plans, paths, volumes, labels)
}

/// The override file of a project, for what is to be handed out; [`Project::read_as_written`] must have been called.
///
/// [`Project::read_as_written`]: crate::docker::project::Project::read_as_written
pub(super) fn override_file(
    run: &Run,
    prepared: &Prepared,
    plans: &BTreeMap<String, ServicePlan>,
    paths: &BTreeMap<(String, String), PathBuf>,
    volumes: &BTreeMap<String, String>,
    labels: &Labels,
) -> OverrideFile {
    let mut all = OverrideFile::default();
    let model = &prepared.project.model;
    let secrets_dir = run.settings.secrets_dir.display();
    for service in model.services.values() {
        let name = &service.name;
        let Some(access) = prepared.access.services.get(name) else {
            continue;
        };
        let mut own = ServiceOverride { environment: Variables::new(service, access), ..Default::default() };
        match (plans.get(name), volumes.get(name)) {
            (Some(plan), Some(volume)) => {
                let key = format!("claude-secrets-{name}");
                all.volumes.insert(key.clone(), volume.clone());
                own.volume = Some(key);
                if !service.secrets.is_empty() {
                    let moved = |target: &str| {
                        plan.files
                            .iter()
                            .any(|f| target.strip_prefix("/run/secrets/").unwrap_or(target) == f.file)
                    };
                    own.own_secrets = Some(
                        service.secrets.iter().filter(|secret| !moved(&secret.target)).cloned().collect(),
                    );
                }
            }
            (Some(plan), None) => {
                for file in &plan.files {
                    let Some(path) = paths.get(&(name.clone(), file.file.clone())) else {
                        continue;
                    };
                    let shared = path.components().count() == 1;
                    let key = if shared { file.file.clone() } else { format!("{name}--{}", file.file) };
                    let defined = model.own_secret(&key).is_some();
                    all.secrets.insert(key.clone(), (format!("./{secrets_dir}/{}", path.display()), defined));
                    own.secrets.push((key, format!("{TARGET}/{}", file.file)));
                }
                // Two entries with one target are kept side by side unless they are written alike.
                let ours = |target: &str| {
                    plan.files
                        .iter()
                        .any(|f| target.strip_prefix("/run/secrets/").unwrap_or(target) == f.file)
                };
                if service.secrets.iter().any(|secret| ours(&secret.target)) {
                    own.own_secrets = Some(
                        service.secrets.iter().filter(|secret| !ours(&secret.target)).cloned().collect(),
                    );
                }
            }
            (None, _) => {}
        }
        own.labels = labels.get(name).cloned().unwrap_or_default();
        all.services.insert(name.clone(), own);
    }
    all
}

/// The text of the override file for a plan, checked: Compose merges it with the project, before anything is written, and
/// no secret may be left in the outcome.
pub(super) async fn checked_override(
    run: &Run,
    prepared: &mut Prepared,
    planned: &Planned,
    secrets: &[&Secret],
    tools: &Tools,
) -> Result<String> {
    prepared.project.read_as_written(tools).await?;
    let mut all = overriding(run, prepared, planned);
    let mut merged = prepared.project.merged(tools, With::Input(&all.to_yaml(&planned.stamp))).await?;
    let astray = astray(&all, &prepared.project.model, &merged);
    if !astray.is_empty() {
        prepared.project.model.keep_environment(&astray);
        all = overriding(run, prepared, planned);
        merged = prepared.project.merged(tools, With::Input(&all.to_yaml(&planned.stamp))).await?;
    }
    check(run, secrets, &merged)?;
    Ok(all.to_yaml(&planned.stamp))
}

/// Services of which a variable that the override repeats word for word reads differently there, since the words stand in
/// a project that is included with an env file of its own. These must keep their own environment.
fn astray(overriding: &OverrideFile, model: &Model, merged: &serde_json::Value) -> BTreeSet<String> {
    let differs = |(name, own): &(&String, &ServiceOverride)| {
        let Some(service) = model.services.get(*name).filter(|_| own.environment.replace) else {
            return false;
        };
        let there = Model::environment(merged, name);
        let repeated = own
            .environment
            .values
            .iter()
            .filter(|(v, text)| service.written.environment.get(*v) == Some(*text));
        repeated.into_iter().any(|(variable, _)| there.get(variable) != service.environment.get(variable))
    };
    overriding.services.iter().filter(differs).map(|(name, _)| name.clone()).collect()
}

/// Like [`checked_override`] for a text that is made already.
pub(super) async fn check_override(
    run: &Run,
    prepared: &Prepared,
    secrets: &[&Secret],
    tools: &Tools,
    text: &str,
) -> Result<()> {
    let merged = prepared.project.merged(tools, With::Input(text)).await?;
    check(run, secrets, &merged)
}

fn check(run: &Run, secrets: &[&Secret], merged: &serde_json::Value) -> Result<()> {
    let names: BTreeSet<String> =
        secrets.iter().filter(|secret| secret.sensitive).flat_map(|secret| variables_of(secret)).collect();
    check_merged(merged, &names, &|text| run.console.secrets_in(text.as_bytes()))
}

/// The images of the services that this run starts, without pulling any.
pub(super) fn services_of(run: &Run, prepared: &Prepared) -> BTreeSet<String> {
    prepared.project.model.started_by(&run.settings.compose.services)
}

/// What each secret's values did: a secret may have changed when every service that has it gets a new revision.
pub(super) fn changed(
    planned: &Planned,
    prepared: &Prepared,
    secrets: &[(&Secret, &SecretValue)],
) -> Vec<String> {
    let renewed = |service: &String| planned.revisions.get(service).is_some_and(|revision| !revision.known);
    secrets
        .iter()
        .map(|(secret, _)| &secret.name)
        .filter(|name| {
            let services = prepared.access.services_of(name);
            !services.is_empty() && services.iter().all(renewed)
        })
        .map(ToString::to_string)
        .collect()
}

fn volume_names(
    project: &str,
    kind: Kind,
    plans: &BTreeMap<String, ServicePlan>,
    revisions: &BTreeMap<String, ServiceRevision>,
) -> BTreeMap<String, String> {
    if kind != Kind::Volume {
        return BTreeMap::new();
    }
    plans
        .keys()
        .filter_map(|service| {
            let found = revisions.get(service)?;
            let fresh = || format!("{project}_secrets_{service}_{}", found.revision.short());
            Some((service.clone(), found.volume.clone().unwrap_or_else(fresh)))
        })
        .collect()
}

/// A project that was deployed for another environment is not ours to change: its secrets are that environment's.
fn check_environment(run: &Run, containers: &[Container]) -> Result<()> {
    let wanted = run.settings.environment.as_deref();
    let deployed = containers.iter().filter(|container| container.label(REVISION).is_some());
    let other = deployed.map(|container| container.label(ENVIRONMENT)).find(|found| *found != wanted);
    let Some(other) = other else { return Ok(()) };
    let named = |name: Option<&str>| {
        name.map_or("no environment".to_owned(), |name| format!("the environment `{name}`"))
    };
    Err(Error::new(
        Code::OtherEnvironment,
        format!("the running project was deployed for {}, this run is for {}", named(other), named(wanted)),
    )
    .hint("Give the two environments different project names (`project-name`), or take the other one down first (`mode: down`)."))
}
