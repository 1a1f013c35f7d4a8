//! Reads through a Connect server's REST API: vaults and items by name or id. Each list and each item is requested once a
//! run (1Password's documentation, "Connect server API reference").

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use reqwest::{Client, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;

use super::item::{Item, Picked};
use super::reference::SecretReference;
use super::refusal::{is_called, no_such_vault, several_items};
use crate::diagnostic::Diagnostic;
use crate::sources::net::{self, Answer, Network};
use crate::sources::{Found, Reply, SourceError};

/// A Connect server, and its responses in this run.
pub(super) struct Connect {
    host: Url,
    bearer: HeaderValue,
    token_variable: String,
    network: Arc<Network>,
    vaults: OnceCell<Result<Vec<Vault>, RequestError>>,
    /// By the vault's id.
    lists: Once<String, Result<Vec<Listed>, RequestError>>,
    /// By the ids of the vault and the item.
    items: Once<(String, String), Result<Item, RequestError>>,
}

/// A vault that the token can read.
#[derive(Deserialize)]
struct Vault {
    id: String,
    #[serde(default)]
    name: String,
}

/// An item in a vault's list.
#[derive(Deserialize)]
struct Listed {
    id: String,
    #[serde(default)]
    title: String,
    /// `ARCHIVED` or `DELETED`, for one that is.
    state: Option<String>,
}

/// Why a request failed.
enum RequestError {
    /// There is no such thing (404).
    NotThere,
    /// Not with this token (403).
    NotShared,
    /// Nothing can be read.
    Stop(SourceError),
}

/// Cached responses, by request.
struct Once<K, V>(Mutex<BTreeMap<K, Arc<OnceCell<Arc<V>>>>>);

impl Connect {
    /// The server at this address. It makes no request yet.
    pub(super) fn new(host: Url, bearer: HeaderValue, token_variable: String, network: Arc<Network>) -> Self {
        Self {
            host,
            bearer,
            token_variable,
            network,
            vaults: OnceCell::new(),
            lists: Once::new(),
            items: Once::new(),
        }
    }

    /// Answers every reference, in the same order.
    pub(super) async fn read(&self, wanted: &[SecretReference]) -> Vec<Reply> {
        let asked: Vec<_> = wanted.iter().map(|reference| self.reply(reference)).collect();
        net::each(asked).await
    }

    /// The titles and ids of a vault's items, without archived ones; `None`: there is no such vault, or the token is not
    /// for it.
    ///
    /// # Errors
    /// Why they are unknown.
    pub(super) async fn titles(&self, vault: &str) -> Result<Option<Vec<(String, String)>>, SourceError> {
        let client = self.client()?;
        let vaults = self.vaults(&client).await;
        let vaults = vaults.as_ref().map_err(|trouble| self.refused(trouble))?;
        let Some(vault) = vaults.iter().find(|one| is_called(vault, &one.id, &one.name)) else {
            return Ok(None);
        };
        match self.list(&client, &vault.id).await.as_ref() {
            Ok(items) => {
                let active = items.iter().filter(|item| item.state.is_none());
                Ok(Some(active.map(|item| (item.title.clone(), item.id.clone())).collect()))
            }
            Err(RequestError::Stop(refused)) => Err(refused.clone()),
            Err(RequestError::NotThere | RequestError::NotShared) => Ok(None),
        }
    }

    async fn reply(&self, reference: &SecretReference) -> Reply {
        self.answer(reference).await.unwrap_or_else(|refused| refused)
    }

    /// The answer to one reference, or why there is none.
    async fn answer(&self, reference: &SecretReference) -> Result<Reply, Reply> {
        let client = self.client().map_err(|refused| refused.about(&reference.text).reply())?;
        let vault = self.vault(&client, reference).await?;
        let id = self.item_id(&client, reference, vault).await?;
        let item = self.item(&client, &vault.id, &id).await;
        let item = item.as_ref().as_ref().map_err(|trouble| refused(trouble, reference))?;
        let value = match item.pick(reference) {
            Picked::Value(value) => value,
            Picked::Nothing(reply) => return Err(reply),
            Picked::File(file) => {
                let path = ["vaults", &vault.id, "items", &id, "files", &file, "content"];
                let content = self.ask(&client, &path).await;
                content.map_err(|trouble| refused(&trouble, reference))?.body.into()
            }
        };
        Ok(Reply::Found(Found {
            value,
            place: reference.text.clone(),
            version: item.version.map(|number| number.to_string()),
            changed: item.changed(),
            expires: None,
        }))
    }

    async fn vault(&self, client: &Client, reference: &SecretReference) -> Result<&Vault, Reply> {
        let vaults = self.vaults(client).await.as_ref().map_err(|trouble| refused(trouble, reference))?;
        let mut called = vaults.iter().filter(|vault| is_called(&reference.vault, &vault.id, &vault.name));
        match (called.next(), called.next()) {
            (Some(vault), None) => Ok(vault),
            (None, _) => Err(no_such_vault(reference)),
            (Some(_), Some(_)) => Err(several_vaults(reference, vaults)),
        }
    }

    /// The id of the item that a reference names.
    async fn item_id(
        &self,
        client: &Client,
        reference: &SecretReference,
        vault: &Vault,
    ) -> Result<String, Reply> {
        let name = &reference.item;
        // An ID needs no list; but a text that looks like one may be a title.
        if is_id(name) && self.item(client, &vault.id, name).await.is_ok() {
            return Ok(name.clone());
        }
        let list = self.list(client, &vault.id).await;
        let items = list.as_ref().as_ref().map_err(|trouble| refused(trouble, reference))?;
        let called: Vec<&Listed> =
            items.iter().filter(|item| is_called(name, &item.id, &item.title)).collect();
        let active: Vec<&Listed> = called.iter().filter(|item| item.state.is_none()).copied().collect();
        match active.as_slice() {
            [item] => Ok(item.id.clone()),
            [] if called.is_empty() => Err(Reply::Absent(reference.text.clone())),
            [] => Err(archived(reference)),
            _ => {
                let ids: Vec<String> = active.iter().map(|item| item.id.clone()).collect();
                Err(several_items(reference, &ids))
            }
        }
    }

    async fn vaults(&self, client: &Client) -> &Result<Vec<Vault>, RequestError> {
        self.vaults.get_or_init(|| self.ask_json(client, &["vaults"])).await
    }

    async fn list(&self, client: &Client, vault: &str) -> Arc<Result<Vec<Listed>, RequestError>> {
        self.lists.get(vault.to_owned(), self.ask_json(client, &["vaults", vault, "items"])).await
    }

    async fn item(&self, client: &Client, vault: &str, item: &str) -> Arc<Result<Item, RequestError>> {
        let path = ["vaults", vault, "items", item];
        self.items.get((vault.to_owned(), item.to_owned()), self.ask_json(client, &path)).await
    }

    async fn ask_json<T: DeserializeOwned>(&self, client: &Client, path: &[&str]) -> Result<T, RequestError> {
        let answer = self.ask(client, path).await?;
        serde_json::from_slice(&answer.body).map_err(|_| {
            RequestError::Stop(SourceError::failed(
                format!("the response of {} is not that of a Connect server", self.server()),
                "Check the address of the Connect server (`connect-host`).",
            ))
        })
    }

    async fn ask(&self, client: &Client, path: &[&str]) -> Result<Answer, RequestError> {
        let mut url = self.host.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v1").extend(path);
        }
        let make = || {
            client
                .get(url.clone())
                .header(AUTHORIZATION, &self.bearer)
                .header(ACCEPT, "application/json, */*")
        };
        let answer = self.network.send(make, net::is_transient).await.map_err(|failure| {
            RequestError::Stop(SourceError::Failed(failure.refusal("the Connect server", &self.server())))
        })?;
        match answer.status.as_u16() {
            200 => Ok(answer),
            401 => Err(RequestError::Stop(SourceError::denied(
                format!("the Connect server does not accept {} (401)", self.token_variable),
                "Use a valid token of this server: `op connect token create NAME --server SERVER --vault VAULT,r`.",
            ))),
            403 => Err(RequestError::NotShared),
            404 if path.len() > 1 => Err(RequestError::NotThere),
            status => Err(RequestError::Stop(SourceError::failed(
                format!("the Connect server {} answered with status {status}", self.server()),
                "Check the server (`/health` shows its state) and any proxy in front of it, or correct `connect-host`.",
            ))),
        }
    }

    fn refused(&self, trouble: &RequestError) -> SourceError {
        match trouble {
            RequestError::Stop(refused) => refused.clone(),
            RequestError::NotThere | RequestError::NotShared => SourceError::denied(
                format!("the Connect server {} shows no vaults to this token", self.server()),
                "Use a token of this server: `op connect token create NAME --server SERVER --vault VAULT,r`.",
            ),
        }
    }

    fn client(&self) -> Result<Client, SourceError> {
        self.network.client().map_err(SourceError::no_client)
    }

    /// The server as messages name it.
    /// The variable that holds the token.
    pub(super) fn token_variable(&self) -> &str {
        &self.token_variable
    }

    /// The server's host and port, for people.
    pub(super) fn host(&self) -> String {
        crate::sources::host_of(&self.host)
    }

    /// The server, for people.
    pub(super) fn server(&self) -> String {
        let host = self.host.host_str().unwrap_or_default();
        self.host.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }
}

impl<K: Ord, V> Once<K, V> {
    fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    /// The response for a key. `ask` only runs for the first request.
    async fn get(&self, key: K, ask: impl Future<Output = V>) -> Arc<V> {
        let cell = self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default().clone();
        cell.get_or_init(|| async { Arc::new(ask.await) }).await.clone()
    }
}

/// The reply for an error with a reference's vault, item or file.
fn refused(trouble: &RequestError, reference: &SecretReference) -> Reply {
    match trouble {
        RequestError::Stop(refused) => refused.clone().about(&reference.text).reply(),
        RequestError::NotShared => no_such_vault(reference),
        // It was in a list a moment ago.
        RequestError::NotThere => Reply::Failed(Diagnostic::with_help(
            format!("{}: it was deleted while it was being read", reference.text),
            "Run this again.",
        )),
    }
}

/// Whether a text may be an id: 26 lower-case letters and digits.
fn is_id(text: &str) -> bool {
    text.len() == 26 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

fn archived(reference: &SecretReference) -> Reply {
    Reply::Failed(Diagnostic::with_help(
        format!("{}: the item is archived", reference.text),
        "Restore it in 1Password, or remove the reference from the manifest.",
    ))
}

fn several_vaults(reference: &SecretReference, vaults: &[Vault]) -> Reply {
    let SecretReference { text, vault, item, .. } = reference;
    let called = vaults.iter().filter(|one| is_called(vault, &one.id, &one.name));
    let ids: Vec<&str> = called.map(|one| one.id.as_str()).collect();
    let first = ids.first().copied().unwrap_or_default();
    Reply::Failed(Diagnostic::with_help(
        format!("{text}: {} vaults are called `{vault}`: {}", ids.len(), ids.join(", ")),
        format!("Use the ID of the right one: `op://{first}/{item}/{}`.", reference.field_path()),
    ))
}
