# shellcheck shell=bash
# How the scripts talk: headings, plain lines, and the last word before giving up. All of it goes to stderr,
# so that a function's stdout stays its result.

# say_step TITLE...: a heading for what comes next.
say_step() {
    printf '\n\033[1m== %s\033[0m\n' "$*" >&2
}

# say TEXT...: one line of progress.
say() {
    printf '   %s\n' "$*" >&2
}

# fail FACT [REMEDY...]: what is wrong and, one a line, what to do about it; then exit 1.
fail() {
    printf '\n\033[1;31merror:\033[0m %s\n' "$1" >&2
    shift
    local remedy
    for remedy in "$@"; do
        printf '   %s\n' "$remedy" >&2
    done
    exit 1
}
