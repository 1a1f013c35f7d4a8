//! What the rest of the program knows about this store.

use super::policy::policy;
use super::setup::open;
use crate::sources::kind::{SourceKind, boxed, setting};

/// This kind of source.
pub(in crate::sources) const KIND: SourceKind = SourceKind {
    name: "vault",
    versioned: true,
    local: false,
    prefixes: &["VAULT_"],
    settings: &[
        setting("addr", Some("vault-addr"), &["ADDR"]),
        setting("namespace", None, &["NAMESPACE"]),
        setting("mount", None, &[]),
        setting("kv-version", None, &[]),
        setting("auth", None, &[]),
        setting("auth-mount", None, &[]),
        setting("role", Some("vault-role"), &["ROLE"]),
        setting("jwt-audience", Some("vault-jwt-audience"), &[]),
        setting("username", None, &["USERNAME"]),
        setting("kubernetes-token-file", None, &[]),
        setting("ca-certificates", None, &["CACERT_BYTES", "CACERT"]),
        setting("client-cert", None, &["CLIENT_CERT"]),
        setting("client-key", None, &["CLIENT_KEY"]),
    ],
    // `CLIENT_KEY` may contain the key itself.
    credentials: &["TOKEN", "ROLE_ID", "SECRET_ID", "WRAPPED_SECRET_ID", "PASSWORD", "JWT", "CLIENT_KEY"],
    about: "HashiCorp Vault and OpenBao: the key/value engine, versions 1 and 2, and other engines that are read by path.",
    open: |options, opening| Ok(open(options, opening)?.map(boxed)),
    to_configure: |id, prefix| {
        format!("Set its address: `{prefix}ADDR`, or `sources: {{ {id}: {{ addr: https://… }} }}`.")
    },
    policy: Some(policy),
};
