//! How a session begins: by way of other servers where that was said, the server's key checked, and one login.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use russh::client::{self, AuthResult, Config, Handle, Handler};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{Algorithm, HashAlg, PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh::{MethodKind, Preferred};
use tokio::net::TcpStream;

use super::fault::Fault;
use super::known_hosts::Known;
use super::{Identity, Login};
use crate::error::Result;
use crate::settings::Server;

/// After so long without a word the server is asked whether it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// So many such questions may stay without an answer.
const MOST_UNANSWERED: usize = 3;
/// So many keys of an agent are offered: servers count each as a failed login.
const MOST_KEYS: usize = 5;

/// Our side of a session: it checks the server's key.
pub(super) struct Client {
    server: Server,
    known: Known,
}

impl Handler for Client {
    type Error = Fault;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Fault> {
        self.known.check(&self.server, shown).map(|()| true).map_err(Fault::Host)
    }
}

/// Logs in to the server.
///
/// # Errors
/// Whatever is wrong with the first server on the way that is no good.
pub(super) async fn new(login: &Login) -> Result<Handle<Client>> {
    let mut on: Option<Handle<Client>> = None;
    let last = (&login.server, &login.identity);
    for (server, identity) in login.jumps.iter().map(|(server, identity)| (server, identity)).chain([last]) {
        let made = tokio::time::timeout(login.limit, session(login, server, identity, on.take())).await;
        let made: Result<_, Fault> = made.unwrap_or(Err(Fault::Late(login.limit)));
        on = Some(made.map_err(|fault| fault.error(server))?);
    }
    on.ok_or_else(|| Fault::Ssh(russh::Error::Inconsistent).error(&login.server))
}

async fn session(
    login: &Login,
    server: &Server,
    identity: &Identity,
    by: Option<Handle<Client>>,
) -> Result<Handle<Client>, Fault> {
    let config = Arc::new(config(&login.known, server));
    let client = Client { server: server.clone(), known: login.known.clone() };
    let mut handle = match by {
        None => {
            let stream = TcpStream::connect((server.host.as_str(), server.port())).await;
            let stream = stream.map_err(russh::Error::IO)?;
            stream.set_nodelay(true).map_err(russh::Error::IO)?;
            client::connect_stream(config, stream, client).await?
        }
        Some(bastion) => {
            let port = u32::from(server.port());
            let channel = bastion.channel_open_direct_tcpip(&server.host, port, "127.0.0.1", 0).await?;
            client::connect_stream(config, channel.into_stream(), client).await?
        }
    };
    authenticate(&mut handle, identity, server).await?;
    Ok(handle)
}

fn config(known: &Known, server: &Server) -> Config {
    let usual = Preferred::default();
    // As OpenSSH does it: a server shows the key that is known, where it has several.
    let first = known.algorithms(server);
    let is_first = |algorithm: &&Algorithm| first.iter().any(|known| is_same(known, algorithm));
    let (mut key, rest): (Vec<_>, Vec<_>) =
        usual.key.iter().partition::<Vec<&Algorithm>, _>(|algorithm| is_first(algorithm));
    key.extend(rest);
    let key: Vec<Algorithm> = key.into_iter().cloned().collect();
    let certificates = if known.has_authority(server) { key.clone() } else { Vec::new() };
    Config {
        preferred: Preferred {
            key: Cow::Owned(key),
            host_key_certificates: Cow::Owned(certificates),
            ..usual
        },
        keepalive_interval: Some(KEEP_ALIVE),
        keepalive_max: MOST_UNANSWERED,
        nodelay: true,
        ..Config::default()
    }
}

/// Whether two are of the same kind of key; one of RSA goes with several hashes.
fn is_same(a: &Algorithm, b: &Algorithm) -> bool {
    a == b || matches!((a, b), (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }))
}

async fn authenticate(
    handle: &mut Handle<Client>,
    identity: &Identity,
    server: &Server,
) -> Result<(), Fault> {
    let user = server.user.clone().unwrap_or_default();
    match identity {
        Identity::Key(key, from) => {
            let hash = if key.algorithm().is_rsa() { rsa_hash(handle).await? } else { None };
            let shown = key.fingerprint(HashAlg::Sha256);
            let key = PrivateKeyWithHashAlg::new(key.clone(), hash);
            let answer = handle.authenticate_publickey(&user, key).await?;
            judge(answer, || format!("it does not take the key {shown} of {from} for the user {user}"))
        }
        Identity::Certified(own) => {
            let (key, certificate) = (own.key.clone(), own.certificate.clone());
            match handle.authenticate_openssh_cert(&user, key, certificate).await? {
                AuthResult::Failure { partial_success: false, .. } => {
                    let (fact, help) = own.refused(&user);
                    Err(Fault::Certificate(fact, help))
                }
                answer => judge(answer, String::new),
            }
        }
        Identity::Agent(socket) => {
            let gone = |_| Fault::Agent("does not answer");
            let mut agent = AgentClient::connect_uds(socket).await.map_err(gone)?;
            let keys = agent.request_identities().await.map_err(gone)?;
            let keys = keys.into_iter().filter_map(|identity| match identity {
                AgentIdentity::PublicKey { key, .. } => Some(key),
                AgentIdentity::Certificate { .. } => None,
            });
            let keys: Vec<_> = keys.take(MOST_KEYS).collect();
            if keys.is_empty() {
                return Err(Fault::Agent("has no key"));
            }
            let offered = keys.len();
            let mut last = Err(Fault::Agent("has no key"));
            for key in keys {
                let hash = if key.algorithm().is_rsa() { rsa_hash(handle).await? } else { None };
                let answer = handle.authenticate_publickey_with(&user, key, hash, &mut agent).await;
                let answer = answer.map_err(|_| Fault::Agent("does not sign"))?;
                last = judge(answer, || {
                    format!("it takes none of the {offered} keys of the SSH agent for the user {user}")
                });
                if last.is_ok() {
                    break;
                }
            }
            last
        }
    }
}

async fn rsa_hash(handle: &Handle<Client>) -> Result<Option<HashAlg>, Fault> {
    Ok(handle.best_supported_rsa_hash().await?.flatten().or(Some(HashAlg::Sha512)))
}

fn judge(answer: AuthResult, offered: impl Fn() -> String) -> Result<(), Fault> {
    match answer {
        AuthResult::Success => Ok(()),
        AuthResult::Failure { partial_success: true, .. } => {
            Err(Fault::Refused("it wants a second factor after the key".to_owned()))
        }
        AuthResult::Failure { remaining_methods, .. }
            if !remaining_methods.contains(&MethodKind::PublicKey) =>
        {
            Err(Fault::Refused(format!("{}; logins by key may be off there", offered())))
        }
        AuthResult::Failure { .. } => Err(Fault::Refused(offered())),
    }
}
