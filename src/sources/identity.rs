//! The workflow's own identity: tokens that GitHub signs (`OpenID` Connect), one for each audience (docs.github.com,
//! "`OpenID` Connect reference": `ACTIONS_ID_TOKEN_REQUEST_URL` and `…_TOKEN`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::net::{self, Network};
use crate::diagnostic::Diagnostic;
use crate::secret::SecretValue;
use crate::settings::Environment;

/// How long before its expiry a token is no longer used.
const MARGIN: Duration = Duration::from_secs(30);

/// The identity, and the tokens that were requested.
pub struct Identity {
    url: Option<String>,
    bearer: Option<SecretValue>,
    network: Arc<Network>,
    tokens: Mutex<BTreeMap<String, Token>>,
}

struct Token {
    value: SecretValue,
    until: Instant,
}

impl Identity {
    /// Takes the runner's variables. Requests nothing yet.
    pub fn new(variables: &Environment, network: Arc<Network>) -> Self {
        Self {
            url: variables.text("ACTIONS_ID_TOKEN_REQUEST_URL").map(str::to_owned),
            bearer: variables.value("ACTIONS_ID_TOKEN_REQUEST_TOKEN").cloned(),
            network,
            tokens: Mutex::new(BTreeMap::new()),
        }
    }

    /// Whether the workflow may request tokens (`id-token: write`).
    pub fn is_there(&self) -> bool {
        self.url.is_some() && self.bearer.is_some()
    }

    /// The host that gives the tokens, where there is one.
    pub fn host(&self) -> Option<String> {
        let url = reqwest::Url::parse(self.url.as_deref()?).ok()?;
        Some(super::host_of(&url))
    }

    /// A token for an audience: the one that was handed out before while it is valid, else a new one.
    ///
    /// # Errors
    /// Why there is none, with the lines to add to the workflow.
    pub async fn token(&self, audience: &str) -> Result<SecretValue, Diagnostic> {
        let mut tokens = self.tokens.lock().await;
        if let Some(token) = tokens.get(audience).filter(|token| token.until > Instant::now()) {
            return Ok(token.value.clone());
        }
        let asked_at = Instant::now();
        let value = self.ask(audience).await?;
        // The lifetime is a difference of the issuer's own times, counted on our steady clock: it does not matter how
        // far the two clocks are apart.
        // A lifetime that the clock cannot represent counts as none.
        let until = asked_at.checked_add(lifetime(&value).saturating_sub(MARGIN)).unwrap_or(asked_at);
        tokens.insert(audience.to_owned(), Token { value: value.clone(), until });
        Ok(value)
    }

    async fn ask(&self, audience: &str) -> Result<SecretValue, Diagnostic> {
        let (Some(url), Some(bearer)) = (&self.url, &self.bearer) else { return Err(not_permitted()) };
        let failed = |fact: &str| {
            Diagnostic::with_help(
                format!("the workflow's identity token: {fact}"),
                "Run the job again; if the error persists, check githubstatus.com.",
            )
        };
        let client = self.network.client().map_err(|error| failed(&error.fact))?;
        let header = net::bearer(bearer)
            .ok_or_else(|| failed("ACTIONS_ID_TOKEN_REQUEST_TOKEN contains a line break"))?;
        let make = || {
            client
                .get(url)
                .query(&[("audience", audience)])
                .header(reqwest::header::AUTHORIZATION, &header)
                .header(reqwest::header::ACCEPT, "application/json")
        };
        let answer = self.network.send(make, net::is_transient).await;
        let answer = answer.map_err(|failure| failure.refusal("the workflow's identity token", "GitHub"))?;
        if !answer.status.is_success() {
            return Err(match answer.status.as_u16() {
                401 | 403 => not_permitted(),
                status => failed(&format!("GitHub answered with status {status}")),
            });
        }
        let mut reply: Value =
            serde_json::from_slice(&answer.body).map_err(|_| failed("GitHub's response is not JSON"))?;
        match reply.get_mut("value").map(Value::take) {
            Some(Value::String(text)) if !text.is_empty() => Ok(SecretValue::new(text.into_bytes())),
            _ => Err(failed("GitHub's response contains no token")),
        }
    }
}

fn not_permitted() -> Diagnostic {
    Diagnostic::with_help(
        "this job is not allowed to request an identity token (no valid ACTIONS_ID_TOKEN_REQUEST_URL and _TOKEN)",
        "Add to the workflow or the job:\npermissions:\n  id-token: write\n  contents: read\n(Pull requests from forks never get one.)",
    )
}

/// A claim of a token, such as `sub`: not a secret, and needed for a trust policy. It is not verified: it is only for
/// messages.
pub fn claim(token: &SecretValue, name: &str) -> Option<String> {
    claims(token).get(name)?.as_str().map(str::to_owned)
}

/// All claims of a token, as in [`claim`]; nothing if it is not a JWT.
pub(super) fn claims(token: &SecretValue) -> Value {
    let claims = token.expose().split(|byte| *byte == b'.').nth(1);
    let claims = claims.and_then(|text| BASE64URL_NOPAD.decode(text).ok());
    claims.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default()
}

/// How long a token is valid after its issue (`exp` - `iat`, RFC 7519); nothing if it does not say.
fn lifetime(token: &SecretValue) -> Duration {
    let claims = claims(token);
    let time = |name: &str| claims.get(name).and_then(Value::as_u64);
    match (time("exp"), time("iat").or_else(|| time("nbf"))) {
        (Some(end), Some(start)) => Duration::from_secs(end.saturating_sub(start)),
        _ => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_is_a_difference_of_the_issuers_times() {
        let token = |claims: &str| {
            let text = format!("e30.{}.c2ln", BASE64URL_NOPAD.encode(claims.as_bytes()));
            lifetime(&SecretValue::new(text.into_bytes())).as_secs()
        };
        assert_eq!(token(r#"{"iat":100,"exp":400}"#), 300);
        assert_eq!(token(r#"{"nbf":100,"exp":400}"#), 300);
        assert_eq!(token(r#"{"exp":400}"#), 0);
        assert_eq!(token("{"), 0);
    }
}
