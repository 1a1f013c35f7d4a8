# shellcheck shell=bash
# A registry of images on loopback, of Debian's package docker-registry: what a release pushes to when it is rehearsed.

# shellcheck source=scripts/lib/debian.sh
. "${BASH_SOURCE[0]%/*}/debian.sh"

# registry_start FOLDER: starts one that keeps its images below FOLDER. Sets registry_address; registry_stop ends it.
registry_start() {
    local folder=$1 port
    have docker-registry || debian_install docker-registry || fail "a registry is needed" \
        "Debian, Ubuntu:  sudo apt-get install docker-registry"
    for port in $(shuf -i 20000-32000 -n 5); do
        registry_address=127.0.0.1:$port
        printf '%s\n' 'version: 0.1' 'log: { level: warn }' \
            "storage: { filesystem: { rootdirectory: $folder/images } }" "http: { addr: '$registry_address' }" \
            >"$folder/registry.yml"
        docker-registry serve "$folder/registry.yml" >"$folder/registry.log" 2>&1 &
        registry_pid=$!
        registry_answers && return
        registry_stop
    done
    tail -n 5 "$folder/registry.log" >&2
    fail "no registry could be started on a port of loopback"
}

registry_stop() {
    [ -z "${registry_pid-}" ] || kill "$registry_pid" 2>/dev/null || true
    registry_pid=
}

registry_answers() {
    local deadline=$((SECONDS + 20))
    while kill -0 "$registry_pid" 2>/dev/null && [ "$SECONDS" -lt "$deadline" ]; do
        (exec 3<>"/dev/tcp/${registry_address/:/\/}") 2>/dev/null && return
        sleep 0.1
    done
    return 1
}
