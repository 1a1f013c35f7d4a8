//! The `aws` source: AWS Secrets Manager, through the vendor's own SDK; and, in a folder of its own, Parameter Store with the same
//! logins.

mod account;
mod batch;
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

use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use aws_sdk_secretsmanager::Client;

use self::account::Account;
use self::credentials::Session;
pub(super) use self::kind::KIND;
pub(super) use self::parameters::KIND as PARAMETERS;
#[cfg(test)]
pub(super) use self::parameters::conventional as conventional_parameter;
use self::service::SECRETS_MANAGER;
use super::context::SourceContext;
use super::conventional;
use super::{About, Item, Listing, Options, Reply, Source};
use crate::diagnostic::Diagnostic;
use crate::error::Result;
use crate::manifest::{Reference, Scope, SourceId};
use crate::secret::SecretName;

/// The source.
pub struct Aws {
    account: Account<Client>,
    /// Whether batches were refused: then this run does not try them again.
    one_by_one: AtomicBool,
}

/// Opens it. `None` if nothing names it and no variables set a login and a region. It makes no request yet.
///
/// # Errors
/// `usage` for an invalid setting.
fn open(options: &Options, opening: &SourceContext) -> Result<Option<Aws>> {
    let account = Account::open(options, opening, &SECRETS_MANAGER)?;
    Ok(account.map(|account| Aws { account, one_by_one: AtomicBool::new(false) }))
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
        &self.account.setup.id
    }

    fn conventional(&self, name: &SecretName, scope: &Scope) -> Reference {
        conventional(&self.account.setup.id, name, scope)
    }

    fn is_ambient(&self) -> bool {
        !self.account.setup.named
    }

    async fn read(&self, items: &[Item]) -> Vec<Reply> {
        match self.account.session().await {
            Ok(session) => read::all(self, session, items).await,
            Err(refused) => items.iter().map(|_| refused.clone().reply()).collect(),
        }
    }

    async fn list(&self, prefix: &str) -> Listing {
        match self.account.session().await {
            Ok(session) => list::below(self, session, prefix).await,
            Err(refused) => refused.clone().listing(),
        }
    }

    fn about(&self) -> About {
        self.account.about()
    }

    fn remarks(&self, _: &[Item]) -> Vec<Diagnostic> {
        self.account.remarks()
    }
}

impl Aws {
    fn client(&self, session: &Session, region: &str) -> Client {
        self.account.clients.of(region, || {
            let config = aws_sdk_secretsmanager::config::Builder::from(&session.config(region))
                .retry_partition(session.partition())
                .retry_classifier(session.retry_after());
            Client::from_conf(config.build())
        })
    }
}
