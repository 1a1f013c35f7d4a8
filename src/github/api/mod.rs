//! GitHub's REST API, by `octocrab` over the one network policy: the names and dates of secrets and variables, deployments,
//! and comments of pull requests. No value is ever asked for: GitHub hands out none.

pub mod comment;
pub mod compare;
pub mod deployment;
mod list;
pub mod names;
pub mod request_error;
mod service;

use std::sync::Arc;

use octocrab::{AuthState, Octocrab, OctocrabBuilder};
use reqwest::Url;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::request_error::{Asked, RequestError};
use self::service::Service;
use crate::error::{Code, Error, Result};
use crate::secret::SecretValue;
use crate::settings::{Environment, Settings};
use crate::sources::net::{self, Network};

/// Where GitHub's own API is.
const GITHUB: &str = "https://api.github.com";

/// The API, and who asks it. It has no `Debug`: it holds a token.
#[derive(Clone)]
pub struct Api {
    crab: Octocrab,
    host: String,
    /// Whether the token is an app's, as the workflow's own one is (docs.github.com, "About authentication to GitHub",
    /// "GitHub's token formats"): who asks is then a bot.
    is_app: bool,
}

impl Api {
    /// The API of GitHub or of a GitHub Enterprise Server (`GITHUB_API_URL`), asked with this token. The deadline of the
    /// settings' `timeout` begins here. It must be called in the runtime; nothing is asked yet.
    ///
    /// # Errors
    /// `usage` when the token or the address cannot be used, or a setting of the network.
    pub fn open(settings: &Settings, token: &SecretValue) -> Result<Self> {
        let bearer = net::bearer(token).ok_or_else(|| {
            let fact = format!(
                "github-token: the token holds a line break or another control character ({})",
                token.shape()
            );
            Error::new(Code::Usage, fact)
                .help("Set it again without a line end: `gh secret set NAME < file` keeps one.")
        })?;
        let base = base(&settings.variables)?;
        let network = Arc::new(Network::new(settings)?);
        let client = network.client()?;
        let host = base.host_str().unwrap_or_default().to_owned();
        let service = Service::new(network, client, base, bearer);
        let tower = tower::service_fn(move |request| {
            let service = service.clone();
            async move { service.call(request).await }
        });
        let builder = OctocrabBuilder::new_empty().with_service(tower).with_auth(AuthState::None);
        let crab = match builder.build() {
            Ok(crab) => crab,
            Err(never) => match never {},
        };
        Ok(Self { crab, host, is_app: token.expose().starts_with(b"ghs_") })
    }

    /// The server that is asked, for messages.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Asks for what is at a path, which begins with a slash.
    async fn get<T: DeserializeOwned>(&self, path: &str, asked: &Asked<'_>) -> Result<T, RequestError> {
        let got = self.crab.get(path, None::<&()>).await;
        got.map_err(|error| RequestError::of(&error, asked, &self.host))
    }

    /// Makes something. It is never made twice.
    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &(impl Serialize + ?Sized + Sync),
        asked: &Asked<'_>,
    ) -> Result<T, RequestError> {
        let made = self.crab.post(path, Some(body)).await;
        made.map_err(|error| RequestError::of(&error, asked, &self.host))
    }

    /// Changes something.
    async fn patch<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &(impl Serialize + ?Sized + Sync),
        asked: &Asked<'_>,
    ) -> Result<T, RequestError> {
        let changed = self.crab.patch(path, Some(body)).await;
        changed.map_err(|error| RequestError::of(&error, asked, &self.host))
    }

    /// Removes something.
    async fn delete(&self, path: &str, asked: &Asked<'_>) -> Result<(), RequestError> {
        let removed = match self.crab._delete(path, None::<&()>).await {
            Ok(answer) => octocrab::map_github_error(answer).await,
            Err(error) => Err(error),
        };
        removed.map(|_| ()).map_err(|error| RequestError::of(&error, asked, &self.host))
    }
}

/// The host of the server whose API the run would ask: where its repositories are cloned from.
pub fn server(variables: &Environment) -> Option<String> {
    let host = base(variables).ok()?.host_str()?.to_owned();
    // `api.github.com`, and `api.SUBDOMAIN.ghe.com` for GitHub Enterprise Cloud with data residency.
    Some(host.strip_prefix("api.").map(str::to_owned).unwrap_or(host))
}

/// The address of the API (docs.github.com, "Variables reference", `GITHUB_API_URL`).
fn base(variables: &Environment) -> Result<Url> {
    let text = variables.text("GITHUB_API_URL").unwrap_or(GITHUB);
    let refuse = |fact: &str| {
        Error::new(Code::Usage, format!("GITHUB_API_URL {fact}"))
            .help("GitHub's runner sets it. For a GitHub Enterprise Server it is `https://HOST/api/v3`.")
    };
    let url = Url::parse(text).map_err(|_| refuse("is no address"))?;
    // The token would cross a network in clear.
    if url.scheme() != "https" && !(url.scheme() == "http" && net::is_this_machine(&url)) {
        return Err(refuse("does not begin with `https://`: the token is not sent there"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_sent_over_tls_or_to_this_machine_alone() {
        let of = |url: &str| base(&Environment::from_pairs([("GITHUB_API_URL", url)]));
        for url in ["https://ghes.example/api/v3", "http://127.0.0.1:8080", "http://[::1]:1/api/v3", ""] {
            assert!(of(url).is_ok(), "{url}");
        }
        for url in ["http://ghes.example/api/v3", "ghes.example", "ftp://127.0.0.1"] {
            assert_eq!(of(url).unwrap_err().code, Code::Usage, "{url}");
        }
    }

    #[test]
    fn the_servers_name_is_that_of_its_repositories() {
        let of = |url: &str| server(&Environment::from_pairs([("GITHUB_API_URL", url)])).unwrap();
        assert_eq!(of(""), "github.com");
        assert_eq!(of("https://api.octo.ghe.com"), "octo.ghe.com");
        assert_eq!(of("https://ghes.example/api/v3"), "ghes.example");
    }
}
