//! A run as a command makes it, by the library, in its steps: settings from variables, what is wanted, the sources, and
//! what they have.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test program uses its own part, and has it as a module of its own"
)]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use claude_secrets::error::Result;
use claude_secrets::manifest::{self, Manifest};
use claude_secrets::resolve::{self, Resolution};
use claude_secrets::settings::{Environment, Given, Settings};
use claude_secrets::sources::{self, ProjectDirs, Source};

/// The settings of a process with these variables, in this directory. An action input is `INPUT_…`.
pub fn settings<N: Into<OsString>, V: Into<OsString>>(
    variables: impl IntoIterator<Item = (N, V)>,
    directory: &Path,
) -> Result<Settings> {
    let variables = Environment::from_pairs(variables);
    let given =
        Given { flags: &|_| None, variables: &variables, current_directory: directory, verbose: false };
    Settings::read(None, &given)
}

/// What is wanted by the lines of the input `secrets`, and by a manifest's text, where there is one.
pub fn manifest(settings: &Settings, lines: Option<&str>, text: &str) -> Result<Manifest> {
    let file = (Path::new(manifest::FILE_NAME), text.as_bytes());
    let known = sources::known();
    manifest::read(&manifest::Given {
        lines,
        file: Some(file).filter(|_| !text.is_empty()),
        prefix: settings.prefix.as_deref(),
        environment: settings.environment.as_deref(),
        ..known.given()
    })
}

/// The sources of a run in this project directory.
pub fn open(settings: &Settings, manifest: &Manifest, project: &Path) -> Result<Vec<Box<dyn Source>>> {
    let around =
        ProjectDirs { project, secrets_dir: Path::new("data/secrets"), host_directories: &BTreeMap::new() };
    sources::open(settings, manifest, &around)
}

/// What the sources have of all that is wanted, imports too.
pub async fn resolve(
    settings: &Settings,
    manifest: Manifest,
    sources: &[Box<dyn Source>],
) -> Result<Resolution> {
    match resolve::import(manifest, sources, settings).await {
        Ok(imported) => {
            let mut resolution = resolve::resolve(imported.manifest, sources, settings).await;
            resolution.add_asked(imported.asked);
            Ok(resolution)
        }
        Err(error) => {
            resolve::close(sources).await;
            Err(error)
        }
    }
}
