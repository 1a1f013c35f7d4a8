# shellcheck shell=bash
# Builds and runs the fuzz targets. The coverage that libFuzzer steers by is asked of the compiler directly: neither
# cargo-fuzz nor a nightly toolchain is needed. The code is safe Rust, so there is no address sanitizer.

# shellcheck source=scripts/lib/debian.sh
. "${BASH_SOURCE[0]%/*}/debian.sh"

# What a run finds lies below these, and git ignores both: inputs by target, and those that showed a fault.
fuzz_found=$PROJECT/fuzz/found
fuzz_artifacts=$PROJECT/fuzz/artifacts

# fuzz_targets: prints their names, one a line.
fuzz_targets() {
    sed -n '/^\[\[bin\]\]/,/^$/s/^name = "\(.*\)"/\1/p' "$PROJECT/fuzz/Cargo.toml"
}

# fuzz_ensure: a C++ compiler, for libFuzzer.
fuzz_ensure() {
    have c++ || have g++ || debian_install g++ || fail "a C++ compiler is needed to build libFuzzer" \
        "Debian, Ubuntu:  sudo apt-get install g++"
}

# fuzz_build: builds all of them, with the versions of libraries that the program has.
fuzz_build() {
    # Of one's own, so that the program's builds and these do not take turns in undoing each other.
    fuzz_directory=${CARGO_TARGET_DIR:-$PROJECT/target}/fuzz
    fuzz_host=$(cd "$PROJECT" && rustc --print host-tuple)
    local flags='--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4'
    flags+=' -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table'
    flags+=' -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=16 -Cdebug-assertions'
    cp "$PROJECT/Cargo.lock" "$PROJECT/fuzz/Cargo.lock"
    # With a target named, the flags are not for build scripts and macros, which run in the compiler.
    (cd "$PROJECT/fuzz" && RUSTFLAGS=$flags CARGO_TARGET_DIR=$fuzz_directory \
        cargo build --release --quiet --bins --target "$fuzz_host") >&2
}

# fuzz_run TARGET SECONDS: false when an input showed a fault. Neither that nor what libFuzzer prints of it is shown.
fuzz_run() {
    local target=$1 found=$fuzz_found/$1 artifacts=$fuzz_artifacts/$1 log=$fuzz_artifacts/$1.log status=0
    mkdir -p "$found" "$artifacts"
    fuzz_program "$target" -max_total_time="$2" -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="$artifacts/" "$found" "$PROJECT/fuzz/corpus/$target" >"$log" 2>&1 || status=$?
    if [ "$status" = 0 ]; then
        say "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs, no fault"
        rm -f "$log"
        return
    fi
    fuzz_say_fault "$target" "$log" "$artifacts"
    return 1
}

# The place of a panic is ours to show; its message and libFuzzer's dump may hold the input.
fuzz_say_fault() {
    local target=$1 log=$2 artifacts=$3 place artifact
    place=$(sed -nE "s/^thread .* panicked at ([^ ]+:[0-9]+:[0-9]+):?$/\1/p" "$log" | tail -n 1)
    artifact=$(find "$artifacts" -type f -newer "$PROJECT/fuzz/Cargo.lock" -printf '%T@ %p\n' | sort -n | tail -n 1)
    say "a fault was found${place:+ at $place}"
    say "the whole output: $log"
    if [ -n "$artifact" ]; then
        say "the input:        ${artifact#* }"
        say "to run it again:  ${fuzz_directory}/${fuzz_host}/release/$target ${artifact#* }"
    fi
}

# fuzz_keep TARGET: adds to its corpus what reaches code that nothing in there does.
fuzz_keep() {
    local target=$1 corpus=$PROJECT/fuzz/corpus/$1 before
    before=$(find "$corpus" -type f | wc -l)
    fuzz_program "$target" -merge=1 "$corpus" "$fuzz_found/$target" >/dev/null 2>&1
    say "$(($(find "$corpus" -type f | wc -l) - before)) inputs were added to ${corpus#"$PROJECT"/}"
}

fuzz_program() {
    local target=$1
    shift
    "$fuzz_directory/$fuzz_host/release/$target" "$@"
}
