# shellcheck shell=bash
# What a rotation of one of three services with health checks costs against `docker compose up -d --wait` with a new value in its
# variable, and what a run that changes nothing costs against `docker compose up -d`.

# shellcheck source=scripts/lib/bench_projects.sh
. "${BASH_SOURCE[0]%/*}/bench_projects.sh"
# shellcheck source=scripts/lib/bench_record.sh
. "${BASH_SOURCE[0]%/*}/bench_record.sh"

# bench_rotation FOLDER PROGRAM IMAGE: measures in FOLDER, by services of IMAGE.
bench_rotation() {
    local folder=$1/rotation program=$2 image=$3 side key kind
    local -A times=()
    for side in ours bare; do
        mkdir -p "$folder/$side"
        {
            printf 'name: cs-bench-rotation-%s\nservices:\n' "$side"
            for key in A_KEY B_KEY C_KEY; do
                # shellcheck disable=SC2016 # Compose expands it
                printf '  %s: { image: %s, command: [sleep, infinity], stop_signal: SIGKILL, environment: { %s: "${%s:?}" }, healthcheck: { test: [CMD, "true"], interval: 1s } }\n' \
                    "$(printf '%s' "${key%_KEY}" | tr '[:upper:]' '[:lower:]')" "$image" "$key" "$key"
            done
        } >"$folder/$side/docker-compose.yml"
    done
    # The value of the last rotation, so that a run after it changes nothing.
    bench_rotation_program "$folder/rotate-ours" new "$folder/ours" "'$program' deploy --quiet --secrets A_KEY,B_KEY,C_KEY"
    bench_rotation_program "$folder/rotate-bare" new "$folder/bare" "docker compose --progress quiet up -d --wait"
    bench_rotation_program "$folder/same-ours" same "$folder/ours" "'$program' deploy --quiet --secrets A_KEY,B_KEY,C_KEY"
    bench_rotation_program "$folder/same-bare" same "$folder/bare" "docker compose --progress quiet up -d"
    for kind in rotate same; do
        # The first run of each makes what the others change.
        for side in ours bare; do
            bench_time "$folder/$kind-$side" >/dev/null
        done
        for _ in $(seq "${BENCH_RUNS:-9}"); do
            for side in ours bare; do
                times[$kind $side]+=" $(bench_time "$folder/$kind-$side")"
            done
        done
    done
    bench_table "Three services with health checks" "A rotation of the secret of one of them against \`up -d --wait\`, and a run that \
changes nothing against \`up -d\`." '' "claude-secrets" "docker compose"
    # shellcheck disable=SC2086 # one number each
    for kind in rotate same; do
        bench_line "$([ "$kind" = same ] && printf unchanged || printf rotated)" \
            "$(bench_spread ms ${times[$kind ours]})" "$(bench_spread ms ${times[$kind bare]})"
    done
    bench_rotation_stop
}

# bench_rotation_program FILE new|same PROJECT COMMAND: writes a program that runs COMMAND in PROJECT with a new value or the last one.
bench_rotation_program() {
    cat >"$1" <<SH
#!/bin/sh
set -eu
cd '$3'
[ $2 = same ] || od -An -v -tx1 -N 16 /dev/urandom | tr -d ' ' >value
A_KEY=bench-\$(cat value) B_KEY=bench-value-of-b C_KEY=bench-value-of-c exec $4
SH
    chmod +x "$1"
}

# What the engine has of the measurement.
bench_rotation_stop() {
    local side
    for side in ours bare; do
        bench_remove "cs-bench-rotation-$side"
    done
}
