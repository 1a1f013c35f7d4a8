//! What the engine answered.

use http::StatusCode;
use serde_json::Value;
use zeroize::Zeroizing;

use super::unreachable;
use crate::console::Console;
use crate::error::{Code, Error, Result};

/// An answer of the engine. It has no `Debug`: it may hold anything.
pub struct Answer {
    status: StatusCode,
    /// What it holds, as it came.
    pub body: Zeroizing<Vec<u8>>,
    /// What the engine says of a failure, redacted; empty when there is none.
    pub message: String,
}

impl Answer {
    pub(super) fn new(status: StatusCode, body: Zeroizing<Vec<u8>>, console: &Console) -> Self {
        let mut this = Self { status, body, message: String::new() };
        if !this.is_success() {
            let told = this.json();
            let told = told.as_ref().and_then(|told| told.get("message")?.as_str());
            // What is no answer of an engine, such as a page of a proxy, is not quoted.
            this.message = match told {
                Some(text) => {
                    String::from_utf8_lossy(&console.redacted(text.trim_end().as_bytes())).into_owned()
                }
                None => format!("it answered with the status {}", status.as_u16()),
            };
        }
        this
    }

    /// Whether the engine did what was asked.
    pub fn is_success(&self) -> bool {
        self.status.is_success()
    }

    /// Whether what was asked for is not there. A name that the engine cannot take is no name of anything either.
    pub fn is_absent(&self) -> bool {
        matches!(self.status, StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST)
    }

    /// The answer as JSON; `None` when it is none. The parser's own text is dropped, since it quotes values.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// What was asked for; `None` when it is not there.
    ///
    /// # Errors
    /// [`Code::EngineUnreachable`] for every other answer.
    pub fn found(self) -> Result<Option<Value>> {
        match self.json() {
            Some(value) if self.is_success() => Ok(Some(value)),
            _ if self.is_absent() => Ok(None),
            None if self.is_success() => Err(unreachable("its answer is no JSON")),
            _ => Err(unreachable(&self.message)),
        }
    }

    /// The answer when the engine did what was asked; otherwise an error of the given code with the engine's own words.
    ///
    /// # Errors
    /// That one; [`Code::DiskFull`] when the engine's disk is.
    pub fn or_fail(self, code: Code, doing: &str) -> Result<Self> {
        if self.is_success() {
            return Ok(self);
        }
        let code = if self.message.contains("no space left on device") { Code::DiskFull } else { code };
        Err(Error::new(code, format!("{doing}: {}", self.message)))
    }

    /// The id of what was made.
    ///
    /// # Errors
    /// [`Code::EngineUnreachable`] when the answer has none.
    pub fn id(&self) -> Result<String> {
        let id = self.json().and_then(|made| Some(made.get("Id")?.as_str()?.to_owned()));
        id.ok_or_else(|| unreachable("its answer has no id"))
    }
}
