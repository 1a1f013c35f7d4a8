//! The `vault` source: `HashiCorp` Vault and `OpenBao`, whose APIs are the same as far as they are used here.

mod address;
mod ask;
mod explain;
mod kind;
mod list;
mod login;
mod method;
mod mounts;
mod path;
mod policy;
mod read;
mod refusal;
mod setup;
mod sign;
mod transport;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex;

pub(super) use self::kind::KIND;
use self::login::{Session, Start};
use self::method::Login;
use self::mounts::{Engine, Mounts};
use self::read::{At, Outcome};
use self::transport::Transport;
use super::identity::Identity;
use super::{About, Item, Listing, Reply, Signing, Source, SourceError, SshKey, conventional};
use crate::diagnostic::Diagnostic;
use crate::manifest::{Reference, Scope, SourceId};
use crate::secret::SecretName;

/// The source.
pub struct Vault {
    id: SourceId,
    /// The mount of conventional references.
    mount: String,
    /// The setting `kv-version`, if the server does not report it.
    kv_version: Option<Engine>,
    login: Login,
    transport: Transport,
    identity: Arc<Identity>,
    remarks: Vec<Diagnostic>,
    mounts: Mounts,
    session: Mutex<State>,
    /// What was read: an import and a reference to the same item share one response, and one lease.
    answers: std::sync::Mutex<BTreeMap<At, Outcome>>,
}

/// `vault:secret/claude-bot/production/api-key#value`.
pub(super) fn conventional(id: &SourceId, mount: &str, name: &SecretName, scope: &Scope) -> Reference {
    conventional::reference(
        id,
        format!("{mount}/{}/{}", conventional::path(scope), conventional::hyphenated(name)),
        Some("value"),
    )
}

/// The state of the login.
enum State {
    Out,
    In(Arc<Session>),
    SourceError(SourceError),
}

#[async_trait]
impl Source for Vault {
    fn id(&self) -> &SourceId {
        &self.id
    }

    fn conventional(&self, name: &SecretName, scope: &Scope) -> Reference {
        conventional(&self.id, &self.mount, name, scope)
    }

    fn default_field(&self) -> Option<&str> {
        Some("value")
    }

    async fn read(&self, items: &[Item]) -> Vec<Reply> {
        self.ask(items).await
    }

    async fn list(&self, prefix: &str) -> Listing {
        self.below(prefix).await.map_or_else(SourceError::listing, Listing::Items)
    }

    async fn sign(&self, item: &str, key: &SshKey) -> Signing {
        self.certificate(item, key).await.map_or_else(SourceError::signing, Signing::Signed)
    }

    async fn close(&self) {
        let state = std::mem::replace(&mut *self.session.lock().await, State::Out);
        if let State::In(session) = state {
            session.end(&self.transport).await;
        }
    }

    fn about(&self) -> About {
        let mut hosts = vec![self.transport.host()];
        if self.login.is_of_workflow() {
            hosts.extend(self.identity.host());
        }
        About { place: self.transport.server(), login: self.login.in_words(), hosts }
    }

    fn remarks(&self, _: &[Item]) -> Vec<Diagnostic> {
        self.remarks.clone()
    }
}

impl Vault {
    /// The token to read with. The first caller logs in.
    async fn session(&self) -> Result<Arc<Session>, SourceError> {
        let mut state = self.session.lock().await;
        let logged_in = match &*state {
            State::In(session) => return Ok(session.clone()),
            State::SourceError(refused) => return Err(refused.clone()),
            State::Out => {
                let start =
                    Start { id: self.id.as_str(), transport: &self.transport, identity: &self.identity };
                self.login.log_in(&start).await.map(Arc::new)
            }
        };
        *state = match &logged_in {
            Ok(session) => State::In(session.clone()),
            Err(refused) => State::SourceError(refused.clone()),
        };
        logged_in
    }
}
