#!/bin/sh
# A stand-in for a bot: shows which secrets it can read, and which it cannot, without showing any; then it waits.
set -eu

directory=/run/secrets
# All that the project declares, whoever gets them. Each service shows what it has and what it lacks of these.
declared='ANTHROPIC_API_KEY GITHUB_TOKEN WEBHOOK_SECRET DOCS_DEPLOY_KEY'
ready=/tmp/ready

say() {
    printf '%s: %s\n' "$BOT_NAME" "$*"
}

# A short salted fingerprint tells that two values are the same. It is for the demonstration only: without a salt none
# is printed, since an unsalted one of a weak value could be guessed from.
fingerprint() {
    { printf '%s' "$BOT_FINGERPRINT_SALT"; cat "$1"; } | sha256sum | cut -c1-8
}

show_file() {
    if [ -r "$1" ]; then
        shown=
        if [ -n "${BOT_FINGERPRINT_SALT:-}" ]; then
            shown=" fingerprint $(fingerprint "$1")"
        fi
        say "can read ${1##*/}: $(stat -L -c 'owner %u:%g mode %a' "$1") bytes $(wc -c <"$1")$shown"
    else
        say "is denied ${1##*/}"
    fi
}

show_secrets() {
    say "runs as $(id -u):$(id -g), secrets mode ${SECRETS_MODE:-none}"
    for file in "$directory"/*; do
        if [ -e "$file" ]; then
            show_file "$file"
        fi
    done
    for name in $declared; do
        file=$directory/$(printf '%s' "$name" | tr '[:upper:]' '[:lower:]')
        if [ ! -e "$file" ]; then
            say "has no ${file##*/}"
        fi
        if [ -n "$(printenv "$name")" ]; then
            say "has a VALUE IN THE VARIABLE $name"
        fi
    done
    say "end of the list"
}

# An orchestrator starts a worker for a task. It hands secrets on as it was told to: a volume, or a directory of the Docker
# host, where a worker looks for them. They are in no variable, so `docker inspect` of the worker shows none.
start_worker() {
    docker run --rm --init --user 10001:10001 \
        --volume "${SECRETS_VOLUME:-$SECRETS_HOST_DIR}:$directory:ro" \
        --env BOT_NAME=task-worker --env "BOT_FINGERPRINT_SALT=${BOT_FINGERPRINT_SALT:-}" \
        "$BOT_IMAGE" task
}

case ${1:-run} in
run)
    show_secrets
    if [ -n "${SECRETS_VOLUME:-}${SECRETS_HOST_DIR:-}" ]; then
        start_worker
    fi
    # A shell as the first process ignores SIGTERM unless it says what to do.
    trap 'say "stops"; exit 0' TERM INT
    : >"$ready"
    while :; do
        sleep 3600 &
        wait $! || true
    done
    ;;
task)
    show_secrets
    ;;
healthy)
    # Started, and every secret that it was promised can be read.
    [ -e "$ready" ]
    for name in $declared; do
        file=$(printenv "${name}_FILE" || true)
        if [ -n "$file" ] && [ ! -r "$file" ]; then
            exit 1
        fi
    done
    ;;
*)
    echo "usage: bot.sh [run|task|healthy]" >&2
    exit 2
    ;;
esac
