//! What the project's own mounts and builds would expose: other services' secrets, to a service that mounts the place where
//! they lie; all of them, to an image whose build context holds their files.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;

use serde_json::Value;
use zeroize::Zeroizing;

use crate::compose::discovery::ComposeFiles;
use crate::compose::model::Model;
use crate::compose::named_files;
use crate::compose::project::Project;
use crate::delivery::build_context::{Copier, TakesIn, Triggers, base_images, taking_in};
use crate::delivery::choose::{Choice, Kind};
use crate::delivery::others::{self, OtherFiles};
use crate::delivery::reach::{self, SecretsPlace, ShownTo};
use crate::diagnostic::Diagnostic;
use crate::engine::host_paths::HostPaths;
use crate::engine::inspection::{self, Used};
use crate::engine::objects::{self, Container};
use crate::engine::tools::Tools;
use crate::error::{Code, Error, Result};
use crate::files::{self, LARGEST_VALUES};
use crate::labels;
use crate::settings::{DeliveryChoice, Mode, Settings};
use crate::sources::dotenv::parse::{Interpolation, parse};
use crate::stages::run::Run;

/// Judges the project's mounts and builds, and chooses the delivery that exposes nothing. Without an `engine` nothing is known
/// of what it has.
///
/// # Errors
/// [`Code::DeliveryFailed`], [`Code::SecretNotGranted`], those of the engine.
pub(crate) async fn judge(
    run: &mut Run,
    project: &mut Project,
    choice: Choice,
    place: &SecretsPlace<'_>,
    host: &HostPaths,
    engine: Option<&Tools>,
) -> Result<Choice> {
    let known = match engine {
        Some(tools) => learn(&mut project.model, place, host, tools).await?,
        None => Known::default(),
    };
    let choice = choose(run, &project.model, choice, place, &known)?;
    reach::refuse_volumes(&project.model, &known.volumes, &known.containers, place)?;
    judge_others(run, project, host, &known)?;
    Ok(choice)
}

/// The delivery that exposes nothing to a build or by a mount: volumes in place of files, where the user left the choice.
///
/// # Errors
/// [`Code::DeliveryFailed`] where files are asked for that a build would copy or another service would see, and where a
/// build would copy those that lie there already. [`Code::SecretNotGranted`] for a mount of the files themselves.
fn choose(
    run: &mut Run,
    model: &Model,
    choice: Choice,
    place: &SecretsPlace,
    known: &Known,
) -> Result<Choice> {
    let (taking, shown) =
        (taking_in(model, place, &known.triggers), place.shown_to(model, &known.containers));
    let settings = &run.settings;
    let deploys = deploys(settings);
    let by_files = choice.kind.in_files() && settings.delivery == DeliveryChoice::File;
    let (unsure, certain) = apart(taking);
    let choice = if deploys && choice.kind.in_files() {
        let unsure = unsure.first().filter(|_| !by_files);
        let build = certain.first().or(unsure).map(|first| match &first.by {
            Copier::UnknownBase(base) => format!(
                "the build of service {} may copy files with secrets into its image: the engine does not have {base}, so that \
                 its `ONBUILD` instructions are not known",
                first.service
            ),
            _ => format!("the build of service {} would copy files with secrets into its image", first.service),
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
    if by_files || choice.kind.in_files() || place.is_filled() {
        errors.extend(place.refuse_inside(model).err());
    }
    let is_there = place.is_filled() && certain.iter().any(|one| one.directory);
    if deploys && !certain.is_empty() && (by_files || is_there) {
        errors.push(refused(settings, &certain, by_files));
    }
    if deploys && !shown.is_empty() && by_files {
        errors.push(refused_mounts(settings, &shown));
    }
    if let Some(error) = Error::together(errors) {
        return Err(error);
    }
    // Without an engine no base image is known: a warning would tell nothing.
    let at_risk = deploys && (choice.kind.in_files() || place.is_filled());
    for one in unsure.iter().filter(|_| at_risk) {
        let held = run.settings.secrets_dir.display().to_string();
        run.remark(Diagnostic::new(copies(one, &held)).help(help(one)));
    }
    if choice.kind.in_files() {
        for one in &certain {
            run.warn(copies(one, &run.settings.secrets_dir.display().to_string()), Some(help(one)));
        }
        for one in &shown {
            run.warn(shows(&run.settings, one), Some(narrower(&run.settings)));
        }
    }
    Ok(choice)
}

/// Those of which it is not known whether they copy anything, and those that do.
fn apart(taking: Vec<TakesIn>) -> (Vec<TakesIn>, Vec<TakesIn>) {
    taking.into_iter().partition(|one| matches!(one.by, Copier::UnknownBase(_)))
}

fn deploys(settings: &Settings) -> bool {
    matches!(settings.mode, Mode::Deploy | Mode::Validate) && !settings.offline
}

/// Judges what the project's mounts and builds would expose of other projects' secrets.
///
/// # Errors
/// [`Code::SecretNotGranted`] for a mount of the files themselves, [`Code::DeliveryFailed`] for a build that copies them.
fn judge_others(run: &mut Run, project: &Project, host: &HostPaths, known: &Known) -> Result<()> {
    let (model, directory) = (&project.model, project.directory.as_path());
    let mut errors = Vec::new();
    for OtherFiles { project, path } in &known.others {
        let place = SecretsPlace::of_another(host, path, project, directory);
        errors.extend(place.refuse_inside(model).err());
        let what = format!("{} with secrets of the project {project}", path.display());
        let (unsure, certain) = apart(taking_in(model, &place, &known.triggers));
        let (certain, unsure) =
            if deploys(&run.settings) { (certain, unsure) } else { (Vec::new(), certain) };
        if !certain.is_empty() {
            let problem = |one: &TakesIn| Diagnostic::new(copies(one, &what)).help(help(one));
            let fact = "builds would copy secrets of other projects into images";
            errors
                .push(Error::new(Code::DeliveryFailed, fact).problems(certain.iter().map(problem).collect()));
        }
        for one in &unsure {
            run.remark(Diagnostic::new(copies(one, &what)).help(help(one)));
        }
        // What a service mounts may well be meant, as where it watches the machine.
        let shown = place.shown_to(model, &known.containers);
        if !shown.is_empty() {
            let mounts: Vec<String> =
                shown.iter().map(|one| format!("service {} by {}", one.service, one.what)).collect();
            let text = format!("{what} can be read by this project: {}", mounts.join(", "));
            run.remark(Diagnostic::new(text).help(format!(
                "Mount a directory that does not hold {}, or deploy the project {project} with `delivery: volume`.",
                path.display()
            )));
        }
    }
    Error::together(errors).map_or(Ok(()), Err)
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
        shown.iter().map(|one| Diagnostic::new(shows(settings, one)).help(narrower(settings))).collect();
    Error::new(Code::DeliveryFailed, "services would see the files of other services' secrets")
        .problems(problems)
        .help(
            "Or leave `delivery` out: with delivery `volume` there are no files with secrets in the project.",
        )
}

/// `held` is what the build context holds.
fn copies(one: &TakesIn, held: &str) -> String {
    let service = &one.service;
    let start = format!("the build context of service {service} holds {held}");
    match &one.by {
        Copier::Dockerfile => format!("{start}: a build can copy the secrets into the image"),
        Copier::Base(base) => {
            format!("{start}: `ONBUILD` of the base image {base} copies the secrets into the image")
        }
        Copier::UnknownBase(base) => format!(
            "{start}: the engine does not have the base image {base}, which copies the secrets into the image if it has such \
             `ONBUILD` instructions"
        ),
    }
}

fn help(one: &TakesIn) -> String {
    let lines: Vec<String> = one.lines.iter().map(|line| format!("`{line}`")).collect();
    let lines = match lines.as_slice() {
        [line] => format!("the line {line}"),
        more => format!("the lines {}", more.join(" and ")),
    };
    format!("Add {lines} to {}.", one.ignore_file.display())
}

fn refused(settings: &Settings, taking: &[TakesIn], by_files: bool) -> Error {
    let directory = settings.secrets_dir.display().to_string();
    let problems =
        taking.iter().map(|one| Diagnostic::new(copies(one, &directory)).help(help(one))).collect();
    let error = Error::new(Code::DeliveryFailed, "builds would copy secrets into images").problems(problems);
    if by_files {
        error.help(
            "Or leave `delivery` out: with delivery `volume` there are no files with secrets in the project.",
        )
    } else {
        error.help("The files are of an earlier deployment. Rotate the secrets if an image was built since.")
    }
}

/// Refuses files of ours that Compose itself would read, before it does: it may quote them, and what is in them becomes
/// variables and labels.
///
/// # Errors
/// [`Code::SecretNotGranted`] for each, with what was noted before.
pub(crate) fn refuse_named(run: &mut Run, files: &ComposeFiles, tools: &Tools) -> Result<()> {
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
    if let Err(error) = place.refuse_named(&named_files::named(&files.directory, &files.files, &expand)) {
        run.wrong.push(error);
        run.check_wrong()?;
    }
    Ok(())
}

/// What the engine has of what the project's services mount and are built from, and of other projects.
#[derive(Default)]
struct Known {
    volumes: Vec<Value>,
    /// The containers that `volumes_from` names, each with the service that takes their mounts.
    containers: Vec<(String, Container)>,
    /// What base images ask for by `ONBUILD`.
    triggers: Triggers,
    /// Where files with secrets of other projects lie.
    others: BTreeSet<OtherFiles>,
}

/// Asks the engine for the containers that services name, so that those of the project's services count as these.
///
/// # Errors
/// Those of the engine.
pub(crate) async fn learn_containers(model: &mut Model, tools: &Tools) -> Result<()> {
    let containers = objects::inspect(tools, &model.named_containers()).await?;
    model.learn_containers(&containers);
    Ok(())
}

/// Asks the engine for volumes, so that those that are directories of its machine are known, for base images, and for the
/// files of other projects.
///
/// # Errors
/// Those of the engine.
async fn learn(
    model: &mut Model,
    place: &SecretsPlace<'_>,
    host: &HostPaths,
    tools: &Tools,
) -> Result<Known> {
    let mut names = reach::volumes(model);
    let (containers, mounts) = tokio::try_join!(
        named_containers(model, tools),
        objects::mounts_with_label(tools, labels::REVISION)
    )?;
    let taken = containers.iter().flat_map(|(_, container)| container.mounts());
    names.extend(taken.filter(|(kind, _, _)| *kind == "volume").map(|(_, name, _)| name.to_owned()));
    let volumes = inspection::inspect_used(tools, Used::Volume, &names).await?;
    model.learn_volumes(&volumes);
    let others = others::files(&mounts, &model.name, host);
    let mut bases = base_images(model, place);
    for OtherFiles { project, path } in &others {
        bases.extend(base_images(model, &SecretsPlace::of_another(host, path, project, path)));
    }
    let triggers = triggers(bases, tools).await?;
    Ok(Known { volumes, containers, triggers, others })
}

/// What these base images ask for by `ONBUILD`, of those that the engine has.
async fn triggers(bases: BTreeSet<String>, tools: &Tools) -> Result<Triggers> {
    let names: Vec<String> = bases.into_iter().collect();
    let images = objects::images(tools, &names).await?;
    let asks = |image: &objects::Image| -> Vec<String> {
        let list = image.raw.pointer("/Config/OnBuild").and_then(Value::as_array).into_iter().flatten();
        list.filter_map(|text| text.as_str().map(str::to_owned)).collect()
    };
    Ok(images.iter().map(|(name, image)| (name.clone(), asks(image))).collect())
}

/// The containers that `volumes_from` names, each with the service that takes their mounts.
///
/// # Errors
/// Those of the engine.
async fn named_containers(model: &Model, tools: &Tools) -> Result<Vec<(String, Container)>> {
    let mut all = Vec::new();
    for service in model.services.values() {
        let found = objects::inspect(tools, &service.volumes_from_containers).await?;
        all.extend(found.into_iter().map(|container| (service.name.clone(), container)));
    }
    Ok(all)
}
