# shellcheck shell=bash
# A Docker Engine of another version, in name spaces of its own: the machine's engine goes on as it is, and whoever is in
# there finds the other one at the usual places.

# shellcheck source=scripts/lib/engine.sh
. "${BASH_SOURCE[0]%/*}/engine.sh"
# shellcheck source=scripts/lib/compose.sh
. "${BASH_SOURCE[0]%/*}/compose.sh"

# engine_apart_of VERSION: prints a folder with the programs of this engine: Docker's static release, or built from Go modules
# where only their proxy answers. The modules have versions of their own (v2.0.0-beta.24 is of September 2026, and an Engine 29).
engine_apart_of() {
    local folder=$TOOLS/docker-engine-$1
    if [ ! -x "$folder/dockerd" ]; then
        rm -rf "$folder.part"
        mkdir -p "$folder.part"
        say "getting the Docker Engine $1"
        case $1 in
            v2.*) engine_apart_build "$1" "$folder.part" ;;
            *) engine_apart_download "$1" "$folder.part" ;;
        esac
        mv "$folder.part" "$folder"
    fi
    printf '%s\n' "$folder"
}

# engine_apart_download VERSION FOLDER: without its client, since the machine's own is one that users have.
engine_apart_download() {
    local address
    address=https://download.docker.com/linux/static/stable/$(uname -m)/docker-$1.tgz
    if ! curl -fsSL --connect-timeout 5 --max-time 300 "$address" |
        tar -xz -C "$2" --strip-components=1 --exclude=docker/docker 2>/dev/null; then
        fail "the Docker Engine $1 could not be downloaded from $address" \
            "where only Go's module proxy answers, name a version of github.com/moby/moby/v2: scripts/with-engine v2.0.0-beta.24"
    fi
}

# engine_apart_build VERSION FOLDER: the engine, and what it runs containers with.
engine_apart_build() {
    local moby=github.com/moby/moby/v2 containerd=github.com/containerd/containerd/v2
    compose_build_module "$moby@$1" ./cmd/dockerd "$moby/dockerversion.Version=${1#v}" "$2/dockerd"
    compose_build_module "$moby@$1" ./cmd/docker-proxy "$moby/dockerversion.Version=${1#v}" "$2/docker-proxy"
    compose_build_module "$containerd@v2.2.9" ./cmd/containerd "$containerd/version.Version=v2.2.9" "$2/containerd"
    compose_build_module "$containerd@v2.2.9" ./cmd/containerd-shim-runc-v2 "$containerd/version.Version=v2.2.9" \
        "$2/containerd-shim-runc-v2"
    # It has parts in C, and the engine wants the one about system calls.
    debian_install libseccomp-dev gcc || say "libseccomp-dev and gcc could not be installed"
    CGO_ENABLED=1 GOFLAGS=-tags=seccomp compose_build_module github.com/opencontainers/runc@v1.4.3 . main.extraVersion= "$2/runc"
}

# engine_apart_run FOLDER DATA STORE COMMAND...: runs the command where the engine of the programs in FOLDER answers, with its data
# in the new folder DATA, which is removed at the end, and its images in STORE. There is no network but that engine's. Starting it
# takes root, or `sudo`; the command runs as whoever called.
engine_apart_run() {
    local -a root=()
    [ "$(id -u)" = 0 ] || root=(sudo --preserve-env env "PATH=$PATH")
    # shellcheck disable=SC2016 # for the other shell
    "${root[@]}" unshare --net --mount -- "$BASH" -c '. "$1" && shift && engine_apart_inside "$@"' \
        _ "$PROJECT/scripts/lib/engine_apart.sh" "$(id -u)" "$(id -g)" "$@"
}

# engine_apart_inside USER GROUP FOLDER DATA STORE COMMAND...: in the name spaces.
engine_apart_inside() {
    local user=$1 group=$2 folder=$3 data=$4 store=$5 log pid status=0
    local -a as=()
    shift 5
    log=$data.log
    # Sockets, numbers of processes and what else runs are found there, and are others' outside.
    mkdir -p /var/lib/docker "$data" && mount -t tmpfs -o mode=755 tmpfs /run && mount --bind "$data" /var/lib/docker &&
        ip link set lo up || return
    case $store in
        containerd) printf '{"features": {"containerd-snapshotter": true}}' ;;
        overlay2) printf '{"features": {"containerd-snapshotter": false}, "storage-driver": "overlay2"}' ;;
    esac >/run/daemon.json
    # It ends with this shell, whatever ends that.
    PATH=$folder:$PATH setpriv --pdeathsig TERM dockerd --config-file /run/daemon.json >"$log" 2>&1 </dev/null &
    pid=$!
    if engine_wait "$pid"; then
        say "Docker Engine $(docker version --format '{{.Server.Version}}, API {{.Server.APIVersion}}'), images in $store"
        [ "$user" = 0 ] || as=(setpriv "--reuid=$user" "--regid=$group" --init-groups)
        "${as[@]}" "$@" || status=$?
    else
        tail -n 15 "$log" >&2
        say "the Docker Engine that was started does not answer"
        status=1
    fi
    kill "$pid" 2>/dev/null || true
    wait "$pid" || true
    umount /var/lib/docker && rm -rf "$data" "$log"
    return "$status"
}
