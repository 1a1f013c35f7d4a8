//! Logins to registries for the time of a run, which leave no file behind, however the run ends.
//!
//! The engine checks a password (`/auth`). Docker Compose finds it in its settings, through a link to a file that has no name
//! and is gone with this process and its children.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::symlink;

use data_encoding::BASE64;
use rustix::fs::MemfdFlags;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use super::api::Request;
use super::memory_directory::{MemoryDirectory, place, remove_stale};
use super::tools::Tools;
use crate::error::{Code, Error, Result};
use crate::settings::RegistryLogin;

/// What the names of our directories start with.
const PREFIX: &str = "claude-secrets-login-";
const CONFIG: &str = "config.json";
/// What Docker calls its own registry in its settings, and what users call it.
const HUB: &str = "https://index.docker.io/v1/";
const HUB_NAMES: &[&str] = &["docker.io", "index.docker.io", HUB];

/// The logins of a run. Without it they are gone.
pub struct Logins {
    directory: MemoryDirectory,
    /// The settings behind the link in the directory.
    _settings: OwnedFd,
}

/// The part of Docker's settings that holds logins.
#[derive(Default, Serialize)]
struct Settings {
    auths: BTreeMap<String, Login>,
}

#[derive(Serialize)]
#[serde(transparent)]
struct Login(BTreeMap<String, String>);

/// What the engine is asked.
#[derive(Serialize)]
struct Asked<'a> {
    username: &'a str,
    password: &'a str,
    serveraddress: &'a str,
}

/// What it answers.
#[derive(Default, Deserialize)]
struct Given {
    #[serde(rename = "IdentityToken", default)]
    token: String,
}

impl Drop for Login {
    fn drop(&mut self) {
        self.0.values_mut().for_each(Zeroize::zeroize);
    }
}

impl Logins {
    /// Logs in to each registry. `None` when there is none to log in to. Errors:
    /// [`Code::RegistryLoginFailed`].
    pub async fn new(tools: &Tools, registries: &[RegistryLogin]) -> Result<Option<Self>> {
        if registries.is_empty() {
            return Ok(None);
        }
        remove_stale(PREFIX);
        let mut all = Settings::default();
        for login in registries {
            all.auths.extend([log_in(tools, login).await?]);
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
        symlink(format!("/proc/self/fd/{number}"), directory.path().join(CONFIG))
            .map_err(|error| failed(&error))?;
        Ok(Some(Self { directory, _settings: file.into() }))
    }

    /// The tools with these logins.
    pub fn tools(&self, tools: &Tools) -> Tools {
        tools.clone().with_variable("DOCKER_CONFIG", self.directory.path().as_os_str())
    }
}

/// Has the engine check a login, and returns the key and the entry of Docker's settings for it.
async fn log_in(tools: &Tools, login: &RegistryLogin) -> Result<(String, Login)> {
    let place = if HUB_NAMES.contains(&login.host.as_str()) { HUB } else { login.host.as_str() };
    let password = std::str::from_utf8(login.password.expose()).unwrap_or_default();
    let asked = Asked { username: &login.user, password, serveraddress: place };
    // Room for all at once, also where each byte is escaped: a buffer that grows would leave copies behind.
    let room = 6 * (login.user.len() + password.len() + place.len()) + 128;
    let mut body = Zeroizing::new(Vec::with_capacity(room));
    serde_json::to_writer(&mut *body, &asked)
        .map_err(|_| Error::new(Code::Internal, "the login could not be written"))?;
    let answer = Request::post(&["auth"]).description(body).send(tools).await?;
    if !answer.is_success() {
        let fact =
            format!("the registry {} refused the login of {}: {}", login.host, login.user, answer.message);
        return Err(Error::new(Code::RegistryLoginFailed, fact)
            .help("Check the user and the token in the input `registries`."));
    }
    // Some registries give a token for the password.
    let given: Given = serde_json::from_slice(&answer.body).unwrap_or_default();
    let token = Zeroizing::new(given.token);
    let password = if token.is_empty() { password } else { "" };
    let pair = Zeroizing::new(format!("{}:{password}", login.user));
    let mut entry = BTreeMap::from([("auth".to_owned(), BASE64.encode(pair.as_bytes()))]);
    if !token.is_empty() {
        entry.insert("identitytoken".to_owned(), token.to_string());
    }
    Ok((key(place), Login(entry)))
}

/// The name by which Docker's settings know a registry.
fn key(place: &str) -> String {
    if place == HUB {
        return place.to_owned();
    }
    let place = place.trim_start_matches("https://").trim_start_matches("http://");
    place.split('/').next().unwrap_or(place).to_owned()
}

fn directory() -> Result<MemoryDirectory> {
    MemoryDirectory::new(PREFIX)
        .map_err(|error| Error::io(Code::RegistryLoginFailed, "make a directory in", &place(), &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_has_the_name_that_docker_looks_for() {
        for (place, name) in [
            (HUB, HUB),
            ("ghcr.io", "ghcr.io"),
            ("127.0.0.1:5000", "127.0.0.1:5000"),
            ("https://example.com/v2/", "example.com"),
        ] {
            assert_eq!(key(place), name);
        }
    }
}
