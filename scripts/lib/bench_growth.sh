# shellcheck shell=bash
# How time and memory grow with the number of secrets: by manifest, by lines, by import, each from one file or one item, and by the
# environment. Twelve times the time for ten times the secrets is the most that is right.

# shellcheck source=scripts/lib/bench_record.sh
. "${BASH_SOURCE[0]%/*}/bench_record.sh"
# shellcheck source=scripts/lib/bench_stores.sh
. "${BASH_SOURCE[0]%/*}/bench_stores.sh"

bench_growth_port=28270
bench_growth_kinds=(manifest lines import environment)

# bench_growth DIRECTORY PROGRAM
bench_growth() {
    local directory=$1/growth program=$2 kind count
    local -a run=() counts=() times=() processor=() memory=()
    read -ra counts <<<"${BENCH_GROWTH:-1000 10000 20000}"
    mkdir -p "$directory"
    bench_growth_store "$directory" "${counts[@]}"
    bench_table "Growth" "\`create-files\` for one service. An import takes all fields of one item of AWS Secrets Manager (ministack). Processor time depends less on what else the machine does." \
        "secrets from" secrets "whole process" "processor time" "peak memory" "processor, a thousand"
    for kind in "${bench_growth_kinds[@]}"; do
        for count in "${counts[@]}"; do
            times=() processor=() memory=()
            bench_growth_project "$directory/$kind-$count" "$kind" "$count"
            for _ in $(seq "${BENCH_GROWTH_RUNS:-5}"); do
                rm -rf "$directory/$kind-$count/data"
                read -r -a run < <(bench_growth_run "$directory/$kind-$count" "$program" "$kind" "$count")
                times+=("${run[0]}")
                processor+=("${run[1]}")
                memory+=("${run[2]}")
            done
            bench_line "$kind" "$count" "$(bench_spread ms "${times[@]}")" "$(bench_spread ms "${processor[@]}")" \
                "$(bench_middle "${memory[@]}") MB" "$(($(bench_middle "${processor[@]}") * 1000 / count)) ms"
            rm -rf "${directory:?}/$kind-$count"
        done
    done
}

# A store with one item for each count, whose fields are the secrets. (A real AWS takes 64 KiB, and OpenBao a thousand texts.)
bench_growth_store() {
    local directory=$1 count
    shift
    GATEWAY_PORT=$bench_growth_port bench_background "$directory/aws.log" "$CLAUDE_SECRETS_MINISTACK"
    wait_for_port "$bench_growth_port" "ministack"
    for count in "$@"; do
        bench_growth_values "$count" | python3 -c 'import json, sys
fields = dict(line.rstrip("\n").split("=", 1) for line in sys.stdin)
print(json.dumps({"Name": f"growth-{sys.argv[1]}", "SecretString": json.dumps(fields)}))' "$count" >"$directory/item"
        bench_aws_call "$bench_growth_port" CreateSecret "@$directory/item" >/dev/null
    done
}

# Lines NAME=VALUE.
bench_growth_values() {
    awk -v count="$1" 'BEGIN { for (i = 1; i <= count; i++) printf "S%05d=v%08x-value-of-secret-%d\n", i, (i * 40503) % 4294967296, i }'
}

bench_growth_project() {
    local directory=$1 kind=$2 count=$3
    mkdir -p "$directory"
    printf 'name: cs-bench-growth\nservices:\n  one: { image: bench }\n' >"$directory/docker-compose.yml"
    bench_growth_values "$count" >"$directory/values.env"
    chmod 600 "$directory/values.env"
    case $kind in
        manifest | environment)
            {
                printf 'secrets:\n'
                sed 's/=.*/:/; s/^/  /' "$directory/values.env"
            } >"$directory/claude-secrets.yml"
            ;;
        import) printf 'import: ["aws:growth-%s#*"]\n' "$count" >"$directory/claude-secrets.yml" ;;
    esac
}

# bench_growth_run DIRECTORY PROGRAM KIND COUNT: milliseconds, milliseconds of the processors, megabytes.
bench_growth_run() {
    python3 - "$@" "$bench_growth_port" <<'PYTHON'
import os, sys, time

directory, program, kind, count, port = sys.argv[1:6]
values = dict(line.rstrip("\n").split("=", 1) for line in open(f"{directory}/values.env"))
words = [program, "create-files", "--project-directory", directory]
variables = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
if kind == "environment":
    variables.update(values)
    words += ["--sources", "env"]
elif kind == "import":
    variables.update(AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}", AWS_REGION="us-east-1", AWS_ACCESS_KEY_ID="test",
                     AWS_SECRET_ACCESS_KEY="test")
else:
    words += ["--env-file", "values.env"]
if kind == "lines":
    # One argument has at most 128 KiB.
    words += ["--secrets", ",".join(list(values)[:18000])]
started = time.monotonic()
child = os.fork()
if child == 0:
    os.chdir(directory)
    log = os.open(f"{directory}/log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.execve(program, words, variables)
_, status, used = os.wait4(child, 0)
taken = time.monotonic() - started
if status:
    sys.stderr.write(open(f"{directory}/log", errors="replace").read()[-2000:])
    sys.exit(f"the run with {count} secrets by {kind} failed")
made = len([name for name in os.listdir(f"{directory}/data/secrets") if not name.startswith(".")])
if made < min(int(count), 18000):
    sys.exit(f"{made} files instead of {count}")
print(round(taken * 1000), round((used.ru_utime + used.ru_stime) * 1000), used.ru_maxrss // 1024)
PYTHON
}
