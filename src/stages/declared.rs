//! The Manifest stage: where the project is, and what is declared.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::compose::discovery::{self, ComposeFiles};
use crate::count::count;
use crate::diagnostic::Place;
use crate::error::{Code, Error, Result};
use crate::files::LARGEST_SETTINGS;
use crate::manifest::{self, Manifest, Reading, Secret, Soundness};
use crate::secret::{SecretName, SecretValue};
use crate::settings::{ComposeSettings, Environment, Settings};
use crate::sources::{self, dotenv};
use crate::stages::run::Run;

/// What is declared, and where the project is.
pub(crate) struct Declared {
    pub(crate) files: ComposeFiles,
    pub(crate) manifest: Manifest,
    /// The profiles to start: `profiles`, else `COMPOSE_PROFILES`.
    pub(crate) profiles: Vec<String>,
    /// `COMPOSE_PROJECT_NAME`.
    pub(crate) name: Option<String>,
    /// What mistakes of the manifest leave alone.
    pub(crate) soundness: Soundness,
    /// How long a service without a health check must stay up.
    pub(crate) stable_for: Duration,
}

/// The same where nobody says.
const STABLE_FOR: Duration = Duration::from_secs(3);

/// Finds the project and reads the manifest. What is wrong with the manifest is noted, and the rest of it is read; where
/// it does not tell the names of all secrets, the run ends: a program that was started could be handed a value that nobody
/// knows for one.
pub(crate) fn declared(run: &mut Run) -> Result<Declared> {
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
pub(crate) struct Found {
    pub(crate) files: ComposeFiles,
    pub(crate) profiles: Vec<String>,
    pub(crate) name: Option<String>,
}

/// Finds the Compose files, the profiles and the name.
pub(crate) fn find_project(settings: &Settings) -> Result<Found> {
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
pub(crate) fn read_manifest(settings: &Settings, files: &ComposeFiles) -> Result<Manifest> {
    sound(read_given(settings, files, false)?)
}

/// The same as far as it can be read, for a mode to which it does not matter what is declared where: every secret that is
/// declared, or that the manifest gives a service.
pub(crate) fn read_leniently(settings: &Settings, files: &ComposeFiles) -> Result<Manifest> {
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

pub(crate) fn sound(reading: Reading) -> Result<Manifest> {
    reading.error.map_or(Ok(reading.manifest), Err)
}

/// Reads what is there, right or wrong.
pub(crate) fn read_given(settings: &Settings, files: &ComposeFiles, lenient: bool) -> Result<Reading> {
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

/// The variables by which a directory's `.env` file steers Compose.
fn steering(directory: &Path) -> Result<Environment> {
    let entries = dotenv::default_file(directory)?.into_iter();
    let text = |value: SecretValue| String::from_utf8_lossy(value.expose()).into_owned();
    let steering = entries.filter(|(key, _)| key.starts_with("COMPOSE_"));
    Ok(Environment::from_pairs(steering.map(|(key, value)| (key, text(value)))))
}
