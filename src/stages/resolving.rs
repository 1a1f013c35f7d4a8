//! The stages Resolution and Masks: from what is declared to values that cannot be printed any more.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::SystemTime;

use crate::access::Access;
use crate::count::count;
use crate::engine::host_directory;
use crate::engine::host_paths::HostPaths;
use crate::engine::tools::Tools;
use crate::error::Result;
use crate::lint;
use crate::manifest::{Manifest, Secret};
use crate::mask::Plan;
use crate::resolve::{self, Asked, Resolution, resolve};
use crate::secret::SecretValue;
use crate::settings::Settings;
use crate::sources::{self, ProjectDirs, Source, docker_secrets};
use crate::stages::declared::Declared;
use crate::stages::github;
use crate::stages::github::Asking;
use crate::stages::rows;
use crate::stages::run::Run;

/// Asks the sources for the secrets of which nothing is wrong so far, puts the masks in force, and only then speaks of what
/// was found. What is wrong with the secrets is noted.
pub(crate) async fn resolved(
    run: &mut Run,
    declared: &mut Declared,
    early: &Tools,
    host: &HostPaths,
    asking: &mut Option<Asking>,
) -> Result<Resolution> {
    run.begin_stage("Secrets");
    let opened = open(&run.settings, &declared.manifest, &declared.files.directory, early, host).await?;
    let asked = ask(run, declared, &opened).await;
    if asked.is_err() {
        resolve::close(&opened).await;
    }
    let mut resolution = asked?;
    let github = match asking.take() {
        Some(asking) => github::end(run, asking).await?,
        None => None,
    };
    if let Some(github) = &github {
        github.date(run, declared, &mut resolution);
    }
    let values: Vec<_> = resolution.values().map(|(name, value)| (name.as_str(), value.expose())).collect();
    let (masks, all) = run.sensitive.plans(&values);
    run.console.start_redacting(&masks, &all);
    // Credentials are masked for good measure: nothing prints them, and a short one is the store's matter.
    let names: BTreeSet<&str> = declared.manifest.secrets.iter().map(|one| one.name.as_str()).collect();
    let is_ours =
        |name: &str| names.contains(name) || run.settings.registries.iter().any(|login| login.host == name);
    let unmaskable: BTreeMap<_, _> =
        masks.unmaskable().into_iter().filter(|(name, _)| is_ours(name)).collect();
    for (name, why) in unmaskable {
        run.warn(
            format!("{name} cannot be masked: {why}"),
            Some("Use a longer value, or `sensitive: false` when it is no secret.".to_owned()),
        );
    }
    for remark in sources::without_credentials(&run.settings, &declared.manifest.sources, &opened) {
        run.report.warn(remark);
    }
    let in_job = run.settings.platform.actions;
    let odd = lint::warnings(&resolution.secrets, SystemTime::now(), in_job);
    for warning in resolution.warnings.iter().chain(&odd) {
        run.report.warn(warning.clone());
    }
    for note in &resolution.notes {
        run.report.note(note.clone());
    }
    run.report.degraded |= resolution.degraded;
    rows::secrets(run, &resolution);
    github::explain_withheld(run, &resolution);
    if let Some(github) = &github {
        github.compare(run, declared, &resolution);
    }
    run.wrong.extend(resolution.check().err());
    Ok(resolution)
}

/// Hides the larger values that hold secrets as wholes, too, in every form in which they can turn up.
pub(crate) fn hide_composed(run: &Run, resolution: &Resolution, access: &Access) {
    let values: BTreeMap<&str, &SecretValue> =
        resolution.available().map(|(secret, value)| (secret.name.as_str(), value)).collect();
    let value_of = |variable: &str| values.get(access.owners.get(variable)?.as_str()).copied();
    let services = access.services.values().flat_map(|own| &own.composed);
    let composed: Vec<(&str, SecretValue)> = services
        .flat_map(|composed| {
            composed.lines_with_secrets(value_of).into_iter().map(|line| (composed.file.as_str(), line))
        })
        .collect();
    if composed.is_empty() {
        return;
    }
    let more = || composed.iter().map(|(name, value)| (*name, value.expose()));
    let known = resolution.values().map(|(name, value)| (name.as_str(), value.expose()));
    run.console.hide(&Plan::new(more()), &run.sensitive.plan(known.chain(more())));
}

/// Asks the sources what imports mean, and then for every secret.
async fn ask(run: &mut Run, declared: &mut Declared, opened: &[Box<dyn Source>]) -> Result<Resolution> {
    let imports = import(run, declared, opened).await?;
    let mut manifest = declared.manifest.clone();
    // What is composed of an unsound secret is unsound, and so is what is composed of that.
    let mut unsound = declared.soundness.unsound.clone();
    while let Some(name) = manifest.secrets.iter().find_map(|secret| {
        let follows = !unsound.contains(&secret.name) && secret.parts().any(|part| unsound.contains(part));
        follows.then(|| secret.name.clone())
    }) {
        unsound.insert(name);
    }
    manifest.secrets.retain(|secret| !unsound.contains(&secret.name));
    if let Some(only) = &run.settings.source {
        manifest.secrets.retain_mut(|secret| narrow(secret, only));
    }
    let resolving = resolve(manifest, opened, &run.settings);
    let mut resolution = run.interrupt.or(resolving).await?;
    resolution.add_asked(imports);
    if run.settings.source.is_some() {
        resolution.secrets.iter_mut().for_each(|resolved| resolved.is_open |= resolved.value.is_none());
    }
    Ok(resolution)
}

/// Leaves of a secret what a single source says of it; whether that is anything. What this source does not have another
/// one may.
pub(crate) fn narrow(secret: &mut Secret, only: &str) -> bool {
    secret.required = false;
    secret.default = None;
    if secret.template.is_some() {
        return false;
    }
    let Some(references) = &mut secret.from else { return true };
    references.retain(|reference| reference.source.as_str() == only);
    !references.is_empty()
}

/// Opens the sources of this run. Directories of the host that this process does not see are read through the engine.
pub(crate) async fn open(
    settings: &Settings,
    manifest: &Manifest,
    project: &Path,
    early: &Tools,
    host: &HostPaths,
) -> Result<Vec<Box<dyn Source>>> {
    let mut host_directories = BTreeMap::new();
    if let Some(image) = &host.own_image {
        for directory in docker_secrets::unseen_directories(manifest) {
            let files = host_directory::read(early, image, &directory).await?;
            host_directories.insert(directory, files);
        }
    }
    let around =
        ProjectDirs { project, secrets_dir: &settings.secrets_dir, host_directories: &host_directories };
    sources::open(settings, manifest, &around)
}

/// Puts what the imports find among the declared secrets. Returns what that took of the sources.
async fn import(run: &mut Run, declared: &mut Declared, opened: &[Box<dyn Source>]) -> Result<Vec<Asked>> {
    if declared.manifest.imports.is_empty() {
        return Ok(Vec::new());
    }
    let before = declared.manifest.secrets.len();
    let importing = resolve::import(declared.manifest.clone(), opened, &run.settings);
    let imported = run.interrupt.or(importing).await??;
    declared.manifest = imported.manifest;
    run.declare(&declared.manifest);
    run.report.degraded |= imported.degraded;
    let imported_now = declared.manifest.secrets.len() - before;
    run.console.line(&format!("{} imported", count(imported_now, "secret")));
    for warning in imported.warnings {
        run.report.warn(warning);
    }
    Ok(imported.asked)
}

/// The names of what is imported, for a mode that asks for no values.
pub(crate) async fn imported(
    run: &mut Run,
    declared: &mut Declared,
    early: &Tools,
    host: &HostPaths,
) -> Result<()> {
    if declared.manifest.imports.is_empty() {
        return Ok(());
    }
    let opened = open(&run.settings, &declared.manifest, &declared.files.directory, early, host).await?;
    let done = import(run, declared, &opened).await;
    resolve::close(&opened).await;
    done.map(|_| ())
}
