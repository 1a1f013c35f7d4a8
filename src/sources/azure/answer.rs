//! The response of a vault: a secret, that there is none, or why it was not returned (the interface's description,
//! Azure/azure-rest-api-specs, `Secrets/stable`).

use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{DATE, WWW_AUTHENTICATE};
use serde::Deserialize;

use super::login::Login;
use super::vault::Vault;
use crate::secret::SecretValue;
use crate::sources::net::Answer;
use crate::sources::{DATES, Found, Reply, SourceError};

/// The subject of a response.
pub(super) struct Request<'a> {
    pub(super) vault: &'a Vault,
    pub(super) login: &'a Login,
    /// The reference, or what else is requested.
    pub(super) what: String,
    /// The secret's name; none for a list.
    pub(super) name: Option<&'a str>,
}

#[derive(Deserialize)]
struct Bundle {
    value: Option<String>,
    id: Option<String>,
    #[serde(default)]
    attributes: Attributes,
}

/// Times are seconds since 1970.
#[derive(Deserialize, Default)]
struct Attributes {
    nbf: Option<u64>,
    exp: Option<u64>,
    created: Option<u64>,
    updated: Option<u64>,
}

#[derive(Deserialize)]
struct Body {
    error: Fault,
}

#[derive(Deserialize)]
struct Fault {
    #[serde(default)]
    code: String,
    innererror: Option<Inner>,
}

#[derive(Deserialize)]
struct Inner {
    #[serde(default)]
    code: String,
}

impl Request<'_> {
    /// The reply for a secret. The service also returns secrets before and after their validity; a deployment with one of
    /// those would be broken, so they fail here, with their dates.
    pub(super) fn reply(&self, answer: &Answer) -> Reply {
        if answer.status == StatusCode::NOT_FOUND
            && code(answer).is_some_and(|(code, _)| code == "SecretNotFound")
        {
            return Reply::Absent(format!("{} ({})", self.what, self.vault.host));
        }
        if answer.status != StatusCode::OK {
            return self.refusal(answer).reply();
        }
        // The parser's message could quote the value.
        let Ok(Bundle { value: Some(value), id, attributes }) = serde_json::from_slice(&answer.body) else {
            return self.not_of_a_vault(answer).reply();
        };
        let value = SecretValue::new(value.into_bytes());
        let now = answered_at(answer);
        if let Some(from) = attributes.nbf.and_then(time).filter(|from| *from > now) {
            let fact = format!("{}: the secret is not valid before {}", self.what, shown(from));
            return SourceError::failed(fact, self.new_dates("--not-before")).reply();
        }
        let expires = attributes.exp.and_then(time);
        if let Some(until) = expires.filter(|until| *until <= now) {
            let fact = format!("{}: the secret expired on {}", self.what, shown(until));
            return SourceError::failed(fact, self.new_dates("--expires")).reply();
        }
        Reply::Found(Found {
            value,
            place: self.place(),
            version: id.as_deref().and_then(|id| id.rsplit('/').next()).map(str::to_owned),
            // A version's value never changes: it is as old as the version. `updated` moves with its tags and dates.
            changed: attributes.created.or(attributes.updated).and_then(time),
            expires,
        })
    }

    /// Why a response contains no secret or list.
    pub(super) fn refusal(&self, answer: &Answer) -> SourceError {
        let what = &self.what;
        let host = &self.vault.host;
        match (answer.status.as_u16(), code(answer)) {
            (401, _) => self.unknown_token(answer),
            (403, Some((_, inner))) => self.forbidden(&inner),
            (429, _) => SourceError::failed(
                format!("{what}: {host} is throttling requests, even after a retry (status 429)"),
                "Run this again later, or move these secrets to another vault: the limit is per vault.",
            ),
            (status @ 500..=599, _) => SourceError::failed(
                format!("{what}: {host} reported an internal error (status {status}), even after a retry"),
                "Run this again; if the error persists, check status.azure.com.",
            ),
            (status, Some((code, _))) if is_word(&code) => SourceError::failed(
                format!("{what}: {host} refused the request ({status} {code})"),
                "Compare the reference with what the vault has: `az keyvault secret list --vault-name NAME`.",
            ),
            _ => self.not_of_a_vault(answer),
        }
    }

    /// A token that the vault does not accept; it tells whose tokens it accepts.
    fn unknown_token(&self, answer: &Answer) -> SourceError {
        let Vault { name: vault, host, .. } = self.vault;
        let trusted = answer.headers.get(WWW_AUTHENTICATE).and_then(|header| tenant(header.to_str().ok()?));
        let own = self.login.application().map(|application| application.tenant.as_str());
        match (trusted, own) {
            (Some(trusted), Some(own)) if !own.eq_ignore_ascii_case(trusted) => SourceError::denied(
                format!(
                    "{}: {host} belongs to the tenant {trusted}, but the login belongs to {own}",
                    self.what
                ),
                format!(
                    "Set `tenant-id` to {trusted} and log in as an application of that tenant, or use a vault of {own}."
                ),
            ),
            _ => SourceError::denied(
                format!("{}: {host} does not accept the token (status 401)", self.what),
                format!(
                    "`az keyvault show --name {vault} --query properties.tenantId` prints the tenant whose tokens it accepts: set `tenant-id` to it, and `cloud` to the vault's cloud."
                ),
            ),
        }
    }

    fn not_of_a_vault(&self, answer: &Answer) -> SourceError {
        let (what, host, status) = (&self.what, &self.vault.host, answer.status.as_u16());
        SourceError::failed(
            format!("{what}: the response of {host} (status {status}) is not that of a key vault"),
            "Check whether something in between, such as a proxy, answers instead.",
        )
    }

    fn new_dates(&self, option: &str) -> String {
        let (vault, name) = (&self.vault.name, self.name.unwrap_or("NAME"));
        format!(
            "Set a new version (`az keyvault secret set --vault-name {vault} --name {name} --file FILE`), or correct the date:\naz keyvault secret set-attributes --vault-name {vault} --name {name} {option} DATE"
        )
    }

    fn place(&self) -> String {
        format!("{}/secrets/{}", self.vault.host, self.name.unwrap_or_default())
    }
}

/// The code of a refusal, and its inner one; nothing if the response is not a refusal of a vault.
fn code(answer: &Answer) -> Option<(String, String)> {
    let body: Body = serde_json::from_slice(&answer.body).ok()?;
    Some((body.error.code, body.error.innererror.map(|inner| inner.code).unwrap_or_default()))
}

/// Whether a text is a code, and may be shown.
pub(super) fn is_word(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric())
}

/// The tenant in a challenge: `Bearer authorization="https://login.microsoftonline.com/TENANT", resource="…"`.
fn tenant(challenge: &str) -> Option<&str> {
    let (_, rest) =
        challenge.split_once("authorization=\"").or_else(|| challenge.split_once("authorization_uri=\""))?;
    let tenant = rest.split('"').next()?.split('/').nth(3)?;
    let good = (1..=64).contains(&tenant.len())
        && tenant.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'));
    good.then_some(tenant)
}

/// The vault's own clock, so that the accuracy of ours does not matter.
fn answered_at(answer: &Answer) -> SystemTime {
    let date =
        answer.headers.get(DATE).and_then(|header| httpdate::parse_http_date(header.to_str().ok()?).ok());
    date.unwrap_or_else(SystemTime::now)
}

fn time(seconds: u64) -> Option<SystemTime> {
    let since = Duration::from_secs(seconds);
    (since < DATES).then(|| SystemTime::UNIX_EPOCH + since)
}

fn shown(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}
