# shellcheck shell=bash
# Building an image with the best builder that this machine's clients know: buildx, the BuildKit inside an older
# client, or else the legacy builder.

# shellcheck source=scripts/lib/project.sh
. "${BASH_SOURCE[0]%/*}/project.sh"

# build_image NAME CONTEXT [OPTION...]: replaces the image NAME; the builder's output is shown only when it fails.
build_image() {
    local name=$1 context=$2 log started=$SECONDS client before
    shift 2
    log=$(mktemp)
    before=$(docker image inspect --format '{{.Id}}' "$name" 2>/dev/null || true)
    say "building $name (a first build takes some minutes)"
    if docker buildx version >/dev/null 2>&1; then
        docker buildx build --load --progress=plain -t "$name" "$@" "$context" >"$log" 2>&1 || build_failed "$log"
    elif client=$(build_client_with_buildkit); then
        DOCKER_BUILDKIT=1 "$client" build --progress=plain -t "$name" "$@" "$context" >"$log" 2>&1 || build_failed "$log"
    else
        DOCKER_BUILDKIT=0 docker build -t "$name" "$@" "$context" >"$log" 2>&1 || build_failed "$log"
    fi
    rm -f "$log"
    if [ -n "$before" ] && [ "$before" != "$(docker image inspect --format '{{.Id}}' "$name")" ]; then
        # The one before has lost its name. A container may still use it: then it stays.
        docker image rm "$before" >/dev/null 2>&1 || true
    fi
    say "built in $((SECONDS - started)) s"
}

# Clients from 18.09 to 22 build with BuildKit by themselves; newer ones need the buildx plugin for it.
build_client_with_buildkit() {
    local client version
    for client in $(every docker); do
        version=$("$client" version --format '{{.Client.Version}}' 2>/dev/null || true)
        if at_least "$version" 18.09 && ! at_least "$version" 23; then
            printf '%s\n' "$client"
            return
        fi
    done
    return 1
}

build_failed() {
    tail -n 60 "$1" >&2
    fail "the image could not be built" "the whole log: $1"
}
