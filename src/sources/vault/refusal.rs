//! Why there is no value, as a person can act on it: decided by status and the shape of an answer, never by its words.

use super::transport::{Said, Transport};
use crate::sources::Refused;

/// What a server says of itself, when it cannot do its work.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    Uninitialised,
    Sealed,
    Standby,
    Secondary,
    Well,
}

impl Health {
    /// What `sys/health` says (developer.hashicorp.com/vault/api-docs/system/health).
    pub(super) fn of(said: &Said) -> Option<Self> {
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

/// A status that is no answer to the question `what`: what the server says of itself, else the status.
pub(super) async fn fault(what: &str, said: &Said, transport: &Transport) -> Refused {
    let server = transport.server();
    if !said.is_json() {
        return no_vault(what, said, transport);
    }
    let health = if said.status >= 429 { transport.health().await } else { None };
    let (state, remedy) = match health {
        Some(Health::Uninitialised) => (
            "is not initialised: it is a new server, without keys and secrets",
            "Is it the right server? Otherwise set it up with `vault operator init`.",
        ),
        Some(Health::Sealed) => (
            "is sealed: nobody can read from it",
            "Unseal it with `vault operator unseal`, or look in its log why it does not unseal itself.",
        ),
        Some(Health::Standby) => (
            "is a standby node, and does not reach the active one",
            "Name the address of the whole cluster by `addr`, or look at the cluster's state: `vault operator members`.",
        ),
        Some(Health::Secondary) => (
            "is a secondary for disaster recovery, which hands out nothing",
            "Name the address of the primary cluster by `addr`.",
        ),
        _ if said.status == 429 => {
            ("refuses so many requests (429)", "Raise the rate limit quota of the path, or run this later.")
        }
        _ => {
            return Refused::failed(
                format!("{what}: {server} answered with status {}", said.status),
                "Look into the server's log for this request.",
            );
        }
    };
    Refused::failed(format!("{what}: {server} {state}"), remedy)
}

/// An answer that no Vault gives.
pub(super) fn no_vault(what: &str, said: &Said, transport: &Transport) -> Refused {
    let server = transport.server();
    let remedy = if transport.is_plain() {
        "Does the server speak TLS? Then its address starts with `https://`. Or it is another server."
    } else {
        "Is it another server's address, or does a proxy before it answer?"
    };
    Refused::failed(
        format!("{what}: {server} answered with status {} and not as Vault does", said.status),
        remedy,
    )
}

/// The namespace is not there, or nothing is mounted at a path: a status 404 with errors in it.
pub(super) fn nowhere(what: &str, path: &str, transport: &Transport) -> Refused {
    let server = transport.server();
    match transport.namespace() {
        Some(namespace) => Refused::failed(
            format!("{what}: {server} has no namespace `{namespace}`, or nothing at `{path}` in it"),
            "Correct `namespace`, or the mount in the reference.",
        ),
        None => Refused::failed(
            format!("{what}: {server} has nothing mounted for `{path}`"),
            "Correct the mount, which is the first part of the reference; in a namespace, name that by `namespace`.",
        ),
    }
}

/// The rule of a policy (HCL) that allows one thing on one path.
pub(in crate::sources) fn rule(path: &str, capability: &str) -> String {
    let path = path.replace('\\', "\\\\").replace('"', "\\\"");
    format!("path \"{path}\" {{\n  capabilities = [\"{capability}\"]\n}}")
}
