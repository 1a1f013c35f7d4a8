//! The causes of each error, the most likely first, and a fix as text to paste. `docs/errors.md` is generated
//! from it, and `claude-secrets explain CODE` prints it.

use super::Code;

/// The causes and the fix of one error.
pub struct Entry {
    /// The causes, the most likely first.
    pub causes: &'static [&'static str],
    /// The language of the fix: `yaml`, `sh` or `text`.
    pub language: &'static str,
    /// What to paste.
    pub fix: &'static str,
}

const fn entry(causes: &'static [&'static str], language: &'static str, fix: &'static str) -> Entry {
    Entry { causes, language, fix }
}

/// The causes and the fix of an error.
#[allow(clippy::too_many_lines, reason = "a table")]
pub fn of(code: Code) -> Entry {
    match code {
        Code::Usage => entry(
            &[
                "An input has a value that it does not accept, such as `wait: yes` instead of `wait: true`.",
                "Two inputs exclude each other.",
            ],
            "sh",
            "claude-secrets deploy --help",
        ),
        Code::GithubSecretsInvalid => entry(
            &[
                "`github-secrets` was given one secret, or a list of names.",
                "The JSON was written by hand, and a value in it has unescaped quotes or newlines.",
            ],
            "yaml",
            "- uses: org/claude-secrets-action@v1\n  with:\n    github-secrets: ${{ toJSON(secrets) }}",
        ),
        Code::ProjectDirectoryMissing => entry(
            &[
                "The job does not check out the repository before this step.",
                "The path is not relative to the workspace.",
            ],
            "yaml",
            "- uses: actions/checkout@v7\n- uses: org/claude-secrets-action@v1\n  with:\n    project-directory: deploy",
        ),
        Code::ManifestInvalid => entry(
            &[
                "A key is misspelled, or is at the wrong depth.",
                "The manifest contains a value where only names and references are allowed.",
                "A service uses a secret that is not declared.",
            ],
            "yaml",
            "secrets:\n  API_KEY:\n    from: [env:API_KEY]\nservices:\n  worker: [API_KEY]",
        ),
        Code::ManifestMissing => entry(
            &[
                "Neither `secrets` nor a `claude-secrets.yml` in the project directory declares anything.",
                "`config` names a file that is not in the repository, or not checked out.",
            ],
            "yaml",
            "- uses: org/claude-secrets-action@v1\n  with:\n    secrets: |\n      API_KEY\n  env:\n    API_KEY: ${{ secrets.API_KEY }}",
        ),
        Code::SecretNameInvalid => entry(
            &[
                "The name contains a hyphen, a dot or a space.",
                "There is a value in place of a name.",
                "The name is one that Docker, Compose or the loader read themselves, such as `DOCKER_HOST`.",
            ],
            "text",
            "API_KEY = vault:secret/bot#api-key",
        ),
        Code::SecretNamesCollide => entry(
            &[
                "Two names differ only in case, and file names are in lower case.",
                "Azure Key Vault does not distinguish `_` from `-`, or upper from lower case.",
            ],
            "yaml",
            "secrets:\n  API_KEY:\n  api_key: { file: { name: other_api_key } }",
        ),
        Code::ReferenceInvalid => entry(
            &[
                "A reference lacks its source: `bot/key` instead of `vault:secret/bot#key`.",
                "A literal `#` or `@` is not written as `%23` or `%40`.",
                "A reference has a version, but its source has none.",
            ],
            "text",
            "API_KEY = vault:secret/bot#key | env:API_KEY",
        ),
        Code::SourceUnknown => entry(
            &[
                "A source's name is misspelled: `valut:` instead of `vault:`.",
                "A source has no address or login in this run.",
                "A second store of a kind has no entry under `sources`.",
            ],
            "yaml",
            "sources:\n  vault: { addr: 'https://vault.example.com' }\n  old-vault: { kind: vault, addr: 'https://old.example.com' }\nsecrets:\n  API_KEY: { from: ['old-vault:secret/bot#key'] }",
        ),
        Code::ComposeFileMissing => entry(
            &[
                "The project is not in the directory where the run looks.",
                "The job does not check out the repository before this step.",
                "`compose-files` names a file that does not exist.",
            ],
            "yaml",
            "- uses: org/claude-secrets-action@v1\n  with:\n    project-directory: deploy\n    compose-files: compose.yaml",
        ),
        Code::ComposeFileInvalid => entry(
            &[
                "A variable that the file requires (`${TAG:?}`) is not set in this step.",
                "The file has an error, which Compose describes.",
                "An `env_file` or an included file does not exist.",
            ],
            "yaml",
            "- uses: org/claude-secrets-action@v1\n  with:\n    secrets: API_KEY\n  env:\n    API_KEY: ${{ secrets.API_KEY }}\n    TAG: v1",
        ),
        Code::ServiceUnknown => entry(
            &[
                "A service's name is misspelled in `services`, `grant-to` or the manifest.",
                "The service is in a Compose file that `compose-files` does not name.",
            ],
            "sh",
            "docker compose config --services",
        ),
        Code::SecretWithoutService => entry(
            &[
                "No service uses the secret in the Compose files, and the project has several services.",
                "The program reads it under another name.",
            ],
            "yaml",
            "secrets:\n  API_KEY:\nservices:\n  worker: [API_KEY]",
        ),
        Code::ServiceWithoutContainer => entry(
            &[
                "The manifest or `grant-to` gives secrets to a service with `provider:`, which has no container.",
            ],
            "yaml",
            "secrets:\n  API_KEY:\nservices:\n  worker-that-depends-on-it: [API_KEY]",
        ),
        Code::SecretNotGranted => entry(
            &[
                "The manifest's `services:` omits a service that uses the secret as a file in the Compose files.",
                "`volumes_from` gives a service the secrets of another one.",
                "A service mounts the secrets directory, or a volume with another service's secrets.",
            ],
            "yaml",
            "secrets:\n  API_KEY:\nservices:\n  web: [API_KEY]\n  worker: [API_KEY]",
        ),
        Code::SecretInLargerValue => entry(
            &[
                "The Compose file puts a secret into a label, a port or a host name, which `docker inspect` shows.",
                "A build argument contains it, and stays in the image.",
                "The Compose file contains a value in clear text.",
            ],
            "yaml",
            "services:\n  web:\n    image: example\n    environment:\n      DATABASE_URL: postgres://app:${DB_PASSWORD}@db/app",
        ),
        Code::UnsafeLogDriver => entry(
            &[
                "The engine's default log driver sends what containers print to another machine, including the masks.",
            ],
            "text",
            "/etc/docker/daemon.json:  { \"log-driver\": \"local\" }",
        ),
        Code::OverrideInvalid => entry(
            &[
                "Something else, such as an older script, wrote `docker-compose.secrets.yml`.",
                "`override-file` names a file of the project.",
            ],
            "sh",
            "mv docker-compose.secrets.yml docker-compose.secrets.old.yml",
        ),
        Code::SecretsMissing => entry(
            &[
                "The step has no `env:` line for the secret: GitHub does not pass secrets by itself.",
                "The secret does not exist in this repository or environment, so it arrives empty.",
                "The run is from a fork or from Dependabot, which get no secrets.",
                "The secret belongs to an environment, and the job does not set `environment:`.",
            ],
            "yaml",
            "- uses: org/claude-secrets-action@v1\n  with:\n    secrets: API_KEY\n  env:\n    API_KEY: ${{ secrets.API_KEY }}",
        ),
        Code::SecretInvalid => entry(
            &[
                "The value of another secret was pasted, or only a part of it.",
                "The value is encoded, or ends with a newline.",
                "A local file has an older value than a store.",
            ],
            "yaml",
            "secrets:\n  API_KEY: { starts-with: sk-ant-, trim: newline }\n  TLS_KEY: { encoding: base64 }",
        ),
        Code::Strict => entry(
            &["There are warnings, and `strict` is on. Each warning has its own fix."],
            "sh",
            "claude-secrets validate --strict=false",
        ),
        Code::SourceDenied => entry(
            &[
                "The login is not allowed to read this item; the error names the permission.",
                "The secret does not exist there, and the store reports that by refusing access.",
                "The workflow's identity is not the one that the store trusts: another branch or environment.",
            ],
            "sh",
            "claude-secrets policy",
        ),
        Code::SourceFailed => entry(
            &[
                "The store cannot be reached from here: address, proxy, firewall, certificate.",
                "The job lacks `permissions: id-token: write`, so it has no identity to log in with.",
                "A configured file cannot be read.",
            ],
            "sh",
            "claude-secrets validate --source vault --verbose",
        ),
        Code::GithubDenied => entry(
            &[
                "`repo` has a slip of the pen, or the token was not given this repository.",
                "The token has no permission `Secrets: read`; the workflow's own `GITHUB_TOKEN` never has it.",
                "The token has expired, or the organisation wants it authorised for single sign-on.",
            ],
            "sh",
            "GH_TOKEN=$(gh auth token) claude-secrets validate --repo octo-org/octo-repo",
        ),
        Code::GithubFailed => entry(
            &[
                "GitHub's API cannot be reached from here: a proxy, a firewall, an outage (githubstatus.com).",
                "The token has asked for too much in this hour; the error says until when.",
                "A GitHub Enterprise Server has a certificate of its own authority: name that by `ca-certificates`.",
            ],
            "yaml",
            "- uses: org/claude-secrets-action@v1\n  with:\n    mode: validate\n    repo: octo-org/octo-repo\n    github-token: ${{ secrets.READ_SECRETS_TOKEN }}\n    ca-certificates: ghes-ca.pem",
        ),
        Code::PathUnsafe => entry(
            &[
                "`secrets-dir` or `override-file` is outside the project.",
                "Git tracks the file to be written.",
                "There is a symbolic link in place of a file.",
                "Another Compose project has its secrets in the same `secrets-dir`.",
            ],
            "sh",
            "git rm --cached docker-compose.secrets.yml",
        ),
        Code::NotWritable => entry(
            &[
                "The workspace belongs to another user, often root after an earlier job.",
                "The file system is mounted read-only.",
            ],
            "sh",
            "sudo chown -R \"$USER\" data/secrets",
        ),
        Code::DiskFull => entry(
            &["Old images and build caches fill the disk of a self-hosted runner."],
            "sh",
            "docker system df && docker image prune",
        ),
        Code::DeliveryFailed => entry(
            &[
                "`delivery: file` is set, but the engine is on another machine.",
                "The engine could not fill a volume.",
            ],
            "yaml",
            "- uses: org/claude-secrets-action@v1\n  with:\n    delivery: volume",
        ),
        Code::ProjectFiles => entry(
            &[
                "A service mounts a file that git ignores: nobody can say which release it belongs to.",
                "A directory with a service's data is in this checkout, or mounted by the running container, and the volume for it is not there yet.",
                "One mount has files of the release and data of the service.",
            ],
            "yaml",
            "services:\n  web:\n    image: example\n    volumes:\n      - ./nginx.conf:/etc/nginx/nginx.conf:ro\n      - data:/var/lib/web\nvolumes:\n  data:",
        ),
        Code::LauncherMissing => entry(
            &[
                "`claude-secrets` was installed without `claude-secrets-exec` next to it.",
                "The engine's machine has another processor architecture than this one.",
            ],
            "yaml",
            "secrets:\n  API_KEY:\nservices:\n  worker: { secrets: [API_KEY], deliver: file }",
        ),
        Code::WorkspaceNotOnHost => entry(
            &[
                "The runner is itself a container, and its work directory is not mounted at the same path as on the host.",
            ],
            "sh",
            "docker run -v /srv/runner/_work:/srv/runner/_work -v /var/run/docker.sock:/var/run/docker.sock RUNNER_IMAGE",
        ),
        Code::Locked => entry(
            &["Another job deploys the same project right now."],
            "text",
            "concurrency: { group: deploy-production, cancel-in-progress: false }",
        ),
        Code::DockerSocketMissing => entry(
            &[
                "The runner has no Docker Engine, as on Kubernetes.",
                "The engine is rootless, and its socket is elsewhere.",
            ],
            "sh",
            "docker context ls",
        ),
        Code::EngineUnreachable => entry(
            &[
                "The engine is not running.",
                "This user is not in the group `docker`.",
                "`DOCKER_HOST` names a machine that does not answer, or is no address.",
                "The Docker context that is chosen does not exist.",
            ],
            "sh",
            "docker version",
        ),
        Code::SshKeyInvalid => entry(
            &[
                "The secret does not exist in this repository or environment, so it arrives empty.",
                "The public key was given, or the private one without its first and last line.",
                "The key has a passphrase, and `SSH_KEY_PASSPHRASE` is missing or wrong.",
            ],
            "yaml",
            "- uses: org/claude-secrets-action@v1\n  with:\n    docker-host: ssh://deploy@example.com\n    ssh-known-hosts: example.com ssh-ed25519 AAAA…\n  env:\n    SSH_PRIVATE_KEY: ${{ secrets.SSH_PRIVATE_KEY }}",
        ),
        Code::SshDenied => entry(
            &[
                "The public key is not in `~/.ssh/authorized_keys` of this user on the server.",
                "The user in `docker-host` is not the one that the key is for.",
                "The server does not accept keys, or requires a second factor.",
            ],
            "sh",
            "ssh-copy-id -i deploy.pub deploy@example.com",
        ),
        Code::HostKeyUnknown => entry(
            &["`ssh-known-hosts` has no line for this name and port."],
            "sh",
            "ssh-keyscan -p 22 example.com    # compare: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub, on the server",
        ),
        Code::HostKeyChanged => entry(
            &[
                "The server was reinstalled, or another machine has its address now.",
                "Someone is intercepting the connection to the server.",
            ],
            "sh",
            "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub    # on the server itself, not over this network",
        ),
        Code::EngineTooOld => entry(
            &["The Docker Engine is older than 20.10."],
            "sh",
            "docker version --format '{{.Server.Version}}'",
        ),
        Code::ComposeMissing => entry(
            &[
                "The Compose plugin is not installed.",
                "Only version 1, the Python program `docker-compose`, is installed.",
            ],
            "sh",
            "sudo apt-get install docker-compose-plugin",
        ),
        Code::ComposeTooOld => entry(
            &[
                "The Compose plugin is older than v2.24.",
                "It is v2.24.7 or v2.25, whose `docker compose config` leaves out what `env_file` brings, or prints YAML where JSON \
                 is asked for.",
            ],
            "sh",
            "docker compose version",
        ),
        Code::RegistryLoginFailed => entry(
            &[
                "The password is a token without permission to read packages, or has expired.",
                "A line of `registries` has another host than the image's name.",
            ],
            "yaml",
            "- uses: org/claude-secrets-action@v1\n  with:\n    registries: ghcr.io ${{ github.actor }} ${{ secrets.GHCR_TOKEN }}",
        ),
        Code::ImageUnavailable => entry(
            &[
                "The image or tag does not exist, or is private and there is no login.",
                "A step of the Dockerfile failed.",
                "`pull: never` is set, and the image does not exist locally.",
            ],
            "yaml",
            "- uses: org/claude-secrets-action@v1\n  with:\n    registries: ghcr.io ${{ github.actor }} ${{ secrets.GHCR_TOKEN }}\n    pull: missing",
        ),
        Code::OtherEnvironment => entry(
            &["A job deploys with another `environment` under the same project name."],
            "yaml",
            "- uses: org/claude-secrets-action@v1\n  with:\n    environment: staging\n    project-name: bot-staging",
        ),
        Code::DeployFailed => entry(
            &[
                "A port is already in use.",
                "A container's program does not exist, or cannot be started.",
                "A service that another one depends on did not start.",
            ],
            "sh",
            "docker compose ps --all",
        ),
        Code::Unhealthy => entry(
            &[
                "The program has exited or fails its health check; the log shows its last lines.",
                "It needs longer than `wait-timeout`, or was restarted so late that it had not run for `stable-for` by then.",
            ],
            "yaml",
            "- uses: org/claude-secrets-action@v1\n  with:\n    wait-timeout: 5m",
        ),
        Code::SecretUnreadable => entry(
            &["The container starts as root and switches to another user, who may not read the file."],
            "yaml",
            "secrets:\n  API_KEY:\nservices:\n  worker: { secrets: [API_KEY], uid: 1000, gid: 1000 }",
        ),
        Code::RemovalIncomplete => entry(
            &["A container of another project uses a volume that claude-secrets created."],
            "sh",
            "docker ps --all --filter volume=NAME",
        ),
        Code::NotDeployed => entry(
            &[
                "The project was not deployed to this engine, or under another name.",
                "It was deployed by a release that did not note what it left: the next deployment does.",
                "Its last deployment failed before its end, and none before it succeeded.",
            ],
            "sh",
            "claude-secrets deploy",
        ),
        Code::Drift => entry(
            &[
                "Somebody ran `docker compose up` without the override file, or `docker restart`, `stop` or `rm`.",
                "A container ended and its restart policy does not start it again.",
                "Secret files were edited by hand, or a checkout wiped them.",
                "A volume was removed and made anew.",
            ],
            "sh",
            "claude-secrets deploy",
        ),
        Code::Leak => entry(
            &[
                "A container's configuration, an image or a file of the workspace contains a value, from an earlier deployment or from the project itself.",
            ],
            "text",
            "Rotate the secret, and remove it from the place that the error names.",
        ),
        Code::Interrupted => {
            entry(&["The job was cancelled, or reached its timeout."], "text", "timeout-minutes: 30")
        }
        Code::Internal => entry(
            &[
                "A bug in this program. The report and the log contain no values and can be attached to a bug report.",
            ],
            "sh",
            "claude-secrets deploy --verbose",
        ),
    }
}

/// The section of the documentation for an error, in Markdown.
pub fn section(code: Code) -> String {
    let Entry { causes, language, fix } = of(code);
    let causes = causes.join("\n- ");
    format!(
        "### `{}`\n\n{} The exit status is {}.\n\n- {causes}\n\n```{language}\n{fix}\n```\n",
        code.token(),
        code.meaning(),
        code.exit_status()
    )
}

impl Code {
    /// The code of a token.
    pub fn of_token(token: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.token() == token)
    }
}
