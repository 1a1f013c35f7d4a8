//! What a deployment would change, as the report holds it: made of what shall be ([`Planned`]) and what the engine tells of what
//! is. What nothing tells is called uncertain.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::Run;
use super::former::{self, Files};
use super::planning::{self, Planned};
use super::project::Prepared;
use crate::delivery::choose::Kind;
use crate::delivery::plan::{Reader, names_in_volume};
use crate::delivery::record::Delivered;
use crate::delivery::standing::Why;
use crate::delivery::volume::{self, REVISION};
use crate::delivery::workers;
use crate::docker::command::Tools;
use crate::docker::engine::{self, Container};
use crate::docker::images::{self, Images};
use crate::error::Result;
use crate::release;
use crate::report::plan::{
    FileChange, ImageAction, Origin, Plan, PlannedFile, PlannedImage, PlannedSecret, PlannedService,
    PlannedVolume, SecretChange, ServiceAction, TakenVariable, VolumeChange, VolumeKind,
};
use crate::resolve::{self, Resolution, Resolved};
use crate::secret::SecretName;

/// What a plan is made of.
#[derive(Clone, Copy)]
pub(super) struct Basis<'a> {
    pub(super) prepared: &'a Prepared,
    pub(super) planned: &'a Planned,
    pub(super) resolution: &'a Resolution,
    pub(super) tools: &'a Tools,
    /// The images that the engine had before this run.
    pub(super) images: &'a Images,
    /// The override file's text, where one was made.
    pub(super) text: Option<&'a str>,
}

/// The plan of a deployment that has not begun.
pub(super) async fn plan(run: &Run, basis: Basis<'_>) -> Result<Plan> {
    let Basis { prepared, planned, .. } = basis;
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
        secrets: Secrets { basis, former: &former }.rows(),
        variables: variables.collect(),
        files: files(run, basis)?,
        volumes: volumes(run, basis, &made).await?,
        images: images(run, basis),
        services,
        ..Plan::default()
    }
    .told())
}

/// Whether everything stands as it shall, so that a deployment goes no further than to its files.
pub(super) fn stands(run: &Run, prepared: &Prepared, planned: &Planned) -> bool {
    let known = &prepared.project.model.services;
    let has_orphans = || planned.containers.iter().any(|container| !known.contains_key(&container.service));
    planned.stale.is_empty() && !(run.settings.compose.remove_orphans && has_orphans())
}

fn services(run: &Run, basis: Basis) -> Vec<PlannedService> {
    let Basis { prepared, planned, images, .. } = basis;
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

fn images(run: &Run, basis: Basis) -> Vec<PlannedImage> {
    let Basis { prepared, planned, images, .. } = basis;
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

fn files(run: &Run, basis: Basis) -> Result<Vec<PlannedFile>> {
    let Basis { prepared, planned, text, .. } = basis;
    let stands = stands(run, prepared, planned);
    let mut rows = Vec::new();
    let difference = match prepared.choice.kind {
        Kind::File => Some(prepared.secrets_dir.compare(&planned.files)?),
        // Files of a delivery by files before this one.
        Kind::Volume if !stands => Some(prepared.secrets_dir.compare(&[])?),
        Kind::Volume => None,
    };
    let difference = difference.unwrap_or_default();
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
    let is_same = is_current && (stands || text.is_none_or(|text| there.as_deref() == Some(text.as_bytes())));
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
fn of_unknown_owners(basis: Basis) -> Result<BTreeSet<PathBuf>> {
    let Basis { prepared, planned, images, .. } = basis;
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
    let is_same = |path: &&&PathBuf| {
        let wanted = planned.files.iter().find(|file| file.path == ***path);
        let there = held.iter().find(|file| file.path == ***path);
        wanted.zip(there).is_some_and(|(wanted, there)| wanted.value == there.value)
    };
    Ok(open.iter().filter(is_same).map(|path| (*path).clone()).collect())
}

/// Volumes that are made or removed, where `made` are the services with new containers.
async fn volumes(run: &Run, basis: Basis<'_>, made: &BTreeSet<&str>) -> Result<Vec<PlannedVolume>> {
    let Basis { prepared, planned, tools, .. } = basis;
    if stands(run, prepared, planned) {
        return Ok(Vec::new());
    }
    let project = &prepared.project.model.name;
    let row = |name, kind, service, change| PlannedVolume { name, kind, service, change };
    let mut rows = Vec::new();
    let complete = volume::complete(tools, project).await?;
    for missing in release::missing(tools, &prepared.release, &complete).await? {
        rows.push(row(Some(missing), VolumeKind::ProjectFiles, None, VolumeChange::Create));
    }
    if prepared.choice.kind == Kind::Volume {
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
        Some(workers::service_of(found.labels.get(volume::SERVICE)?).to_owned())
    };
    let mut old: Vec<(String, VolumeKind)> = Vec::new();
    if !prepared.release.is_empty() {
        let released = release::old(&complete, &prepared.release, &[&planned.containers]);
        old.extend(released.into_iter().map(|name| (name, VolumeKind::ProjectFiles)));
    }
    let owners: BTreeMap<String, Option<String>> =
        complete.iter().map(|volume| (volume.name.clone(), owner(&volume.name))).collect();
    let mounted = super::deploy::volumes_of(&planned.containers);
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
    let there = engine::volumes_named(tools, &names).await?;
    Ok(names.into_iter().filter(|name| !there.iter().any(|volume| volume.name == *name)).collect())
}

/// What becomes of one secret in one service.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Value {
    Same,
    Other,
    Unknown,
    /// The service did not have it.
    Gained,
}

/// What is told of the secrets.
struct Secrets<'a> {
    basis: Basis<'a>,
    /// What services have now whose secrets are not what they shall be.
    former: &'a BTreeMap<String, Files>,
}

impl Secrets<'_> {
    fn rows(&self) -> Vec<PlannedSecret> {
        let resolved = &self.basis.resolution.secrets;
        let mut rows: Vec<PlannedSecret> =
            resolved.iter().filter(|one| one.value.is_some()).map(|one| self.row(one)).collect();
        // What nobody is given by itself may be a part of what is composed.
        for composed in resolved.iter().filter(|one| one.secret.template.is_some()) {
            let find = |rows: &[PlannedSecret], name: &str| rows.iter().position(|row| row.name == name);
            let Some(whole) = find(&rows, composed.secret.name.as_str()) else { continue };
            let (change, changed_for) = (rows[whole].change, rows[whole].changed_for.clone());
            if !matches!(change, SecretChange::Changed | SecretChange::Uncertain) {
                continue;
            }
            for part in composed.secret.parts() {
                let Some(at) = find(&rows, part.as_str()) else { continue };
                let row = &mut rows[at];
                let is_by_itself = !self.basis.prepared.access.services_of(part).is_empty();
                if !is_by_itself && matches!(row.change, SecretChange::Unchanged | SecretChange::Moved) {
                    row.change = SecretChange::Uncertain;
                    row.changed_for.clone_from(&changed_for);
                }
            }
        }
        rows.extend(self.gone());
        rows
    }

    fn row(&self, resolved: &Resolved) -> PlannedSecret {
        let name = &resolved.secret.name;
        let services = self.services_of(name);
        let values: Vec<(&String, Value)> =
            services.iter().map(|service| (service, self.value_in(service, resolved))).collect();
        let of = |wanted: &[Value]| -> Vec<String> {
            let chosen = values.iter().filter(|(_, value)| wanted.contains(value));
            chosen.map(|(service, _)| (*service).clone()).collect()
        };
        let gained = of(&[Value::Gained]);
        let origin = origin_of(resolved);
        let noted = self.noted(name.as_str());
        let before = noted.map(origin_noted).filter(|before| Some(before) != origin.as_ref());
        let is_moved = match (noted, &origin) {
            (Some(noted), Some(now)) => {
                noted.source != now.source || (noted.reference.is_some() && noted.reference != now.reference)
            }
            _ => false,
        };
        let (mut change, changed_for) = if !of(&[Value::Other]).is_empty() {
            (SecretChange::Changed, of(&[Value::Other, Value::Unknown]))
        } else if !of(&[Value::Unknown]).is_empty() {
            (SecretChange::Uncertain, of(&[Value::Unknown]))
        } else if !of(&[Value::Same]).is_empty() || (noted.is_some() && services.is_empty()) {
            (SecretChange::Unchanged, Vec::new())
        } else if noted.is_some() {
            // Others had it before those that get it now.
            match self.elsewhere(resolved) {
                Some(true) => (SecretChange::Unchanged, Vec::new()),
                Some(false) => (SecretChange::Changed, gained.clone()),
                None => (SecretChange::Uncertain, gained.clone()),
            }
        } else {
            (SecretChange::New, Vec::new())
        };
        if change == SecretChange::Unchanged && is_moved {
            change = SecretChange::Moved;
        }
        PlannedSecret {
            name: name.to_string(),
            change,
            origin,
            before,
            changed_for,
            gained,
            lost: self.had(name.as_str()).into_iter().filter(|service| !services.contains(service)).collect(),
        }
    }

    /// What the last deployment noted of a secret, unless nothing is left of the services that had it.
    fn noted(&self, name: &str) -> Option<&Delivered> {
        let record = self.basis.prepared.record.as_ref()?;
        let had: Vec<&String> = record
            .services
            .iter()
            .filter(|(_, left)| left.secrets.iter().any(|other| other == name))
            .map(|(service, _)| service)
            .collect();
        let is_left =
            |service: &&String| self.basis.planned.containers.iter().any(|c| c.service == **service);
        record.secrets.get(name).filter(|_| had.is_empty() || had.iter().any(is_left))
    }

    /// Whether services that had a secret before had the value that it has now; `None` when nothing tells.
    fn elsewhere(&self, resolved: &Resolved) -> Option<bool> {
        let Basis { prepared, planned, .. } = self.basis;
        let keeps = |service: &String| {
            let is_known = planned.revisions.get(service).is_some_and(|found| found.known);
            is_known && planned.containers.iter().any(|container| container.service == *service)
        };
        if prepared.access.services_of(&resolved.secret.name).iter().any(keeps) {
            return Some(true);
        }
        let (file, value) = (resolved.secret.file_name(), resolved.value.as_ref()?);
        let mut values = self.former.values().filter_map(|files| files.get(&file)).peekable();
        values.peek()?;
        Some(values.all(|other| other == value))
    }

    /// The services that have a secret by what the last deployment noted, and that this run would change.
    fn had(&self, name: &str) -> Vec<String> {
        let Basis { prepared, planned, .. } = self.basis;
        let noted = prepared.record.iter().flat_map(|record| &record.services);
        let has = noted.filter(|(_, left)| left.secrets.iter().any(|other| other == name));
        has.map(|(service, _)| service.clone()).filter(|service| planned.started.contains(service)).collect()
    }

    /// The services that would get a secret in this run.
    fn services_of(&self, name: &SecretName) -> Vec<String> {
        let all = self.basis.prepared.access.services_of(name).into_iter();
        all.filter(|service| self.basis.planned.started.contains(service)).collect()
    }

    /// What becomes of a secret in a service that shall have it.
    fn value_in(&self, service: &String, resolved: &Resolved) -> Value {
        let Basis { prepared, planned, .. } = self.basis;
        let name = resolved.secret.name.as_str();
        let has_ours =
            |container: &&Container| container.service == *service && container.label(REVISION).is_some();
        let runs_ours = planned.containers.iter().any(|container| has_ours(&container));
        if !runs_ours {
            return Value::Gained;
        }
        if planned.revisions.get(service).is_some_and(|found| found.known) {
            return Value::Same;
        }
        let noted = prepared.record.as_ref().and_then(|record| record.services.get(service));
        let had = noted.map(|left| left.secrets.iter().any(|other| other == name));
        let wanted = planned.plans.get(service).and_then(|plan| {
            plan.files.iter().find(|file| file.name.as_ref().is_some_and(|own| own.as_str() == name))
        });
        let (Some(files), Some(wanted)) = (self.former.get(service), wanted) else {
            return if had == Some(false) { Value::Gained } else { Value::Unknown };
        };
        let in_volume = planned
            .plans
            .get(service)
            .and_then(|plan| names_in_volume(&plan.files).get(wanted.file.as_str()).cloned());
        match files.get(&wanted.file).or_else(|| files.get(&in_volume?)) {
            Some(value) if *value == wanted.value => Value::Same,
            Some(_) => Value::Other,
            None if had == Some(true) => Value::Unknown,
            None => Value::Gained,
        }
    }

    /// The secrets that services have by what the last deployment noted, and that have no value now.
    fn gone(&self) -> Vec<PlannedSecret> {
        let available: BTreeSet<&str> =
            self.basis.resolution.available().map(|(secret, _)| secret.name.as_str()).collect();
        let noted = self.basis.prepared.record.iter().flat_map(|record| &record.secrets);
        noted
            .filter(|(name, _)| !available.contains(name.as_str()))
            .map(|(name, delivered)| PlannedSecret {
                name: name.clone(),
                change: SecretChange::Gone,
                origin: None,
                before: Some(origin_noted(delivered)),
                changed_for: Vec::new(),
                gained: Vec::new(),
                lost: self.had(name),
            })
            .collect()
    }
}

/// Where a secret comes from, as the record and the plan tell it.
pub(super) fn origin_of(resolved: &Resolved) -> Option<Origin> {
    resolved.value.as_ref()?;
    if resolved.secret.template.is_some() {
        return Some(Origin { source: resolve::TEMPLATE.to_owned(), ..Origin::default() });
    }
    Some(match &resolved.origin {
        Some(origin) => Origin {
            source: origin.source.to_string(),
            reference: Some(origin.reference.to_string()),
            version: origin.version.clone(),
        },
        None => Origin { source: "default".to_owned(), ..Origin::default() },
    })
}

fn origin_noted(delivered: &Delivered) -> Origin {
    let Delivered { source, reference, version } = delivered.clone();
    Origin { source, reference, version }
}
