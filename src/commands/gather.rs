//! The stages Manifest, Resolution and Masks: from what the user said to values that cannot be printed any more.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::github::{self, Asking};
use super::{Run, connecting, reporting};
use crate::access::{Access, Owners};
use crate::compose::discovery::{self, ComposeFiles};
use crate::compose::placeholder::placeholder;
use crate::count::count;
use crate::diagnostic::Place;
use crate::engine::host_directory;
use crate::engine::host_paths::HostPaths;
use crate::engine::tools::Tools;
use crate::error::{Code, Error, Result};
use crate::files::LARGEST_SETTINGS;
use crate::lint;
use crate::manifest::{self, Manifest, Reading, Secret, Soundness};
use crate::mask::Plan;
use crate::reserved;
use crate::resolve::{self, Asked, Resolution, resolve};
use crate::secret::{SecretName, SecretValue};
use crate::sensitive::{Sensitive, StandIns};
use crate::settings::Address;
use crate::settings::{ComposeSettings, Environment, Settings};
use crate::sources::{self, ProjectDirs, Source, docker_secrets, dotenv};

/// What is declared, and where the project is.
pub(super) struct Declared {
    pub(super) files: ComposeFiles,
    pub(super) manifest: Manifest,
    /// The profiles to start: `profiles`, else `COMPOSE_PROFILES`.
    pub(super) profiles: Vec<String>,
    /// `COMPOSE_PROJECT_NAME`.
    pub(super) name: Option<String>,
    /// What mistakes of the manifest leave alone.
    pub(super) soundness: Soundness,
    /// How long a service without a health check must stay up.
    pub(super) stable_for: Duration,
}

/// The same where nobody says.
const STABLE_FOR: Duration = Duration::from_secs(3);

/// Log drivers that keep a container's output on this machine.
const LOCAL_LOG_DRIVERS: &[&str] = &["json-file", "local", "none"];

/// Finds the project and reads the manifest. What is wrong with the manifest is noted, and the rest of it is read; where
/// it does not tell the names of all secrets, the run ends: a program that was started could be handed a value that nobody
/// knows for one.
pub(super) fn declared(run: &mut Run) -> Result<Declared> {
    run.begin_stage("Manifest");
    let Found { files, profiles, name } = find_project(&run.settings)?;
    let Reading { manifest, error, soundness } = read_given(&run.settings, &files, false)?;
    run.declare(&manifest);
    match error {
        Some(error) if !soundness.names_known => return Err(error),
        error => run.wrong.extend(error),
    }
    run.console.line(&format!("{} declared", count(manifest.secrets.len(), "secret")));
    let stable_for = stable_for(&run.settings.compose, manifest.stable_for);
    let stable_for = run.note(stable_for).unwrap_or(STABLE_FOR);
    Ok(Declared { files, manifest, profiles, name, soundness, stable_for })
}

/// How long a service without a health check must stay up: what the input says, else the manifest. Where neither does, as long
/// as usual, or as there is time.
///
/// # Errors
/// [`Code::Usage`] when that is longer than the run waits: no service could pass.
fn stable_for(settings: &ComposeSettings, in_manifest: Option<Duration>) -> Result<Duration> {
    let Some(wanted) = settings.stable_for.or(in_manifest) else {
        return Ok(STABLE_FOR.min(settings.wait_timeout));
    };
    if !settings.wait || wanted <= settings.wait_timeout {
        return Ok(wanted);
    }
    let fact = format!(
        "stable-for: {} is longer than the run waits for the services ({}, `wait-timeout`)",
        humantime::format_duration(wanted),
        humantime::format_duration(settings.wait_timeout)
    );
    Err(Error::new(Code::Usage, fact).help("Use a longer `wait-timeout` or a shorter `stable-for`."))
}

/// Where the project is, and what Compose is told of it by variables.
pub(super) struct Found {
    pub(super) files: ComposeFiles,
    pub(super) profiles: Vec<String>,
    pub(super) name: Option<String>,
}

/// Finds the Compose files, the profiles and the name.
pub(super) fn find_project(settings: &Settings) -> Result<Found> {
    let start = settings.compose.directory.as_deref().unwrap_or(&settings.workspace);
    let env_file = steering(start)?;
    let variable =
        |name: &str| settings.variables.text(name).or_else(|| env_file.text(name)).map(str::to_owned);
    let files = discovery::find(&discovery::Wanted {
        named: &settings.compose.files,
        directory: settings.compose.directory.as_deref(),
        workspace: &settings.workspace,
        variable: &variable,
        override_file: &settings.override_file,
    })?;
    // Compose reads the `.env` of the project directory, which the Compose files may just have decided.
    let env_file = steering(&files.directory)?;
    let variable =
        |name: &str| settings.variables.text(name).or_else(|| env_file.text(name)).map(str::to_owned);
    let mut profiles = settings.compose.profiles.clone();
    if profiles.is_empty() {
        let list = variable("COMPOSE_PROFILES").unwrap_or_default();
        profiles = list.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    }
    Ok(Found { files, profiles, name: variable("COMPOSE_PROJECT_NAME") })
}

/// Reads the manifest and the `secrets` input.
pub(super) fn read_manifest(settings: &Settings, files: &ComposeFiles) -> Result<Manifest> {
    sound(read_given(settings, files, false)?)
}

/// The same as far as it can be read, for a mode to which it does not matter what is declared where: every secret that is
/// declared, or that the manifest gives a service.
pub(super) fn read_leniently(settings: &Settings, files: &ComposeFiles) -> Result<Manifest> {
    let mut manifest = sound(read_given(settings, files, true)?)?;
    let granted = manifest.services.take().unwrap_or_default().into_values().flat_map(|grant| grant.secrets);
    let mut named: BTreeSet<SecretName> = manifest.secrets.iter().map(|one| one.name.clone()).collect();
    for name in granted {
        if named.insert(name.clone()) {
            manifest.secrets.push(Secret::named(name, Place { file: None, line: 1, column: 1 }));
        }
    }
    Ok(manifest)
}

pub(super) fn sound(reading: Reading) -> Result<Manifest> {
    reading.error.map_or(Ok(reading.manifest), Err)
}

/// Reads what is there, right or wrong.
pub(super) fn read_given(settings: &Settings, files: &ComposeFiles, lenient: bool) -> Result<Reading> {
    let path = settings.config.clone().unwrap_or_else(|| files.directory.join(manifest::FILE_NAME));
    let bytes = match crate::files::read(&path, LARGEST_SETTINGS) {
        Ok(contents) => Some(contents.value),
        Err(error) if settings.config.is_none() && error.kind() == ErrorKind::NotFound => None,
        Err(error) => {
            let code = match error.kind() {
                ErrorKind::NotFound | ErrorKind::PermissionDenied => Code::ManifestMissing,
                _ => Code::ManifestInvalid,
            };
            return Err(Error::io(code, "read the manifest", &path, &error)
                .help("Name a file of at most 1 MiB that this user may read by `config`."));
        }
    };
    let shown = path.strip_prefix(&settings.workspace).map_or_else(|_| path.clone(), PathBuf::from);
    let known = sources::known();
    Ok(manifest::examine(&manifest::Given {
        lines: settings.secrets.as_deref(),
        file: bytes.as_ref().map(|bytes| (shown.as_path(), bytes.expose())),
        prefix: settings.prefix.as_deref(),
        environment: settings.environment.as_deref(),
        lenient,
        ..known.given()
    }))
}

/// Docker's programs before any secret is known: they get only what a Docker client needs.
pub(super) fn early_tools(run: &Run) -> Tools {
    let variables = Sensitive::docker_alone(&run.settings.variables);
    let tools = Tools::new(variables, run.console.clone(), run.interrupt.clone());
    match &run.settings.engine.host {
        Some(Address::Unix(socket)) => tools.for_socket(socket),
        _ => tools,
    }
}

/// Finds our own container, if we are in one, and refuses to print masks where its output leaves the machine.
pub(super) async fn host_paths(run: &mut Run, tools: &Tools) -> Result<HostPaths> {
    let platform = &run.settings.platform;
    let is_remote = run.settings.engine.is_remote();
    if is_remote && !platform.actions {
        return Ok(HostPaths::without_engine());
    }
    if platform.in_container {
        check_socket(tools)?;
    }
    let host = HostPaths::find(tools, platform).await?;
    let report = reporting::report_path(&run.settings);
    run.report_on_host = report.and_then(|path| host.to_host(&path).ok());
    let platform = &run.settings.platform;
    if platform.actions && host.is_lost() {
        // Where our output goes is not known either, so that no mask may be printed.
        host.to_host(&run.settings.workspace)?;
    }
    match host.log_driver.as_deref() {
        Some(driver) if platform.actions && !LOCAL_LOG_DRIVERS.contains(&driver) => Err(Error::new(
            Code::UnsafeLogDriver,
            format!("the engine sends this container's output to its log driver `{driver}`"),
        )
        .help(
            "Masking a value means to print it once for the runner, and that log driver would ship it off the machine in \
             clear. Set the engine's default log driver to `json-file` or `local` (daemon.json: `\"log-driver\": \"local\"`).",
        )),
        _ if is_remote => Ok(host.of_another_machine()),
        _ => Ok(host),
    }
}

/// Asks the sources for the secrets of which nothing is wrong so far, puts the masks in force, and only then speaks of what
/// was found. What is wrong with the secrets is noted.
pub(super) async fn resolved(
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
        run.remark(remark);
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
    reporting::secrets(run, &resolution);
    github::explain_withheld(run, &resolution);
    if let Some(github) = &github {
        github.compare(run, declared, &resolution);
    }
    run.wrong.extend(resolution.check().err());
    Ok(resolution)
}

/// Hides the larger values that hold secrets as wholes, too, in every form in which they can turn up.
pub(super) fn hide_composed(run: &Run, resolution: &Resolution, access: &Access) {
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
pub(super) fn narrow(secret: &mut Secret, only: &str) -> bool {
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
pub(super) async fn open(
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
        run.warn(warning.fact, warning.help);
    }
    Ok(imported.asked)
}

/// The names of what is imported, for a mode that asks for no values.
pub(super) async fn imported(
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

/// Docker's programs for the rest of the run: with the step's variables, without any secret, and with a placeholder for
/// each declared one, so that Compose's interpolation (`${NAME:?}`) passes.
///
/// `directory` is the project's: Compose reads the `.env` file there by itself.
pub(super) fn tools(
    run: &Run,
    directory: &Path,
    secrets: &[&Secret],
    resolution: Option<&Resolution>,
) -> Tools {
    let values: Vec<&SecretValue> =
        resolution.into_iter().flat_map(|r| r.values().map(|(_, value)| value)).collect();
    let mut placeholders = BTreeMap::new();
    let absent = resolution.map(Resolution::absent_names).unwrap_or_default();
    let plain_texts = resolution.map(Resolution::plain_texts).unwrap_or_default();
    // One that nobody should read was refused when the project was looked for.
    let in_env_file =
        if absent.is_empty() { BTreeMap::new() } else { dotenv::default_file(directory).unwrap_or_default() };
    // Without what they need themselves (`env:DOCKER_HOST`) Docker's programs find nothing.
    let replaceable = |(variable, _): &(&str, &Secret)| reserved::reader(variable).is_none();
    for (variable, secret) in Owners::new(secrets.iter().copied()).iter().filter(replaceable) {
        // One that has no value though it should has one in the run after this one.
        let text = match (secret.sensitive, !absent.contains(&secret.name)) {
            (true, true) => Some(placeholder(variable)),
            // The step's environment is not asked, whatever it has under this name. Compose takes its own default; what
            // its `.env` has it would take as well, if the variable were not there.
            (true, false) => in_env_file.contains_key(variable).then(String::new),
            (false, _) => plain_texts.get(&secret.name).cloned(),
        };
        placeholders.extend(text.map(|text| (variable.to_owned(), text)));
    }
    let available = resolution.into_iter().flat_map(Resolution::available);
    let available = available
        .filter(|(secret, _)| secret.sensitive)
        .map(|(secret, value)| (placeholder(secret.name.as_str()), value))
        .collect();
    let stand_ins = StandIns { variables: placeholders, values: available };
    let variables = run.sensitive.child_variables(&run.settings.variables, &values, stand_ins);
    connecting::for_engine(run, Tools::new(variables, run.console.clone(), run.interrupt.clone()))
}

/// The project's socket: missing it is the commonest mistake, and the client's own words for it are long.
pub(super) fn check_socket(tools: &Tools) -> Result<()> {
    let host = tools.variable("DOCKER_HOST").and_then(|host| host.to_str());
    let elsewhere = host.is_some_and(|host| !host.starts_with("unix://"));
    let path = tools.socket();
    if elsewhere || path.exists() {
        return Ok(());
    }
    Err(Error::new(Code::DockerSocketMissing, format!("there is no Docker socket at {}", path.display()))
        .help("GitHub's runner mounts it by itself. On a self-hosted runner: is the engine installed, and is this its socket? (Kubernetes runners without Docker cannot deploy with Compose.)"))
}

/// The variables by which a directory's `.env` file steers Compose.
fn steering(directory: &Path) -> Result<Environment> {
    let entries = dotenv::default_file(directory)?.into_iter();
    let text = |value: SecretValue| String::from_utf8_lossy(value.expose()).into_owned();
    let steering = entries.filter(|(key, _)| key.starts_with("COMPOSE_"));
    Ok(Environment::from_pairs(steering.map(|(key, value)| (key, text(value)))))
}
