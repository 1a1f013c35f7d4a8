# shellcheck shell=bash
# The base images of the Dockerfile, the example and the tests: there already, pulled, or, where no registry answers,
# stand-ins of the same names built from Debian packages and the programs of this machine.

# shellcheck source=scripts/lib/engine.sh
. "${BASH_SOURCE[0]%/*}/engine.sh"
# shellcheck source=scripts/lib/compose.sh
. "${BASH_SOURCE[0]%/*}/compose.sh"
# shellcheck source=scripts/lib/rust.sh
. "${BASH_SOURCE[0]%/*}/rust.sh"

# The image that the example and the tests run their services from.
images_test=debian:trixie-slim
# One with a shell and hardly anything else.
images_small=busybox:1.37.0
images_stand_in_label=claude-secrets-action.stand-in
# Unknown until the first pull: yes or no.
images_registry=

# images_ensure_test: only the image that services are run from.
images_ensure_test() {
    images_ensure "$images_test" images_stand_in_debian
}

# images_ensure_small: the image that has a shell and hardly anything else.
images_ensure_small() {
    images_ensure "$images_small" images_stand_in_small
}

# images_ensure_build: the images that the Dockerfile is built from.
images_ensure_build() {
    local rust compose buildx
    rust=$(images_named_in_dockerfile rust)
    compose=$(images_named_in_dockerfile docker/compose-bin)
    buildx=$(images_named_in_dockerfile docker/buildx-bin)
    case $rust in
        rust:"$(rust_version)"-*) ;;
        *) fail "the Dockerfile builds with $rust, and rust-toolchain.toml names $(rust_version)" ;;
    esac
    images_ensure "$rust" images_stand_in_rust
    images_ensure "$compose" images_stand_in_compose
    images_ensure "$buildx" images_stand_in_buildx
}

# images_ensure_example: the images that the example is built from.
images_ensure_example() {
    images_ensure_test
    images_ensure "$(images_named_in_dockerfile docker examples/claude-bot/Dockerfile)" images_stand_in_cli
}

# images_ensure_op: the image that with-op/Dockerfile copies op from.
images_ensure_op() {
    images_ensure "$(images_named_in_dockerfile 1password/op with-op/Dockerfile)" images_stand_in_op
}

# images_named_in_dockerfile REPOSITORY [DOCKERFILE]: prints the one reference to it, tag and all.
images_named_in_dockerfile() {
    local reference file=${2:-Dockerfile}
    reference=$(sed -nE "s#.*(FROM |--from=)($1:[^ ]*).*#\2#p" "$PROJECT/$file" | sort -u)
    case $reference in
        '' | *$'\n'*) fail "$file names not one but these images of $1: ${reference:-none}" ;;
    esac
    printf '%s\n' "$reference"
}

# images_ensure REFERENCE STAND_IN: REFERENCE is in the engine; else it is pulled, else the function STAND_IN makes it.
images_ensure() {
    local reference=$1 stand_in=$2
    docker image inspect "$reference" >/dev/null 2>&1 && return
    images_pull "$reference" && return
    say "no registry gives $reference: making a stand-in from this machine's parts"
    "$stand_in" "$reference"
    docker image inspect "$reference" >/dev/null
}

# A registry that answers says "Pulling from" within moments; then the layers may take their time. One that does not,
# is not asked again.
images_pull() {
    local reference=$1 log pid deadline
    [ "$images_registry" != no ] || return 1
    say "pulling $reference"
    log=$(mktemp)
    docker pull "$reference" >"$log" 2>&1 &
    pid=$!
    deadline=$((SECONDS + 20))
    while kill -0 "$pid" 2>/dev/null && ! grep -q 'Pulling from' "$log" && [ "$SECONDS" -lt "$deadline" ]; do
        sleep 0.2
    done
    if grep -q 'Pulling from' "$log"; then
        images_registry=yes
    else
        kill "$pid" 2>/dev/null || true
    fi
    if wait "$pid" 2>/dev/null; then
        rm -f "$log"
        return
    fi
    say "$(tail -n 1 "$log")"
    rm -f "$log"
    [ "$images_registry" = yes ] || images_registry=no
    return 1
}

images_stand_in_debian() {
    images_bootstrap | images_import "$1" 'CMD ["bash"]'
}

images_stand_in_small() {
    local root busybox applet
    if ! images_is_static "$(command -v busybox)"; then
        debian_install busybox-static || fail "busybox is needed to make an image without a registry" \
            "Debian, Ubuntu:  sudo apt-get install busybox-static"
    fi
    busybox=$(command -v busybox)
    root=$(mktemp -d)
    install -D -m 0755 "$busybox" "$root/bin/busybox"
    for applet in $("$busybox" --list); do
        [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
    done
    install -d -m 0755 "$root/etc" && install -d -m 1777 "$root/tmp"
    printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n' >"$root/etc/passwd"
    printf 'root:x:0:\nnobody:x:65534:\n' >"$root/etc/group"
    tar -C "$root" --owner=0 --group=0 -cf - . |
        images_import "$1" 'CMD ["sh"]' 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
    rm -rf "$root"
}

# Debian with a C compiler and this machine's toolchain, laid out like the official image as far as our Dockerfile sees.
# The machine's own CA certificates (a proxy's, say) stay apart from Debian's, which our image takes with it.
images_stand_in_rust() {
    local sysroot certificates=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}
    rust_ensure
    # The image gets whatever target the launcher can be built for here.
    say "the launcher will be built for $(rust_launcher_target)"
    sysroot=$(cd "$PROJECT" && readlink -f "$(rustc --print sysroot)")
    images_bootstrap --include=ca-certificates,gcc,libc6-dev \
        --customize-hook="mkdir -p \"\$1/usr/local/cargo\"" \
        --customize-hook="tar -C '$sysroot' --exclude=share -cf - . | tar -C \"\$1/usr/local/cargo\" --no-same-owner -xf -" \
        --customize-hook="cp '$certificates' \"\$1/usr/local/cargo/machine-certificates.pem\"" |
        images_import "$1" \
            'ENV PATH=/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
            'ENV CARGO_HTTP_CAINFO=/usr/local/cargo/machine-certificates.pem'
}

images_stand_in_compose() {
    local program
    program=$(compose_of "${1##*:v}")
    images_import_program "$1" "$program" /docker-compose
}

images_stand_in_buildx() {
    local program
    program=$(compose_buildx "${1##*:}")
    images_import_program "$1" "$program" /buildx
}

images_stand_in_cli() {
    local program=
    for program in $(every docker); do
        if images_is_static "$program"; then
            images_import_program "$1" "$program" /usr/local/bin/docker
            return
        fi
    done
    fail "no registry gives $1, and no statically linked docker is on the PATH to stand in for it" \
        "get it on another machine: docker pull $1 && docker save $1 >docker-cli.tar; here: docker load <docker-cli.tar" \
        "or put the static docker of https://docs.docker.com/engine/install/binaries/ on the PATH"
}

# 1Password's op is in no package registry: a program that says so takes its place. The tests have a stand-in that reads.
images_stand_in_op() {
    local folder
    rust_ensure
    folder=$(mktemp -d)
    cat >"$folder/op.rs" <<'END'
fn main() {
    eprintln!("[ERROR] this image was built where no registry answers: it has no op of 1Password");
    std::process::exit(1);
}
END
    (cd "$PROJECT" && rustc -C target-feature=+crt-static -C strip=symbols -o "$folder/op" "$folder/op.rs") ||
        fail "the stand-in for $1 could not be compiled"
    images_import_program "$1" "$folder/op" /usr/local/bin/op
    rm -rf "$folder"
}

# images_is_static PROGRAM: does it run without any library? (ldd fails on a static one.)
images_is_static() {
    [ -x "$1" ] && ! ldd "$1" >/dev/null 2>&1
}

# images_bootstrap OPTION...: a minimal Debian as a tar on stdout.
images_bootstrap() {
    have mmdebstrap || debian_install mmdebstrap || fail "mmdebstrap is needed to make an image without a registry" \
        "Debian, Ubuntu:  sudo apt-get install mmdebstrap"
    mmdebstrap --quiet --variant=minbase --format=tar \
        --aptopt='Acquire::Retries "3"' --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        "$@" trixie -
}

# images_import REFERENCE CHANGE...: a tar on stdin becomes an image, labelled as the stand-in that it is.
images_import() {
    local reference=$1 change
    shift
    local -a changes=(--change "LABEL $images_stand_in_label=true")
    for change in "$@"; do
        changes+=(--change "$change")
    done
    docker import "${changes[@]}" - "$reference" >/dev/null
}

# images_import_program REFERENCE FILE PATH: an image that holds FILE at PATH and nothing else.
images_import_program() {
    local root
    root=$(mktemp -d)
    install -D -m 0755 "$2" "$root$3"
    tar -C "$root" --owner=0 --group=0 -cf - . | images_import "$1"
    rm -rf "$root"
}
