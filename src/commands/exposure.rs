//! What the project's own mounts and builds would expose: other services' secrets, to a service that mounts the place where
//! they lie; all of them, to an image whose build context holds their files.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;

use serde_json::Value;
use zeroize::Zeroizing;

use super::Run;
use crate::delivery::build_context::{TakesIn, taking_in};
use crate::delivery::choose::{Choice, Kind};
use crate::delivery::reach::{self, SecretsPlace};
use crate::docker::command::Tools;
use crate::docker::discovery::ComposeFiles;
use crate::docker::engine::{self, Container};
use crate::docker::host_paths::HostPaths;
use crate::docker::inspection::{self, Used};
use crate::docker::model::Model;
use crate::docker::named_files;
use crate::docker::socket::Socket;
use crate::error::{Code, Error, Problem, Result};
use crate::files::{self, LARGEST_VALUES};
use crate::settings::{DeliveryChoice, Mode, Settings};
use crate::sources::dotenv::parse::{Interpolation, parse};

/// The delivery that exposes nothing to a build: volumes in place of files, where the user left the choice.
///
/// # Errors
/// [`Code::DeliveryFailed`] where a build would copy files with secrets that are asked for, or lie there already.
pub(super) fn choose(run: &mut Run, model: &Model, choice: Choice, place: &SecretsPlace) -> Result<Choice> {
    let taking = taking_in(model, place);
    let Some(first) = taking.first() else { return Ok(choice) };
    let settings = &run.settings;
    let deploys = matches!(settings.mode, Mode::Deploy | Mode::Validate) && !settings.offline;
    let by_files = choice.kind == Kind::File && settings.delivery == DeliveryChoice::File;
    if deploys && (by_files || place.is_filled()) {
        return Err(refused(settings, &taking, by_files));
    }
    if deploys && choice.kind == Kind::File {
        let reason =
            format!("the build of service {} would copy files with secrets into its image", first.service);
        return Ok(Choice { kind: Kind::Volume, reason });
    }
    if choice.kind == Kind::File {
        for one in &taking {
            run.warn(copies(&run.settings, one), Some(remedy(one)));
        }
    }
    Ok(choice)
}

fn copies(settings: &Settings, one: &TakesIn) -> String {
    let directory = settings.secrets_dir.display();
    format!(
        "the build context of service {} holds {directory}: a build can copy the secrets into the image",
        one.service
    )
}

fn remedy(one: &TakesIn) -> String {
    format!("Add the line `{}` to {}.", one.line, one.ignore_file.display())
}

fn refused(settings: &Settings, taking: &[TakesIn], by_files: bool) -> Error {
    let problems = taking.iter().map(|one| Problem::new(copies(settings, one)).remedy(remedy(one))).collect();
    let error = Error::new(Code::DeliveryFailed, "builds would copy secrets into images").problems(problems);
    if by_files {
        error.hint(
            "Or leave `delivery` out: with delivery `volume` there are no files with secrets in the project.",
        )
    } else {
        error.hint("The files are of an earlier deployment. Rotate the secrets if an image was built since.")
    }
}

/// Refuses files of ours that Compose itself would read, before it does: it may quote them, and what is in them becomes
/// variables and labels.
///
/// # Errors
/// [`Code::SecretNotGranted`] for each, with what was noted before.
pub(super) fn refuse_named(run: &mut Run, files: &ComposeFiles, tools: &Tools) -> Result<()> {
    let alone = HostPaths::without_engine();
    let below = run.settings.secrets_dir.clone();
    let place = SecretsPlace::new(&alone, &files.directory, &below, &below);
    if !place.is_filled() {
        return Ok(());
    }
    let env_file = files::read(&files.directory.join(".env"), LARGEST_VALUES).ok();
    let given = |name: &str| Some(Zeroizing::new(tools.variable(name)?.as_bytes().to_vec()));
    let of_project = |name: &str| {
        let text = env_file.as_ref()?.value.expose();
        Some(Zeroizing::new(parse(text, Interpolation::Compose(&given)).ok()?.get(name)?.value.to_vec()))
    };
    let known = |name: &str| given(name).or_else(|| of_project(name));
    let expand = |path: &str| {
        let line = format!("PATH_OF_A_FILE=\"{path}\"");
        let parsed = parse(line.as_bytes(), Interpolation::Compose(&known)).ok()?;
        String::from_utf8(parsed.get("PATH_OF_A_FILE")?.value.to_vec()).ok()
    };
    if let Err(error) = place.refuse_named(&named_files::named(files, &expand)) {
        run.wrong.push(error);
        run.check_wrong()?;
    }
    Ok(())
}

/// The places in containers where the secrets directory is to be hidden, by service.
///
/// # Errors
/// [`Code::SecretNotGranted`] for each mount that hands a service files that are not its own.
fn covers(model: &Model, place: &SecretsPlace) -> Result<BTreeMap<String, Vec<String>>> {
    let mut covers = BTreeMap::new();
    let mut errors = Vec::new();
    for service in model.services.values() {
        match place.seen_in(model, service) {
            Ok(seen) => drop(covers.insert(service.name.clone(), seen)),
            Err(error) => errors.push(error),
        }
    }
    Error::together(errors).map_or(Ok(covers), Err)
}

/// What the engine has of the volumes that services mount, and of containers whose mounts they take.
#[derive(Default)]
pub(super) struct Mounts {
    volumes: Vec<Value>,
    /// The containers that `volumes_from` names, each with the service that takes their mounts.
    containers: Vec<(String, Container)>,
}

/// Asks the engine for the containers that services name, so that those of the project's services count as these.
///
/// # Errors
/// Those of the engine.
pub(super) async fn learn_containers(model: &mut Model, tools: &Tools) -> Result<()> {
    let containers = engine::inspect(tools, &model.named_containers()).await?;
    model.learn_containers(&containers);
    Ok(())
}

/// Asks the engine, where there is one, for volumes, so that those that are directories of its machine are known.
///
/// # Errors
/// Those of the engine.
pub(super) async fn learn_mounts(model: &mut Model, tools: Option<&Tools>) -> Result<Mounts> {
    let Some(tools) = tools else { return Ok(Mounts::default()) };
    let mut names = reach::volumes(model);
    let containers = named_containers(model, tools).await?;
    let mounts = containers.iter().flat_map(|(_, container)| container.mounts());
    names.extend(mounts.filter(|(kind, _, _)| *kind == "volume").map(|(_, name, _)| name.to_owned()));
    if names.is_empty() {
        return Ok(Mounts { volumes: Vec::new(), containers });
    }
    let socket = Socket::of(tools).await;
    let volumes = inspection::inspect_used(tools, socket.as_ref(), Used::Volume, &names).await?;
    model.learn_volumes(&volumes);
    Ok(Mounts { volumes, containers })
}

/// Files that a delivery by files before this one left.
#[derive(Clone, Copy, Default)]
pub(super) struct Leftover {
    /// Whether there are any.
    pub(super) is_there: bool,
    /// Whether a service mounts a directory above them, and so would see them.
    pub(super) shown: bool,
}

/// Looks at what services reach of the secrets' files and volumes: returns the places in containers where the directory is
/// to be hidden, by service, and what of an earlier delivery is there.
///
/// # Errors
/// [`Code::SecretNotGranted`] for each way to secrets that are not granted.
pub(super) fn check(
    model: &Model,
    delivery: Kind,
    place: &SecretsPlace,
    mounts: &Mounts,
) -> Result<(BTreeMap<String, Vec<String>>, Leftover)> {
    let by_files = delivery == Kind::File;
    let is_there = !by_files && place.is_filled();
    let has_files = by_files || is_there;
    let mut covers = if has_files { covers(model, place)? } else { BTreeMap::new() };
    let shown = is_there && covers.values().any(|seen| !seen.is_empty());
    if is_there {
        covers.clear();
    }
    reach::refuse_volumes(model, &mounts.volumes, &mounts.containers, place, has_files)?;
    Ok((covers, Leftover { is_there, shown }))
}

/// The containers that `volumes_from` names, each with the service that takes their mounts.
async fn named_containers(model: &Model, tools: &Tools) -> Result<Vec<(String, Container)>> {
    let mut all = Vec::new();
    for service in model.services.values() {
        let found = engine::inspect(tools, &service.volumes_from_containers).await?;
        all.extend(found.into_iter().map(|container| (service.name.clone(), container)));
    }
    Ok(all)
}
