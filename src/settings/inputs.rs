//! The one table of inputs: flags, help, `action.yml` and the README's table come from it or are tested against it.

/// The type of an input, which decides how it is written on the command line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// One text.
    Text,
    /// Several texts, one per line or separated by commas.
    List,
    /// `true` or `false`.
    Switch,
    /// A secret: there is no flag for it. On the command line it is `INPUT_…`, or the file that `--NAME-file` names.
    Secret,
}

/// One action input, which is also a flag of the same name.
#[derive(Clone, Copy, Debug)]
pub struct Input {
    /// The name, hyphenated, as in `action.yml` and as the flag.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Its default; empty if there is none.
    pub default: &'static str,
    /// One or two sentences for the help text, `action.yml` and the README.
    pub help: &'static str,
    /// Whether it is a setting of one kind of store, whose table says which.
    pub of_a_store: bool,
}

const fn input(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Input {
    Input { name, kind, default, help, of_a_store: false }
}

const fn of_a_store(name: &'static str, help: &'static str) -> Input {
    Input { name, kind: Kind::Text, default: "", help, of_a_store: true }
}

/// Every input, in the order of the documentation.
pub const INPUTS: &[Input] = &[
    input(
        "mode",
        Kind::Text,
        "deploy",
        "What to do: `deploy`, `create-files`, `create-compose`, `validate`, `drift` or `down`.",
    ),
    input(
        "secrets",
        Kind::Text,
        "",
        "The declared secrets, one per line, or only names separated by commas: `NAME`, `NAME?` (optional), `NAME = reference [| reference…]`, or a reference that ends in `*` (everything there); `#` starts a comment line.",
    ),
    input(
        "config",
        Kind::Text,
        "",
        "The manifest. Default: `claude-secrets.yml` in the project directory, if it exists.",
    ),
    input(
        "github-secrets",
        Kind::Secret,
        "",
        "`${{ toJSON(secrets) }}`: part of the `env` source; only declared names are used. Explicit `env:` lines are better: they show in the workflow which secrets are used.",
    ),
    input(
        "sources",
        Kind::List,
        "",
        "Which sources to ask, in which order. Default: all that are configured, in the order docker-secrets, aws, ssm, vault, azure, onepassword, dotenv, env.",
    ),
    input(
        "env-file",
        Kind::List,
        "",
        "The files of the `dotenv` source, relative to the project directory; later ones take precedence. Default: `.env`, if it exists.",
    ),
    input("source", Kind::Text, "", "`validate`: asks only this source, for the secrets that it may have."),
    input(
        "offline",
        Kind::Switch,
        "false",
        "`validate`: uses no credentials, and asks no source and no engine. It checks the manifest, references, names, the Compose model, and which service gets which secret. For pull requests from forks, and before a commit.",
    ),
    input("prefix", Kind::Text, "", "First part of the conventional references. Default: `claude-bot`."),
    input(
        "environment",
        Kind::Text,
        "",
        "The deployment environment, e.g. `production`: the second part of the conventional references. With `github-token` also GitHub's environment, unless the workflow's identity names it.",
    ),
    input(
        "github-token",
        Kind::Secret,
        "",
        "A token for GitHub's API, by which `validate` and `deploy` compare the names of the secrets that GitHub has with those that are declared: a fine-grained one, or an app's, with `Secrets: read`. The workflow's own `GITHUB_TOKEN` may not list secrets; it does for `comment` and `deployment`.",
    ),
    input(
        "repo",
        Kind::Text,
        "",
        "`github-token`: whose secrets are compared, `owner/name`; that GitHub does not tell is then an error of `validate`. Default: `GITHUB_REPOSITORY`, else the checkout's remote.",
    ),
    input(
        "comment",
        Kind::Switch,
        "false",
        "`validate` of a pull request: writes what it found as one comment, which later runs update. Needs `github-token` with `pull-requests: write`.",
    ),
    input(
        "deployment",
        Kind::Text,
        "",
        "`deploy`: records the deployment at GitHub under this environment's name. Needs `github-token` with `deployments: write`. For jobs without an `environment:` of their own: for others GitHub does it.",
    ),
    input("environment-url", Kind::Text, "", "`deployment`: the address at which the project can be seen."),
    input(
        "grant-to",
        Kind::List,
        "",
        "Services that get the secrets which neither the manifest nor the services' variables assign.",
    ),
    input(
        "on-missing",
        Kind::Text,
        "fail",
        "What happens if a required secret is missing: `fail` or `warn` (the run is then degraded).",
    ),
    input(
        "on-source-error",
        Kind::Text,
        "fail",
        "What happens if a source of higher priority than the one with the secret cannot be read: `fail` or `next` (the run is then degraded).",
    ),
    input("strict", Kind::Switch, "false", "Treats warnings as errors, before anything is changed."),
    input("timeout", Kind::Text, "60s", "The deadline for all sources together."),
    input(
        "max-age",
        Kind::Text,
        "",
        "Warns about values that are older than this, e.g. `90d`, if their source knows when they were written.",
    ),
    input(
        "ca-certificates",
        Kind::Text,
        "",
        "Additional CA certificates to trust: PEM, or the path of a PEM file.",
    ),
    of_a_store("aws-region", "AWS: the region of Secrets Manager. Default: `AWS_REGION`."),
    of_a_store(
        "aws-role-arn",
        "AWS: the role to assume, with the workflow's identity token (`id-token: write`) if there is one. Default: `AWS_ROLE_ARN`.",
    ),
    of_a_store("vault-addr", "Vault, OpenBao: the server's address. Default: `VAULT_ADDR`."),
    of_a_store(
        "vault-role",
        "Vault, OpenBao: the role to log in as, with the workflow's identity token (`id-token: write`) if there is one. Default: `VAULT_ROLE`.",
    ),
    of_a_store(
        "vault-jwt-audience",
        "Vault, OpenBao: the audience of the workflow's identity token. Default: GitHub's default, the URL of the repository's owner.",
    ),
    of_a_store(
        "azure-vault-url",
        "Azure Key Vault: the vault's address, `https://NAME.vault.azure.net`. Default: `AZURE_KEYVAULT_URL`.",
    ),
    of_a_store("azure-client-id", "Azure: the application to log in as. Default: `AZURE_CLIENT_ID`."),
    of_a_store("azure-tenant-id", "Azure: the tenant to log in to. Default: `AZURE_TENANT_ID`."),
    input(
        "project-directory",
        Kind::Text,
        "",
        "As in Docker Compose. Default: the directory of the first Compose file.",
    ),
    input(
        "compose-files",
        Kind::List,
        "",
        "The Compose files. Default: those that Docker Compose itself would find.",
    ),
    input("project-name", Kind::Text, "", "As in Docker Compose."),
    input("profiles", Kind::List, "", "The Compose profiles to start."),
    input(
        "services",
        Kind::List,
        "",
        "The services to start. Default: all. It grants nothing: the override file always covers every service.",
    ),
    input("pull", Kind::Text, "missing", "When to pull images: `always`, `missing` or `never`."),
    input("build", Kind::Switch, "false", "Builds images even if they exist."),
    input(
        "remove-orphans",
        Kind::Switch,
        "false",
        "Removes containers of services that the project no longer has.",
    ),
    input("force-recreate", Kind::Switch, "false", "Recreates every container, even if nothing changed."),
    input(
        "wait",
        Kind::Switch,
        "true",
        "Waits until every service is healthy, or is running and stays up, or has exited with status 0.",
    ),
    input(
        "wait-timeout",
        Kind::Text,
        "120s",
        "How long to wait for the services. Without `wait`: for those that others depend on.",
    ),
    input(
        "stable-for",
        Kind::Text,
        "",
        "`wait`: how long a service without a health check must stay up, e.g. `10s`; `0s`: it only has to run. At most `wait-timeout`. Default: what the manifest says, else `3s`.",
    ),
    input(
        "docker-host",
        Kind::Text,
        "",
        "Where the engine is: `ssh://user@host[:port]` (with `SSH_PRIVATE_KEY`), `tcp://host:2376` (with TLS), or `unix:///path`. Default: the machine that runs this, or what `DOCKER_HOST` says.",
    ),
    input(
        "ssh-known-hosts",
        Kind::Text,
        "",
        "`docker-host` by SSH: the server's key, as lines of `known_hosts` (`ssh-keyscan HOST`, after verifying them), or the path of such a file. This or `ssh-fingerprint` is required; on the command line, `~/.ssh/known_hosts` is used as well.",
    ),
    input(
        "ssh-fingerprint",
        Kind::Text,
        "",
        "`docker-host` by SSH: the fingerprint of the server's key, `SHA256:…`.",
    ),
    input(
        "ssh-key",
        Kind::Text,
        "",
        "`docker-host` by SSH: where the private key is stored, as a reference, e.g. `vault:secret/deploy#key`. Default: `SSH_PRIVATE_KEY`, or the file that `SSH_PRIVATE_KEY_FILE` names.",
    ),
    input(
        "ssh-sign",
        Kind::Text,
        "",
        "`docker-host` by SSH: the role of a Vault or OpenBao that signs a key which is made for this run alone, e.g. `vault:ssh-client-signer/sign/deploy`. No key is kept anywhere then.",
    ),
    input(
        "ssh-jump",
        Kind::List,
        "",
        "`docker-host` by SSH: the jump hosts, `user@host[:port]`, the nearest first.",
    ),
    input(
        "docker-tls-ca",
        Kind::Text,
        "",
        "`docker-host` by TCP: the CA certificate of the engine, as PEM or the path of a PEM file. The client certificate and its key are `DOCKER_TLS_CERT` and `DOCKER_TLS_KEY`; or all three are files in `DOCKER_CERT_PATH`.",
    ),
    input(
        "project-files",
        Kind::Text,
        "auto",
        "Files of the checkout that services mount: `copy` takes them to the engine's machine, `in-place` mounts what has their path there, `auto` copies where the engine is on another machine, and on self-hosted runners, whose next checkout wipes the workspace.",
    ),
    input("delivery", Kind::Text, "auto", "How services get their secrets: `file`, `volume` or `auto`."),
    input(
        "secrets-dir",
        Kind::Text,
        "data/secrets",
        "Where secret files go, relative to the project directory.",
    ),
    input(
        "override-file",
        Kind::Text,
        "docker-compose.secrets.yml",
        "The generated override file, relative to the project directory.",
    ),
    input(
        "registries",
        Kind::Secret,
        "",
        "Registry logins, one `host user password` per line; they are removed when the run ends.",
    ),
    input(
        "report-file",
        Kind::Text,
        "",
        "Where the JSON report goes, relative to the workspace. Default: `claude-secrets-report.json` in the runner's temporary directory in GitHub Actions, none elsewhere.",
    ),
    input(
        "sarif-file",
        Kind::Text,
        "",
        "Where errors and warnings go as SARIF, relative to the workspace: for code scanning, which shows them at the lines that they refer to.",
    ),
];
