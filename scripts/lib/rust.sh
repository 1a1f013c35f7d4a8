# shellcheck shell=bash
# The Rust toolchain that rust-toolchain.toml names.

# shellcheck source=scripts/lib/project.sh
. "${BASH_SOURCE[0]%/*}/project.sh"

# rust_version: prints the version that rust-toolchain.toml names.
rust_version() {
    sed -n 's/^channel *= *"\(.*\)"/\1/p' "$PROJECT/rust-toolchain.toml"
}

# rust_ensure: cargo, clippy and rustfmt of that version work in the project's folder.
rust_ensure() {
    local version
    version=$(rust_version)
    have cargo || fail "Rust is not installed" \
        "install it as https://rustup.rs says; the project then chooses its version, $version, by itself"
    if ! rust_works && have rustup; then
        say "installing Rust $version"
        rustup toolchain install "$version" --profile minimal --component clippy --component rustfmt >&2 ||
            rust_use_same_version_by_another_name "$version"
    fi
    rust_works || fail "Rust $version with clippy and rustfmt does not work here" \
        "rustup toolchain install $version --component clippy --component rustfmt"
    say "$(cd "$PROJECT" && cargo --version)"
}

# rust_launcher_target: prints what the launcher is built for: musl, where this toolchain has it or can get it, since with it
# the launcher is a third as large; else this machine's own target, as the Dockerfile does.
rust_launcher_target() {
    local musl
    musl=$(uname -m)-unknown-linux-musl
    if rust_has_target "$musl" || { have rustup && rustup target add "$musl" >/dev/null 2>&1 && rust_has_target "$musl"; }; then
        printf '%s\n' "$musl"
    else
        (cd "$PROJECT" && rustc --print host-tuple)
    fi
}

rust_has_target() {
    [ -d "$(cd "$PROJECT" && rustc --print target-libdir --target "$1")" ]
}

rust_works() {
    (cd "$PROJECT" && cargo --version && cargo fmt --version && cargo clippy --version) >/dev/null 2>&1
}

# Without a network, an installed "stable" that happens to be this version does as well.
rust_use_same_version_by_another_name() {
    local name
    for name in $(rustup toolchain list | awk '{print $1}'); do
        if [ "$(RUSTUP_TOOLCHAIN=$name rustc --version 2>/dev/null | awk '{print $2}')" = "$1" ]; then
            export RUSTUP_TOOLCHAIN=$name
            return
        fi
    done
}
