//! The program of Docker Compose: where it is, and whether it can be used.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::said::Said;
use crate::engine::api::{self, numbers};
use crate::engine::call::Call;
use crate::engine::tools::Tools;
use crate::error::{Code, Error, Result};

/// The oldest Compose: `!override` and `!reset` work as documented since v2.24.
const OLDEST_COMPOSE: (u32, u32) = (2, 24);

/// Where Docker looks for its plugins (docker/cli `cli-plugins/manager`), the ones below `HOME` apart.
const PLUGIN_DIRECTORIES: &[&str] = &[
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
];

/// A call of Docker Compose, which begins with these words.
pub fn compose(tools: &Tools, words: &[&'static str]) -> Call {
    Call::new(tools, find(tools), compose_missing, words).judged_by(Arc::<Said>::default())
}

/// Checks that the engine and Compose answer and are new enough. Compose is not asked when it is the one that was `noted`
/// in the record of an earlier deployment.
pub async fn check_versions(tools: &Tools, noted: Option<&str>) -> Result<()> {
    if let Some(noted) = noted.filter(|noted| is_known(tools, noted)) {
        // Whoever found it first has found the same.
        let _ = tools.compose_noted().set(noted.to_owned());
        return api::check(tools).await;
    }
    let (engine, compose) = tokio::join!(api::check(tools), version(tools));
    engine?;
    compose.map(|_| ())
}

/// Whether what was noted is of the program of Compose that is here, and that is new enough.
fn is_known(tools: &Tools, noted: &str) -> bool {
    let Some((version, program)) = noted.split_once(' ') else { return false };
    unfit(version).is_none() && compose_program(tools).as_deref() == Some(program)
}

/// Which Docker Compose it is, to note in a record; `None` when this run did not look.
pub fn noted(tools: &Tools) -> Option<String> {
    tools.compose_noted().get().cloned()
}

/// Checks that Compose answers and is one that can be used, and returns its version.
pub async fn version(tools: &Tools) -> Result<String> {
    let answer = compose(tools, &["version", "--short"]).output().await?;
    if !answer.success {
        return Err(compose_missing());
    }
    let version = answer.text().trim().trim_start_matches('v').to_owned();
    if let Some(fact) = unfit(&version) {
        return Err(Error::new(Code::ComposeTooOld, fact)
            .help("Update the Compose plugin: https://docs.docker.com/compose/install/"));
    }
    if let Some(program) = compose_program(tools) {
        let _ = tools.compose_noted().set(format!("{version} {program}"));
    }
    Ok(version)
}

/// Why this version of Compose cannot be used; `None` for one that can.
fn unfit(version: &str) -> Option<String> {
    let patch = version.split(['.', '-', '+']).nth(2).and_then(|patch| patch.parse::<u32>().ok());
    match (numbers(version).unwrap_or_default(), patch) {
        (found, _) if found < OLDEST_COMPOSE => Some(format!(
            "Docker Compose is {version}, v2.24 or newer is needed (`!override` works since then)"
        )),
        // The one prints what is written, without the files of `env_file`, and the other YAML where JSON is asked for.
        ((2, 24), Some(7..)) | ((2, 25), _) => Some(format!(
            "Docker Compose is {version}, whose `config` does not print the project as it deploys it; v2.24.6 and v2.26 or \
             newer do"
        )),
        _ => None,
    }
}

/// By what the program of Docker Compose is known again: its size and the time of its last change. `None` where it is a
/// plugin that `docker` looks for.
fn compose_program(tools: &Tools) -> Option<String> {
    let path = plugin("compose", tools.variable("HOME"))?;
    let meta = std::fs::metadata(path).ok()?;
    Some(format!("{} {}.{}", meta.len(), meta.mtime(), meta.mtime_nsec()))
}

fn find(tools: &Tools) -> Vec<OsString> {
    // Run by itself the plugin answers twice as fast as through `docker compose`. A `docker-compose` elsewhere on the
    // PATH may be version 1, so it is no candidate.
    plugin("compose", tools.variable("HOME"))
        .map_or_else(|| vec!["docker".into(), "compose".into()], |path| vec![path.into_os_string()])
}

/// The program of a plugin of Docker's, which runs without `docker` as well.
pub fn plugin(name: &str, home: Option<&OsStr>) -> Option<PathBuf> {
    let home = home.map(|home| Path::new(home).join(".docker/cli-plugins"));
    let directories = PLUGIN_DIRECTORIES.iter().map(PathBuf::from).chain(home);
    directories.map(|directory| directory.join(format!("docker-{name}"))).find(|path| path.is_file())
}

/// The error for a machine without Docker Compose.
fn compose_missing() -> Error {
    Error::new(Code::ComposeMissing, "Docker Compose was not found").help(
        "Install the Compose plugin, v2.24 or newer: https://docs.docker.com/compose/install/ (version 1, the \
         Python program `docker-compose`, does not know `!override`).",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_of_compose_is_fit_or_not() {
        for version in
            ["2.24.0", "2.24.6", "2.24.6+ds1-0ubuntu2", "2.24.6-desktop.1", "2.26.0", "2.40.3", "5.6.0"]
        {
            assert_eq!(unfit(version), None, "{version}");
        }
        for version in ["dev", "", "1.29.2", "2.9.0", "2.23.3", "2.24.7", "2.24.7-desktop.1", "2.25.0"] {
            assert!(unfit(version).is_some(), "{version}");
        }
    }
}
