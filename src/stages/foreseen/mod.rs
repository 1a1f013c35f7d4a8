//! What a deployment would change, for the report: the difference between what is planned ([`Planned`]) and what the engine has.
//! What cannot be told is called uncertain.

mod secrets;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use self::secrets::Secrets;
pub(crate) use self::secrets::origin_of;
use crate::compose::images::{self, Images};
use crate::delivery::current::Why;
use crate::delivery::plan::Reader;
use crate::delivery::volume;
use crate::delivery::workers;
use crate::engine::objects;
use crate::engine::tools::Tools;
use crate::error::Result;
use crate::labels;
use crate::release;
use crate::report::plan::{
    FileChange, ImageAction, Plan, PlannedFile, PlannedImage, PlannedService, PlannedVolume, ServiceAction,
    TakenVariable, VolumeChange, VolumeKind,
};
use crate::resolve::Resolution;
use crate::stages::applying::volumes_of;
use crate::stages::former;
use crate::stages::planning;
use crate::stages::planning::Planned;
use crate::stages::project::Prepared;
use crate::stages::run::Run;

/// What a plan is made of.
#[derive(Clone, Copy)]
pub(crate) struct Foreseen<'a> {
    pub(crate) prepared: &'a Prepared,
    pub(crate) planned: &'a Planned,
    pub(crate) resolution: &'a Resolution,
    pub(crate) tools: &'a Tools,
    /// The images that the engine had before this run.
    pub(crate) images: &'a Images,
    /// The override file's text, where one was made.
    pub(crate) text: Option<&'a str>,
}

/// The plan of a deployment that has not begun.
pub(crate) async fn plan(run: &Run, basis: Foreseen<'_>) -> Result<Plan> {
    let Foreseen { prepared, planned, .. } = basis;
    let services = services(run, basis);
    let known = |service: &&String| planned.revisions.get(*service).is_some_and(|found| found.known);
    let renewed: BTreeSet<&String> = planned.started.iter().filter(|service| !known(service)).collect();
    let former = former::files_of(&renewed, prepared, planned, basis.tools).await?;
    let is_made =
        |service: &&PlannedService| matches!(service.action, ServiceAction::Create | ServiceAction::Recreate);
    let made: BTreeSet<&str> = services.iter().filter(is_made).map(|service| service.name.as_str()).collect();
    let taken = prepared.access.services.iter().filter(|(service, _)| made.contains(service.as_str()));
    let variables = taken.flat_map(|(service, own)| {
        own.gone.iter().map(|gone| TakenVariable {
            service: service.clone(),
            name: gone.variable.clone(),
            why: gone.reason(),
        })
    });
    Ok(Plan {
        secrets: Secrets::new(basis, &former).rows(),
        variables: variables.collect(),
        files: files(run, basis)?,
        volumes: volumes(run, basis, &made).await?,
        images: images(run, basis),
        services,
        ..Plan::default()
    }
    .told())
}

/// Whether all services are up to date, so that a deployment writes files at most.
pub(crate) fn is_up_to_date(run: &Run, prepared: &Prepared, planned: &Planned) -> bool {
    let known = &prepared.project.model.services;
    let has_orphans = || planned.containers.iter().any(|container| !known.contains_key(&container.service));
    planned.stale.is_empty() && !(run.settings.compose.remove_orphans && has_orphans())
}

fn services(run: &Run, basis: Foreseen) -> Vec<PlannedService> {
    let Foreseen { prepared, planned, images, .. } = basis;
    let model = &prepared.project.model;
    let has_container = |name: &str| planned.containers.iter().any(|container| container.service == name);
    let (build, pull) = images::missing(&prepared.project, &run.settings.compose, &planned.started, images);
    let mut rows: Vec<PlannedService> = Vec::new();
    for name in model.services.keys() {
        let why = planned.stale.get(name);
        let action = match why {
            Some(why) => action(*why),
            None if planned.outdated.contains(name) => ServiceAction::Stale,
            None if has_container(name) || planned.started.contains(name) => ServiceAction::Keep,
            None => ServiceAction::Idle,
        };
        let is_new = matches!(action, ServiceAction::Create | ServiceAction::Recreate);
        rows.push(PlannedService {
            name: name.clone(),
            action,
            why: why.map(|why| why.text().to_owned()),
            if_image_changes: !is_new
                && has_container(name)
                && build.iter().chain(&pull).any(|other| *other == name),
        });
    }
    let gone: BTreeSet<&String> = planned
        .containers
        .iter()
        .map(|container| &container.service)
        .filter(|service| !model.services.contains_key(*service))
        .collect();
    let action =
        if run.settings.compose.remove_orphans { ServiceAction::Remove } else { ServiceAction::Orphan };
    rows.extend(gone.into_iter().map(|name| PlannedService {
        name: name.clone(),
        action,
        why: None,
        if_image_changes: false,
    }));
    rows
}

/// What Compose does to a service that is brought up for this reason.
fn action(why: Why) -> ServiceAction {
    match why {
        Why::NoContainer => ServiceAction::Create,
        Why::Count => ServiceAction::Scale,
        Why::Ended | Why::NotStarted => ServiceAction::Start,
        Why::RestartsWith => ServiceAction::Restart,
        Why::Beside => ServiceAction::Keep,
        Why::Needed | Why::Provider => ServiceAction::Ask,
        Why::Secrets | Why::Definition | Why::File | Why::Image | Why::Place | Why::Forced | Why::Follows => {
            ServiceAction::Recreate
        }
    }
}

fn images(run: &Run, basis: Foreseen) -> Vec<PlannedImage> {
    let Foreseen { prepared, planned, images, .. } = basis;
    let (build, pull) = images::missing(&prepared.project, &run.settings.compose, &planned.started, images);
    let mut rows: BTreeMap<String, PlannedImage> = BTreeMap::new();
    for (names, action) in [(build, ImageAction::Build), (pull, ImageAction::Pull)] {
        for name in names {
            let Some(service) = prepared.project.model.services.get(name) else { continue };
            let row = rows.entry(service.image.clone()).or_insert_with(|| PlannedImage {
                name: service.image.clone(),
                action,
                services: Vec::new(),
                is_there: images.contains_key(&service.image),
            });
            row.services.push(name.to_owned());
        }
    }
    rows.into_values().collect()
}

fn files(run: &Run, basis: Foreseen) -> Result<Vec<PlannedFile>> {
    let Foreseen { prepared, planned, text, .. } = basis;
    let mut rows = Vec::new();
    let difference = prepared.difference(&planned.files)?;
    let open = if difference.changed.is_empty() { BTreeSet::new() } else { of_unknown_owners(basis)? };
    for (change, paths) in [
        (FileChange::Write, &difference.new),
        (FileChange::Replace, &difference.changed),
        (FileChange::Remove, &difference.stale),
    ] {
        rows.extend(paths.iter().map(|path| PlannedFile {
            path: run.settings.secrets_dir.join(path).display().to_string(),
            change,
            is_certain: change != FileChange::Replace || !open.contains(path),
        }));
    }
    let there = prepared.override_file.read()?;
    let is_current = planning::override_is_current(prepared, planned)?;
    let is_up_to_date = is_up_to_date(run, prepared, planned);
    let is_same =
        is_current && (is_up_to_date || text.is_none_or(|text| there.as_deref() == Some(text.as_bytes())));
    if !is_same {
        rows.push(PlannedFile {
            path: run.settings.override_file.display().to_string(),
            change: if there.is_some() { FileChange::Replace } else { FileChange::Write },
            is_certain: true,
        });
    }
    Ok(rows)
}

/// The secret files with the right content whose owner and mode hang on the user of an image that is not here.
fn of_unknown_owners(basis: Foreseen) -> Result<BTreeSet<PathBuf>> {
    let Foreseen { prepared, planned, images, .. } = basis;
    let is_open = |name: &String| {
        let service = prepared.project.model.services.get(name);
        let is_absent = service.is_some_and(|service| !images.contains_key(&service.image));
        is_absent && planned.plans.get(name).is_some_and(|plan| plan.reader == Reader::Unknown)
    };
    let open: BTreeSet<&PathBuf> =
        planned.paths.iter().filter(|((service, _), _)| is_open(service)).map(|(_, path)| path).collect();
    if open.is_empty() {
        return Ok(BTreeSet::new());
    }
    let held = prepared.secrets_dir.held()?;
    let planned: BTreeMap<&PathBuf, _> = planned.files.iter().map(|file| (&file.path, file)).collect();
    let held: BTreeMap<&PathBuf, _> = held.iter().map(|file| (&file.path, file)).collect();
    let is_same = |path: &&&PathBuf| {
        let (wanted, there) = (planned.get(**path), held.get(**path));
        wanted.zip(there).is_some_and(|(wanted, there)| wanted.value == there.value)
    };
    Ok(open.iter().filter(is_same).map(|path| (*path).clone()).collect())
}

/// Volumes that are made or removed, where `made` are the services with new containers.
async fn volumes(run: &Run, basis: Foreseen<'_>, made: &BTreeSet<&str>) -> Result<Vec<PlannedVolume>> {
    let Foreseen { prepared, planned, tools, .. } = basis;
    if is_up_to_date(run, prepared, planned) {
        return Ok(Vec::new());
    }
    let project = &prepared.project.model.name;
    let row = |name, kind, service, change| PlannedVolume { name, kind, service, change };
    let mut rows = Vec::new();
    let complete = volume::complete(tools, project).await?;
    for missing in release::missing(tools, &prepared.release, &complete).await? {
        rows.push(row(Some(missing), VolumeKind::ProjectFiles, None, VolumeChange::Create));
    }
    if prepared.choice.kind.in_volumes() {
        let launcher = super::overriding::launcher_volume(project);
        if planning::uses_launcher(prepared) && !complete.iter().any(|volume| volume.name == launcher) {
            rows.push(row(Some(launcher), VolumeKind::Launcher, None, VolumeChange::Create));
        }
        let is_new =
            |service: &String| planned.revisions.get(service).is_some_and(|found| found.volume.is_none());
        let new = planned.volumes.keys().filter(|service| is_new(service));
        rows.extend(new.map(|service| {
            let of = Some(workers::service_of(service).to_owned());
            row(None, VolumeKind::Secrets, of, VolumeChange::Create)
        }));
    }
    for name in missing_data(prepared, tools, made).await? {
        rows.push(row(Some(name), VolumeKind::Data, None, VolumeChange::Create));
    }
    let owner = |name: &String| {
        let found = complete.iter().find(|volume| volume.name == *name)?;
        Some(workers::service_of(found.labels.get(labels::SERVICE)?).to_owned())
    };
    let mut old: Vec<(String, VolumeKind)> = Vec::new();
    if !prepared.release.is_empty() {
        let released = release::old(&complete, &prepared.release, &[&planned.containers]);
        old.extend(released.into_iter().map(|name| (name, VolumeKind::ProjectFiles)));
    }
    let owners: BTreeMap<String, Option<String>> =
        complete.iter().map(|volume| (volume.name.clone(), owner(&volume.name))).collect();
    let mounted = volumes_of(&planned.containers);
    old.extend(
        volume::old(complete, &planned.volumes, &mounted).into_iter().map(|name| (name, VolumeKind::Secrets)),
    );
    rows.extend(old.into_iter().map(|(name, kind)| {
        let service = owners.get(&name).cloned().flatten();
        row(Some(name), kind, service, VolumeChange::Remove)
    }));
    Ok(rows)
}

/// The project's own volumes that Compose makes for these services.
async fn missing_data(prepared: &Prepared, tools: &Tools, made: &BTreeSet<&str>) -> Result<Vec<String>> {
    let model = &prepared.project.model;
    let services = model.services.values().filter(|service| made.contains(service.name.as_str()));
    let keys = services.flat_map(|service| &service.refers_to).filter(|(section, _)| *section == "volumes");
    let is_external = |key: &str| {
        let definition = model.resolved().get("volumes").and_then(|all| all.get(key));
        definition.and_then(|one| one.get("external")).and_then(serde_json::Value::as_bool) == Some(true)
    };
    let names: BTreeSet<String> =
        keys.filter(|(_, key)| !is_external(key)).map(|(_, key)| model.volume_name(key)).collect();
    let names: Vec<String> = names.into_iter().collect();
    let there = objects::volumes_named(tools, &names).await?;
    Ok(names.into_iter().filter(|name| !there.iter().any(|volume| volume.name == *name)).collect())
}
