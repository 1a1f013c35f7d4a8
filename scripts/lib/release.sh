# shellcheck shell=bash
# The steps of a release that need neither GitHub nor a registry; .github/workflows/release.yml and the rehearsal take the
# same. All work on the repository in the current folder.

# shellcheck source=scripts/lib/project.sh
. "${BASH_SOURCE[0]%/*}/project.sh"

# release_version: prints the version that the repository has, in Cargo.toml and nowhere else.
release_version() {
    sed -n '/^\[workspace\.package\]/,/^\[package\]/s/^version = "\(.*\)"$/\1/p' Cargo.toml
}

# release_prepare VERSION: gives it to Cargo.toml and Cargo.lock, and to what the changelog has as unreleased.
release_prepare() {
    local version=$1
    [[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || fail "'$version' is no version" "give three numbers, such as 1.2.3"
    grep -qxF "## [Unreleased]" CHANGELOG.md || fail "CHANGELOG.md has no heading '## [Unreleased]'"
    [ -n "$(release_notes_below '## [Unreleased]')" ] || fail "CHANGELOG.md says nothing of what is unreleased"
    sed -i "/^\[workspace\.package\]/,/^\[package\]/s/^version = .*/version = \"$version\"/" Cargo.toml
    sed -i "s/^## \[Unreleased\]\$/## [Unreleased]\n\n## [$version] - $(date -u +%F)/" CHANGELOG.md
    # Only our own two packages have the version; nothing else may move.
    sed -i "/^name = \"claude-secrets-\(action\|launcher\)\"\$/{n;s/^version = .*/version = \"$version\"/}" Cargo.lock
}

# release_check TAG: the tag release-X.Y.Z asks for the version that the repository has, and the changelog tells of it.
release_check() {
    local version
    version=$(release_version)
    [ "$1" = "release-$version" ] || fail "the tag $1 does not ask for the version that Cargo.toml has, $version" \
        "scripts/release prepare X.Y.Z, commit, then tag that commit release-X.Y.Z"
    [ -n "$(release_notes)" ] || fail "CHANGELOG.md has no entries below '## [$version]'"
    [ -z "$(git tag --list "v$version")" ] || fail "v$version is released already" "a release is never changed: take the next number"
}

# release_notes: prints what the changelog says of the version.
release_notes() {
    release_notes_below "## [$(release_version)]"
}

release_notes_below() {
    awk -v heading="$1" '
        index($0, "## ") == 1 { inside = (index($0, heading) == 1); next }
        inside' CHANGELOG.md | sed -e '/./,$!d'
}

# release_pin IMAGE@DIGEST SOURCE: commits what users of the release get, with the image by its digest in place of the
# Dockerfile, the address of the repository, and the addresses of the schemas, and tags that commit: vX.Y.Z, which stays, and
# vX, which moves. Prints the commit. Pushes nothing.
release_pin() {
    local image=$1 source=$2 version schema
    [[ $image =~ ^[^[:space:]]+@sha256:[0-9a-f]{64}$ ]] || fail "'$image' names no image by its digest"
    version=$(release_version)
    sed -i "s|^  image: Dockerfile\$|  image: docker://$image|" action.yml
    sed -i "s|^FROM claude-secrets-action:dev\$|FROM $image|" with-op/Dockerfile
    grep -qxF "  image: docker://$image" action.yml || fail "action.yml has no line '  image: Dockerfile'"
    grep -qxF "FROM $image" with-op/Dockerfile || fail "with-op/Dockerfile has no line 'FROM claude-secrets-action:dev'"
    sed -i "s|^version.workspace = true\$|&\nrepository = \"$source\"|" Cargo.toml
    for schema in docs/*.schema.json; do
        sed -i "1a\\  \"\$id\": \"$source/raw/v$version/$schema\"," "$schema"
        grep -qF "\"\$id\": \"$source/raw/v$version/$schema\"" "$schema" || fail "$schema has got no address"
    done
    git commit --quiet --message "Release $version" -- action.yml with-op/Dockerfile Cargo.toml docs/*.schema.json
    git tag --annotate --message "Version $version" "v$version"
    git tag --force --annotate --message "Version $version" "v${version%%.*}" >/dev/null
    git rev-parse HEAD
}

# release_labels SOURCE: prints the options of `docker build` that label an image of this commit, one a line
# (github.com/opencontainers/image-spec, annotations.md).
release_labels() {
    local label=--label=org.opencontainers.image
    printf '%s\n' "$label.source=$1" "$label.url=$1" "$label.documentation=$1#readme" "$label.version=$(release_version)" \
        "$label.revision=$(git rev-parse HEAD)" "$label.created=$(TZ=UTC git log -1 --format=%cd --date=format-local:%Y-%m-%dT%H:%M:%SZ)"
}
