//! Why there is no value, with a remedy: decided by the status and the shape of a response, never by its words.

use super::transport::{Response, Transport};
use crate::sources::SourceError;

/// A server's state in which it cannot serve requests.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    Uninitialised,
    Sealed,
    Standby,
    Secondary,
    Well,
}

impl Health {
    /// The response of `sys/health` (developer.hashicorp.com/vault/api-docs/system/health).
    pub(super) fn of(said: &Response) -> Option<Self> {
        let is = |name: &str| said.get(name).and_then(serde_json::Value::as_bool);
        Some(if !is("/initialized")? {
            Self::Uninitialised
        } else if is("/sealed")? {
            Self::Sealed
        } else if said.text("/replication_dr_mode") == Some("secondary") {
            Self::Secondary
        } else if is("/standby")? {
            Self::Standby
        } else {
            Self::Well
        })
    }
}

/// An error status for the request `what`: the server's state, else the status.
pub(super) async fn fault(what: &str, said: &Response, transport: &Transport) -> SourceError {
    let server = transport.server();
    if !said.is_json() {
        return no_vault(what, said, transport);
    }
    let health = if said.status >= 429 { transport.health().await } else { None };
    let (state, help) = match health {
        Some(Health::Uninitialised) => (
            "is not initialised: it is a new server, without keys and secrets",
            "Check that it is the right server. If so, initialise it with `vault operator init`.",
        ),
        Some(Health::Sealed) => (
            "is sealed",
            "Unseal it with `vault operator unseal`, or check in its log why auto-unseal failed.",
        ),
        Some(Health::Standby) => (
            "is a standby node that cannot reach the active one",
            "Set `addr` to the address of the whole cluster, or check the cluster's state: `vault operator members`.",
        ),
        Some(Health::Secondary) => (
            "is a disaster recovery secondary, which serves no secrets",
            "Set `addr` to the address of the primary cluster.",
        ),
        _ if said.status == 429 => {
            ("is rate limiting requests (429)", "Raise the rate limit quota of the path, or run this later.")
        }
        _ => {
            return SourceError::failed(
                format!("{what}: {server} answered with status {}", said.status),
                "Check the server's log for this request.",
            );
        }
    };
    SourceError::failed(format!("{what}: {server} {state}"), help)
}

/// A response that is not from Vault.
pub(super) fn no_vault(what: &str, said: &Response, transport: &Transport) -> SourceError {
    let server = transport.server();
    let help = if transport.is_plain() {
        "If the server uses TLS, its address must start with `https://`. Otherwise, check that it is the right server."
    } else {
        "Check that the address is the server's, and whether a proxy in front of it answers."
    };
    SourceError::failed(
        format!("{what}: {server} answered with status {}, but not like Vault", said.status),
        help,
    )
}

/// The namespace does not exist, or nothing is mounted at a path: a status 404 with errors in it.
pub(super) fn mount_not_found(what: &str, path: &str, transport: &Transport) -> SourceError {
    let server = transport.server();
    match transport.namespace() {
        Some(namespace) => SourceError::failed(
            format!("{what}: {server} has no namespace `{namespace}`, or nothing at `{path}` in it"),
            "Correct `namespace`, or the mount in the reference.",
        ),
        None => SourceError::failed(
            format!("{what}: {server} has nothing mounted for `{path}`"),
            "Correct the mount, which is the first part of the reference. If it is in a namespace, set `namespace`.",
        ),
    }
}

/// The rule of a policy (HCL) that allows one thing on one path.
pub(in crate::sources) fn rule(path: &str, capability: &str) -> String {
    let path = path.replace('\\', "\\\\").replace('"', "\\\"");
    format!("path \"{path}\" {{\n  capabilities = [\"{capability}\"]\n}}")
}
