//! The Project stage: the Compose model, who gets what, and where things go.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::access::{self, Access};
use crate::compose::images::{self, Images};
use crate::compose::mounted_files::{self, Mounted};
use crate::compose::project::{Project, likely_name};
use crate::compose::shown::{check_builds, check_own};
use crate::count::count;
use crate::delivery::choose::{Choice, Kind, choose, is_remote};
use crate::delivery::override_file::OverrideFile;
use crate::delivery::plan::OwnSecret;
use crate::delivery::reach::SecretsPlace;
use crate::delivery::record::{self, Record};
use crate::delivery::{Difference, ProjectFile, SecretFile, SecretsDir, in_clear, workers};
use crate::engine::host_paths::{HostPath, HostPaths};
use crate::engine::objects::{self, Container};
use crate::engine::tools::Tools;
use crate::error::{Code, Error, Result, both};
use crate::manifest::Secret;
use crate::release::{self, Release};
use crate::report::DeliveryRow;
use crate::resolve::Resolution;
use crate::secret::SecretName;
use crate::settings::{Mode, ProjectFiles, Settings};
use crate::sources::dotenv;
use crate::stages::declared::Declared;
use crate::stages::exposure;
use crate::stages::overriding::EngineSide;
use crate::stages::own_files;
use crate::stages::resolving;
use crate::stages::run::Run;

/// The project with everything that is decided before the first value is handed out.
pub(crate) struct Prepared {
    pub(crate) project: Project,
    pub(crate) access: Access,
    pub(crate) choice: Choice,
    pub(crate) secrets_dir: SecretsDir,
    /// The secrets directory of the last deployment, where that was another one.
    pub(crate) former_dir: Option<SecretsDir>,
    pub(crate) override_file: ProjectFile,
    /// The profiles that this run starts.
    pub(crate) profiles: Vec<String>,
    /// The secrets directory on the Docker host.
    pub(crate) host_secrets_dir: HostPath,
    /// The override file on the Docker host.
    pub(crate) host_override: HostPath,
    /// The project's containers, before anything was changed; none in modes that do without an engine.
    pub(crate) containers: Vec<Container>,
    /// The images that they were made from.
    pub(crate) images: Images,
    /// What the last deployment left, where that was noted.
    pub(crate) record: Option<Record>,
    /// The project's own secrets that move into a service's volume.
    pub(crate) own: BTreeMap<String, Vec<OwnSecret>>,
    /// Declared secrets that have no value.
    pub(crate) absent: BTreeSet<SecretName>,
    /// Variables that an `env_file` gives as well as `environment`, by service; known once an override was checked.
    pub(crate) emptied: BTreeMap<String, BTreeSet<String>>,
    /// Whether there may be an engine that can be asked.
    pub(crate) has_engine: bool,
    /// Files of the checkout that are copied to the engine's machine.
    pub(crate) release: Release,
    /// What is known of the engine's machine; known once an override was checked.
    pub(crate) engine: EngineSide,
    /// What is in the files that the services' definitions name, by service.
    pub(crate) mounted: BTreeMap<String, Vec<Mounted>>,
}

impl Prepared {
    /// What a delivery of these files changes in the secrets directory: with delivery `volume` nothing is wanted there, and
    /// files of a delivery by files before it are removed, unless they are another project's.
    pub(crate) fn difference(&self, files: &[SecretFile]) -> Result<Difference> {
        match self.choice.kind {
            Kind::File => self.secrets_dir.compare(files),
            Kind::Volume if self.secrets_dir.of_another()?.is_some() => Ok(Difference::default()),
            Kind::Volume => self.secrets_dir.compare(&[]),
        }
    }
}

/// Reads the project and decides. `secrets` are those that are to be handed out; with a resolution, those that have a value,
/// or should. `host` is `None` where nothing is known of an engine: then the project is only looked through.
///
/// # Errors
/// Everything that is wrong, with what was noted before.
pub(crate) async fn prepare(
    run: &mut Run,
    declared: &Declared,
    secrets: &[&Secret],
    resolution: Option<&Resolution>,
    tools: &Tools,
    host: Option<&HostPaths>,
) -> Result<Prepared> {
    run.begin_stage("Project");
    let absent: Vec<&Secret> = resolution.into_iter().flat_map(Resolution::absent).collect();
    let endpoint = match &run.remote {
        Some(remote) => Ok(Some(remote.address().to_string())),
        None if host.is_some() => objects::endpoint(tools),
        None => Ok(None),
    };
    let directory = &declared.files.directory;
    let server = endpoint.as_ref().ok().cloned().flatten().unwrap_or_default();
    let choice = endpoint.and_then(|endpoint| choose(&run.settings, endpoint.as_deref()));
    let secrets_dir = SecretsDir::open(directory, &run.settings.secrets_dir);
    let places = both(both(choice, secrets_dir), override_file(&run.settings, directory));
    exposure::refuse_named(run, &declared.files, tools)?;
    let (mut project, Standing { containers, images, record }) = match load(run, declared, tools, host).await
    {
        Ok(loaded) => loaded,
        Err(error) => {
            run.wrong.extend(places.err());
            if is_noted(&run.wrong, &error) {
                run.check_wrong()?;
            }
            return Err(error);
        }
    };
    let access = decide(run, declared, secrets, &absent, &project);
    let builds = given_to_builds(run, &project, tools, &images, host.is_some()).await;
    let access = both(access, builds).map(|(access, ())| access);
    warn_of_unset(run, &project);
    let (((choice, secrets_dir), override_file), access) = both(places, access)?;
    tell(run, &access);
    run.check_wrong()?;
    let has_engine = host.is_some();
    let alone = HostPaths::without_engine();
    let host = host.unwrap_or(&alone);
    if let Some(resolution) = resolution {
        resolving::hide_composed(run, resolution, &access);
    }
    project.stand_ins = in_clear::stand_ins(&access);
    let secrets_dir = secrets_dir.of_project(&project.model.name);
    let former_dir = record
        .as_ref()
        .and_then(|record| record.former_dir(directory, &secrets_dir.relative(), &project.model.name));
    let starts_workers = access.services.iter().filter(|(_, own)| own.workers.is_some());
    let secrets_dir =
        starts_workers.map(|(service, _)| workers::directory(service)).fold(secrets_dir, SecretsDir::mounted);
    let engine = has_engine.then_some(tools);
    let host_secrets_dir = project.directory.join(&run.settings.secrets_dir);
    let place = SecretsPlace::new(host, directory, project.directory.as_path(), &run.settings.secrets_dir);
    let choice = exposure::judge(run, &mut project, choice, &place, host, engine).await?;
    let own = own_files::read(choice.kind, &project, &access, engine, host).await?;
    let seen = release::Project {
        model: &project.model,
        directory,
        on_host: project.directory.as_path(),
        access: &access,
        delivered: &own.keys().cloned().collect(),
        containers: &containers,
        own_files: own_output(&run.settings),
    };
    let release = release_of(run, &seen, tools, has_engine.then_some(&server)).await?;
    let mounted = mounted_files::of_services(
        &project.model,
        &mounted_files::MountContext {
            tools,
            host,
            directory,
            secrets_dir: host_secrets_dir.as_path(),
            fresh: run.settings.platform.actions,
        },
    );
    let host_override = project.directory.join(&run.settings.override_file);
    tell_delivery(run, &project, &choice);
    run.report.override_file = Some(host_override.to_string());
    if choice.kind.in_files() {
        run.report.secrets_dir = Some(host_secrets_dir.to_string());
    }
    Ok(Prepared {
        project,
        access,
        choice,
        secrets_dir,
        former_dir,
        override_file,
        profiles: declared.profiles.clone(),
        host_secrets_dir,
        host_override,
        containers,
        images,
        record,
        mounted,
        own,
        absent: absent.iter().map(|secret| secret.name.clone()).collect(),
        emptied: BTreeMap::new(),
        has_engine,
        release,
        engine: EngineSide::default(),
    })
}

/// Files of the checkout that are to be copied: none where the engine has the checkout, or where nothing is deployed.
/// `server` is where the engine is, and `None` where there is none.
async fn release_of(
    run: &mut Run,
    seen: &release::Project<'_>,
    tools: &Tools,
    server: Option<&String>,
) -> Result<Release> {
    let Some(server) = server else { return Ok(Release::default()) };
    let deploys = matches!(run.settings.mode, Mode::Deploy | Mode::Validate);
    let outlives = run.settings.platform.engine_outlives_workspace();
    let copies = match run.settings.project_files {
        ProjectFiles::Auto => is_remote(server) || outlives,
        ProjectFiles::Copy => true,
        ProjectFiles::InPlace => false,
    };
    if !deploys {
        return Ok(Release::default());
    }
    if !copies {
        let mut notes = Vec::new();
        if outlives && !is_remote(server) {
            for (path, services) in Release::mounted(seen) {
                let services: Vec<String> = services.into_iter().collect();
                notes.push(format!(
                    "project-files: in-place: {} of the workspace is mounted by {}, and the next checkout wipes it",
                    path,
                    services.join(", ")
                ));
            }
        }
        for note in notes {
            run.console.line(&format!("note: {note}"));
            run.report.note(note);
        }
        return Ok(Release::default());
    }
    let release = Release::of(seen, tools, server).await?;
    for line in release.lines() {
        run.console.line(&format!("project files: {line}"));
    }
    Ok(release)
}

/// What a run itself writes into the project.
fn own_output(settings: &Settings) -> Vec<PathBuf> {
    let files = [settings.report_file.as_ref(), settings.sarif_file.as_ref()];
    let files = files.into_iter().flatten().map(|path| settings.workspace.join(path));
    [settings.secrets_dir.clone(), settings.override_file.clone()].into_iter().chain(files).collect()
}

fn warn_of_unset(run: &mut Run, project: &Project) {
    for name in &project.unset {
        run.warn(
            format!(
                "the Compose files name the variable {name}, which is not set: Compose takes it as empty"
            ),
            Some(format!("Give it under the step's `env:`, or write `${{{name}:-}}`.")),
        );
    }
}

/// Says what the project is and how its services get their secrets, and puts it into the report.
fn tell_delivery(run: &mut Run, project: &Project, choice: &Choice) {
    run.console.line(&format!(
        "project {} with {}; delivery by {}: {}",
        project.model.name,
        count(project.model.services.len(), "service"),
        choice.kind.name(),
        choice.reason
    ));
    run.report.project = Some(project.model.name.clone());
    run.report.delivery =
        Some(DeliveryRow { kind: choice.kind.name().to_owned(), reason: choice.reason.clone() });
}

/// Says what is worth it of who gets what, and puts it into the report.
fn tell(run: &mut Run, access: &Access) {
    for (text, help) in &access.warnings {
        run.warn(text.clone(), Some(help.clone()));
    }
    for note in &access.notes {
        run.console.line(&format!("note: {note}"));
        run.report.note(note.clone());
    }
    let mut services: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
    for (service, own) in &access.services {
        for granted in &own.secrets {
            services.entry(granted.name.as_str()).or_default().push(service);
        }
    }
    for row in &mut run.report.secrets {
        let own = services.remove(row.name.as_str()).unwrap_or_default();
        row.services = own.into_iter().cloned().collect();
    }
}

/// The override file, which must be ours or not there.
fn override_file(settings: &Settings, directory: &Path) -> Result<ProjectFile> {
    let file = ProjectFile::open(directory, &settings.override_file)?;
    if file.read()?.is_some_and(|bytes| !OverrideFile::is_ours(&bytes)) {
        return Err(Error::new(
            Code::OverrideInvalid,
            format!("{} is there and was not generated by claude-secrets", settings.override_file.display()),
        )
        .help("Move it away, or name another `override-file`."));
    }
    Ok(file)
}

/// Whether Compose rejects a project for its `.env` file that the `dotenv` source has refused already.
fn is_noted(noted: &[Error], rejected: &Error) -> bool {
    let by_source = |error: &Error| matches!(error.code, Code::SourceFailed | Code::SourceDenied);
    let file = dotenv::DEFAULT_FILE;
    rejected.code == Code::ComposeFileInvalid
        && rejected.fact.contains(&format!("/{file}"))
        && noted.iter().any(|error| by_source(error) && error.fact.contains(file))
}

/// Who gets what; or all that is wrong with that, with the project's own model and with the services that are named.
fn decide(
    run: &Run,
    declared: &Declared,
    secrets: &[&Secret],
    absent: &[&Secret],
    project: &Project,
) -> Result<Access> {
    let settings = &run.settings;
    let secrets_in = |text: &str| run.console.secrets_in(text.as_bytes());
    let own = check_own(&project.model, &project.search(&secrets_in));
    let named = access::check_services(&project.model, &settings.compose.services, "services");
    let access = access::decide(
        &project.model,
        &access::Rules {
            secrets,
            absent,
            services: declared.manifest.services.as_ref(),
            grant_to: &settings.grant_to,
            secrets_in: &secrets_in,
        },
    );
    both(both(own, named), access).map(|(_, access)| access)
}

/// Checks what images are built with that a deployment would build. The engine is asked which images it lacks only where
/// a build would be given a secret.
async fn given_to_builds(
    run: &Run,
    project: &Project,
    tools: &Tools,
    known: &Images,
    has_engine: bool,
) -> Result<()> {
    let settings = &run.settings;
    if !has_engine || !matches!(settings.mode, Mode::Deploy | Mode::Validate) {
        return Ok(());
    }
    let secrets_in = |text: &str| run.console.secrets_in(text.as_bytes());
    let check = |services: &[&str]| check_builds(&project.model, services, &project.search(&secrets_in));
    let all = project.model.services.values().filter(|service| service.build);
    if check(&all.map(|service| service.name.as_str()).collect::<Vec<_>>()).is_ok() {
        return Ok(());
    }
    let services = project.model.started_by(&settings.compose.services);
    let present = images::present(tools, project, &services, known.clone()).await?;
    check(&images::missing(project, &settings.compose, &services, &present).0)
}

/// What the engine has of a project.
#[derive(Default)]
struct Standing {
    containers: Vec<Container>,
    /// The images that the containers were made from, by the names that Compose gave.
    images: Images,
    /// What the last deployment noted.
    record: Option<Record>,
}

/// Reads the project and, where an engine is needed, what the engine has of it: both at the same time, under the name
/// that the project most likely has. An engine that does not say is noted.
async fn load(
    run: &mut Run,
    declared: &Declared,
    tools: &Tools,
    host: Option<&HostPaths>,
) -> Result<(Project, Standing)> {
    let settings = &run.settings;
    let alone = HostPaths::without_engine();
    let here = host.unwrap_or(&alone);
    let load = Project::load(tools, &settings.compose, declared.files.clone(), here, &declared.profiles);
    if host.is_none() || !matches!(settings.mode, Mode::Deploy | Mode::Validate) {
        let mut project = load.await?;
        if host.is_some() {
            run.note(exposure::learn_containers(&mut project.model, tools).await);
        }
        return Ok((project, Standing::default()));
    }
    let directory = here.to_host(&declared.files.directory)?;
    let likely = likely_name(settings.compose.name.as_deref().or(declared.name.as_deref()), &directory);
    let (project, mut found) = tokio::join!(load, standing(tools, &likely));
    if let Ok(project) = &project
        && project.model.name != likely
        && found.is_ok()
    {
        found = standing(tools, &project.model.name).await;
    }
    let found = run.note(found).unwrap_or_default();
    let mut project = project?;
    run.note(exposure::learn_containers(&mut project.model, tools).await);
    Ok((project, found))
}

async fn standing(tools: &Tools, name: &str) -> Result<Standing> {
    let ((containers, images), record) =
        tokio::try_join!(objects::containers_and_images(tools, name), record::read(tools, name))?;
    Ok(Standing { containers, images, record })
}
