# shellcheck shell=bash
# Where things are: the project, and the folder for the programs that the scripts bring along.

# shellcheck source=scripts/lib/say.sh
. "${BASH_SOURCE[0]%/*}/say.sh"

PROJECT=$(cd "${BASH_SOURCE[0]%/*}/../.." && pwd)
# Git-ignored; CI moves it out of its clone, so that a second run finds it filled.
TOOLS=${CLAUDE_SECRETS_TOOLS:-$PROJECT/.tools}
mkdir -p "$TOOLS/bin"
PATH=$TOOLS/bin:$PATH

# have PROGRAM: is it on the PATH?
have() {
    command -v "$1" >/dev/null 2>&1
}

# every PROGRAM: prints the path of each one of that name on the PATH. (`type -aP` stops at one that was run before.)
every() {
    local folder
    local -a folders
    IFS=: read -ra folders <<<"$PATH"
    for folder in "${folders[@]}"; do
        if [ -x "$folder/$1" ]; then
            printf '%s\n' "$folder/$1"
        fi
    done
}

# at_least VERSION MINIMUM: do dotted numbers compare so? A leading "v" and a suffix after "-" or "+" are left out.
at_least() {
    local version=${1#v} minimum=$2
    version=${version%%[-+]*}
    [ -n "$version" ] && [ "$(printf '%s\n%s\n' "$minimum" "$version" | sort -V | head -n 1)" = "$minimum" ]
}
