# shellcheck shell=bash
# Tables of measurements: for people as they come, and as Markdown in the file that bench_record names, if any.

# shellcheck source=scripts/lib/say.sh
. "${BASH_SOURCE[0]%/*}/say.sh"

bench_record=
bench_load=
bench_said=/dev/null

# bench_table TITLE NOTE HEAD...: begins a table.
bench_table() {
    local title=$1 note=$2
    shift 2
    say_step "$title"
    [ -z "$note" ] || printf '%s\n' "$note"
    bench_cells "$@"
    [ -n "$bench_record" ] || return 0
    {
        printf '\n## %s\n\n' "$title"
        [ -z "$note" ] || printf '%s\n\n' "$note"
        printf '|'
        printf ' %s |' "$@"
        printf '\n|'
        printf -- '---|%.0s' "$@"
        printf '\n'
    } >>"$bench_record"
}

# bench_line CELL...: a row of it.
bench_line() {
    bench_cells "$@"
    [ -z "$bench_record" ] || {
        printf '|'
        printf ' %s |' "$@"
        printf '\n'
    } >>"$bench_record"
}

bench_cells() {
    printf '%-46s' "$1"
    shift
    [ "$#" = 0 ] || printf ' %-24s' "$@"
    printf '\n'
}

bench_now() {
    date +%s%3N
}

# bench_time COMMAND...: how many milliseconds it takes. What it prints goes to bench_said; a run that fails ends the measurement.
bench_time() {
    local started
    started=$(bench_now)
    "$@" >"$bench_said" 2>&1 </dev/null || {
        tail -n 20 "$bench_said" >&2
        fail "this failed while it was measured: $1"
    }
    printf '%s\n' "$(($(bench_now) - started))"
}

# The middle one of some numbers.
bench_middle() {
    printf '%s\n' "$@" | sort -n | sed -n "$((($# + 1) / 2))p"
}

# bench_spread UNIT NUMBER...: the middle one, the least and the greatest.
bench_spread() {
    local unit=$1
    shift
    printf '%s %s (%s–%s)\n' "$(bench_middle "$@")" "$unit" "$(printf '%s\n' "$@" | sort -n | head -n 1)" \
        "$(printf '%s\n' "$@" | sort -n | tail -n 1)"
}

# bench_record_write FILE: the finished record, with where and when it was made.
bench_record_write() {
    local file=$1 memory
    memory=$(awk '/^MemTotal/ { printf "%.0f GB", $2 / 1000000 }' /proc/meminfo)
    {
        printf '# Benchmarks\n\n'
        # shellcheck disable=SC2016 # Markdown
        printf 'Made by `scripts/bench record`, which writes this file. Every cell is the median of its runs, with the least and the\n'
        printf 'greatest in brackets; what is compared ran in turns.\n\n'
        printf '| | |\n|---|---|\n'
        printf '| date | %s |\n' "$(date -u +%F)"
        printf '| machine | %s cores, %s of memory |\n' "$(nproc)" "$memory"
        printf '| load | %s when it began, %s at its end (processes that ran or waited, besides which these numbers were measured) |\n' \
            "$bench_load" "$(cut -d' ' -f1 /proc/loadavg)"
        printf '| versions | %s |\n' "$(bench_versions)"
        [ -z "${BENCH_NOTE-}" ] || printf '| note | %s |\n' "$BENCH_NOTE"
        cat "$bench_record"
    } >"$file"
    say "written: $file"
}

bench_versions() {
    local of_image
    printf 'claude-secrets %s, ' "$(sed -nE 's/^version = "(.*)"/\1/p' "$PROJECT/Cargo.toml" | head -n 1)"
    of_image=$(docker version --format '{{.Server.Version}}' 2>/dev/null || true)
    printf 'Docker %s, Compose %s, Linux %s' "${of_image:-none}" "$(docker compose version --short 2>/dev/null || printf none)" \
        "$(uname -r | cut -d. -f1,2)"
    if have node; then
        printf ', node %s' "$(node --version)"
    fi
    printf '\n'
}
