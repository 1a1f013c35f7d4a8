# shellcheck shell=bash
# OpenSSH's server, from Debian, which tests start with a configuration of their own.

# shellcheck source=scripts/lib/debian.sh
. "${BASH_SOURCE[0]%/*}/debian.sh"

# ssh_ensure: is there the server, and what makes keys?
ssh_ensure() {
    [ -x /usr/sbin/sshd ] && have ssh-keygen && return
    debian_install openssh-server openssh-client && [ -x /usr/sbin/sshd ] || fail "an SSH server is needed" \
        "Debian, Ubuntu:  sudo apt-get install openssh-server"
}
