//! The `ssm` source: Parameter Store of AWS Systems Manager, through the vendor's own SDK and with the logins of `aws`.

mod kind;
mod list;
mod name;
mod policy;
mod read;
mod refusal;

use async_trait::async_trait;
use aws_sdk_ssm::Client;

pub(in crate::sources) use self::kind::KIND;
use super::account::Account;
use super::credentials::Session;
use super::service::PARAMETER_STORE;
use crate::diagnostic::Diagnostic;
use crate::error::Result;
use crate::manifest::{Reference, Scope, SourceId};
use crate::secret::SecretName;
use crate::sources::context::SourceContext;
use crate::sources::{About, Item, Listing, Options, Reply, Source, conventional as usual};

/// The source.
struct Parameters {
    account: Account<Client>,
}

/// Opens it. `None` if nothing names it. It makes no request yet.
///
/// # Errors
/// `usage` for an invalid setting.
fn open(options: &Options, opening: &SourceContext) -> Result<Option<Parameters>> {
    if !options.named {
        return Ok(None);
    }
    Ok(Account::open(options, opening, &PARAMETER_STORE)?.map(|account| Parameters { account }))
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
        &self.account.setup.id
    }

    fn conventional(&self, name: &SecretName, scope: &Scope) -> Reference {
        conventional(&self.account.setup.id, name, scope)
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

impl Parameters {
    fn client(&self, session: &Session, region: &str) -> Client {
        self.account.clients.of(region, || {
            let config = aws_sdk_ssm::config::Builder::from(&session.config(region))
                .retry_partition(session.partition())
                .retry_classifier(session.retry_after());
            Client::from_conf(config.build())
        })
    }
}
