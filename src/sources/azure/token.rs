//! The access token: requested once a run, from Entra or from the machine's metadata service.

use reqwest::RequestBuilder;
use reqwest::header::HeaderValue;
use serde::Deserialize;

use super::entra;
use super::login::{Application, Login};
use super::vault::Vault;
use crate::error::Error;
use crate::secret::SecretValue;
use crate::sources::identity::Identity;
use crate::sources::net::{self, Answer, Network};
use crate::sources::{SourceError, read_token};

/// The type of an assertion that is a signed token (RFC 7523 section 2.2).
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// The metadata service of a virtual machine (learn.microsoft.com, "How to use managed identities to acquire an access
/// token").
const METADATA_PATH: &str = "/metadata/identity/oauth2/token";
const METADATA_VERSION: &str = "2018-02-01";

/// The input of a login.
pub(super) struct Start<'a> {
    pub(super) id: &'a str,
    pub(super) vault: &'a Vault,
    pub(super) login: &'a Login,
    pub(super) metadata_host: &'a str,
    /// The variable with the secret of an application.
    pub(super) secret_variable: &'a str,
    pub(super) network: &'a Network,
    pub(super) identity: &'a Identity,
}

#[derive(Deserialize)]
struct Token {
    access_token: String,
}

impl Start<'_> {
    /// Logs in and returns the authorization header.
    pub(super) async fn authorization(&self) -> Result<HeaderValue, SourceError> {
        let token = match self.login {
            Login::Secret(application, secret) => self.of_entra(application, "client_secret", secret).await?,
            Login::Certificate(application, certificate) => {
                let assertion = certificate.assertion(application, &self.endpoint(application));
                let unsigned = || {
                    SourceError::failed(
                        format!("{}: the certificate's key cannot sign", self.id),
                        "Use another one.",
                    )
                };
                self.of_entra(application, "client_assertion", &assertion.ok_or_else(unsigned)?).await?
            }
            Login::TokenFile(application, path) => {
                let token = read_token(path).await.map_err(|error| {
                    let reason = crate::error::plain_reason(&error);
                    let fact =
                        format!("{}: the token file {} cannot be read: {reason}", self.id, path.display());
                    SourceError::failed(
                        fact,
                        "Correct `federated-token-file`, or set `auth` to another method.",
                    )
                })?;
                self.of_entra(application, "client_assertion", &token).await?
            }
            Login::Oidc(application) => {
                let token = self.workflow_token().await?;
                self.of_entra(application, "client_assertion", &token).await?
            }
            Login::ManagedIdentity(client) => self.of_machine(client.as_deref()).await?,
            Login::Nothing => return Err(entra::nothing_given(self)),
        };
        net::bearer(&token).ok_or_else(|| entra::no_token(self, &self.vault.authority))
    }

    async fn workflow_token(&self) -> Result<SecretValue, SourceError> {
        self.identity.token(&self.vault.audience).await.map_err(|refusal| {
            if self.identity.is_there() {
                SourceError::Failed(refusal)
            } else {
                entra::no_workflow_identity(self, &refusal)
            }
        })
    }

    fn endpoint(&self, application: &Application) -> String {
        format!("https://{}/{}/oauth2/v2.0/token", self.vault.authority, application.tenant)
    }

    /// A token for an application, in exchange for its secret or an assertion.
    async fn of_entra(
        &self,
        application: &Application,
        what: &str,
        credential: &SecretValue,
    ) -> Result<SecretValue, SourceError> {
        let client = self.network.client().map_err(|error| self.no_client(error))?;
        let scope = format!("{}/.default", self.vault.resource);
        let text = String::from_utf8_lossy(credential.expose());
        let mut form = vec![
            ("grant_type", "client_credentials"),
            ("client_id", &application.client),
            ("scope", &scope),
            (what, &*text),
        ];
        if what == "client_assertion" {
            form.push(("client_assertion_type", JWT_BEARER));
        }
        let endpoint = self.endpoint(application);
        let answer = self
            .send(|| client.post(&endpoint).form(&form), &self.vault.authority, net::is_transient)
            .await?;
        if answer.status.is_success() {
            return parsed(&answer).ok_or_else(|| entra::no_token(self, &self.vault.authority));
        }
        Err(entra::refusal(self, application, credential, &answer))
    }

    /// A token for the machine, from the service that only the machine itself can reach.
    async fn of_machine(&self, client_id: Option<&str>) -> Result<SecretValue, SourceError> {
        let client = self.network.direct().map_err(|error| self.no_client(error))?;
        let mut query = vec![("api-version", METADATA_VERSION), ("resource", &self.vault.resource)];
        query.extend(client_id.map(|id| ("client_id", id)));
        let address = format!("{}{METADATA_PATH}", self.metadata_host);
        let make = || client.get(&address).query(&query).header("Metadata", "true");
        // According to the same page, it answers 404 and 410 while it starts or is updated.
        let again =
            |answer: &Answer| net::is_transient(answer) || matches!(answer.status.as_u16(), 404 | 410);
        let answer =
            self.network.send(make, again).await.map_err(|failure| entra::no_machine(self, &failure))?;
        if answer.status.is_success() {
            return parsed(&answer).ok_or_else(|| entra::no_token(self, "the metadata service"));
        }
        Err(entra::machine_refusal(self, client_id, answer.status))
    }

    async fn send(
        &self,
        make: impl Fn() -> RequestBuilder,
        host: &str,
        again: impl Fn(&Answer) -> bool,
    ) -> Result<Answer, SourceError> {
        let what = format!("{}: the login at {host}", self.id);
        self.network
            .send(make, again)
            .await
            .map_err(|failure| SourceError::Failed(failure.refusal(&what, host)))
    }

    fn no_client(&self, error: Error) -> SourceError {
        SourceError::no_client(error).about(self.id)
    }
}

fn parsed(answer: &Answer) -> Option<SecretValue> {
    // The parser's message could quote the token.
    let token = serde_json::from_slice::<Token>(&answer.body).ok()?.access_token;
    (!token.is_empty()).then(|| SecretValue::new(token.into_bytes()))
}
