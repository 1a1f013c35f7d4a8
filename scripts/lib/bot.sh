# shellcheck shell=bash
# What a deployed examples/claude-bot says about itself, checked against what it should have.

# shellcheck source=scripts/lib/project.sh
. "${BASH_SOURCE[0]%/*}/project.sh"

# bot_containers PROJECT: one line a container, service, id and start time: changes when one is restarted.
bot_containers() {
    bot_inspect "$1" --format '{{index .Config.Labels "com.docker.compose.service"}} {{.Id}} {{.State.StartedAt}}' | sort
}

# bot_inspect PROJECT OPTION...: `docker inspect` of all its containers.
bot_inspect() {
    local label=label=com.docker.compose.project=$1
    shift
    docker ps -aq --filter "$label" | xargs -r docker inspect "$@"
}

# bot_logs PROJECT: what its services printed, one service after the other.
bot_logs() {
    local id
    bot_containers "$1" | while read -r _ id _; do
        docker logs "$id" 2>&1
        echo
    done
}

# bot_expect PROJECT VALUES SERVICE SECRET...: SERVICE says that it can read exactly these SECRETs, with the content
# of the files of the same names in the folder VALUES; and so says a look into the container from outside.
bot_expect() {
    local project=$1 values=$2 service=$3 container said
    shift 3
    container=$(docker ps -q --filter "label=com.docker.compose.project=$project" \
        --filter "label=com.docker.compose.service=$service")
    [ -n "$container" ] || fail "$service does not run"
    said=$(docker logs "$container" 2>&1 | grep "^$service: ")

    local expected=$'\n' outside=$'\n' secret
    for secret in "$@"; do
        expected+="$secret $(wc -c <"$values/$secret") $(bot_fingerprint "$values/$secret")"$'\n'
        outside+="$secret"$'\n'
    done
    bot_same "$service says that it can read" "$expected" \
        "$(sed -n 's/.*: can read \([^:]*\): .* bytes \([0-9]*\) fingerprint \(.*\)$/\1 \2 \3/p' <<<"$said")"
    bot_same "in /run/secrets of $service there is" "$outside" \
        "$(docker exec "$container" find -L /run/secrets -type f -printf '%f\n')"
    if grep -E 'is denied|VALUE IN THE VARIABLE' <<<"$said" >&2; then
        fail "$service is denied a secret of its own, or has one in a variable"
    fi
    grep -q 'end of the list' <<<"$said" || fail "$service did not come to the end of its list"
    say "right: $service reads $* and nothing else"
}

# bot_expect_worker PROJECT VALUES SERVICE SECRET: the worker that SERVICE has started says that it can read SECRET alone, with
# the content of the file of that name in the folder VALUES.
bot_expect_worker() {
    local container said
    container=$(docker ps -q --filter "label=com.docker.compose.project=$1" \
        --filter "label=com.docker.compose.service=$3")
    said=$(docker logs "$container" 2>&1 | grep "^task-worker: ")
    bot_same "the worker that $3 has started says that it can read" \
        "$4 $(wc -c <"$2/$4") $(bot_fingerprint "$2/$4")" \
        "$(sed -n 's/.*: can read \([^:]*\): .* bytes \([0-9]*\) fingerprint \(.*\)$/\1 \2 \3/p' <<<"$said")"
    if grep -E 'is denied|VALUE IN THE VARIABLE' <<<"$said" >&2; then
        fail "the worker that $3 has started is denied its secret, or has one in a variable"
    fi
    say "right: the worker that $3 has started reads $4 and nothing else"
}

# bot_left_in_engine PROJECT: what carries the project's name or label: containers, volumes, networks.
bot_left_in_engine() {
    local label=label=com.docker.compose.project=$1
    {
        docker ps -a --filter "$label" --format 'container {{.Names}}'
        docker ps -a --filter "name=$1" --format 'container {{.Names}}'
        docker volume ls --filter "$label" --format 'volume {{.Name}}'
        docker volume ls --filter "name=$1" --format 'volume {{.Name}}'
        docker network ls --filter "$label" --format 'network {{.Name}}'
    } | sort -u
}

# bot_remove PROJECT: the same things, by force.
bot_remove() {
    local kind name
    bot_left_in_engine "$1" | sort | while read -r kind name; do
        case $kind in
            container) docker rm -f "$name" ;;
            network) docker network rm "$name" ;;
            volume) docker volume rm "$name" ;;
        esac >/dev/null || true
    done
}

# bot_remove_images PROJECT: the images that Compose built for it; taking a project down leaves them.
bot_remove_images() {
    docker image ls -q --filter "label=com.docker.compose.project=$1" | sort -u | xargs -r docker image rm -f >/dev/null
}

# As bot.sh reckons it.
bot_fingerprint() {
    { printf '%s' "$BOT_FINGERPRINT_SALT" && cat "$1"; } | sha256sum | cut -c1-8
}

bot_same() {
    if [ "$(sort <<<"$2" | sed '/^$/d')" != "$(sort <<<"$3" | sed '/^$/d')" ]; then
        fail "$1 something else than it should" "should: $(tr '\n' ';' <<<"$2")" "does:   $(tr '\n' ';' <<<"$3")"
    fi
}
