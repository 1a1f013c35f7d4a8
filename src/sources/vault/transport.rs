//! Questions to the server and what it says: the requests of `vaultrs`, sent by the one network policy of the run.
//!
//! `vaultrs` knows method, path and body of a request. Its own client would follow redirects with the token, stop the
//! program at a malformed address or header, and put answers into its errors (vaultrs 0.8, rustify 0.7).

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
use crate::secret::SecretValue;
use crate::sources::field::wipe;
use crate::sources::net::{self, Answer, Failure, Network};
use crate::sources::{Refusal, Refused};

const TOKEN: HeaderName = HeaderName::from_static("x-vault-token");
const NAMESPACE: HeaderName = HeaderName::from_static("x-vault-namespace");
/// Agents and proxies of Vault may refuse what lacks it, as a browser's requests do.
const REQUEST: HeaderName = HeaderName::from_static("x-vault-request");

/// The way to one server.
pub(super) struct Transport {
    network: Arc<Network>,
    /// The client that has a trust or an identity of its own.
    own: Option<Client>,
    address: Address,
    namespace: Option<HeaderValue>,
    health: OnceCell<Option<Health>>,
}

/// One request to the API.
pub(super) struct Question {
    method: Method,
    path: String,
    query: Option<String>,
    body: Option<Zeroizing<Vec<u8>>>,
    /// Whether it is about the server itself, which no namespace but the root answers.
    of_server: bool,
    /// How often it was sent.
    sent: AtomicU32,
}

/// What the server said. It has no `Debug`: it may hold a value. What is left of it is wiped when it is dropped.
pub(super) struct Said {
    /// The status.
    pub(super) status: u16,
    json: Option<Value>,
}

/// Why there is nothing that the server said.
#[derive(Clone)]
pub(super) enum Trouble {
    /// No answer came.
    Network(Failure),
    /// It points to another server, which must not get the token; holds that server's address.
    SentOn(String),
    /// No request can be made.
    NoClient(Refusal),
}

impl Transport {
    /// The way to a server. `own` is a client with a trust or an identity of its own.
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

    /// Whether it is reached by plain `http://`.
    pub(super) fn is_plain(&self) -> bool {
        self.address.is_plain()
    }

    /// The namespace that every request names.
    pub(super) fn namespace(&self) -> Option<&str> {
        self.namespace.as_ref().and_then(|name| name.to_str().ok())
    }

    /// Asks, again where that may help.
    pub(super) async fn ask(
        &self,
        question: &Question,
        token: Option<&SecretValue>,
    ) -> Result<Said, Trouble> {
        self.send(question, token, net::is_transient, self.network.deadline()).await
    }

    /// Asks, and takes any answer as it is.
    pub(super) async fn ask_plainly(
        &self,
        question: &Question,
        token: Option<&SecretValue>,
    ) -> Result<Said, Trouble> {
        self.send(question, token, |_| false, self.network.deadline()).await
    }

    /// Tells the server something at the end, also when the time of the sources is over; it has a time of its own for that.
    pub(super) async fn tell_at_the_end(&self, question: &Question, token: &SecretValue, limit: Duration) {
        // What goes wrong here is nothing that anybody could do something about.
        let _ = self.send(question, Some(token), |_| false, Instant::now() + limit).await;
    }

    /// How the server is, as it says itself, asked once; `None` when it does not say.
    pub(super) async fn health(&self) -> Option<Health> {
        let ask = || async {
            let question = Question { of_server: true, ..Question::get("sys/health") };
            // Its status is no success in most states that are asked for.
            self.ask_plainly(&question, None).await.ok().and_then(|said| Health::of(&said))
        };
        *self.health.get_or_init(ask).await
    }

    async fn send(
        &self,
        question: &Question,
        token: Option<&SecretValue>,
        again: impl Fn(&Answer) -> bool,
        deadline: Instant,
    ) -> Result<Said, Trouble> {
        let client = match &self.own {
            Some(client) => client.clone(),
            None => self.network.client().map_err(|error| Trouble::NoClient(error.into()))?,
        };
        let header = |token| net::credential(token).ok_or(Trouble::Network(Failure::Malformed));
        let token = token.map(header).transpose()?;
        let mut url = self.address.api(&question.path, question.query.as_deref());
        let mut sent_on = 0;
        loop {
            let make = || self.request(&client, question, &url, token.as_ref());
            let answer = self.network.send_by(deadline, make, &again).await.map_err(Trouble::Network)?;
            let Some(next) = redirect(&answer, &url) else { return Ok(Said::of(&answer)) };
            // A proxy may send on to another path of the same server, once; a standby node names the active one.
            if sent_on > 0 || !self.address.is_server_of(&next) {
                return Err(Trouble::SentOn(address::server(&next)));
            }
            sent_on += 1;
            url = next;
        }
    }

    fn request(
        &self,
        client: &Client,
        question: &Question,
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

impl Question {
    /// What `vaultrs` would send for an endpoint.
    pub(super) fn of(endpoint: &impl Endpoint) -> Result<Self, Trouble> {
        // The reason could quote what it failed at.
        let malformed = |_| Trouble::Network(Failure::Malformed);
        let body = endpoint.body().map_err(malformed)?.filter(|body| !body.is_empty());
        let mut query = endpoint.query().map_err(malformed)?.filter(|query| !query.is_empty());
        let method = match endpoint.method() {
            // As Vault's own client does it: some proxies know no such method.
            RequestMethod::LIST => {
                query = Some("list=true".to_owned());
                Method::GET
            }
            other => other.into(),
        };
        // Some endpoints have a slash or even a tab in front.
        let path = endpoint.path().trim().trim_matches('/').to_owned();
        Ok(Self { method, query, body: body.map(Zeroizing::new), ..Self::get(path) })
    }

    /// The reading of a path for which `vaultrs` has no endpoint.
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

impl Said {
    fn of(answer: &Answer) -> Self {
        let json = serde_json::from_slice(&answer.body).ok().filter(Value::is_object);
        Self { status: answer.status.as_u16(), json }
    }

    /// Whether the request was granted.
    pub(super) fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether it is an answer of Vault's kind, a JSON object.
    pub(super) fn is_json(&self) -> bool {
        self.json.is_some()
    }

    /// A part of the answer, by a JSON pointer; `None` also for a null.
    pub(super) fn get(&self, pointer: &str) -> Option<&Value> {
        self.json.as_ref()?.pointer(pointer).filter(|value| !value.is_null())
    }

    /// A text of the answer that is not empty.
    pub(super) fn text(&self, pointer: &str) -> Option<&str> {
        self.get(pointer)?.as_str().filter(|text| !text.is_empty())
    }

    /// A number of the answer.
    pub(super) fn number(&self, pointer: &str) -> Option<u64> {
        self.get(pointer)?.as_u64()
    }

    /// A part of the answer, taken out of it; whoever takes it wipes it.
    pub(super) fn take(&mut self, pointer: &str) -> Option<Value> {
        self.json.as_mut()?.pointer_mut(pointer).map(Value::take)
    }

    /// A text of the answer, taken out of it.
    pub(super) fn take_secret(&mut self, pointer: &str) -> Option<SecretValue> {
        match self.take(pointer)? {
            Value::String(text) if !text.is_empty() => Some(SecretValue::new(text.into_bytes())),
            _ => None,
        }
    }

    /// What Vault says when there is nothing at a path: an empty list of errors, and nothing else.
    pub(super) fn is_nothing_there(&self) -> bool {
        let no_errors = self.get("/errors").and_then(Value::as_array).is_some_and(Vec::is_empty);
        self.status == 404 && no_errors && self.get("/data").is_none()
    }

    /// Vault's words on a refused login, when they hold none of `secrets`; nothing else is ever repeated of an answer.
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

impl Drop for Said {
    fn drop(&mut self) {
        self.json.iter_mut().for_each(wipe);
    }
}

impl Trouble {
    /// The trouble as an answer about `what`.
    pub(super) fn refused(self, what: &str, transport: &Transport) -> Refused {
        let server = transport.server();
        Refused::Failed(match self {
            Self::Network(failure) => failure.refusal(&format!("{what}: {server}"), &server),
            Self::SentOn(other) => Refusal::new(
                format!(
                    "{what}: {server} sends its clients on to {other}, and a token is not sent to another server"
                ),
                format!(
                    "If {other} is the server (the active node of a cluster, say), name that by `addr`; better, name the address of the whole cluster."
                ),
            ),
            Self::NoClient(refusal) => refusal.about(what),
        })
    }
}

/// Where an answer points to, when it does.
fn redirect(answer: &Answer, from: &Url) -> Option<Url> {
    let location = answer.headers.get(LOCATION).filter(|_| answer.status.is_redirection())?;
    from.join(location.to_str().ok()?).ok()
}
