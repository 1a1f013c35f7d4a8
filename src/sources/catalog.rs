//! Every kind of source as data: flags, schema, documentation and tests come from this table.

use crate::manifest::Given;

/// One kind of source: its name, what it can do, and its settings.
pub struct SourceKind {
    /// The kind's name; also the id of the source that needs no configuration.
    pub name: &'static str,
    /// Whether a reference may contain `@version`.
    pub versioned: bool,
    /// Whether it is a file of this machine: if such a source does not exist, it has no secrets. (A store that is not
    /// configured may have some.)
    pub local: bool,
    /// What its variables start with, as in the vendor's own tools: `VAULT_`. A source with its own id has its own variables:
    /// those of `old-vault` start with `OLD_VAULT_`.
    pub variables: &'static str,
    /// The settings in `sources.<id>` of the manifest.
    pub settings: &'static [Setting],
    /// The suffixes of the variables with its credentials; no child process gets them.
    pub credentials: &'static [&'static str],
    /// One sentence for the documentation.
    pub about: &'static str,
}

/// One setting of a source.
#[derive(Clone, Copy)]
pub struct Setting {
    /// Its key in the manifest.
    pub name: &'static str,
    /// The action input for the source whose id is its kind.
    pub input: Option<&'static str>,
    /// The suffixes of its variables, by priority.
    pub variables: &'static [&'static str],
}

const fn setting(
    name: &'static str,
    input: Option<&'static str>,
    variables: &'static [&'static str],
) -> Setting {
    Setting { name, input, variables }
}

/// Every kind of source that is built in, highest priority first.
pub const SOURCES: &[SourceKind] = &[
    SourceKind {
        name: "docker-secrets",
        versioned: false,
        local: true,
        variables: "",
        settings: &[setting("dir", None, &[])],
        credentials: &[],
        about: "Files of a directory, named like the secret in lower case; outside of GitHub Actions, `/run/secrets` by default.",
    },
    SourceKind {
        name: "aws",
        versioned: true,
        local: false,
        variables: "AWS_",
        settings: &[
            setting("region", Some("aws-region"), &["REGION", "DEFAULT_REGION"]),
            setting("role-arn", Some("aws-role-arn"), &["ROLE_ARN"]),
            setting("role-session-name", None, &["ROLE_SESSION_NAME"]),
            setting("audience", None, &[]),
            setting("profile", None, &["PROFILE"]),
            setting("endpoint-url", None, &["ENDPOINT_URL_SECRETS_MANAGER", "ENDPOINT_URL"]),
            setting("ca-certificates", None, &["CA_BUNDLE"]),
        ],
        credentials: &[
            "ACCESS_KEY_ID",
            "SECRET_ACCESS_KEY",
            "SESSION_TOKEN",
            "CONTAINER_AUTHORIZATION_TOKEN",
        ],
        about: "AWS Secrets Manager.",
    },
    SourceKind {
        name: "vault",
        versioned: true,
        local: false,
        variables: "VAULT_",
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
    },
    SourceKind {
        name: "azure",
        versioned: true,
        local: false,
        variables: "AZURE_",
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
    },
    SourceKind {
        name: "onepassword",
        versioned: false,
        local: false,
        variables: "OP_",
        settings: &[
            setting("vault", None, &[]),
            setting("connect-host", None, &["CONNECT_HOST"]),
            setting("account", None, &["ACCOUNT"]),
            setting("op-path", None, &[]),
        ],
        credentials: &["SERVICE_ACCOUNT_TOKEN", "CONNECT_TOKEN"],
        about: "1Password, with a service account and the `op` CLI, or with a Connect server.",
    },
    SourceKind {
        name: "dotenv",
        versioned: false,
        local: true,
        variables: "",
        settings: &[],
        credentials: &[],
        about: "`.env` files, read like Docker Compose does, but with literal values.",
    },
    SourceKind {
        name: "env",
        versioned: false,
        local: false,
        variables: "",
        settings: &[],
        credentials: &[],
        about: "`NAME_FILE`, `NAME`, an action input `NAME`, and the JSON of `github-secrets`.",
    },
];

impl SourceKind {
    /// The kind of this name.
    pub fn of(name: &str) -> Option<&'static Self> {
        SOURCES.iter().find(|kind| kind.name == name)
    }
}

/// What the manifest needs to know about the kinds of sources.
pub struct Known {
    kinds: Vec<&'static str>,
    versioned: Vec<&'static str>,
    settings: Vec<(&'static str, Vec<&'static str>)>,
}

/// What the manifest needs to know about the built-in kinds.
pub fn known() -> Known {
    let names = |kind: &SourceKind| kind.settings.iter().map(|setting| setting.name).collect();
    Known {
        kinds: SOURCES.iter().map(|kind| kind.name).collect(),
        versioned: SOURCES.iter().filter(|kind| kind.versioned).map(|kind| kind.name).collect(),
        settings: SOURCES.iter().map(|kind| (kind.name, names(kind))).collect(),
    }
}

impl Known {
    /// With everything else not given.
    pub fn given(&self) -> Given<'_> {
        Given {
            known_kinds: &self.kinds,
            versioned: &self.versioned,
            settings: &self.settings,
            ..Given::default()
        }
    }
}
