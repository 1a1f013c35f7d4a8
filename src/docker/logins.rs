//! Logins to registries for the time of a run, which leave no file behind, however the run ends.
//!
//! `docker login` checks a password and writes it into a file. That file is taken into memory at once: Docker's programs
//! find their settings through a link to a file that has no name and is gone with this process and its children.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, MemfdFlags, Mode, OFlags};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use zeroize::{Zeroize, Zeroizing};

use super::command::Tools;
use crate::error::{Code, Error, Result};
use crate::files::{self, LARGEST_SETTINGS};
use crate::settings::RegistryLogin;

/// What the names of our directories start with.
const PREFIX: &str = "claude-secrets-login-";
/// Memory, not a disk, where there is such a place.
const MEMORY: &str = "/dev/shm";
const CONFIG: &str = "config.json";
/// An entry in a login's own settings: with one in it Docker puts the password there, and not into a keychain of the user's,
/// where it would stay.
const ENTRY: &str = r#"{"auths":{"claude-secrets.invalid":{}}}"#;

/// The logins of a run. Without it they are gone.
pub struct Logins {
    directory: TempDir,
    /// The settings behind the link in the directory.
    _settings: OwnedFd,
    /// As long as it is held, the directory is no killed run's.
    _lock: OwnedFd,
}

/// The part of Docker's settings that holds logins.
#[derive(Default, Deserialize, Serialize)]
struct Settings {
    #[serde(default)]
    auths: BTreeMap<String, Login>,
}

#[derive(Deserialize, Serialize)]
#[serde(transparent)]
struct Login(BTreeMap<String, String>);

impl Drop for Login {
    fn drop(&mut self) {
        self.0.values_mut().for_each(Zeroize::zeroize);
    }
}

impl Logins {
    /// Logs in to each registry; passwords go through standard input. `None` when there is none to log in to. Errors:
    /// [`Code::RegistryLoginFailed`].
    pub async fn new(tools: &Tools, registries: &[RegistryLogin]) -> Result<Option<Self>> {
        if registries.is_empty() {
            return Ok(None);
        }
        remove_stale();
        let mut all = Settings::default();
        for login in registries {
            all.auths.extend(log_in(tools, login).await?.auths);
        }
        let bytes = Zeroizing::new(
            serde_json::to_vec(&all)
                .map_err(|_| Error::new(Code::Internal, "the logins could not be written"))?,
        );
        let failed = |error: &std::io::Error| {
            Error::io(Code::RegistryLoginFailed, "keep the logins in", &place(), error)
        };
        // Children inherit it, so that it is not closed when they start.
        let settings = rustix::fs::memfd_create("claude-secrets-login", MemfdFlags::empty())
            .map_err(|error| failed(&error.into()))?;
        let number = settings.as_raw_fd();
        let mut file = File::from(settings);
        file.write_all(&bytes).map_err(|error| failed(&error))?;
        let directory = directory()?;
        let lock = lock(directory.path()).map_err(|error| failed(&error))?;
        symlink(format!("/proc/self/fd/{number}"), directory.path().join(CONFIG))
            .map_err(|error| failed(&error))?;
        Ok(Some(Self { directory, _settings: file.into(), _lock: lock }))
    }

    /// The tools with these logins.
    pub fn tools(&self, tools: &Tools) -> Tools {
        tools.clone().with_variable("DOCKER_CONFIG", self.directory.path().as_os_str())
    }
}

/// Logs in and takes what Docker has written of it. The directory is locked for as long as it is in use.
async fn log_in(tools: &Tools, login: &RegistryLogin) -> Result<Settings> {
    let directory = directory()?;
    let path = directory.path().join(CONFIG);
    let failed = |error: &std::io::Error| {
        Error::io(Code::RegistryLoginFailed, "write Docker's settings at", &path, error)
    };
    let _lock = lock(directory.path()).map_err(|error| failed(&error))?;
    std::fs::write(&path, ENTRY).map_err(|error| failed(&error))?;
    let call = tools
        .clone()
        .with_variable("DOCKER_CONFIG", directory.path().as_os_str())
        .docker(&["login", "--password-stdin"])
        .option("--username", &login.user)
        .names([&login.host]);
    let answer = call.input(login.password.expose().to_vec().into()).output().await?;
    if !answer.success {
        let fact =
            format!("the registry {} refused the login of {}: {}", login.host, login.user, answer.stderr);
        return Err(Error::new(Code::RegistryLoginFailed, fact)
            .hint("Check the user and the token in the input `registries`."));
    }
    let written = files::read(&path, LARGEST_SETTINGS).map_err(|error| failed(&error))?.value;
    serde_json::from_slice(written.expose()).map_err(|_| {
        Error::new(Code::RegistryLoginFailed, format!("docker login to {} wrote no settings", login.host))
    })
}

fn place() -> PathBuf {
    let memory = Path::new(MEMORY);
    let writable = rustix::fs::access(memory, rustix::fs::Access::WRITE_OK).is_ok();
    if writable { memory.to_owned() } else { std::env::temp_dir() }
}

/// A directory that only this user can read.
fn directory() -> Result<TempDir> {
    let place = place();
    tempfile::Builder::new()
        .prefix(PREFIX)
        .tempdir_in(&place)
        .map_err(|error| Error::io(Code::RegistryLoginFailed, "make a directory in", &place, &error))
}

fn lock(directory: &Path) -> std::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::open(directory, flags, Mode::empty())?;
    rustix::fs::flock(&opened, FlockOperation::NonBlockingLockExclusive)?;
    Ok(opened)
}

/// Removes what a killed run left, above all one that was killed while Docker wrote a password: directories of this user
/// that no living run has locked. An empty one may be just being made.
fn remove_stale() {
    let own = rustix::process::geteuid().as_raw();
    for entry in std::fs::read_dir(place()).into_iter().flatten().flatten() {
        let is_login = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        let is_own = entry.metadata().is_ok_and(|meta| meta.is_dir() && meta.uid() == own);
        let is_made = entry.path().join(CONFIG).symlink_metadata().is_ok();
        if is_login && is_own && is_made && lock(&entry.path()).is_ok() {
            // What cannot be removed now is tried again by the next run.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
