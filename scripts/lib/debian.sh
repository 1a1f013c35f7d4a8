# shellcheck shell=bash
# Debian and Ubuntu packages, installed where we may.

# shellcheck source=scripts/lib/project.sh
. "${BASH_SOURCE[0]%/*}/project.sh"

debian_lists_fresh=

# debian_may_install: are we root on a system that has apt-get?
debian_may_install() {
    [ "$(id -u)" = 0 ] && have apt-get
}

# debian_install PACKAGE...: installs without recommendations and questions; the output is shown only when it fails.
debian_install() {
    debian_may_install || return 1
    local log
    log=$(mktemp)
    say "installing the packages $*"
    if [ -z "$debian_lists_fresh" ]; then
        apt-get update -q >"$log" 2>&1 || say "apt-get update failed; going on with the lists there are"
        debian_lists_fresh=yes
    fi
    if ! DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@" >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        return 1
    fi
    rm -f "$log"
}

# debian_knows PACKAGE: does this release have such a package?
debian_knows() {
    have apt-cache && [ -n "$(apt-cache madison "$1" 2>/dev/null)" ]
}
