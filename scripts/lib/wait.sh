# shellcheck shell=bash
# Waiting for servers that the scripts start.

# shellcheck source=scripts/lib/say.sh
. "${BASH_SOURCE[0]%/*}/say.sh"

# wait_for_port PORT WHAT: until WHAT listens at a port of this machine.
wait_for_port() {
    local port=$1 what=$2 waited=0
    until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
        sleep 0.1
        waited=$((waited + 1))
        [ "$waited" -lt 300 ] || fail "$what does not listen at port $port"
    done
}
