# shellcheck shell=bash
# A deployment against bare `docker compose up -d`, both on the machine and as a container: the first one, one that changes
# nothing, and one with another value of a secret that two of three services have. Also the image and its parts.

# shellcheck source=scripts/lib/bench_projects.sh
. "${BASH_SOURCE[0]%/*}/bench_projects.sh"
# shellcheck source=scripts/lib/bench_record.sh
. "${BASH_SOURCE[0]%/*}/bench_record.sh"

bench_deploy_ways=(ours bare ours-container bare-container)

# bench_deploy DIRECTORY PROGRAM IMAGE TEST_IMAGE
bench_deploy() {
    local directory=$1/deploy program=$2 image=$3 test_image=$4 way kind run
    local -A times=()
    for way in "${bench_deploy_ways[@]}"; do
        bench_deploy_project "$directory/$way" "$test_image"
    done
    for run in $(seq "${BENCH_RUNS:-10}"); do
        bench_deploy_stop
        for kind in first unchanged rotated; do
            for way in "${bench_deploy_ways[@]}"; do
                [ "$kind" != rotated ] || printf 'bench-value-%s-of-the-api-key\n' "$run" >"$directory/$way/key"
                times[$kind $way]+=" $(bench_time "bench_deploy_${way%-container}" "$directory/$way" "$way" "$program" "$image")"
            done
        done
    done
    bench_deploy_stop
    bench_table "A deployment" "Three services, of which two get the secret that is rotated, on the engine's machine; \
both wait for nothing. Bare Compose passes values as variables, which \`docker inspect\` shows, and searches for no leak." \
        '' "claude-secrets" "docker compose up -d" "claude-secrets, container" "docker compose, container"
    for kind in first unchanged rotated; do
        local -a cells=()
        for way in "${bench_deploy_ways[@]}"; do
            # shellcheck disable=SC2086 # one number each
            cells+=("$(bench_spread ms ${times[$kind $way]})")
        done
        bench_line "$kind" "${cells[@]}"
    done
}

bench_deploy_stop() {
    local way
    for way in "${bench_deploy_ways[@]}"; do
        bench_remove "cs-bench-$way"
    done
}

# The same three services for each way.
bench_deploy_project() {
    mkdir -p "$1"
    cat >"$1/docker-compose.yml" <<YAML
x-bot: &bot
  image: $2
  command: ["sleep", "infinity"]
  init: true
services:
  orchestrator:
    <<: *bot
    environment: { API_KEY: "\${API_KEY:?}", BOT_TOKEN: "\${BOT_TOKEN:?}" }
  worker-a:
    <<: *bot
    user: "10001:10001"
    environment: { API_KEY: "\${API_KEY:?}" }
  worker-b:
    <<: *bot
    environment: { BOT_TOKEN: "\${BOT_TOKEN:?}" }
YAML
    printf 'secrets: { API_KEY: , BOT_TOKEN: }\n' >"$1/claude-secrets.yml"
    printf 'bench-value-of-the-api-key\n' >"$1/key"
}

# bench_deploy_ours DIRECTORY WAY PROGRAM IMAGE
bench_deploy_ours() {
    local -a run=("$3")
    # shellcheck disable=SC2155 # a file of ours
    local -x API_KEY=$(cat "$1/key") BOT_TOKEN=bench-value-of-the-bot-token
    [ "$2" = ours ] || bench_deploy_contained "$1" "$4" /usr/local/bin/claude-secrets
    "${run[@]}" deploy --wait=false --project-directory "$1" --project-name "cs-bench-$2"
}

# bench_deploy_bare DIRECTORY WAY PROGRAM IMAGE
bench_deploy_bare() {
    local -a run=(docker compose)
    # shellcheck disable=SC2155
    local -x API_KEY=$(cat "$1/key") BOT_TOKEN=bench-value-of-the-bot-token
    [ "$2" = bare ] || bench_deploy_contained "$1" "$4" docker-compose
    "${run[@]}" --project-directory "$1" -p "cs-bench-$2" up -d
}

# bench_deploy_contained DIRECTORY IMAGE PROGRAM [WORD...]: sets `run` to the program in a container of the image.
bench_deploy_contained() {
    local directory=$1 image=$2 program=$3
    shift 3
    run=(docker run --rm -e API_KEY -e BOT_TOKEN -v /var/run/docker.sock:/var/run/docker.sock -v "$directory:$directory"
        --workdir "$directory" --entrypoint "$program" "$image" "$@")
}

# bench_image_parts IMAGE: the sizes of its files.
bench_image_parts() {
    local line
    bench_table "The image" "$(sizes_report "$1" | head -n 1 | sed 's/^[^:]*: //; s/ (aim.*//')" part size
    while IFS= read -r line; do
        bench_line "$(awk '{ print "`/" $3 "`" }' <<<"$line")" "$(awk '{ print $1, $2 }' <<<"$line")"
    done < <(sizes_report "$1" | tail -n +2 | head -n "${BENCH_IMAGE_PARTS:-8}")
}
