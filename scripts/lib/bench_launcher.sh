# shellcheck shell=bash
# What the launcher costs: its size, and the start of a program behind it against the start of the program alone.

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
    say_step "The launcher"
    printf '%s: %s bytes\n' "$target" "$(stat -c %s "$launcher")"
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
    CLAUDE_SECRETS_VARIABLES=$2 hyperfine --style basic --warmup 50 --runs "${BENCH_LAUNCHER_RUNS:-1000}" --shell=none \
        --command-name "$1" "$3" 2>/dev/null
}
