//! Compares what the deployment needs with what is there: files and owners, revisions, the override file, and the services
//! that differ.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::access::{Form, ServiceAccess};
use crate::compose::images::Images;
use crate::compose::model::Model;
use crate::delivery::SecretFile;
use crate::delivery::choose::Kind;
use crate::delivery::current::{self, DesiredService, ServiceRevision, Why, add_followers, difference};
use crate::delivery::launch;
use crate::delivery::override_file::OverrideFile;
use crate::delivery::plan::{Available, PlanInput, ServicePlan, lay_out, plan};
use crate::delivery::revision::Content;
use crate::delivery::volume::{self};
use crate::delivery::workers;
use crate::engine::objects::Container;
use crate::engine::tools::Tools;
use crate::error::{Code, Error, Result};
use crate::labels;
use crate::manifest::Secret;
use crate::secret::{SecretName, SecretValue};
use crate::stages::keys::Keys;
use crate::stages::overriding::Parts;
use crate::stages::overriding::keys;
use crate::stages::project::Prepared;
use crate::stages::run::Run;

/// The whole plan of a delivery.
pub(crate) struct Planned {
    pub(crate) plans: BTreeMap<String, ServicePlan>,
    /// The files of delivery `file`.
    pub(crate) files: Vec<SecretFile>,
    pub(crate) revisions: BTreeMap<String, ServiceRevision>,
    /// The name of each service's volume, with delivery `volume`.
    pub(crate) volumes: BTreeMap<String, String>,
    /// The text of the override file, unless the one that is there is right.
    pub(crate) override_text: Option<String>,
    /// Which file of the secrets directory each service mounts: (service, file) → path.
    pub(crate) paths: BTreeMap<(String, String), PathBuf>,
    /// The labels of each service's containers.
    pub(crate) labels: Labels,
    /// What the override file must be stamped with to be the right one.
    pub(crate) stamp: String,
    /// The services to bring up, with the reason; in a set of those that are to be started.
    pub(crate) stale: BTreeMap<String, Why>,
    /// The services that run with older secrets and are not started by this run.
    pub(crate) outdated: BTreeSet<String>,
    /// The services that this run starts.
    pub(crate) started: BTreeSet<String>,
    /// The project's containers before anything was changed.
    pub(crate) containers: Vec<Container>,
}

impl Planned {
    /// What the override file is made from.
    pub(crate) fn parts<'a>(&'a self, images: &'a Images) -> Parts<'a> {
        let Self { plans, paths, volumes, labels, .. } = self;
        Parts { plans, paths, volumes, labels, images }
    }
}

/// Labels by service.
pub(crate) type Labels = BTreeMap<String, BTreeMap<String, String>>;

/// Plans the delivery of values.
pub(crate) async fn plan_delivery(
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
    let users = current::known_users(&containers);
    let (access, own) = (&prepared.access, &prepared.own);
    let plans = plan(PlanInput { tools, project, access, available, own, images, kind, users }).await?;
    let (mut files, paths) = lay_out(&plans, rustix::process::geteuid().is_root());
    if kind.in_files() {
        files.extend(launcher_file(prepared)?);
    }
    // The engine knows a set of workers by its volume alone.
    let sets = || plans.keys().filter(|name| kind.in_volumes() && workers::is_set(name));
    let services = || project.model.services.keys().chain(sets());
    let mut revisions = current::revisions(services(), &plans, &containers, &[])?;
    if kind.in_volumes() && !current::all_known(kind, &plans, &revisions) {
        let volumes = volume::complete(tools, name).await?;
        revisions = current::revisions(services(), &plans, &containers, &volumes)?;
    }
    let volumes = volume_names(name, kind, &plans, &revisions);
    let labels = labels(run, prepared, &plans, &paths, &revisions)?;
    let started = project.model.started_by(&run.settings.compose.services);
    let mut stale = BTreeMap::new();
    for service in project.model.services.values().filter(|service| started.contains(&service.name)) {
        let none = BTreeMap::new();
        let wanted = DesiredService {
            service,
            labels: labels.get(&service.name).unwrap_or(&none),
            mounts: current::mounts(
                kind,
                &service.name,
                plans.get(&service.name),
                &prepared.host_secrets_dir,
                &paths,
                volumes.get(&service.name),
            ),
        };
        let forced = run.settings.compose.force_recreate;
        let why = match difference(&wanted, &containers, images) {
            Some(why) if !forced || why.replaces() || why == Why::NoContainer => Some(why),
            _ => forced.then_some(Why::Forced),
        };
        if let Some(why) = why {
            stale.insert(service.name.clone(), why);
        }
    }
    add_followers(&project.model.services, &started, &mut stale);
    let stale = with_providers(&project.model, &started, stale);
    let others = project.model.services.keys().filter(|name| !started.contains(*name)).cloned();
    let outdated = current::outdated(others, &revisions, &containers);
    let stamp = stamp(run, &labels, &volumes, &keys(prepared, &plans, &paths));
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
    mut stale: BTreeMap<String, Why>,
) -> BTreeMap<String, Why> {
    let (providers, others): (Vec<&str>, Vec<&str>) = started
        .iter()
        .map(String::as_str)
        .partition(|name| model.services.get(*name).is_some_and(|service| service.provider.is_some()));
    let needed = model.providers_of(others);
    let asked = model.providers_of(stale.keys().map(String::as_str));
    for provider in providers {
        if asked.contains(provider) {
            stale.entry(provider.to_owned()).or_insert(Why::Needed);
        } else if !needed.contains(provider) {
            stale.entry(provider.to_owned()).or_insert(Why::Provider);
        }
    }
    stale
}

/// The labels of each service's containers: its revision, a seal over what else makes its container what it is, and what
/// later runs want to know.
pub(crate) fn labels(
    run: &Run,
    prepared: &Prepared,
    plans: &BTreeMap<String, ServicePlan>,
    paths: &BTreeMap<(String, String), PathBuf>,
    revisions: &BTreeMap<String, ServiceRevision>,
) -> Result<Labels> {
    // A service without a container or a volume, now and after this run, has nothing to remember a label by: each run
    // would give it a new one, and the override file a new text.
    let model = &prepared.project.model;
    let keys = keys(prepared, plans, paths);
    let started = model.started_by(&run.settings.compose.services);
    let remembered = |(name, found): &(&String, &ServiceRevision)| {
        let in_volume = prepared.choice.kind.in_volumes() && plans.contains_key(*name);
        let runs = started.contains(*name) && model.services.get(*name).is_some_and(|s| s.replicas > 0);
        found.known || in_volume || runs
    };
    let label = |(name, found): (&String, &ServiceRevision)| {
        let mut own = BTreeMap::from([(labels::REVISION.to_owned(), found.revision.label().to_owned())]);
        if let Some(user) = plans.get(name).and_then(|plan| plan.user.clone()) {
            own.insert(labels::USER.to_owned(), user);
        }
        if let Some(environment) = &run.settings.environment {
            own.insert(labels::ENVIRONMENT.to_owned(), environment.clone());
        }
        let how = prepared.access.services.get(name).map(|own| how_delivered(name, own, paths));
        let place = (prepared.choice.kind.in_files()).then(|| prepared.host_secrets_dir.to_string());
        let mut how = json!([prepared.choice.kind.name(), place, how]);
        if let (Some(list), Some(handed_on)) = (how.as_array_mut(), handed_on(prepared, name, revisions)) {
            list.push(handed_on);
        }
        if let Some(list) = how.as_array_mut() {
            list.extend(keys.remembered(name));
        }
        let copied = prepared.release.of_service(name);
        if let Some(list) = how.as_array_mut().filter(|_| !copied.is_empty()) {
            let files: Vec<_> = copied.iter().map(|placed| (&placed.target, &placed.path)).collect();
            list.push(json!(["files", files]));
        }
        let mut definition = prepared.project.model.definition(name);
        if !copied.is_empty() {
            definition = without_checkout(&definition, prepared.project.directory.as_path());
        }
        let definition = format!("{definition}\n{how}");
        own.insert(labels::CONFIG.to_owned(), found.revision.seal(&definition));
        if let Some(files) = files(prepared, plans.get(name), name) {
            own.insert(labels::FILES.to_owned(), found.revision.beside(&files)?);
        }
        Ok((name.clone(), own))
    };
    revisions.iter().filter(remembered).map(label).collect()
}

/// A definition that does not tell where the checkout was: what of it a service mounts was copied, and a runner beside this
/// one, or the next, has its checkout elsewhere.
fn without_checkout(definition: &str, directory: &Path) -> String {
    let mut text = definition.to_owned();
    for key in ["source", "file"] {
        for end in ["/", "\""] {
            text = text.replace(
                &format!("\"{key}\":\"{}{end}", directory.display()),
                &format!("\"{key}\":\".{end}"),
            );
        }
    }
    text
}

/// What a label remembers of what a service hands on to workers, where it starts any.
fn handed_on(
    prepared: &Prepared,
    service: &str,
    revisions: &BTreeMap<String, ServiceRevision>,
) -> Option<serde_json::Value> {
    let own = prepared.access.services.get(service)?.workers.as_ref()?;
    let names: Vec<&str> = own.secrets.iter().map(SecretName::as_str).collect();
    // The volume, whose name the service is told, has its own revision in its name.
    let volume = revisions.get(&workers::set_of(service)).map(|found| found.revision.short());
    Some(json!(["workers", names, own.uid, own.gid, volume]))
}

/// What is in the files that a service's definition names, but for those that this run delivers; `None` when it names none.
fn files(prepared: &Prepared, plan: Option<&ServicePlan>, service: &str) -> Option<Content> {
    let delivered = |name: &String| plan.is_some_and(|plan| plan.files.iter().any(|file| file.file == *name));
    let mounted = prepared.mounted.get(service)?.iter();
    let left: Vec<_> = mounted.filter(|file| !file.secret.as_ref().is_some_and(delivered)).collect();
    let mut content = Content::default();
    content.add(labels::FILES.as_bytes());
    for file in &left {
        content.add(file.content.as_bytes());
    }
    (!left.is_empty()).then_some(content)
}

/// A digest of everything that the override file is made from: labels and names, no values.
pub(crate) fn stamp(run: &Run, labels: &Labels, volumes: &BTreeMap<String, String>, keys: &Keys) -> String {
    let (version, keys) = (env!("CARGO_PKG_VERSION"), keys.all_contested());
    let all = json!([version, run.settings.secrets_dir, labels, volumes, keys]).to_string();
    data_encoding::BASE64URL_NOPAD.encode(&Sha256::digest(all)[..16])
}

/// Whether the override file that is there is the one for this plan.
pub(crate) fn override_is_current(prepared: &Prepared, planned: &Planned) -> Result<bool> {
    Ok(prepared.override_file.read()?.is_some_and(|bytes| OverrideFile::is_current(&bytes, &planned.stamp)))
}

/// What a label remembers of how a service gets its secrets: names and places.
fn how_delivered(
    service: &str,
    own: &ServiceAccess,
    paths: &BTreeMap<(String, String), PathBuf>,
) -> serde_json::Value {
    // As earlier releases remembered it: whether it is a file.
    let form = |form| if form == Form::InClear { json!("env") } else { json!(form == Form::File) };
    let granted = own.secrets.iter().map(|granted| {
        let variables: Vec<_> = granted.variables.iter().map(|v| (&v.name, form(v.form))).collect();
        let places: Vec<_> = granted.places.iter().map(|(place, _)| place).collect();
        json!([granted.file, variables, places, paths.get(&(service.to_owned(), granted.file.clone()))])
    });
    let composed = own.composed.iter().map(|composed| (&composed.file, form(composed.form)));
    json!([
        granted.collect::<Vec<_>>(),
        composed.collect::<Vec<_>>(),
        own.withdrawn,
        own.taken.len(),
        launch::remembered(own)
    ])
}

/// The launcher as a file of the secrets directory, where a service needs it.
pub(crate) fn launcher_file(prepared: &Prepared) -> Result<Option<SecretFile>> {
    if !uses_launcher(prepared) {
        return Ok(None);
    }
    let owner = rustix::process::geteuid().is_root().then_some((0, 0));
    Ok(Some(SecretFile { path: launch::path(), value: launch::program()?, mode: 0o555, owner }))
}

/// Whether any service's program is started by the launcher.
pub(crate) fn uses_launcher(prepared: &Prepared) -> bool {
    prepared.access.services.iter().any(|(name, own)| {
        let service = prepared.project.model.services.get(name);
        let taken_away = own.withdrawn.iter().map(String::as_str).chain(own.as_files().into_keys());
        let in_environment =
            |name: &str| service.is_some_and(|service| service.environment.contains_key(name));
        !own.at_start().is_empty() || !own.arguments.is_empty() || taken_away.into_iter().any(in_environment)
    })
}

/// The images of the services that this run starts, without pulling any.
pub(crate) fn services_of(run: &Run, prepared: &Prepared) -> BTreeSet<String> {
    prepared.project.model.started_by(&run.settings.compose.services)
}

fn volume_names(
    project: &str,
    kind: Kind,
    plans: &BTreeMap<String, ServicePlan>,
    revisions: &BTreeMap<String, ServiceRevision>,
) -> BTreeMap<String, String> {
    if !kind.in_volumes() {
        return BTreeMap::new();
    }
    plans
        .keys()
        .filter_map(|service| {
            let found = revisions.get(service)?;
            let fresh = || workers::volume_name(project, service, &found.revision.short());
            Some((service.clone(), found.volume.clone().unwrap_or_else(fresh)))
        })
        .collect()
}

/// A project that was deployed for another environment is not ours to change: its secrets are that environment's.
fn check_environment(run: &Run, containers: &[Container]) -> Result<()> {
    let wanted = run.settings.environment.as_deref();
    let deployed = containers.iter().filter(|container| container.label(labels::REVISION).is_some());
    let other = deployed.map(|container| container.label(labels::ENVIRONMENT)).find(|found| *found != wanted);
    let Some(other) = other else { return Ok(()) };
    let named = |name: Option<&str>| {
        name.map_or("no environment".to_owned(), |name| format!("the environment `{name}`"))
    };
    Err(Error::new(
        Code::OtherEnvironment,
        format!("the running project was deployed for {}, this run is for {}", named(other), named(wanted)),
    )
    .help("Give the two environments different project names (`project-name`), or take the other one down first (`mode: down`)."))
}
