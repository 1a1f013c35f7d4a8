# shellcheck shell=bash
# A Docker Engine that answers: the one that runs, else one installed and started here and stopped again at the end.

# shellcheck source=scripts/lib/debian.sh
. "${BASH_SOURCE[0]%/*}/debian.sh"

engine_pidfile=/var/run/docker.pid
engine_log=$TOOLS/dockerd.log
# Two lines, the process of a dockerd that a script of ours started and of that script: should the script be killed,
# the next one takes the engine over and stops it.
engine_state=$TOOLS/dockerd.ours

# engine_ensure: returns once `docker info` works, or says what to install and exits.
engine_ensure() {
    if engine_answers; then
        engine_adopt
        return
    fi
    engine_install
    engine_answers && return
    engine_start
}

# engine_stop_if_ours: stops the engine that this script started or took over, and no other. Silent: the tests' closing
# lines are to stay the last.
engine_stop_if_ours() {
    local pid owner
    [ -r "$engine_state" ] || return 0
    { read -r pid && read -r owner; } <"$engine_state" || return 0
    [ "$owner" = "$$" ] || return 0
    if engine_lives "$pid"; then
        kill "$pid" 2>/dev/null || true
        local waited=0
        while engine_lives "$pid" && [ "$waited" -lt 60 ]; do
            sleep 0.5
            waited=$((waited + 1))
        done
    fi
    rm -f "$engine_state"
}

engine_answers() {
    have docker && docker info >/dev/null 2>&1
}

# engine_lives PID: is there a process of that number, and is it a dockerd? (Numbers are used again.)
engine_lives() {
    [ -n "$1" ] && [ "$(cat "/proc/$1/comm" 2>/dev/null)" = dockerd ]
}

engine_adopt() {
    local pid owner
    [ -r "$engine_state" ] || return 0
    { read -r pid && read -r owner; } <"$engine_state" || return 0
    if engine_lives "$pid" && ! kill -0 "$owner" 2>/dev/null; then
        printf '%s\n%s\n' "$pid" "$$" >"$engine_state"
    fi
}

engine_install() {
    if have docker && have dockerd; then
        return
    fi
    if debian_may_install; then
        # Newer Debian releases have the client in a package of its own, and building in another.
        local packages=(docker.io iptables ca-certificates) extra
        apt-get update -q >/dev/null 2>&1 || true
        for extra in docker-cli docker-buildx; do
            if debian_knows "$extra"; then
                packages+=("$extra")
            fi
        done
        debian_install "${packages[@]}" || fail "the Docker Engine could not be installed" \
            "install it as https://docs.docker.com/engine/install/ says, and run this again"
        return
    fi
    if have docker && [ -S /var/run/docker.sock ] && [ ! -w /var/run/docker.sock ]; then
        fail "this user may not talk to the Docker Engine at /var/run/docker.sock" \
            "sudo usermod -aG docker $(id -un)    (then log in again)"
    fi
    fail "no Docker Engine answers here, and this user may not install one" \
        "Debian, Ubuntu:  sudo apt-get install docker.io iptables && sudo usermod -aG docker $(id -un)" \
        "elsewhere:       https://docs.docker.com/engine/install/" \
        "macOS, Windows:  start Docker Desktop"
}

engine_start() {
    if [ "$(id -u)" != 0 ]; then
        fail "the Docker Engine is installed and does not run" "sudo systemctl start docker"
    fi
    if [ -d /run/systemd/system ] && systemctl start docker >/dev/null 2>&1; then
        engine_wait "" || fail "the Docker Engine does not answer" "journalctl -u docker"
        return
    fi
    engine_forget_stale_pid
    say "starting a Docker Engine (log: $engine_log)"
    setsid dockerd >"$engine_log" 2>&1 </dev/null &
    local pid=$!
    printf '%s\n%s\n' "$pid" "$$" >"$engine_state"
    if ! engine_wait "$pid"; then
        tail -n 15 "$engine_log" >&2
        engine_stop_if_ours
        fail "the Docker Engine that was started does not answer" "its log: $engine_log"
    fi
}

# engine_wait PID: up to 60 s for an answer; gives up at once when the process PID ends.
engine_wait() {
    local pid=$1 deadline=$((SECONDS + 60))
    while [ "$SECONDS" -lt "$deadline" ]; do
        engine_answers && return
        if [ -n "$pid" ] && ! kill -0 "$pid" 2>/dev/null; then
            return 1
        fi
        sleep 0.3
    done
    return 1
}

# A dockerd that was killed leaves its pid file, and the next one refuses to start when any process has that number.
engine_forget_stale_pid() {
    [ -s "$engine_pidfile" ] || return 0
    local pid
    pid=$(tr -dc '0-9' <"$engine_pidfile")
    if engine_lives "$pid"; then
        fail "a dockerd runs as process $pid and does not answer" "see its log, or stop it: kill $pid"
    fi
    rm -f "$engine_pidfile"
}
