//! The `azure` source: the secrets of one Azure Key Vault, with its REST API.
//!
//! Microsoft's own crates are not used. They send each request first without a token, until they have one for the vault; they
//! follow a list to any host that it names, with the token; they read variables of the process; their certificates need
//! OpenSSL; and their retries have no deadline.

mod answer;
mod certificate;
mod entra;
mod forbidden;
mod kind;
mod list;
mod login;
mod name;
mod policy;
#[cfg(test)]
mod replayed;
mod token;
mod vault;

use std::sync::Arc;

use async_trait::async_trait;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use tokio::sync::OnceCell;

use self::answer::Request;
pub(super) use self::kind::KIND;
use self::login::Login;
use self::token::Start;
use self::vault::Vault;
use super::context::SourceContext;
use super::conventional;
use super::identity::Identity;
use super::net::{self, Answer, Network};
use super::{About, Item, Listing, Options, Reply, Source, SourceError};
use crate::error::Result;
use crate::manifest::{Reference, Scope, SourceId};
use crate::secret::SecretName;

/// The API version: the oldest that is current in all clouds.
const VERSION: &str = "7.4";

/// The source.
pub struct Azure {
    id: SourceId,
    vault: Vault,
    login: Login,
    metadata_host: String,
    secret_variable: String,
    network: Arc<Network>,
    identity: Arc<Identity>,
    /// The login of this run, even if it was refused: there is one per run.
    authorization: OnceCell<std::result::Result<HeaderValue, SourceError>>,
}

/// Opens it; `None` if no vault is configured. It makes no request yet.
///
/// # Errors
/// `usage` if the vault in the settings is not valid, or the login is not unique.
fn open(options: Options, opening: &SourceContext) -> Result<Option<Azure>> {
    let Some(vault) = Vault::of(&options)? else { return Ok(None) };
    Ok(Some(Azure {
        vault,
        login: Login::of(&options, &opening.settings.workspace)?,
        metadata_host: login::metadata_host(&options)?,
        secret_variable: options.variable("CLIENT_SECRET"),
        network: opening.network.clone(),
        identity: opening.identity.clone(),
        authorization: OnceCell::new(),
        id: options.id,
    }))
}

/// `azure:claude-bot-production-api-key`: names have only letters, digits and hyphens, and ignore case.
pub(super) fn conventional(id: &SourceId, name: &SecretName, scope: &Scope) -> Reference {
    let whole = format!("{}/{}", conventional::path(scope), conventional::hyphenated(name));
    conventional::reference(id, whole.to_lowercase().replace(['/', '_'], "-"), None)
}

#[async_trait]
impl Source for Azure {
    fn id(&self) -> &SourceId {
        &self.id
    }

    fn conventional(&self, name: &SecretName, scope: &Scope) -> Reference {
        conventional(&self.id, name, scope)
    }

    fn is_ambient(&self) -> bool {
        matches!(self.login, Login::Nothing)
    }

    fn about(&self) -> About {
        let mut hosts = vec![format!("{}:443", self.vault.host)];
        if self.login.application().is_some() {
            hosts.push(format!("{}:443", self.vault.authority));
        }
        if matches!(self.login, Login::Oidc(_)) {
            hosts.extend(self.identity.host());
        }
        if let Login::ManagedIdentity(_) = self.login
            && let Ok(url) = reqwest::Url::parse(&self.metadata_host)
        {
            hosts.push(super::host_of(&url));
        }
        let login = if matches!(self.login, Login::Nothing) { "nobody".to_owned() } else { self.login.who() };
        About { place: format!("https://{}", self.vault.host), login, hosts }
    }

    async fn read(&self, items: &[Item]) -> Vec<Reply> {
        let questions: Vec<_> = items.iter().map(|item| self.one(item)).collect();
        net::each(questions).await
    }

    async fn list(&self, prefix: &str) -> Listing {
        self.names(prefix).await.map_or_else(SourceError::listing, Listing::Items)
    }
}

impl Azure {
    async fn one(&self, item: &Item) -> Reply {
        let Item { name, version } = item;
        let reference = item.reference(&self.id);
        if let Some(refused) = malformed(&reference) {
            return refused.reply();
        }
        let question =
            Request { vault: &self.vault, login: &self.login, what: reference.to_string(), name: Some(name) };
        let version = version.as_ref().map(|version| format!("/{version}")).unwrap_or_default();
        let address = self.vault.url(&format!("secrets/{name}{version}?api-version={VERSION}"));
        match self.ask(&address, &question.what).await {
            Ok(answer) => question.reply(&answer),
            Err(refused) => refused.reply(),
        }
    }

    /// Sends a request to the vault, with the token from the start: a challenge would cost a round trip.
    async fn ask(&self, address: &str, what: &str) -> std::result::Result<Answer, SourceError> {
        let authorization =
            self.authorization.get_or_init(|| self.log_in()).await.as_ref().map_err(SourceError::clone)?;
        let client = self.network.client().map_err(|error| SourceError::no_client(error).about(what))?;
        let make =
            || client.get(address).header(AUTHORIZATION, authorization).header(ACCEPT, "application/json");
        let answer = self.network.send(make, net::is_transient).await;
        answer.map_err(|failure| SourceError::Failed(failure.refusal(what, &self.vault.host)))
    }

    async fn log_in(&self) -> std::result::Result<HeaderValue, SourceError> {
        let start = Start {
            id: self.id.as_str(),
            vault: &self.vault,
            login: &self.login,
            metadata_host: &self.metadata_host,
            secret_variable: &self.secret_variable,
            network: &self.network,
            identity: &self.identity,
        };
        start.authorization().await
    }
}

/// A reference that is not valid in Key Vault.
fn malformed(reference: &Reference) -> Option<SourceError> {
    if let Some(fault) = name::fault(&reference.item) {
        return Some(SourceError::failed(
            format!("{reference}: not a valid secret name in Key Vault: {fault}"),
            "Correct the reference. In a conventional name, the prefix, the environment or the length is the cause: use an explicit reference.",
        ));
    }
    let version = reference.version.as_deref().filter(|version| !name::is_version(version))?;
    Some(SourceError::failed(
        format!(
            "{reference}: a version in Key Vault has 32 hexadecimal digits, but this one has {}",
            crate::count::count(version.chars().count(), "character")
        ),
        format!(
            "Use one that `az keyvault secret list-versions --name {} --vault-name VAULT` lists.",
            reference.item
        ),
    ))
}
