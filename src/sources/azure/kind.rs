//! What the rest of the program knows about this store.

use super::open;
use super::policy::policy;
use crate::sources::kind::{SourceKind, boxed, setting};

/// This kind of source.
pub(in crate::sources) const KIND: SourceKind = SourceKind {
    name: "azure",
    versioned: true,
    local: false,
    prefixes: &["AZURE_"],
    settings: &[
        setting("vault-url", Some("azure-vault-url"), &["KEYVAULT_URL"]),
        setting("vault-name", None, &["KEYVAULT_NAME"]),
        setting("cloud", None, &["CLOUD"]),
        setting("vault-suffix", None, &[]),
        setting("authority-host", None, &["AUTHORITY_HOST"]),
        setting("auth", None, &[]),
        setting("tenant-id", Some("azure-tenant-id"), &["TENANT_ID"]),
        setting("client-id", Some("azure-client-id"), &["CLIENT_ID"]),
        setting("client-certificate", None, &["CLIENT_CERTIFICATE_PATH"]),
        setting("federated-token-file", None, &["FEDERATED_TOKEN_FILE"]),
        setting("audience", None, &[]),
        setting("metadata-host", None, &["POD_IDENTITY_AUTHORITY_HOST"]),
    ],
    // `CLIENT_CERTIFICATE_PATH` may contain the certificate with its key itself.
    credentials: &["CLIENT_SECRET", "CLIENT_CERTIFICATE_PASSWORD", "CLIENT_CERTIFICATE_PATH"],
    about: "Azure Key Vault: the secrets of one vault.",
    open: |options, opening| Ok(open(options, opening)?.map(boxed)),
    to_configure: |id, _| {
        format!(
            "Set the vault: `azure-vault-url`, or `sources: {{ {id}: {{ vault-url: https://….vault.azure.net }} }}`."
        )
    },
    policy: Some(policy),
};
