//! Why there is no access token, each situation with its remedy. Entra distinguishes them by numbers
//! (learn.microsoft.com, "Microsoft Entra authentication and authorization error codes"), which may change: only the
//! wording of messages depends on them.

use reqwest::StatusCode;
use serde::Deserialize;

use super::login::{Application, Login};
use super::token::Start;
use crate::diagnostic::Diagnostic;
use crate::secret::SecretValue;
use crate::sources::identity::claim;
use crate::sources::net::{Answer, Failure};
use crate::sources::{SourceError, subject};

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    error_codes: Vec<u64>,
}

/// The meaning of Entra's refusal. `credential` is what was sent: for a federated token, the message contains the claims that
/// must match, which are not secret.
pub(super) fn refusal(
    start: &Start,
    application: &Application,
    credential: &SecretValue,
    answer: &Answer,
) -> SourceError {
    let (id, host, status) = (start.id, &start.vault.authority, answer.status.as_u16());
    if answer.status == StatusCode::TOO_MANY_REQUESTS || answer.status.is_server_error() {
        let fact = format!("{id}: {host} did not process the login (status {status}), even after a retry");
        return SourceError::failed(fact, "Run this again; if the error persists, check status.azure.com.");
    }
    let body: Option<Body> = serde_json::from_slice(&answer.body).ok();
    let Some(number) = body.and_then(|body| body.error_codes.first().copied()) else {
        let fact = format!("{id}: {host} answered the login with status {status}, but not like Entra");
        return SourceError::failed(
            fact,
            "Check whether something in between, such as a proxy, answers instead.",
        );
    };
    let (what, help) = situation(start, application, credential, number).unwrap_or_else(|| {
        let help = format!("See https://{host}/error?code={number}.");
        ("Entra refused the login".to_owned(), help)
    });
    SourceError::denied(format!("{id}: {what} (AADSTS{number})"), help)
}

fn situation(
    start: &Start,
    application: &Application,
    credential: &SecretValue,
    number: u64,
) -> Option<(String, String)> {
    let Application { tenant, client } = application;
    let new_secret = || {
        let variable = start.secret_variable;
        format!(
            "Create a new one, and store the printed `password` as {variable}:\naz ad app credential reset --id {client} --append --display-name claude-secrets"
        )
    };
    let told = match number {
        70021 | 70025 | 700_211..=700_213 | 7_002_137 | 7_002_138 => {
            return Some(federation(client, credential, number));
        }
        700_024 => (
            "the signed token was not yet or no longer valid when it arrived".to_owned(),
            "Correct this machine's clock; a token in a file must be renewed in time.".to_owned(),
        ),
        50_012 | 50_013 | 700_027 | 700_030 => (
            format!("Entra does not know the key that signed for the application {client}"),
            match start.login {
                Login::Certificate(..) => format!("Add the certificate to the application:\naz ad app credential reset --id {client} --append --cert @FILE.pem"),
                _ => "Log in with a token of the issuer that the federated credential names.".to_owned(),
            },
        ),
        7_000_215 => (
            format!("the client secret of the application {client} is wrong"),
            format!("Use the secret's value, not its ID. {}", new_secret()),
        ),
        7_000_222 => (format!("the client secret of the application {client} has expired"), new_secret()),
        700_016 | 7_000_229 => (
            format!("the tenant {tenant} has no application {client}"),
            format!("Compare `client-id` and `tenant-id` with the application's page in the portal. A new application needs its service principal: `az ad sp create --id {client}`."),
        ),
        90_002 | 900_021 | 900_023 => (
            format!("the tenant {tenant} does not exist at {}", start.vault.authority),
            "Correct `tenant-id`: `az account show --query tenantId` prints it. A tenant of another cloud needs the setting `cloud`.".to_owned(),
        ),
        7_000_112 => (format!("the application {client} is disabled"), "Enable it on its page in Entra, under \"Properties\".".to_owned()),
        90_038 | 500_011 | 900_382 | 900_383 | 900_432 => (
            format!("the tenant {tenant} belongs to another cloud than {}", start.vault.host),
            "Correct `cloud` or the vault's address: `public`, `china` and `usgov` have tenants of their own.".to_owned(),
        ),
        53_003 | 530_032 | 530_035 => (
            format!("a Conditional Access policy of the tenant {tenant} blocks the application {client} here"),
            "Exclude this application from the policy, or run this where the policy allows it.".to_owned(),
        ),
        _ => return None,
    };
    Some(told)
}

/// No federated credential of the application matches the token: the credential must have the token's claims.
fn federation(client: &str, token: &SecretValue, number: u64) -> (String, String) {
    let said = |name: &str| claim(token, name).unwrap_or_else(|| "(none)".to_owned());
    let (issuer, subject, audience) = (said("iss"), said("sub"), said("aud"));
    let which = match number {
        700_211 => format!("the issuer `{issuer}`"),
        700_212 => format!("the audience `{audience}`"),
        7_002_138 => format!("the subject `{subject}`, except for upper and lower case"),
        _ => format!("the subject `{subject}`"),
    };
    let parameters = serde_json::json!({
        "name": "claude-secrets", "issuer": issuer, "subject": subject, "audiences": [audience],
    });
    let parameters = parameters.to_string().replace('\'', r"'\''");
    let mut help = format!(
        "Correct the existing one, or add one:\naz ad app federated-credential create --id {client} --parameters '{parameters}'"
    );
    if number == 700_213
        && let Some(compare) = subject::other_form_said(token)
    {
        help = format!("{help}\n{compare}");
    }
    (format!("no federated credential of the application {client} has {which}"), help)
}

/// No login is configured.
pub(super) fn nothing_given(start: &Start) -> SourceError {
    SourceError::denied(
        format!("{}: no login configured for the vault {}", start.id, start.vault.name),
        ways(start),
    )
}

/// The workflow should log in, but may not request a token.
pub(super) fn no_workflow_identity(start: &Start, refusal: &Diagnostic) -> SourceError {
    let fact = format!("{}: no login: {}", start.id, refusal.fact);
    let help = refusal.help_text();
    SourceError::denied(fact, format!("{help}\nOr log in another way. {}", ways(start)))
}

/// A response without the expected token.
pub(super) fn no_token(start: &Start, who: &str) -> SourceError {
    SourceError::failed(
        format!("{}: the response of {who} to the login contains no token", start.id),
        "Check whether something in between, such as a proxy, answers instead.",
    )
}

/// The metadata service does not answer.
pub(super) fn no_machine(start: &Start, failure: &Failure) -> SourceError {
    let fact =
        format!("{}: cannot get this machine's own identity from its metadata service: {failure}", start.id);
    SourceError::failed(fact, format!("Only Azure virtual machines have one. {}", ways(start)))
}

/// The metadata service has no token for us.
pub(super) fn machine_refusal(start: &Start, client_id: Option<&str>, status: StatusCode) -> SourceError {
    let whom =
        client_id.map_or_else(|| "no identity of its own".to_owned(), |id| format!("no identity {id}"));
    if status == StatusCode::BAD_REQUEST {
        let fact = format!("{}: this machine has {whom}", start.id);
        let help = format!(
            "Give it one: `az vm identity assign --name MACHINE --resource-group GROUP`. Or log in another way. {}",
            ways(start)
        );
        return SourceError::denied(fact, help);
    }
    let fact =
        format!("{}: the machine's metadata service answered with status {}", start.id, status.as_u16());
    SourceError::failed(fact, format!("Run this again, or log in another way. {}", ways(start)))
}

fn ways(start: &Start) -> String {
    let Start { id, secret_variable, .. } = start;
    let who = match *id {
        "azure" => "`azure-client-id`, `azure-tenant-id`".to_owned(),
        id => format!("`client-id` and `tenant-id` under `sources.{id}`"),
    };
    format!(
        "With the workflow's identity: {who} and `permissions: {{ id-token: write }}`. With a secret: also {secret_variable}. As the machine: `auth: managed-identity` under `sources.{id}`."
    )
}
