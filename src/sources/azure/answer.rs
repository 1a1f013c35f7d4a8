//! What a vault answered: a secret, that there is none, or why it is not handed out (the interface's description,
//! Azure/azure-rest-api-specs, `Secrets/stable`).

use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{DATE, WWW_AUTHENTICATE};
use serde::Deserialize;

use super::login::Login;
use super::vault::Vault;
use crate::secret::SecretValue;
use crate::sources::net::Answer;
use crate::sources::{DATES, Found, Refused, Reply};

/// What an answer is about.
pub(super) struct Question<'a> {
    pub(super) vault: &'a Vault,
    pub(super) login: &'a Login,
    /// The reference, or what else is asked for.
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

impl Question<'_> {
    /// The reply to the question for a secret. The service hands out secrets also before and after the time in which
    /// they are valid; a deployment with one of those would be broken, so that they fail here, with their dates.
    pub(super) fn reply(&self, answer: &Answer) -> Reply {
        if answer.status == StatusCode::NOT_FOUND
            && code(answer).is_some_and(|(code, _)| code == "SecretNotFound")
        {
            return Reply::Absent(format!("{} ({})", self.what, self.vault.host));
        }
        if answer.status != StatusCode::OK {
            return self.refusal(answer).reply();
        }
        // What the parser has to say could quote the value.
        let Ok(Bundle { value: Some(value), id, attributes }) = serde_json::from_slice(&answer.body) else {
            return self.not_of_a_vault(answer).reply();
        };
        let value = SecretValue::new(value.into_bytes());
        let now = answered_at(answer);
        if let Some(from) = attributes.nbf.and_then(time).filter(|from| *from > now) {
            let fact = format!("{}: the secret is not valid before {}", self.what, shown(from));
            return Refused::failed(fact, self.new_dates("--not-before")).reply();
        }
        let expires = attributes.exp.and_then(time);
        if let Some(until) = expires.filter(|until| *until <= now) {
            let fact = format!("{}: the secret expired on {}", self.what, shown(until));
            return Refused::failed(fact, self.new_dates("--expires")).reply();
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

    /// Why there is no secret or list in an answer.
    pub(super) fn refusal(&self, answer: &Answer) -> Refused {
        let what = &self.what;
        let host = &self.vault.host;
        match (answer.status.as_u16(), code(answer)) {
            (401, _) => self.unknown_token(answer),
            (403, Some((_, inner))) => self.forbidden(&inner),
            (429, _) => Refused::failed(
                format!("{what}: {host} gets too many requests, also when asked again (status 429)"),
                "Run this again later, or keep these secrets in a vault of their own: the limit counts for each vault.",
            ),
            (status @ 500..=599, _) => Refused::failed(
                format!("{what}: a fault of {host} (status {status}), also when asked again"),
                "Run this again; if it stays so, look at status.azure.com.",
            ),
            (status, Some((code, _))) if is_word(&code) => Refused::failed(
                format!("{what}: {host} refused the question ({status} {code})"),
                "Compare the reference with what the vault has: `az keyvault secret list --vault-name NAME`.",
            ),
            _ => self.not_of_a_vault(answer),
        }
    }

    /// A token that the vault does not take; it tells of whom it takes them.
    fn unknown_token(&self, answer: &Answer) -> Refused {
        let Vault { name: vault, host, .. } = self.vault;
        let trusted = answer.headers.get(WWW_AUTHENTICATE).and_then(|header| tenant(header.to_str().ok()?));
        let own = self.login.application().map(|application| application.tenant.as_str());
        match (trusted, own) {
            (Some(trusted), Some(own)) if !own.eq_ignore_ascii_case(trusted) => Refused::denied(
                format!(
                    "{}: {host} belongs to the tenant {trusted}, and the login is one of {own}",
                    self.what
                ),
                format!(
                    "Set `tenant-id` to {trusted} and log in as an application of that tenant, or name a vault of {own}."
                ),
            ),
            _ => Refused::denied(
                format!("{}: {host} does not accept the token (status 401)", self.what),
                format!(
                    "`az keyvault show --name {vault} --query properties.tenantId` tells whose tokens it takes: set `tenant-id` to that, and `cloud` to where it is."
                ),
            ),
        }
    }

    fn not_of_a_vault(&self, answer: &Answer) -> Refused {
        let (what, host, status) = (&self.what, &self.vault.host, answer.status.as_u16());
        Refused::failed(
            format!("{what}: the answer of {host} (status {status}) is none that a key vault gives"),
            "Is something between here and there that answers in its place, such as a proxy?",
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

/// The code of a refusal, and its inner one; nothing when the answer is no refusal of a vault's.
fn code(answer: &Answer) -> Option<(String, String)> {
    let body: Body = serde_json::from_slice(&answer.body).ok()?;
    Some((body.error.code, body.error.innererror.map(|inner| inner.code).unwrap_or_default()))
}

/// Whether a code is one, and may be shown.
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

/// The vault's own clock, so that it does not matter how far ours is off.
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
