//! What the project's own mounts and builds would expose: other services' secrets, to a service that mounts the place where
//! they lie; all of them, to an image whose build context holds their files.

use std::os::unix::ffi::OsStrExt;

use serde_json::Value;
use zeroize::Zeroizing;

use super::Run;
use crate::delivery::build_context::{TakesIn, taking_in};
use crate::delivery::choose::{Choice, Kind};
use crate::delivery::reach::{self, SecretsPlace, ShownTo};
use crate::docker::command::Tools;
use crate::docker::discovery::ComposeFiles;
use crate::docker::engine::{self, Container};
use crate::docker::host_paths::HostPaths;
use crate::docker::inspection::{self, Used};
use crate::docker::model::Model;
use crate::docker::named_files;
use crate::error::{Code, Error, Problem, Result};
use crate::files::{self, LARGEST_VALUES};
use crate::settings::{DeliveryChoice, Mode, Settings};
use crate::sources::dotenv::parse::{Interpolation, parse};

/// Judges the project's mounts and builds, and chooses the delivery that exposes nothing.
///
/// # Errors
/// [`Code::DeliveryFailed`], [`Code::SecretNotGranted`].
pub(super) fn judge(
    run: &mut Run,
    model: &Model,
    choice: Choice,
    place: &SecretsPlace,
    mounts: &Mounts,
) -> Result<Choice> {
    let choice = choose(run, model, choice, place, &mounts.containers)?;
    reach::refuse_volumes(model, &mounts.volumes, &mounts.containers, place)?;
    Ok(choice)
}

/// The delivery that exposes nothing to a build or by a mount: volumes in place of files, where the user left the choice.
/// `containers` are those that `volumes_from` names.
///
/// # Errors
/// [`Code::DeliveryFailed`] where files are asked for that a build would copy or another service would see, and where a
/// build would copy those that lie there already. [`Code::SecretNotGranted`] for a mount of the files themselves.
fn choose(
    run: &mut Run,
    model: &Model,
    choice: Choice,
    place: &SecretsPlace,
    containers: &[(String, Container)],
) -> Result<Choice> {
    let (taking, shown) = (taking_in(model, place), place.shown_to(model, containers));
    let settings = &run.settings;
    let deploys = matches!(settings.mode, Mode::Deploy | Mode::Validate) && !settings.offline;
    let by_files = choice.kind == Kind::File && settings.delivery == DeliveryChoice::File;
    let choice = if deploys && choice.kind == Kind::File {
        let build = taking.first().map(|first| {
            format!("the build of service {} would copy files with secrets into its image", first.service)
        });
        let mount = || {
            let first = shown.first()?;
            let ShownTo { service, what, .. } = first;
            Some(format!("service {service} mounts {what} and would see the files of all services in it"))
        };
        build.or_else(mount).map_or(choice, |reason| Choice { kind: Kind::Volume, reason })
    } else {
        choice
    };
    let mut errors = Vec::new();
    if by_files || choice.kind == Kind::File || place.is_filled() {
        errors.extend(place.refuse_inside(model).err());
    }
    let is_there = place.is_filled() && taking.iter().any(|one| one.directory);
    if deploys && !taking.is_empty() && (by_files || is_there) {
        errors.push(refused(settings, &taking, by_files));
    }
    if deploys && !shown.is_empty() && by_files {
        errors.push(refused_mounts(settings, &shown));
    }
    if let Some(error) = Error::together(errors) {
        return Err(error);
    }
    if choice.kind == Kind::File {
        for one in &taking {
            run.warn(copies(&run.settings, one), Some(remedy(one)));
        }
        for one in &shown {
            run.warn(shows(&run.settings, one), Some(narrower(&run.settings)));
        }
    }
    Ok(choice)
}

fn shows(settings: &Settings, one: &ShownTo) -> String {
    let ShownTo { service, what, source } = one;
    let (directory, source) = (settings.secrets_dir.display(), source.display());
    format!(
        "service {service} mounts {what} ({source}), which holds {directory}: it can read the files of all services"
    )
}

fn narrower(settings: &Settings) -> String {
    let directory = settings.secrets_dir.display();
    format!(
        "Mount a directory that does not hold {directory}, or set `secrets-dir` to one that is not mounted."
    )
}

fn refused_mounts(settings: &Settings, shown: &[ShownTo]) -> Error {
    let problems =
        shown.iter().map(|one| Problem::new(shows(settings, one)).remedy(narrower(settings))).collect();
    Error::new(Code::DeliveryFailed, "services would see the files of other services' secrets")
        .problems(problems)
        .hint(
            "Or leave `delivery` out: with delivery `volume` there are no files with secrets in the project.",
        )
}

fn copies(settings: &Settings, one: &TakesIn) -> String {
    let directory = settings.secrets_dir.display();
    format!(
        "the build context of service {} holds {directory}: a build can copy the secrets into the image",
        one.service
    )
}

fn remedy(one: &TakesIn) -> String {
    let lines: Vec<String> = one.lines.iter().map(|line| format!("`{line}`")).collect();
    let lines = match lines.as_slice() {
        [line] => format!("the line {line}"),
        more => format!("the lines {}", more.join(" and ")),
    };
    format!("Add {lines} to {}.", one.ignore_file.display())
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
    let place = SecretsPlace::new(&alone, &files.directory, &files.directory, &run.settings.secrets_dir);
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
    let volumes = inspection::inspect_used(tools, Used::Volume, &names).await?;
    model.learn_volumes(&volumes);
    Ok(Mounts { volumes, containers })
}

/// The containers that `volumes_from` names, each with the service that takes their mounts.
///
/// # Errors
/// Those of the engine.
async fn named_containers(model: &Model, tools: &Tools) -> Result<Vec<(String, Container)>> {
    let mut all = Vec::new();
    for service in model.services.values() {
        let found = engine::inspect(tools, &service.volumes_from_containers).await?;
        all.extend(found.into_iter().map(|container| (service.name.clone(), container)));
    }
    Ok(all)
}
