//! Where the engine is: what `DOCKER_HOST` says, else the chosen context, else the socket of this machine.

use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::engine::tools::Tools;
use crate::error::{Code, Error, Result};
use crate::files::{self, LARGEST_SETTINGS};

/// The engine's socket, when nothing says otherwise.
const SOCKET: &str = "/var/run/docker.sock";

/// How the engine is reached.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Address {
    /// A socket of this machine.
    Socket(PathBuf),
    /// A port, in clear.
    Port(String),
    /// By `docker`, which knows its contexts, TLS and SSH (`docker system dial-stdio`).
    Program(String),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "unix://{}", path.display()),
            Self::Port(place) => write!(f, "tcp://{place}"),
            Self::Program(place) => f.write_str(place),
        }
    }
}

/// Where the engine is that Docker's programs speak to; `None` for the default socket.
///
/// # Errors
/// [`Code::EngineUnreachable`] when the chosen context cannot be read.
pub fn endpoint(tools: &Tools) -> Result<Option<String>> {
    Ok(found(tools)?.map(|found| found.host))
}

struct Found {
    host: String,
    /// Whether a `tcp://` is one with TLS.
    tls: bool,
}

fn found(tools: &Tools) -> Result<Option<Found>> {
    let variable = |name: &str| {
        tools.variable(name).and_then(|text| text.to_str()).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    if let Some(host) = variable("DOCKER_HOST") {
        let tls = variable("DOCKER_TLS_VERIFY").or_else(|| variable("DOCKER_TLS")).is_some();
        return Ok(Some(Found { host, tls }));
    }
    let directory = variable("DOCKER_CONFIG").or_else(|| Some(format!("{}/.docker", variable("HOME")?)));
    let directory = directory.map(PathBuf::from);
    let settings = || read(&directory.as_ref()?.join("config.json"));
    let chosen = variable("DOCKER_CONTEXT")
        .or_else(|| Some(settings()?.get("currentContext")?.as_str()?.to_owned()))
        .filter(|context| !context.is_empty() && context != "default");
    let Some(context) = chosen else { return Ok(None) };
    let found = directory.and_then(|directory| of_context(&directory.join("contexts"), &context));
    found.map(Some).ok_or_else(|| {
        Error::new(Code::EngineUnreachable, format!("the Docker context {context} cannot be read"))
            .help("`docker context ls` shows the contexts; `DOCKER_CONTEXT` chooses one.")
    })
}

/// What the store of contexts has of one (docker/cli `cli/context/store`).
fn of_context(store: &Path, name: &str) -> Option<Found> {
    let id = data_encoding::HEXLOWER.encode(&Sha256::digest(name.as_bytes()));
    let meta = read(&store.join("meta").join(&id).join("meta.json"))?;
    let host = meta.pointer("/Endpoints/docker/Host")?.as_str()?.to_owned();
    Some(Found { host, tls: store.join("tls").join(id).join("docker").is_dir() })
}

fn read(path: &Path) -> Option<Value> {
    let contents = files::read(path, LARGEST_SETTINGS).ok()?;
    serde_json::from_slice(contents.value.expose()).ok()
}

impl Address {
    /// Where it is.
    ///
    /// # Errors
    /// [`Code::EngineUnreachable`] when the address is none, or the chosen context cannot be read.
    pub(super) fn of(tools: &Tools) -> Result<Self> {
        let Some(Found { host, tls }) = found(tools)? else { return Ok(Self::Socket(SOCKET.into())) };
        let parts = host.split_once("://").filter(|(_, place)| !place.is_empty());
        match parts {
            Some(("unix", path)) => Ok(Self::Socket(path.into())),
            Some(("tcp" | "http", place)) if !tls => {
                Ok(Self::Port(place.split('/').next().unwrap_or(place).to_owned()))
            }
            Some(("tcp" | "https" | "ssh", place)) => {
                // A user and a password may stand before the machine.
                let machine = place.rsplit('@').next().unwrap_or(place);
                let kind = host.split("://").next().unwrap_or_default();
                Ok(Self::Program(format!("{kind}://{machine}")))
            }
            _ => Err(Error::new(
                Code::EngineUnreachable,
                "DOCKER_HOST, or the Docker context, names no engine",
            )
            .help(
                "Write it like `unix:///var/run/docker.sock`, `tcp://127.0.0.1:2375` or `ssh://user@host`.",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::console::Console;
    use crate::interrupt::Interrupt;
    use crate::sensitive::Sensitive;
    use crate::settings::{Environment, Platform};

    fn tools(pairs: &[(&str, &str)]) -> Tools {
        let pairs = pairs.iter().map(|(name, text)| (*name, (*text).to_owned()));
        let variables = Sensitive::docker_alone(&Environment::from_pairs(pairs));
        let console = Console::to(Box::new(std::io::sink()), &Platform::default(), Sensitive::default());
        Tools::new(variables, Arc::new(console), Interrupt::default())
    }

    #[test]
    fn the_variable_says_where_the_engine_is() {
        for (host, tls, expected) in [
            ("unix:///run/x.sock", "", Some(Address::Socket("/run/x.sock".into()))),
            ("", "", Some(Address::Socket(SOCKET.into()))),
            ("tcp://127.0.0.1:2375", "", Some(Address::Port("127.0.0.1:2375".into()))),
            ("tcp://127.0.0.1:2375/", "", Some(Address::Port("127.0.0.1:2375".into()))),
            ("tcp://far:2376", "1", Some(Address::Program("tcp://far:2376".into()))),
            ("ssh://user:pass@far", "", Some(Address::Program("ssh://far".into()))),
            ("unix://", "", None),
            ("/run/x.sock", "", None),
            ("ftp://far", "", None),
        ] {
            let address = Address::of(&tools(&[("DOCKER_HOST", host), ("DOCKER_TLS_VERIFY", tls)]));
            match (address, expected) {
                (Ok(address), Some(expected)) => assert_eq!(address, expected, "{host}"),
                (Err(error), None) => assert_eq!(error.code, Code::EngineUnreachable, "{host}"),
                (found, _) => panic!("{host}: {:?}", found.ok()),
            }
        }
    }

    #[test]
    fn a_context_is_read_as_docker_keeps_it() {
        let home = tempfile::tempdir().unwrap();
        let store = home.path().join("contexts");
        let id = "71dea1b12f26c11e7d5fbd4a1e4a4bd2a1b1a5fa1f6f5c9e0d0e4c4a1e2b3c4d";
        let of = |name: &str| data_encoding::HEXLOWER.encode(&Sha256::digest(name.as_bytes()));
        assert_eq!(of("mine").len(), id.len());
        let meta = store.join("meta").join(of("mine"));
        std::fs::create_dir_all(&meta).unwrap();
        let text = r#"{"Name":"mine","Endpoints":{"docker":{"Host":"unix:///run/mine.sock"}}}"#;
        std::fs::write(meta.join("meta.json"), text).unwrap();
        std::fs::write(home.path().join("config.json"), r#"{"currentContext":"mine"}"#).unwrap();
        let config = home.path().to_str().unwrap();
        let endpoint = |pairs: &[(&str, &str)]| endpoint(&tools(pairs));
        let mine = Some("unix:///run/mine.sock".to_owned());
        assert_eq!(endpoint(&[("DOCKER_CONFIG", config)]).unwrap(), mine);
        assert_eq!(endpoint(&[("DOCKER_CONFIG", config), ("DOCKER_CONTEXT", "default")]).unwrap(), None);
        let other = endpoint(&[("DOCKER_CONFIG", config), ("DOCKER_CONTEXT", "other")]).unwrap_err();
        assert!(other.fact.contains("the Docker context other cannot be read"), "{other}");
    }
}
