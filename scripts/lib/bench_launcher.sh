# shellcheck shell=bash
# What the launcher costs: its size, and the start of a program behind it against the start of the program alone.

# shellcheck source=scripts/lib/bench_record.sh
. "${BASH_SOURCE[0]%/*}/bench_record.sh"
# shellcheck source=scripts/lib/rust.sh
. "${BASH_SOURCE[0]%/*}/rust.sh"

# bench_launcher FOLDER: measures the launcher as the image has it, in FOLDER, with no secret, one and twenty.
bench_launcher() {
    local folder=$1/launcher target launcher number one='' twenty=''
    mkdir -p "$folder"
    target=$(rust_launcher_target)
    RUSTFLAGS="-C target-feature=+crt-static" cargo build --locked --quiet --package claude-secrets-launcher \
        --profile launcher --target "$target"
    launcher=${CARGO_TARGET_DIR:-$PROJECT/target}/$target/launcher/claude-secrets-launcher
    for number in $(seq 20); do
        head -c 64 /dev/urandom | base64 -w 0 >"$folder/$number"
        twenty+=" SECRET_$number=$folder/$number"
    done
    one="SECRET_1=$folder/1"
    bench_table "The launcher" "$target: $(stat -c %s "$launcher") bytes. The start of a program that does nothing, ${BENCH_LAUNCHER_RUNS:-1000} runs each." \
        '' "start"
    # A static program that does nothing: what is measured is hardly more than one start against two.
    printf 'int main(void) { return 0; }\n' | cc -x c -Os -static -o "$folder/nothing" -
    bench_launcher_start "the program alone" '' "$folder/nothing"
    bench_launcher_start "behind env(1), for comparison" '' "env -- $folder/nothing"
    bench_launcher_start "behind the launcher, no secret" '' "$launcher -- $folder/nothing"
    bench_launcher_start "behind the launcher, 1 secret" "$one" "$launcher -- $folder/nothing"
    bench_launcher_start "behind the launcher, 20 secrets" "${twenty# }" "$launcher -- $folder/nothing"
}

# bench_launcher_start NAME LIST COMMAND: how long COMMAND takes, with LIST as what variables come from which files.
bench_launcher_start() {
    CLAUDE_SECRETS_VARIABLES=$2 hyperfine --style none --warmup 50 --runs "${BENCH_LAUNCHER_RUNS:-1000}" --shell=none \
        --export-json "$folder/result.json" "$3" >/dev/null 2>&1
    bench_line "$1" "$(python3 -c 'import json, sys
one = json.load(open(sys.argv[1]))["results"][0]
print("%.2f ms (%.2f–%.2f)" % tuple(1000 * one[key] for key in ("median", "min", "max")))' "$folder/result.json")"
}
