//! Requests to the server and its responses: the requests of `vaultrs`, sent with the network policy of the run.
//!
//! `vaultrs` knows method, path and body of a request. Its own client would follow redirects with the token, panic
//! for a malformed address or header, and put responses into its errors (vaultrs 0.8, rustify 0.7).

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use reqwest::{Client, Method, RequestBuilder, Url};
use rustify::endpoint::Endpoint;
use rustify::enums::RequestMethod;
use serde_json::Value;
use tokio::sync::OnceCell;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::address::{self, Address};
use super::refusal::Health;
use crate::diagnostic::Diagnostic;
use crate::secret::SecretValue;
use crate::sources::SourceError;
use crate::sources::field::wipe;
use crate::sources::net::{self, Answer, Failure, Network};

const TOKEN: HeaderName = HeaderName::from_static("x-vault-token");
const NAMESPACE: HeaderName = HeaderName::from_static("x-vault-namespace");
/// Vault's agents and proxies may refuse requests without it, to protect from browsers.
const REQUEST: HeaderName = HeaderName::from_static("x-vault-request");

/// The connection to one server.
pub(super) struct Transport {
    network: Arc<Network>,
    /// The client with its own CA certificates or client certificate.
    own: Option<Client>,
    address: Address,
    namespace: Option<HeaderValue>,
    health: OnceCell<Option<Health>>,
}

/// One request to the API.
pub(super) struct Request {
    method: Method,
    path: String,
    query: Option<String>,
    body: Option<Zeroizing<Vec<u8>>>,
    /// Whether it is about the server itself, which only the root namespace answers.
    of_server: bool,
    /// How often it was sent.
    sent: AtomicU32,
}

/// A response of the server. It has no `Debug`, because it may contain a value; it is wiped when it is dropped.
pub(super) struct Response {
    /// The status.
    pub(super) status: u16,
    json: Option<Value>,
}

/// Why there is no response of the server.
#[derive(Clone)]
pub(super) enum RequestError {
    /// There was no response.
    Network(Failure),
    /// It redirects to another server, which must not get the token; holds that server's address.
    SentOn(String),
    /// The request cannot be made.
    NoClient(SourceError),
}

impl Transport {
    /// The connection to a server. `own` is a client with its own CA certificates or client certificate.
    pub(super) fn new(
        network: Arc<Network>,
        own: Option<Client>,
        address: Address,
        namespace: Option<HeaderValue>,
    ) -> Self {
        Self { network, own, address, namespace, health: OnceCell::new() }
    }

    /// The server, for people: scheme, host and port.
    pub(super) fn host(&self) -> String {
        self.address.host()
    }

    /// The server, for people.
    pub(super) fn server(&self) -> String {
        self.address.server()
    }

    /// Whether its address is plain `http://`.
    pub(super) fn is_plain(&self) -> bool {
        self.address.is_plain()
    }

    /// The namespace of every request.
    pub(super) fn namespace(&self) -> Option<&str> {
        self.namespace.as_ref().and_then(|name| name.to_str().ok())
    }

    /// Sends a request, and retries if that may help.
    pub(super) async fn ask(
        &self,
        question: &Request,
        token: Option<&SecretValue>,
    ) -> Result<Response, RequestError> {
        self.send(question, token, net::is_transient, self.network.deadline()).await
    }

    /// Sends a request, and returns any response as it is.
    pub(super) async fn ask_plainly(
        &self,
        question: &Request,
        token: Option<&SecretValue>,
    ) -> Result<Response, RequestError> {
        self.send(question, token, |_| false, self.network.deadline()).await
    }

    /// Sends a last request, even after the deadline of the sources; it has its own time limit.
    pub(super) async fn tell_at_the_end(&self, question: &Request, token: &SecretValue, limit: Duration) {
        // Nothing can be done about a failure here.
        let _ = self.send(question, Some(token), |_| false, Instant::now() + limit).await;
    }

    /// The server's own state, requested once; `None` if it does not report it.
    pub(super) async fn health(&self) -> Option<Health> {
        let ask = || async {
            let question = Request { of_server: true, ..Request::get("sys/health") };
            // Its status is an error in most of the relevant states.
            self.ask_plainly(&question, None).await.ok().and_then(|said| Health::of(&said))
        };
        *self.health.get_or_init(ask).await
    }

    async fn send(
        &self,
        question: &Request,
        token: Option<&SecretValue>,
        again: impl Fn(&Answer) -> bool,
        deadline: Instant,
    ) -> Result<Response, RequestError> {
        let client = match &self.own {
            Some(client) => client.clone(),
            None => self
                .network
                .client()
                .map_err(|error| RequestError::NoClient(SourceError::no_client(error)))?,
        };
        let header = |token| net::credential(token).ok_or(RequestError::Network(Failure::Malformed));
        let token = token.map(header).transpose()?;
        let mut url = self.address.api(&question.path, question.query.as_deref());
        let mut sent_on = 0;
        loop {
            let make = || self.request(&client, question, &url, token.as_ref());
            let answer = self.network.send_by(deadline, make, &again).await.map_err(RequestError::Network)?;
            let Some(next) = redirect(&answer, &url) else { return Ok(Response::of(&answer)) };
            // A proxy may redirect to another path of the same server, once; a standby node redirects to the active one.
            if sent_on > 0 || !self.address.is_server_of(&next) {
                return Err(RequestError::SentOn(address::server(&next)));
            }
            sent_on += 1;
            url = next;
        }
    }

    fn request(
        &self,
        client: &Client,
        question: &Request,
        url: &Url,
        token: Option<&HeaderValue>,
    ) -> RequestBuilder {
        question.sent.fetch_add(1, Ordering::Relaxed);
        let mut request = client.request(question.method.clone(), url.clone()).header(REQUEST, "true");
        if let Some(token) = token {
            request = request.header(TOKEN, token);
        }
        if let Some(namespace) = self.namespace.as_ref().filter(|_| !question.of_server) {
            request = request.header(NAMESPACE, namespace);
        }
        match &question.body {
            Some(body) => request.header(CONTENT_TYPE, "application/json").body(body.to_vec()),
            None => request,
        }
    }
}

impl Request {
    /// The request of `vaultrs` for an endpoint.
    pub(super) fn of(endpoint: &impl Endpoint) -> Result<Self, RequestError> {
        // The error could quote its input.
        let malformed = |_| RequestError::Network(Failure::Malformed);
        let body = endpoint.body().map_err(malformed)?.filter(|body| !body.is_empty());
        let mut query = endpoint.query().map_err(malformed)?.filter(|query| !query.is_empty());
        let method = match endpoint.method() {
            // Like Vault's own client: some proxies do not support that method.
            RequestMethod::LIST => {
                query = Some("list=true".to_owned());
                Method::GET
            }
            other => other.into(),
        };
        // Some endpoints start with a slash or even a tab.
        let path = endpoint.path().trim().trim_matches('/').to_owned();
        Ok(Self { method, query, body: body.map(Zeroizing::new), ..Self::get(path) })
    }

    /// Reads a path for which `vaultrs` has no endpoint.
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            query: None,
            body: None,
            of_server: false,
            sent: AtomicU32::new(0),
        }
    }

    /// The path below the API's address.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Whether it had to be sent more than once.
    pub(super) fn was_repeated(&self) -> bool {
        self.sent.load(Ordering::Relaxed) > 1
    }
}

impl Response {
    fn of(answer: &Answer) -> Self {
        let json = serde_json::from_slice(&answer.body).ok().filter(Value::is_object);
        Self { status: answer.status.as_u16(), json }
    }

    /// Whether the request succeeded.
    pub(super) fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether it looks like a response of Vault, a JSON object.
    pub(super) fn is_json(&self) -> bool {
        self.json.is_some()
    }

    /// A part of the response, by a JSON pointer; `None` also for null.
    pub(super) fn get(&self, pointer: &str) -> Option<&Value> {
        self.json.as_ref()?.pointer(pointer).filter(|value| !value.is_null())
    }

    /// A string of the response that is not empty.
    pub(super) fn text(&self, pointer: &str) -> Option<&str> {
        self.get(pointer)?.as_str().filter(|text| !text.is_empty())
    }

    /// A number of the response.
    pub(super) fn number(&self, pointer: &str) -> Option<u64> {
        self.get(pointer)?.as_u64()
    }

    /// A part of the response, taken out of it; the caller must wipe it.
    pub(super) fn take(&mut self, pointer: &str) -> Option<Value> {
        self.json.as_mut()?.pointer_mut(pointer).map(Value::take)
    }

    /// A string of the response, taken out of it.
    pub(super) fn take_secret(&mut self, pointer: &str) -> Option<SecretValue> {
        match self.take(pointer)? {
            Value::String(text) if !text.is_empty() => Some(SecretValue::new(text.into_bytes())),
            _ => None,
        }
    }

    /// Whether it is Vault's response for a path without anything: an empty list of errors, and nothing else.
    pub(super) fn is_nothing_there(&self) -> bool {
        let no_errors = self.get("/errors").and_then(Value::as_array).is_some_and(Vec::is_empty);
        self.status == 404 && no_errors && self.get("/data").is_none()
    }

    /// Vault's message about a refused login, if it contains none of `secrets`; nothing else of a response is ever repeated.
    pub(super) fn words(&self, secrets: &[&SecretValue]) -> Option<String> {
        let text = self.text("/errors/0")?;
        let holds = |secret: &&SecretValue| {
            let secret = secret.expose();
            text.as_bytes().windows(secret.len().max(1)).any(|part| part == secret)
        };
        if secrets.iter().any(holds) {
            return None;
        }
        let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
        Some(plain.take(200).collect::<String>().trim().to_owned())
    }
}

impl Drop for Response {
    fn drop(&mut self) {
        self.json.iter_mut().for_each(wipe);
    }
}

impl RequestError {
    /// The error as a reply about `what`.
    pub(super) fn refused(self, what: &str, transport: &Transport) -> SourceError {
        let server = transport.server();
        let refusal = match self {
            Self::Network(failure) => failure.refusal(&format!("{what}: {server}"), &server),
            Self::SentOn(other) => Diagnostic::with_help(
                format!("{what}: {server} redirects to {other}, and a token is not sent to another server"),
                format!(
                    "If {other} is the right server (for example, the active node of a cluster), set `addr` to it, or better, to the address of the whole cluster."
                ),
            ),
            Self::NoClient(error) => return error.about(what),
        };
        SourceError::Failed(refusal)
    }
}

/// The target of a redirect, if the response is one.
fn redirect(answer: &Answer, from: &Url) -> Option<Url> {
    let location = answer.headers.get(LOCATION).filter(|_| answer.status.is_redirection())?;
    from.join(location.to_str().ok()?).ok()
}
