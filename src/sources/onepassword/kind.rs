//! What the rest of the program knows about this store.

use super::open;
use super::policy::policy;
use crate::sources::kind::{SourceKind, boxed, setting};

/// This kind of source.
pub(in crate::sources) const KIND: SourceKind = SourceKind {
    name: "onepassword",
    versioned: false,
    local: false,
    prefixes: &["OP_"],
    settings: &[
        setting("vault", None, &[]),
        setting("connect-host", None, &["CONNECT_HOST"]),
        setting("account", None, &["ACCOUNT"]),
        setting("op-path", None, &[]),
    ],
    credentials: &["SERVICE_ACCOUNT_TOKEN", "CONNECT_TOKEN"],
    about: "1Password, with a service account and the `op` CLI, or with a Connect server.",
    open: |options, opening| Ok(open(options, opening)?.map(boxed)),
    to_configure: |_, _| "Add a login to the step's `env:`, see docs/sources/onepassword.md.".to_owned(),
    policy: Some(policy),
};
