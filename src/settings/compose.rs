//! The settings for Docker Compose, and for the engine that it talks to.

use std::path::PathBuf;
use std::time::Duration;

use super::address::{Address, Server};
use super::choices::Pull;
use crate::secret::SecretValue;

/// The settings for Docker Compose.
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own, as in Compose")]
pub struct ComposeSettings {
    /// `project-directory`, absolute; if not set, the directory of the first Compose file.
    pub directory: Option<PathBuf>,
    /// `compose-files`, absolute; if empty, Compose discovers them.
    pub files: Vec<PathBuf>,
    /// `project-name`.
    pub name: Option<String>,
    /// `profiles`.
    pub profiles: Vec<String>,
    /// `services`: what to start; empty for all.
    pub services: Vec<String>,
    /// `pull`.
    pub pull: Pull,
    /// `build`.
    pub build: bool,
    /// `remove-orphans`.
    pub remove_orphans: bool,
    /// `force-recreate`.
    pub force_recreate: bool,
    /// `wait`.
    pub wait: bool,
    /// `wait-timeout`.
    pub wait_timeout: Duration,
    /// `stable-for`.
    pub stable_for: Option<Duration>,
}

/// One login of the `registries` input.
#[derive(Clone)]
pub struct RegistryLogin {
    /// The registry's host, as in `docker login`.
    pub host: String,
    /// The user's name.
    pub user: String,
    /// The password or token.
    pub password: SecretValue,
}

/// Where the engine is, and how it is reached.
#[derive(Clone, Default)]
pub struct EngineSettings {
    /// `docker-host`; `None` for Docker's own settings.
    pub host: Option<Address>,
    /// `ssh-known-hosts`: lines, or a file of the workspace with them.
    pub known_hosts: Option<String>,
    /// `ssh-fingerprint`.
    pub fingerprint: Option<String>,
    /// `ssh-key`: the reference of the key, e.g. `vault:secret/deploy#key`.
    pub key: Option<String>,
    /// `ssh-sign`: the reference of who signs a key of this run, e.g. `vault:ssh-client-signer/sign/deploy`.
    pub sign: Option<String>,
    /// `ssh-jump`: the servers on the way, the nearest first.
    pub jumps: Vec<Server>,
    /// `docker-tls-ca`: PEM, or a file of the workspace with it.
    pub tls_ca: Option<String>,
}

impl EngineSettings {
    /// Whether `docker-host` names another machine.
    pub fn is_remote(&self) -> bool {
        self.host.as_ref().is_some_and(Address::is_remote)
    }
}
