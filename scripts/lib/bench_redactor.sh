# shellcheck shell=bash
# Measures the redactor: 1,000 secrets with all their forms, 1 GB of log without values and with one in each 1,000th
# line, against `cat` and GNU `grep -F` with the bare values on the same bytes, in turns.

# shellcheck source=scripts/lib/bench_record.sh
. "${BASH_SOURCE[0]%/*}/bench_record.sh"

# bench_redactor DIRECTORY: prints one table for each log.
bench_redactor() {
    local directory=$1/redactor program kind
    mkdir -p "$directory"
    program=$(bench_redactor_program)
    for kind in without with; do
        bench_table "The redactor, a log $kind values" "1,000 secrets, ${BENCH_LOG_MEGABYTES:-1000} MB." \
            '' time GB/s "of cat" "of grep"
        bench_redactor_write "$directory" "$kind"
        bench_redactor_log "$directory" "$program"
        rm -f "$directory/log"
    done
}

# The redactor as a program, built like the product.
bench_redactor_program() {
    cargo bench --locked --quiet --bench redact --no-run --message-format json |
        python3 -c 'import json,sys; print(*[m["executable"] for m in map(json.loads, sys.stdin) if m.get("executable") and m["target"]["name"] == "redact"])'
}

# bench_redactor_write DIRECTORY with|without: the secrets and the log, the same in every run.
bench_redactor_write() {
    python3 - "$1" "$2" "${BENCH_LOG_MEGABYTES:-1000}" <<'PYTHON'
import base64, random, sys

directory, kind, megabytes = sys.argv[1], sys.argv[2], int(sys.argv[3])
choose = random.Random(1)
letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def text(alphabet, length):
    return "".join(choose.choice(alphabet) for _ in range(length))


def secret(number):
    return [
        lambda: "sk-ant-api03-" + text(letters + "-_", 40),
        lambda: text(letters + "-_!$%&/=+#@", choose.randint(8, 16)),
        lambda: f"postgres://app:{text(letters, 20)}@db-{number}.example.com:5432/app",
        lambda: base64.b64encode(choose.randbytes(32)).decode(),
        lambda: choose.randbytes(20).hex(),
    ][number % 5]()


words = "request worker queue took job served client started finished timeout session cache query image layer".split()


def line(number):
    word = lambda: choose.choice(words)
    at = f"2026-01-{number % 28 + 1:02}T{number % 24:02}:{number % 60:02}:00.{number % 1000:03}Z"
    return [
        lambda: f"{at} INFO  app::{word()} {word()} {word()} in {number % 9999} ms",
        lambda: f'10.0.{number % 250}.7 - - [{at}] "GET /v1/{word()}/{number}?page=2&sort=%2Dname HTTP/1.1" 200 {number % 99999}',
        lambda: f'{{"level":"info","ts":"{at}","msg":"{word()} {word()}","trace":"{choose.getrandbits(128):032x}"}}',
        lambda: f"    at com.example.{word()}.{word()}({word()}.java:{number % 999})",
        lambda: f" {word()}-{number % 9}  | " + " ".join(word() for _ in range(12)),
        lambda: f"sha256:{choose.getrandbits(256):064x}: Pulling fs layer [=====>    ] {number % 99}MB/{number % 200}MB",
    ][number % 6]()


secrets = [secret(number) for number in range(1000)]
lines = [line(number) for number in range(200_000)]
if kind == "with":
    for number in range(0, len(lines), 1000):
        lines[number] += " key=" + secrets[number // 1000 % len(secrets)]
block = ("\n".join(lines) + "\n").encode()
with open(f"{directory}/secrets", "w") as file:
    file.write("\n".join(secrets) + "\n")
with open(f"{directory}/log", "wb") as file:
    for _ in range(max(1, megabytes * 1_000_000 // len(block))):
        file.write(block)
PYTHON
}

# bench_redactor_log DIRECTORY PROGRAM
bench_redactor_log() {
    local directory=$1 program=$2
    local -a cats=() greps=() ours=()
    for _ in $(seq "${BENCH_REDACTOR_RUNS:-5}"); do
        cats+=("$(bench_redactor_time cat)")
        greps+=("$(bench_redactor_time bench_redactor_grep "$directory/secrets")")
        ours+=("$(bench_redactor_time "$program" "$directory/secrets")")
    done
    "$program" "$directory/secrets" </dev/null
    local -a cells=()
    while IFS=$'\t' read -r -a cells; do
        bench_line "${cells[@]}"
    done < <(python3 - "$(stat -c %s "$directory/log")" "${cats[*]}" "${greps[*]}" "${ours[*]}" <<'PYTHON'
import statistics, sys

size = int(sys.argv[1])
rows = {name: [int(time) for time in times.split()] for name, times in zip(["cat", "grep -c -F", "ours"], sys.argv[2:])}
base = statistics.median(rows["cat"])
for name, times in rows.items():
    middle = statistics.median(times)
    grep = statistics.median(rows["grep -c -F"])
    print(name, f"{middle / 1e6:.0f} ms ({min(times) / 1e6:.0f}–{max(times) / 1e6:.0f})", f"{size / middle:.2f}",
          f"{middle / base:.2f}x", f"{middle / grep:.2f}x", sep="\t")
PYTHON
    )
}

# grep would stop at the first hit if it saw that nobody reads what it prints.
bench_redactor_grep() {
    grep -c -F -f "$1" | cat
}

# bench_redactor_time COMMAND...: nanoseconds; the log is its standard input, from the beginning.
bench_redactor_time() {
    local started
    started=$(date +%s%N)
    # grep ends with 1 when it finds nothing.
    "$@" <"$directory/log" >/dev/null 2>&1 || [ "$?" = 1 ]
    printf '%s\n' "$(($(date +%s%N) - started))"
}
