//! Why there is no access token, each situation with its remedy. Entra tells them apart by numbers
//! (learn.microsoft.com, "Microsoft Entra authentication and authorization error codes"), which may change: they choose
//! our words, and nothing else depends on them.

use reqwest::StatusCode;
use serde::Deserialize;

use super::login::{Application, Login};
use super::token::Start;
use crate::secret::SecretValue;
use crate::sources::identity::claim;
use crate::sources::net::{Answer, Failure};
use crate::sources::{Refusal, Refused, subject};

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    error_codes: Vec<u64>,
}

/// What Entra's refusal means. `credential` is what was presented: of a federated token, the claims that must match are
/// told, which are no secret.
pub(super) fn refusal(
    start: &Start,
    application: &Application,
    credential: &SecretValue,
    answer: &Answer,
) -> Refused {
    let (id, host, status) = (start.id, &start.vault.authority, answer.status.as_u16());
    if answer.status == StatusCode::TOO_MANY_REQUESTS || answer.status.is_server_error() {
        let fact =
            format!("{id}: the login at {host} was not answered (status {status}), also when asked again");
        return Refused::failed(fact, "Run this again; if it stays so, look at status.azure.com.");
    }
    let body: Option<Body> = serde_json::from_slice(&answer.body).ok();
    let Some(number) = body.and_then(|body| body.error_codes.first().copied()) else {
        let fact = format!("{id}: {host} answered the login with status {status}, and not as Entra does");
        return Refused::failed(
            fact,
            "Is something between here and there that answers in its place, such as a proxy?",
        );
    };
    let (what, remedy) = situation(start, application, credential, number).unwrap_or_else(|| {
        let remedy = format!("https://{host}/error?code={number} tells what it means.");
        ("Entra refused the login".to_owned(), remedy)
    });
    Refused::denied(format!("{id}: {what} (AADSTS{number})"), remedy)
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
            "Make a new one, and store what it prints as `password` where {variable} comes from:\naz ad app credential reset --id {client} --append --display-name claude-secrets"
        )
    };
    let told = match number {
        70021 | 70025 | 700_211..=700_213 | 7_002_137 | 7_002_138 => {
            return Some(federation(client, credential, number));
        }
        700_024 => (
            "the signed token was not yet or no longer valid when it arrived".to_owned(),
            "Set this machine's clock right; a token in a file must be renewed in time.".to_owned(),
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
            format!("It is the secret's value, not its id. {}", new_secret()),
        ),
        7_000_222 => (format!("the client secret of the application {client} has expired"), new_secret()),
        700_016 | 7_000_229 => (
            format!("the tenant {tenant} has no application {client}"),
            format!("Compare `client-id` and `tenant-id` with what the application's page in the portal says. A new application needs its service principal: `az ad sp create --id {client}`."),
        ),
        90_002 | 900_021 | 900_023 => (
            format!("there is no tenant {tenant} at {}", start.vault.authority),
            "Correct `tenant-id`: `az account show --query tenantId` prints it. A tenant of another cloud needs `cloud`.".to_owned(),
        ),
        7_000_112 => (format!("the application {client} is disabled"), "Enable it: its page in Entra, \"Properties\".".to_owned()),
        90_038 | 500_011 | 900_382 | 900_383 | 900_432 => (
            format!("the tenant {tenant} belongs to another cloud than {}", start.vault.host),
            "Correct `cloud` or the vault's address: `public`, `china` and `usgov` have tenants of their own.".to_owned(),
        ),
        53_003 | 530_032 | 530_035 => (
            format!("a Conditional Access policy of the tenant {tenant} blocks the application {client} here"),
            "Let the policy except this application, or run where it allows it.".to_owned(),
        ),
        _ => return None,
    };
    Some(told)
}

/// No federated credential of the application fits the token: what the token says is what the credential must say.
fn federation(client: &str, token: &SecretValue, number: u64) -> (String, String) {
    let said = |name: &str| claim(token, name).unwrap_or_else(|| "(none)".to_owned());
    let (issuer, subject, audience) = (said("iss"), said("sub"), said("aud"));
    let which = match number {
        700_211 => format!("the issuer `{issuer}`"),
        700_212 => format!("the audience `{audience}`"),
        7_002_138 => format!("the subject `{subject}`, but for upper and lower case"),
        _ => format!("the subject `{subject}`"),
    };
    let parameters = serde_json::json!({
        "name": "claude-secrets", "issuer": issuer, "subject": subject, "audiences": [audience],
    });
    let parameters = parameters.to_string().replace('\'', r"'\''");
    let mut remedy = format!(
        "Correct the one there is, or add one:\naz ad app federated-credential create --id {client} --parameters '{parameters}'"
    );
    if number == 700_213
        && let Some(compare) = subject::other_form_said(token)
    {
        remedy = format!("{remedy}\n{compare}");
    }
    (format!("no federated credential of the application {client} has {which}"), remedy)
}

/// Nobody said how to log in.
pub(super) fn nothing_given(start: &Start) -> Refused {
    Refused::denied(
        format!("{}: the vault {} is named, and no login", start.id, start.vault.name),
        ways(start),
    )
}

/// The workflow was to log in, and may not ask for a token.
pub(super) fn no_workflow_identity(start: &Start, refusal: &Refusal) -> Refused {
    let fact = format!("{}: no login: {}", start.id, refusal.fact);
    Refused::denied(fact, format!("{}\nOr log in by another way. {}", refusal.remedy, ways(start)))
}

/// An answer that should hold a token, and does not.
pub(super) fn no_token(start: &Start, who: &str) -> Refused {
    Refused::failed(
        format!("{}: the answer of {who} to the login holds no token", start.id),
        "Is something between here and there that answers in its place, such as a proxy?",
    )
}

/// The metadata service does not answer.
pub(super) fn no_machine(start: &Start, failure: &Failure) -> Refused {
    let fact = format!(
        "{}: this machine's own identity cannot be asked for: its metadata service: {failure}",
        start.id
    );
    Refused::failed(fact, format!("Only virtual machines of Azure have one. {}", ways(start)))
}

/// The metadata service has no token for us.
pub(super) fn machine_refusal(start: &Start, client_id: Option<&str>, status: StatusCode) -> Refused {
    let whom =
        client_id.map_or_else(|| "no identity of its own".to_owned(), |id| format!("no identity {id}"));
    if status == StatusCode::BAD_REQUEST {
        let fact = format!("{}: this machine has {whom}", start.id);
        let remedy = format!(
            "Give it one: `az vm identity assign --name MACHINE --resource-group GROUP`. Or log in by another way. {}",
            ways(start)
        );
        return Refused::denied(fact, remedy);
    }
    let fact =
        format!("{}: the machine's metadata service answered with status {}", start.id, status.as_u16());
    Refused::failed(fact, format!("Run this again, or log in by another way. {}", ways(start)))
}

fn ways(start: &Start) -> String {
    let Start { id, secret_variable, .. } = start;
    let who = match *id {
        "azure" => "`azure-client-id`, `azure-tenant-id`".to_owned(),
        id => format!("`client-id` and `tenant-id` below `sources.{id}`"),
    };
    format!(
        "With the workflow's identity: {who} and `permissions: {{ id-token: write }}`. With a secret: {secret_variable} beside them. As the machine: `auth: managed-identity` below `sources.{id}`."
    )
}
