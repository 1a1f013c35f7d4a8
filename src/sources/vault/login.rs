//! The login: gets a token for credentials, and revokes it when the run has read everything.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use vaultrs::api::auth::approle::requests::LoginWithApproleRequest;
use vaultrs::api::auth::kubernetes::requests::LoginWithKubernetesRequest;
use vaultrs::api::auth::oidc::requests::JWTLoginRequest;
use vaultrs::api::auth::userpass::requests::LoginRequest as UserpassLoginRequest;
use vaultrs::api::sys::requests::UnwrapRequest;
use vaultrs::api::token::requests::RevokeTokenSelfRequest;

use super::method::{Jwt, Login, Method, SecretId};
use super::refusal::{fault, mount_not_found, no_vault};
use super::transport::{Request, RequestError, Response, Transport};
use crate::error::plain_reason;
use crate::secret::SecretValue;
use crate::sources::identity::{self, Identity};
use crate::sources::{SourceError, read_token, subject};

/// How long revoking the token may take.
const REVOCATION: Duration = Duration::from_secs(3);

/// A token to read with. It has no `Debug`.
pub(super) struct Session {
    pub(super) token: SecretValue,
    /// Where the token is from, for messages: a variable, or a login.
    pub(super) from: String,
    /// Whether it was created for this run.
    pub(super) is_own: bool,
    /// How many requests it allows, if that is known and limited.
    pub(super) uses: Option<u64>,
    /// When it expires, if that is known.
    pub(super) ends: Option<SystemTime>,
    /// Whether it can be revoked (a batch token cannot).
    revocable: bool,
    /// Whether credentials were created with it that expire with it.
    leased: AtomicBool,
}

/// The input of a login besides its credentials.
pub(super) struct Start<'a> {
    pub(super) id: &'a str,
    pub(super) transport: &'a Transport,
    pub(super) identity: &'a Identity,
}

impl Login {
    /// Logs in. A configured token is used as it is, without a lookup: it may allow only a few requests.
    ///
    /// # Errors
    /// `Denied` if the server refuses the login, `Failed` if it could not be asked.
    pub(super) async fn log_in(&self, start: &Start<'_>) -> Result<Session, SourceError> {
        let role = |role: &Option<String>| role.clone();
        match &self.method {
            Method::Token { value, said_by } => Ok(Session::given(value.clone(), said_by)),
            Method::AppRole { role_id, secret_id } => {
                let secret_id = match secret_id {
                    SecretId::None => None,
                    SecretId::Plain(plain) => Some(plain.clone()),
                    SecretId::Wrapped(wrapped) => Some(unwrapped(wrapped, start).await?),
                };
                let request = LoginWithApproleRequest {
                    mount: self.mount.clone(),
                    role_id: plain(role_id),
                    secret_id: secret_id.as_ref().map(plain).unwrap_or_default(),
                };
                let sent: Vec<&SecretValue> =
                    [Some(role_id), secret_id.as_ref()].into_iter().flatten().collect();
                self.ask(Request::of(&request), &sent, None, start).await
            }
            Method::Jwt { role: named, token } => {
                let token = match token {
                    Jwt::Given(token) => token.clone(),
                    Jwt::OfWorkflow(audience) => of_workflow(audience.as_deref(), start).await?,
                };
                let request =
                    JWTLoginRequest { mount: self.mount.clone(), jwt: plain(&token), role: role(named) };
                self.ask(Request::of(&request), &[&token], Some(&claims(&token)), start).await
            }
            Method::Userpass { username, password } => {
                let request = UserpassLoginRequest {
                    mount: self.mount.clone(),
                    username: username.clone(),
                    password: plain(password),
                };
                self.ask(Request::of(&request), &[password], None, start).await
            }
            Method::Kubernetes { role, token_file } => {
                let token = read_token(token_file).await.map_err(|error| {
                    SourceError::failed(
                        format!(
                            "{}: the service account's token {} cannot be read: {}",
                            start.id,
                            token_file.display(),
                            plain_reason(&error)
                        ),
                        "Set `kubernetes-token-file` to its path; on a runner in a pod, mount it into the action's container.",
                    )
                })?;
                let request = LoginWithKubernetesRequest {
                    mount: self.mount.clone(),
                    role: role.clone(),
                    jwt: plain(&token),
                };
                self.ask(Request::of(&request), &[&token], Some(&claims(&token)), start).await
            }
        }
    }

    async fn ask(
        &self,
        question: Result<Request, RequestError>,
        sent: &[&SecretValue],
        claims: Option<&str>,
        start: &Start<'_>,
    ) -> Result<Session, SourceError> {
        let what = format!("{}: {self}", start.id);
        let trouble = |trouble: RequestError| trouble.refused(&what, start.transport);
        let question = question.map_err(trouble)?;
        let said = start.transport.ask(&question, None).await.map_err(trouble)?;
        match said.status {
            _ if !said.is_json() => Err(no_vault(&what, &said, start.transport)),
            _ if said.is_good() => self.session(said, &what),
            400 | 401 | 403 => Err(refused(&what, &said, sent, claims, question.was_repeated())),
            404 => Err(mount_not_found(&what, question.path(), start.transport)),
            _ => Err(fault(&what, &said, start.transport).await),
        }
    }

    fn session(&self, mut said: Response, what: &str) -> Result<Session, SourceError> {
        if said.get("/auth/mfa_requirement").is_some() {
            return Err(SourceError::denied(
                format!("{what} requires a second factor"),
                "A run cannot provide one. Use a method without it: `jwt` or `approle`.",
            ));
        }
        let lasts = said.number("/auth/lease_duration").filter(|seconds| *seconds > 0);
        let uses = said.number("/auth/num_uses").filter(|uses| *uses > 0);
        let revocable = said.text("/auth/token_type") != Some("batch");
        let token = said.take_secret("/auth/client_token").ok_or_else(|| {
            SourceError::failed(
                format!("{what}: the response contains no token"),
                "Check that Vault's own API answers there.",
            )
        })?;
        let ends = lasts.and_then(|seconds| SystemTime::now().checked_add(Duration::from_secs(seconds)));
        Ok(Session {
            token,
            from: self.to_string(),
            is_own: true,
            uses,
            ends,
            revocable,
            leased: AtomicBool::new(false),
        })
    }
}

impl Session {
    fn given(token: SecretValue, said_by: &str) -> Self {
        Self {
            token,
            from: said_by.to_owned(),
            is_own: false,
            uses: None,
            ends: None,
            revocable: false,
            leased: AtomicBool::new(false),
        }
    }

    /// Notes that credentials were created with this token, which expire with it.
    pub(super) fn has_leased(&self) {
        self.leased.store(true, Ordering::Relaxed);
    }

    /// Revokes the token that was created for this run. A configured one is not revoked, a batch token cannot be revoked, and
    /// one with leases is still needed for them.
    pub(super) async fn end(&self, transport: &Transport) {
        if !self.is_own || !self.revocable || self.leased.load(Ordering::Relaxed) {
            return;
        }
        let Ok(question) = Request::of(&RevokeTokenSelfRequest {}) else { return };
        // A failure here leaves a token that expires by itself.
        transport.tell_at_the_end(&question, &self.token, REVOCATION).await;
    }
}

/// The secret ID behind a wrapping token. The server returns it once.
async fn unwrapped(wrapped: &SecretValue, start: &Start<'_>) -> Result<SecretValue, SourceError> {
    let what = format!("{}: the wrapped secret id", start.id);
    let trouble = |trouble: RequestError| trouble.refused(&what, start.transport);
    let question = Request::of(&UnwrapRequest { token: None }).map_err(trouble)?;
    let mut said = start.transport.ask(&question, Some(wrapped)).await.map_err(trouble)?;
    match said.status {
        _ if !said.is_json() => Err(no_vault(&what, &said, start.transport)),
        _ if said.is_good() => said.take_secret("/data/secret_id").ok_or_else(|| {
            SourceError::failed(
                format!("{what}: the wrapped value is not a secret ID of an AppRole"),
                "Create it with `vault write -wrap-ttl=5m -f auth/approle/role/ROLE/secret-id`.",
            )
        }),
        400 | 403 if question.was_repeated() => Err(SourceError::failed(
            format!(
                "{what} is no longer valid: the first request for it got no response, and may have consumed it"
            ),
            "Create a new one, and run this again.",
        )),
        400 | 403 => Err(SourceError::denied(
            format!("{what} is no longer valid: it has expired, or was already used before this run"),
            "Create a new one. If none of your own runs used it, someone else did: revoke that secret ID.",
        )),
        404 => Err(mount_not_found(&what, question.path(), start.transport)),
        _ => Err(fault(&what, &said, start.transport).await),
    }
}

/// The workflow's own token.
async fn of_workflow(audience: Option<&str>, start: &Start<'_>) -> Result<SecretValue, SourceError> {
    let Some(audience) = audience else {
        return Err(SourceError::failed(
            format!("{}: no audience configured for the workflow's identity token", start.id),
            "Set `jwt-audience` to the role's `bound_audiences`.",
        ));
    };
    start.identity.token(audience).await.map_err(|refusal| SourceError::Failed(refusal.about(start.id)))
}

/// A login that the server refused, with its own words if they say more than the status.
fn refused(
    what: &str,
    said: &Response,
    sent: &[&SecretValue],
    claims: Option<&str>,
    repeated: bool,
) -> SourceError {
    let words = said.words(sent).map(|words| format!(" (`{words}`)")).unwrap_or_default();
    let mut help = match claims {
        Some(claims) => format!(
            "Compare the role's `bound_audiences`, `bound_subject` and `bound_claims` with the token's claims: {claims}. Check that `role` is the role's name, and that `auth-mount` is where the method is mounted."
        ),
        None => "Check that the credentials are valid (not expired, not used up), and that `auth-mount` is where the method is mounted.".to_owned(),
    };
    if repeated {
        help += " The first request got no response; it may have consumed a single-use login.";
    }
    SourceError::denied(format!("{what} was refused{words}"), help)
}

/// A token's claims, for comparison with a role; none of them is secret.
fn claims(token: &SecretValue) -> String {
    let claims = identity::claims(token);
    let said: Vec<String> = ["iss", "aud", "sub", "repository_id", "environment"]
        .into_iter()
        .filter_map(|name| Some(format!("{name} = {}", claims.get(name)?)))
        .collect();
    if said.is_empty() {
        return "none, because it is not a JWT".to_owned();
    }
    let compare = subject::other_form_said(token).map(|said| format!(". {}", said.trim_end_matches('.')));
    said.join(", ") + &compare.unwrap_or_default()
}

/// A credential as text for a request; it has been validated.
fn plain(secret: &SecretValue) -> String {
    String::from_utf8_lossy(secret.expose()).into_owned()
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE64URL_NOPAD;

    use super::*;

    #[test]
    fn of_a_token_only_what_a_role_is_bound_to_is_told() {
        let part = |json: &str| BASE64URL_NOPAD.encode(json.as_bytes());
        let token =
            format!("e30.{}.canary", part(r#"{"aud":"a","sub":"repo:o/r","jti":"canary","iss":"i"}"#));
        let told = claims(&SecretValue::new(token.into_bytes()));
        assert_eq!(told, r#"iss = "i", aud = "a", sub = "repo:o/r""#);
        assert_eq!(claims(&SecretValue::new(b"canary".to_vec())), "none, because it is not a JWT");
    }
}
