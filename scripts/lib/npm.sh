# shellcheck shell=bash
# Packages from the npm registry, each in a folder of its own.

# shellcheck source=scripts/lib/debian.sh
. "${BASH_SOURCE[0]%/*}/debian.sh"

# npm_modules PACKAGE VERSION: prints the folder with the modules of PACKAGE at exactly VERSION, as NODE_PATH takes it.
npm_modules() {
    local package=$1 version=$2 home
    home=$TOOLS/npm-${package//[@\/]/-}-$version
    if [ ! -e "$home/.complete" ]; then
        npm_ensure
        say "installing $package $version"
        rm -rf "$home"
        mkdir -p "$home"
        # No package may run a script of its own while it is installed.
        if ! npm install --prefix "$home" --ignore-scripts --no-audit --no-fund --loglevel error \
            "$package@$version" >&2; then
            rm -rf "$home"
            fail "the npm package $package $version could not be installed" "is there a network?"
        fi
        touch "$home/.complete"
    fi
    printf '%s\n' "$home/node_modules"
}

npm_ensure() {
    { have node && have npm; } && return
    debian_install nodejs npm ca-certificates || fail "Node.js 18 or newer and npm are needed" \
        "Debian, Ubuntu:  sudo apt-get install nodejs npm"
}
