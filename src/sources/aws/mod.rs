//! The `aws` source: AWS Secrets Manager, through the vendor's own SDK; and, in a folder of its own, Parameter Store with the same
//! logins.

mod bounded;
mod client;
mod credentials;
mod fault;
mod item;
mod kind;
mod list;
mod parameters;
mod policy;
mod read;
mod refusal;
mod service;
mod setup;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use aws_sdk_secretsmanager::Client;
use tokio::sync::OnceCell;

use self::client::Clients;
use self::credentials::Session;
pub(super) use self::kind::KIND;
pub(super) use self::parameters::KIND as PARAMETERS;
#[cfg(test)]
pub(super) use self::parameters::conventional as conventional_parameter;
use self::service::SECRETS_MANAGER;
use self::setup::{SettingValue, Setup};
use super::conventional;
use super::identity::Identity;
use super::net::Network;
use super::opening::SourceContext;
use super::{About, Item, Listing, Options, Remark, Reply, Source, SourceError};
use crate::error::Result;
use crate::manifest::{Reference, Scope, SourceId};
use crate::secret::SecretName;

/// The source.
pub struct Aws {
    setup: Setup,
    network: Arc<Network>,
    identity: Arc<Identity>,
    /// The login: one per run; if it fails, that is the reply for all items.
    session: OnceCell<Result<Session, SourceError>>,
    clients: Clients<Client>,
    /// Whether batches were refused: then this run does not try them again.
    one_by_one: AtomicBool,
}

/// Opens it. `None` if nothing names it and no variables set a login and a region. It makes no request yet.
///
/// # Errors
/// `usage` for an invalid setting.
fn open(options: &Options, opening: &SourceContext) -> Result<Option<Aws>> {
    let has_identity = opening.identity.is_there();
    let Some(setup) = Setup::of(options, opening.settings, has_identity, &SECRETS_MANAGER)? else {
        return Ok(None);
    };
    Ok(Some(Aws {
        setup,
        network: opening.network.clone(),
        identity: opening.identity.clone(),
        session: OnceCell::new(),
        clients: Clients::new(),
        one_by_one: AtomicBool::new(false),
    }))
}

/// `aws:claude-bot/production/api-key`, the whole string.
pub(super) fn conventional(id: &SourceId, name: &SecretName, scope: &Scope) -> Reference {
    conventional::reference(
        id,
        format!("{}/{}", conventional::path(scope), conventional::hyphenated(name)),
        None,
    )
}

#[async_trait]
impl Source for Aws {
    fn id(&self) -> &SourceId {
        &self.setup.id
    }

    fn conventional(&self, name: &SecretName, scope: &Scope) -> Reference {
        conventional(&self.setup.id, name, scope)
    }

    fn is_ambient(&self) -> bool {
        !self.setup.named
    }

    async fn read(&self, items: &[Item]) -> Vec<Reply> {
        match self.session().await {
            Ok(session) => read::all(self, session, items).await,
            Err(refused) => items.iter().map(|_| refused.clone().reply()).collect(),
        }
    }

    async fn list(&self, prefix: &str) -> Listing {
        match self.session().await {
            Ok(session) => list::below(self, session, prefix).await,
            Err(refused) => refused.clone().listing(),
        }
    }

    fn about(&self) -> About {
        let mut about = self.setup.about();
        if self.setup.is_by_workflow(self.identity.is_there()) {
            about.hosts.extend(self.identity.host());
        }
        about
    }

    fn remarks(&self, _: &[Item]) -> Vec<Remark> {
        let plain = self.setup.endpoint.as_ref().filter(|endpoint| endpoint.is_plain_and_far());
        let remark =
            |endpoint: &SettingValue| Remark::in_clear(&self.setup.id, &endpoint.text, "endpoint-url");
        plain.map(remark).into_iter().collect()
    }
}

impl Aws {
    async fn session(&self) -> Result<&Session, &SourceError> {
        let start = || Session::start(&self.setup, &self.network, &self.identity);
        self.session.get_or_init(start).await.as_ref()
    }

    fn client(&self, session: &Session, region: &str) -> Client {
        self.clients.of(region, || {
            let config = aws_sdk_secretsmanager::config::Builder::from(&session.config(region))
                .retry_partition(session.partition())
                .retry_classifier(session.retry_after());
            Client::from_conf(config.build())
        })
    }
}
