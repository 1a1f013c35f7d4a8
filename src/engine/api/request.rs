//! What is asked of the engine.

use bytes::Bytes;
use http::Method;
use http::header::{ACCEPT, CONNECTION, CONTENT_TYPE, HOST};
use http_body_util::Full;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use zeroize::Zeroizing;

use super::{Answer, Take, prefix, send};
use crate::engine::tools::Tools;
use crate::error::Result;

/// What does not stand in a parameter as it is, but is written with `%`: a name is a name and nothing else.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// The same in a path: names of images have slashes, colons and an `@`.
const ESCAPED_IN_PATH: &AsciiSet = &ESCAPED.remove(b'/').remove(b':').remove(b'@');

/// A question to the engine, or a thing for it to do. No value may be in its path or query: proxies write them down.
pub struct Request {
    method: Method,
    path: String,
    query: String,
    body: Option<(&'static str, Zeroizing<Vec<u8>>)>,
}

impl Request {
    /// Asks for what is at a path, which is given in parts: `["containers", id, "json"]`.
    pub fn get(parts: &[&str]) -> Self {
        Self::new(Method::GET, parts)
    }

    /// Has something done or made.
    pub fn post(parts: &[&str]) -> Self {
        Self::new(Method::POST, parts)
    }

    /// Puts something somewhere.
    pub fn put(parts: &[&str]) -> Self {
        Self::new(Method::PUT, parts)
    }

    /// Removes something.
    pub fn delete(parts: &[&str]) -> Self {
        Self::new(Method::DELETE, parts)
    }

    pub(super) fn new(method: Method, parts: &[&str]) -> Self {
        let mut path = String::new();
        for part in parts {
            path.push('/');
            // What is nothing but dots would lead elsewhere, as would nothing at all.
            let is_step = part.split('/').any(|step| matches!(step, "" | "." | ".."));
            path.extend(utf8_percent_encode(if is_step { "-" } else { part }, ESCAPED_IN_PATH));
        }
        Self { method, path, query: String::new(), body: None }
    }

    /// Adds a parameter.
    #[must_use]
    pub fn query(mut self, name: &'static str, value: &str) -> Self {
        self.query.push(if self.query.is_empty() { '?' } else { '&' });
        self.query.push_str(name);
        self.query.push('=');
        self.query.extend(utf8_percent_encode(value, ESCAPED));
        self
    }

    /// Sends a description of what is to be made.
    #[must_use]
    pub fn json(mut self, value: &Value) -> Self {
        self.body = Some(("application/json", Zeroizing::new(value.to_string().into_bytes())));
        self
    }

    /// The same, written as JSON already: it may hold a value.
    #[must_use]
    pub fn description(mut self, bytes: Zeroizing<Vec<u8>>) -> Self {
        self.body = Some(("application/json", bytes));
        self
    }

    /// Sends an archive (tar).
    #[must_use]
    pub fn archive(mut self, bytes: Zeroizing<Vec<u8>>) -> Self {
        self.body = Some(("application/x-tar", bytes));
        self
    }

    /// Asks, and waits for the whole answer. A status that says that it failed is no error here.
    ///
    /// # Errors
    /// The engine cannot be reached, is too old, or broke off; the run was stopped.
    pub async fn send(self, tools: &Tools) -> Result<Answer> {
        let prefix = prefix(tools).await?;
        send(tools, prefix, self, Take::Whole).await
    }

    /// The same for an answer of any length, whose pieces are taken as they come; of a failure the answer is whole.
    ///
    /// # Errors
    /// Those of [`Request::send`].
    pub async fn pieces(self, tools: &Tools, take: &mut (dyn FnMut(&[u8]) + Send)) -> Result<Answer> {
        let prefix = prefix(tools).await?;
        send(tools, prefix, self, Take::Pieces(take)).await
    }

    /// The same for an answer that goes on as long as it is listened to, however long it is silent: returns when the engine
    /// ends it. The first call, when the answer begins, has no bytes.
    ///
    /// # Errors
    /// Those of [`Request::send`].
    pub async fn events(self, tools: &Tools, take: &mut (dyn FnMut(&[u8]) + Send)) -> Result<Answer> {
        let prefix = prefix(tools).await?;
        send(tools, prefix, self, Take::Events(take)).await
    }

    /// What is asked, for messages.
    pub(super) fn shown(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// As it is sent. The bytes are wiped after that.
    pub(super) fn message(self, prefix: &str) -> http::Result<http::Request<Full<Bytes>>> {
        let mut builder = http::Request::builder()
            .method(self.method)
            .uri(format!("{prefix}{}{}", self.path, self.query))
            .header(HOST, "docker")
            .header(ACCEPT, "*/*")
            .header(CONNECTION, "close");
        let mut body = Bytes::new();
        if let Some((kind, bytes)) = self.body {
            builder = builder.header(CONTENT_TYPE, kind);
            body = Bytes::from_owner(bytes);
        }
        builder.body(Full::new(body))
    }
}
