//! Certificates of the SSH engine: a public key in, a certificate for a user out.

use std::collections::HashMap;

use russh::keys::Certificate;
use vaultrs::api::ssh::requests::SignSSHKeyRequest;

use super::Vault;
use super::explain::{Forbidden, explain};
use super::login::Session;
use super::mounts::Place;
use super::path;
use super::refusal::{fault, mount_not_found, no_vault};
use super::transport::{Request, RequestError, Response};
use crate::sources::{SourceError, SshKey};

/// What is between the mount and the role (developer.hashicorp.com/vault/api-docs/secret/ssh#sign-ssh-key).
const SIGN: &str = "/sign/";
/// What a session needs so that connections go over it.
const FORWARDING: &str = "permit-port-forwarding";

/// Where a key is signed.
struct Role<'a> {
    what: String,
    path: &'a str,
    mount: &'a str,
    name: &'a str,
}

impl Vault {
    /// A certificate from `MOUNT/sign/ROLE`, as OpenSSH writes it. Where the role gives none that lets connections be
    /// forwarded, that alone is asked for, and the one without it taken where the role does not allow it.
    pub(super) async fn certificate(&self, item: &str, key: &SshKey) -> Result<String, SourceError> {
        let what = format!("{}:{item}", self.id);
        let path = path::parse(&what, item)?;
        let (mount, name) = path.split_once(SIGN).filter(|(_, name)| !name.contains('/')).ok_or_else(|| {
            SourceError::failed(
                format!("{what}: that is no role that signs keys"),
                format!("Write the SSH engine's mount, `sign` and the role: `{}:ssh-client-signer/sign/deploy`.", self.id),
            )
        })?;
        let role = Role { what, path, mount, name };
        let session = self.session().await?;
        let plain = self.signed(&role, key, &[], &session).await?;
        let parsed = Certificate::from_openssh(plain.trim());
        if !parsed.is_ok_and(|certificate| !certificate.extensions().contains_key(FORWARDING)) {
            return Ok(plain);
        }
        Ok(self.signed(&role, key, &[FORWARDING], &session).await.unwrap_or(plain))
    }

    async fn signed(
        &self,
        role: &Role<'_>,
        key: &SshKey,
        extensions: &[&str],
        session: &Session,
    ) -> Result<String, SourceError> {
        let what = &role.what;
        let trouble = |trouble: RequestError| trouble.refused(what, &self.transport);
        let extensions: HashMap<_, _> =
            extensions.iter().map(|name| ((*name).to_owned(), String::new())).collect();
        let request = SignSSHKeyRequest {
            mount: role.mount.to_owned(),
            name: role.name.to_owned(),
            cert_type: Some("user".to_owned()),
            extensions: Some(extensions).filter(|all| !all.is_empty()),
            public_key: key.public.clone(),
            valid_principals: Some(key.users.join(",")),
            ..SignSSHKeyRequest::default()
        };
        let question = Request::of(&request).map_err(trouble)?;
        let mut said = self.transport.ask(&question, Some(&session.token)).await.map_err(trouble)?;
        match said.status {
            _ if !said.is_json() => Err(no_vault(what, &said, &self.transport)),
            _ if said.is_good() => said
                .take_secret("/data/signed_key")
                .and_then(|text| String::from_utf8(text.expose().to_vec()).ok())
                .ok_or_else(|| no_vault(what, &said, &self.transport)),
            400 => Err(refused(role, &said, key, session)),
            403 => Err(self.forbidden(role, session).await),
            404 => Err(mount_not_found(what, role.path, &self.transport)),
            _ => Err(fault(what, &said, &self.transport).await),
        }
    }

    async fn forbidden(&self, role: &Role<'_>, session: &Session) -> SourceError {
        let place = self.mounts.of(self.id.as_str(), &[role.path], &self.transport, session).await;
        let mount = match place.into_iter().next() {
            Some(Place::Known(mount)) => Some(mount.path),
            _ => None,
        };
        let (what, path) = (role.what.clone(), role.path.to_owned());
        let forbidden = Forbidden { what, path, capability: "update", mount };
        let mut reasons = explain(&[forbidden], &self.transport, session).await;
        reasons.pop().unwrap_or_else(|| SourceError::denied(&role.what, "Grant it by a policy."))
    }
}

/// What the engine says of a key that it does not sign, in its own words: there is one status for everything. They tell
/// which remedy comes first, and nothing else hangs on them.
fn refused(role: &Role, said: &Response, key: &SshKey, session: &Session) -> SourceError {
    let Role { what, mount, name, .. } = role;
    let words = said.words(&[&session.token]).unwrap_or_default();
    let shown = if words.is_empty() { String::new() } else { format!(" (`{words}`)") };
    let has = |part: &str| words.to_ascii_lowercase().contains(part);
    let users = key.users.join(",");
    if has("unknown role") {
        return SourceError::denied(
            format!("{what}: the SSH engine at `{mount}` has no role `{name}`"),
            format!(
                "Correct the name (`vault list {mount}/roles` shows them), or make the role: docs/remote.md has the commands."
            ),
        );
    }
    if has("principal") {
        return SourceError::denied(
            format!("{what}: the role signs no certificate for the user {users}{shown}"),
            format!(
                "Allow the user: `allowed_users={users}` of the role `{mount}/roles/{name}`. Or name another user in `docker-host`."
            ),
        );
    }
    SourceError::denied(
        format!(
            "{what}: the SSH engine does not sign a key of type {} for the user {users}{shown}",
            key.kind
        ),
        format!(
            "Look at the role with `vault read {mount}/roles/{name}`: it needs `key_type=ca`, `allow_user_certificates=true`, `allowed_users={users}`, and keys of that type."
        ),
    )
}
