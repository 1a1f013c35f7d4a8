//! What a run needs to speak to the engine, by its API and by programs: the scrubbed environment, the console that redacts, and
//! the interrupt that ends a call.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::OnceCell;

use super::api::Link;
use crate::console::Console;
use crate::interrupt::Interrupt;
use crate::sensitive::ChildVariables;

/// How the engine is reached, and what the programs get that speak to it.
#[derive(Clone)]
pub struct Tools {
    environment: BTreeMap<OsString, OsString>,
    console: Arc<Console>,
    interrupt: Interrupt,
    link: Arc<Link>,
}

impl Tools {
    /// `variables` is the whole environment that children get.
    pub fn new(variables: ChildVariables, console: Arc<Console>, interrupt: Interrupt) -> Self {
        Self { environment: variables.into_map(), console, interrupt, link: Arc::default() }
    }

    /// The same programs with one more variable, e.g. a private `DOCKER_CONFIG`.
    #[must_use]
    pub fn with_variable(mut self, name: &str, value: &OsStr) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// The same programs for the engine behind this socket, whatever variables and contexts say.
    #[must_use]
    pub fn for_socket(mut self, socket: &Path) -> Self {
        for name in ["DOCKER_CONTEXT", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"] {
            self.environment.remove(OsStr::new(name));
        }
        let mut host = OsString::from("unix://");
        host.push(socket);
        // What is known of another engine does not hold for this one.
        self.link = Arc::default();
        self.with_variable("DOCKER_HOST", &host)
    }

    /// The same programs, which an interrupt does not stop: for putting things in order at the end.
    #[must_use]
    pub fn uninterrupted(&self) -> Self {
        Self { interrupt: Interrupt::default(), ..self.clone() }
    }

    /// A variable of the children, as they will see it.
    pub fn variable(&self, name: &str) -> Option<&OsStr> {
        self.environment.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// The path of the engine's socket: what `DOCKER_HOST` says, else the default.
    pub fn socket(&self) -> PathBuf {
        let host = self.variable("DOCKER_HOST").and_then(OsStr::to_str);
        host.and_then(|host| host.strip_prefix("unix://")).unwrap_or("/var/run/docker.sock").into()
    }

    /// Which Docker Compose the run uses: its version and its program, once somebody has noted it.
    pub(crate) fn compose_noted(&self) -> &OnceCell<String> {
        &self.link.compose
    }

    pub(super) fn link(&self) -> &Link {
        &self.link
    }

    pub(crate) fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    pub(crate) fn console(&self) -> &Console {
        &self.console
    }

    pub(super) fn environment(&self) -> &BTreeMap<OsString, OsString> {
        &self.environment
    }
}
