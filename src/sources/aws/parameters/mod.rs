//! The `ssm` source: Parameter Store of AWS Systems Manager, through the vendor's own SDK and with the logins of `aws`.

mod kind;
mod list;
mod name;
mod policy;
mod read;
mod refusal;

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_ssm::Client;
use tokio::sync::OnceCell;

pub(in crate::sources) use self::kind::KIND;
use super::client::Clients;
use super::credentials::Session;
use super::service::PARAMETER_STORE;
use super::setup::{SettingValue, Setup};
use crate::error::Result;
use crate::manifest::{Reference, Scope, SourceId};
use crate::secret::SecretName;
use crate::sources::identity::Identity;
use crate::sources::net::Network;
use crate::sources::opening::SourceContext;
use crate::sources::{
    About, Item, Listing, Options, Remark, Reply, Source, SourceError, conventional as usual,
};

/// The source.
struct Parameters {
    setup: Setup,
    network: Arc<Network>,
    identity: Arc<Identity>,
    /// The login: one per run; if it fails, that is the reply for all items.
    session: OnceCell<Result<Session, SourceError>>,
    clients: Clients<Client>,
}

/// Opens it. `None` if nothing names it. It makes no request yet.
///
/// # Errors
/// `usage` for an invalid setting.
fn open(options: &Options, opening: &SourceContext) -> Result<Option<Parameters>> {
    if !options.named {
        return Ok(None);
    }
    let has_identity = opening.identity.is_there();
    let setup = Setup::of(options, opening.settings, has_identity, &PARAMETER_STORE)?;
    Ok(setup.map(|setup| Parameters {
        setup,
        network: opening.network.clone(),
        identity: opening.identity.clone(),
        session: OnceCell::new(),
        clients: Clients::new(),
    }))
}

/// `ssm:/claude-bot/production/api-key`, the whole text.
pub(in crate::sources) fn conventional(id: &SourceId, name: &SecretName, scope: &Scope) -> Reference {
    usual::reference(id, format!("{}{}", below(scope), usual::hyphenated(name)), None)
}

/// What the names of conventional parameters start with: `/claude-bot/production/`.
fn below(scope: &Scope) -> String {
    format!("/{}/", usual::path(scope).trim_start_matches('/'))
}

#[async_trait]
impl Source for Parameters {
    fn id(&self) -> &SourceId {
        &self.setup.id
    }

    fn conventional(&self, name: &SecretName, scope: &Scope) -> Reference {
        conventional(&self.setup.id, name, scope)
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

impl Parameters {
    async fn session(&self) -> Result<&Session, &SourceError> {
        let start = || Session::start(&self.setup, &self.network, &self.identity);
        self.session.get_or_init(start).await.as_ref()
    }

    fn client(&self, session: &Session, region: &str) -> Client {
        self.clients.of(region, || {
            let config = aws_sdk_ssm::config::Builder::from(&session.config(region))
                .retry_partition(session.partition())
                .retry_classifier(session.retry_after());
            Client::from_conf(config.build())
        })
    }
}
