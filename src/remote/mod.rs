//! An engine on another machine. Everything that speaks to it, Docker's programs too, does so over one session of this
//! process, by a private socket; no key and no certificate leaves this process.

mod papers;
mod relay;
mod ssh;
mod ssh_config;
mod tls;

use std::path::Path;
use std::sync::Arc;

pub use self::papers::{Credential, SECRET_VARIABLES};
use self::relay::Relay;
pub use self::ssh::OwnKey;
use crate::error::{Error, Result};
use crate::settings::{Address, Settings};

/// A session with the machine of an engine. It ends when this is dropped.
pub struct Remote {
    address: Address,
    relay: Relay,
    session: Session,
}

enum Session {
    Ssh(Arc<ssh::Session>),
    Tls(Arc<tls::Tls>),
}

impl Remote {
    /// Opens the session that `docker-host` asks for; `None` when the engine is on this machine. `credential` is what a store
    /// has for the login.
    ///
    /// # Errors
    /// Everything that may be wrong with addresses, keys and machines, each with its remedy.
    pub async fn open(settings: &Settings, credential: Option<Credential>) -> Result<Option<Self>> {
        let temporary = settings.variables.path("TMPDIR").unwrap_or_else(|| "/tmp".into());
        let (address, relay, session) = match &settings.engine.host {
            None | Some(Address::Unix(_)) => return Ok(None),
            Some(address @ Address::Tls { host, port }) => {
                let papers = papers::tls(settings)?;
                let tls = Arc::new(tls::Tls::open(host, *port, &papers, settings.timeout).await?);
                (address, Relay::start(tls.clone(), &temporary)?, Session::Tls(tls))
            }
            Some(address @ Address::Ssh(server)) => {
                let login = papers::ssh(settings, server, credential).await?;
                let ssh = Arc::new(ssh::Session::open(login).await?);
                (address, Relay::start(ssh.clone(), &temporary)?, Session::Ssh(ssh))
            }
        };
        Ok(Some(Self { address: address.clone(), relay, session }))
    }

    /// The machine, as `docker-host` has it.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The socket by which the engine is reached here.
    pub fn socket(&self) -> &Path {
        self.relay.socket()
    }

    /// What went wrong on the way since the last time that this was asked: Docker's programs see only that nobody answers.
    pub async fn trouble(&self) -> Option<Error> {
        match &self.session {
            Session::Ssh(session) => session.trouble().await,
            Session::Tls(session) => session.trouble().await,
        }
    }

    /// Ends the session.
    pub async fn close(self) {
        if let Session::Ssh(session) = &self.session {
            session.close().await;
        }
    }
}

/// A key for this run alone, for the users of all servers that the session logs in to; `None` when that is not by SSH.
///
/// # Errors
/// What is wrong with the addresses.
pub async fn own_key(settings: &Settings) -> Result<Option<OwnKey>> {
    let Some(Address::Ssh(server)) = &settings.engine.host else { return Ok(None) };
    OwnKey::new(papers::users(settings, server).await?).map(Some)
}

/// Whether a connection failed since there is no machine of that name: the standard library has no kind for it.
fn is_unknown_name(error: &std::io::Error) -> bool {
    error.to_string().contains("failed to lookup address")
}
