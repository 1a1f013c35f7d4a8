//! What the project's own mounts and builds would expose: other services' secrets, to a service that mounts the place where
//! they lie; all of them, to an image whose build context holds their files.

use std::collections::BTreeMap;

use super::Run;
use crate::delivery::build_context::{TakesIn, taking_in};
use crate::delivery::choose::{Choice, Kind};
use crate::delivery::reach::{self, SecretsPlace};
use crate::docker::command::Tools;
use crate::docker::engine::{self, Container};
use crate::docker::inspection::{self, Used};
use crate::docker::model::Model;
use crate::docker::socket::Socket;
use crate::error::{Code, Error, Problem, Result};
use crate::settings::{DeliveryChoice, Mode, Settings};

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

/// The places in containers where the secrets directory is to be hidden, by service.
///
/// # Errors
/// [`Code::SecretNotGranted`] for each mount that hands a service files that are not its own.
pub(super) fn covers(model: &Model, place: &SecretsPlace) -> Result<BTreeMap<String, Vec<String>>> {
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

/// Refuses volumes with secrets that the project mounts by itself.
///
/// # Errors
/// [`Code::SecretNotGranted`], and those of the engine.
pub(super) async fn check_volumes(model: &Model, place: &SecretsPlace<'_>, tools: &Tools) -> Result<()> {
    let mut names = reach::volumes(model);
    let containers = named_containers(model, tools).await?;
    let mounts = containers.iter().flat_map(|(_, container)| container.mounts());
    names.extend(mounts.filter(|(kind, _, _)| *kind == "volume").map(|(_, name, _)| name.to_owned()));
    if names.is_empty() {
        return Ok(());
    }
    let socket = Socket::of(tools).await;
    let inspected = inspection::inspect_used(tools, socket.as_ref(), Used::Volume, &names).await?;
    reach::refuse_volumes(model, &inspected, &containers, place)
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
