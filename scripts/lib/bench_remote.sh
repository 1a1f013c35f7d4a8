# shellcheck shell=bash
# What a rotation on another machine costs over a link of 20 ms: by one SSH session, and by one `ssh` process for each command,
# as deployment tools do it that run their commands on the server.

# shellcheck source=scripts/lib/bench_projects.sh
. "${BASH_SOURCE[0]%/*}/bench_projects.sh"
# shellcheck source=scripts/lib/bench_record.sh
. "${BASH_SOURCE[0]%/*}/bench_record.sh"
# shellcheck source=scripts/lib/ssh.sh
. "${BASH_SOURCE[0]%/*}/ssh.sh"
# shellcheck source=scripts/lib/wait.sh
. "${BASH_SOURCE[0]%/*}/wait.sh"

bench_remote_round_trip=${BENCH_ROUND_TRIP:-20}
bench_remote_processes=()

# bench_remote FOLDER PROGRAM IMAGE: measures in FOLDER, by services of IMAGE, with the machine's engine behind an SSH server and a slow link to it.
bench_remote() {
    local folder=$1/remote program=$2 image=$3 port link
    ssh_ensure
    mkdir -p "$folder/project"
    read -r port link < <(bench_remote_ports)
    bench_remote_server "$folder" "$port"
    python3 "$PROJECT/scripts/lib/delay.py" "$link" "$port" "$bench_remote_round_trip" &
    bench_remote_processes+=($!)
    wait_for_port "$link" "the slow link"
    cat >"$folder/project/docker-compose.yml" <<YAML
name: cs-bench-remote
services:
  web: { image: $image, command: [sleep, infinity], stop_signal: SIGKILL, environment: { API_KEY: "\${API_KEY}" } }
  worker: { image: $image, command: [sleep, infinity], stop_signal: SIGKILL, environment: { BOT_TOKEN: "\${BOT_TOKEN}" } }
YAML
    bench_remote_ours "$folder" "$program" "$link"
    bench_remote_by_processes "$folder" "$link" "$image"
    # Each is called once before it is measured, so that there is something to rotate.
    local -a ours=() processes=()
    bench_time "$folder/ours" >/dev/null
    bench_time "$folder/processes" >/dev/null
    for _ in $(seq "${BENCH_RUNS:-10}"); do
        ours+=("$(bench_time "$folder/ours")")
        processes+=("$(bench_time "$folder/processes")")
    done
    bench_table "A rotation on another machine" "By SSH, with a round trip of $bench_remote_round_trip ms." '' time
    bench_line "claude-secrets deploy, one session" "$(bench_spread ms "${ours[@]}")"
    bench_line "$(grep -cE '(^|[(|] )on ' "$folder/processes") commands, each by an ssh process" "$(bench_spread ms "${processes[@]}")"
    bench_remote_stop
}

# Everything that the measurement started, and what the engine has of it.
bench_remote_stop() {
    [ "${#bench_remote_processes[@]}" = 0 ] || kill "${bench_remote_processes[@]}" 2>/dev/null || true
    bench_remote_processes=()
    bench_remove cs-bench-remote cs-bench-remote
}

# Two ports that nobody listens at.
bench_remote_ports() {
    python3 - <<'PYTHON'
import socket
both = [socket.socket() for _ in range(2)]
for one in both:
    one.bind(("127.0.0.1", 0))
print(*(one.getsockname()[1] for one in both))
PYTHON
}

# bench_remote_server FOLDER PORT: an SSH server of this user's own.
bench_remote_server() {
    local folder=$1 port=$2 key
    for key in host client; do
        ssh-keygen -q -t ed25519 -N '' -C '' -f "$folder/$key"
    done
    cp "$folder/client.pub" "$folder/authorized_keys"
    cat >"$folder/sshd_config" <<CONFIG
Port $port
ListenAddress 127.0.0.1
HostKey $folder/host
AuthorizedKeysFile $folder/authorized_keys
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
CONFIG
    [ "$(id -u)" != 0 ] || mkdir -p /run/sshd
    /usr/sbin/sshd -D -f "$folder/sshd_config" -E "$folder/sshd.log" &
    bench_remote_processes+=($!)
    wait_for_port "$port" "the SSH server"
}

# bench_remote_ours FOLDER PROGRAM PORT: writes the program FOLDER/ours, which deploys with a new value of one secret.
bench_remote_ours() {
    cat >"$1/ours" <<SH
#!/bin/sh
API_KEY=bench-\$(od -An -v -tx1 -N 16 /dev/urandom | tr -d ' ') BOT_TOKEN=bench-value-of-the-bot-token \\
SSH_PRIVATE_KEY_FILE=$1/client exec '$2' deploy --project-directory '$1/project' --secrets 'API_KEY,BOT_TOKEN' \\
    --docker-host 'ssh://$(id -un)@127.0.0.1:$3' --ssh-known-hosts '[127.0.0.1]:$3 $(cut -d' ' -f1,2 "$1/host.pub")' --wait=false --quiet
SH
    chmod +x "$1/ours"
}

# bench_remote_by_processes FOLDER PORT IMAGE: writes FOLDER/processes, which replaces one container by commands on the server: a
# lock, a look at the image and at what runs, the file of variables, the new container, its state, the old one away, the lock
# given back. It has no Compose, no volume and no search for leaks; neither waits for the services.
bench_remote_by_processes() {
    cat >"$1/processes" <<SH
#!/bin/sh
set -eu
on() {
    ssh -q -F none -p $2 -i '$1/client' -o IdentitiesOnly=yes -o BatchMode=yes -o UserKnownHostsFile='$1/known_hosts' \\
        127.0.0.1 "\$@"
}
new=cs-bench-remote-\$(od -An -v -tx1 -N 4 /dev/urandom | tr -d ' ')
on mkdir '$1/lock'
on docker image inspect '$3' >/dev/null
on mkdir -p '$1/env'
printf 'API_KEY=bench-%s\n' "\$(od -An -v -tx1 -N 16 /dev/urandom | tr -d ' ')" | on "umask 077 && cat >'$1/env/web.env'"
old=\$( on docker ps -q --filter label=cs-bench-remote)
on docker run --detach --name "\$new" --label cs-bench-remote --env-file '$1/env/web.env' --stop-signal SIGKILL \\
    '$3' sleep infinity >/dev/null
on docker inspect --format '{{.State.Status}}' "\$new" >/dev/null
[ -z "\$old" ] || on docker stop \$old >/dev/null
[ -z "\$old" ] || on docker rm \$old >/dev/null
on docker ps -aq --filter label=cs-bench-remote --filter status=exited >/dev/null
on rmdir '$1/lock'
SH
    printf '[127.0.0.1]:%s %s\n' "$2" "$(cut -d' ' -f1,2 "$1/host.pub")" >"$1/known_hosts"
    chmod +x "$1/processes"
}
