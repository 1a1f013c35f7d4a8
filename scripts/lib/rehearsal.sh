# shellcheck shell=bash
# A release as .github/workflows/release.yml makes it, on this machine: for its architecture, into a registry on loopback,
# in a clone that is thrown away. Then a user's workflow that names the release by its commit, run by act without a network.

# shellcheck source=scripts/lib/images.sh
. "${BASH_SOURCE[0]%/*}/images.sh"
# shellcheck source=scripts/lib/build.sh
. "${BASH_SOURCE[0]%/*}/build.sh"
# shellcheck source=scripts/lib/act.sh
. "${BASH_SOURCE[0]%/*}/act.sh"
# shellcheck source=scripts/lib/registry.sh
. "${BASH_SOURCE[0]%/*}/registry.sh"
# shellcheck source=scripts/lib/release.sh
. "${BASH_SOURCE[0]%/*}/release.sh"

rehearsal_repository=octo-org/claude-secrets-action
rehearsal_project=claude-secrets-rehearsal-$$
# From `docker run` to a secret, the best of five; building at the start of a job takes minutes.
rehearsal_most_ms=2000

rehearse() {
    rehearsal_home=$(mktemp -d "${TMPDIR:-/tmp}/claude-secrets-rehearsal.XXXXXX")
    trap 'rehearsal_clear; engine_stop_if_ours' EXIT
    # A person's settings and hooks are not the release's.
    export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
    export GIT_AUTHOR_NAME=rehearsal GIT_AUTHOR_EMAIL=rehearsal@localhost
    export GIT_COMMITTER_NAME=$GIT_AUTHOR_NAME GIT_COMMITTER_EMAIL=$GIT_AUTHOR_EMAIL
    engine_ensure
    compose_ensure
    images_ensure_test
    images_ensure_op
    [ -n "${CLAUDE_SECRETS_IMAGE-}" ] || images_ensure_build
    rehearsal_version
    rehearsal_publish
    rehearsal_with_op
    rehearsal_use
    say_step "The rehearsal is over: $rehearsal_tag is what a user would get"
}

rehearsal_clear() {
    registry_stop
    docker ps -aq --filter "label=com.docker.compose.project=$rehearsal_project" | xargs -r docker rm -f >/dev/null 2>&1 || true
    docker volume ls -q --filter "label=com.docker.compose.project=$rehearsal_project" | xargs -r docker volume rm >/dev/null 2>&1 || true
    docker volume ls -q --filter "label=claude-secrets.project=$rehearsal_project" | xargs -r docker volume rm >/dev/null 2>&1 || true
    docker network rm "${rehearsal_project}_default" >/dev/null 2>&1 || true
    local name
    for name in "${rehearsal_image-}" "${rehearsal_pinned-}" "${rehearsal_op-}"; do
        [ -z "$name" ] || docker image rm "$name" >/dev/null 2>&1 || true
    done
    rm -rf "$rehearsal_home"
}

# The next version, prepared, committed and tagged as a maintainer does it.
rehearsal_version() {
    local version
    say_step "Prepare: a clone, with the next version"
    git clone --quiet --no-tags "$PROJECT" "$rehearsal_home/release"
    cd "$rehearsal_home/release" || exit
    version=$(release_version)
    version=${version%.*}.$((${version##*.} + 1))
    release_prepare "$version"
    git diff --stat | sed 's/^/   /'
    git commit --quiet --all --message "Prepare $version"
    git tag "release-$version"
    release_check "release-$version"
    if (release_check release-0.0.0) 2>/dev/null; then
        fail "a tag that asks for another version is taken"
    fi
    rehearsal_tag=v$version
    say "right: the tag release-$version asks for what Cargo.toml and CHANGELOG.md have"
}

# An image with the release's labels, pushed, and the commit that names it by its digest.
rehearsal_publish() {
    local -a labels
    say_step "Publish: image, digest, commit, tags"
    registry_start "$rehearsal_home"
    rehearsal_image=$registry_address/$rehearsal_repository:${rehearsal_tag#v}
    mapfile -t labels < <(release_labels "https://github.com/$rehearsal_repository")
    if have go; then
        scripts/notices | sed 's/^/   /'
    else
        say "there is no Go here: the image gets no licences of others"
        echo "(rehearsed without them)" >third-party-notices.txt
    fi
    if [ -n "${CLAUDE_SECRETS_IMAGE-}" ]; then
        # What was built for the tests is what a release builds, but for the labels and the licences.
        say "the image is $CLAUDE_SECRETS_IMAGE, with the release's labels and licences"
        printf 'FROM %s\nCOPY third-party-notices.txt /usr/share/doc/claude-secrets/\n' "$CLAUDE_SECRETS_IMAGE" |
            docker build --quiet "${labels[@]}" -t "$rehearsal_image" --file - . >/dev/null 2>&1 ||
            fail "the image could not be labelled"
    else
        build_image "$rehearsal_image" "$rehearsal_home/release" "${labels[@]}" \
            --build-arg "COMMIT=$(git rev-parse HEAD)"
    fi
    docker push --quiet "$rehearsal_image" >/dev/null
    rehearsal_pinned=$(docker image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$rehearsal_image" |
        grep -F "$registry_address/")
    rehearsal_commit=$(release_pin "$rehearsal_pinned" "https://github.com/$rehearsal_repository")
    say "pushed  $rehearsal_pinned"
    say "pinned  $(grep -F 'image: docker://' action.yml)"
    # shellcheck disable=SC2016 # that is the key's name
    say "schema  $(grep -hF '"$id"' docs/claude-secrets.schema.json)"
    say "tags    $(git tag --points-at "$rehearsal_commit" | paste -sd ' ') at $rehearsal_commit"
    docker image inspect --format '{{range $name, $value := .Config.Labels}}{{println $name $value}}{{end}}' "$rehearsal_image" |
        grep '^org.opencontainers' | sed 's/^/   label   /'
    docker run --rm "$rehearsal_image" --version | sed 's/^/   /'
    rehearsal_files
    rehearsal_start
}

# What a release has besides the image: the programs for the command line, and the list of what is in the image.
rehearsal_files() {
    local container
    container=$(docker create "$rehearsal_image")
    docker cp "$container:/usr/local/bin/claude-secrets" "$rehearsal_home/claude-secrets" >/dev/null
    docker cp "$container:/usr/share/doc/claude-secrets" "$rehearsal_home/documents" >/dev/null
    docker rm "$container" >/dev/null
    scripts/release-files "$rehearsal_home/claude-secrets" "$rehearsal_home/documents" "$rehearsal_home/files"
    tar -tzf "$rehearsal_home"/files/*.tar.gz | sed 's/^/   /'
    scripts/inventory "docker:$rehearsal_image" "$rehearsal_home/sbom.spdx.json"
}

# How long it takes to a secret when the image is there.
rehearsal_start() {
    local started best=999999 took time
    for time in 1 2 3 4 5; do
        started=$(date +%s%N)
        [ "$(docker run --rm -e API_KEY=canary "$rehearsal_image" get API_KEY)" = canary ] || fail "no secret came (try $time)"
        took=$((($(date +%s%N) - started) / 1000000))
        [ "$took" -ge "$best" ] || best=$took
    done
    [ "$best" -lt "$rehearsal_most_ms" ] || fail "from docker run to a secret it takes $best ms, and may take $rehearsal_most_ms"
    say "from docker run to a secret: $best ms"
}

# The second action, built as on a user's machine: from the pinned image.
rehearsal_with_op() {
    say_step "The action with op, built on the user's machine"
    rehearsal_op=$rehearsal_project-op
    build_image "$rehearsal_op" "$rehearsal_home/release/with-op"
    if [ "$(docker image inspect --format "{{index .Config.Labels \"$images_stand_in_label\"}}" \
        "$(images_named_in_dockerfile 1password/op with-op/Dockerfile)")" = true ]; then
        say "its op is a stand-in: no registry gives 1Password's image here"
    else
        say "op $(docker run --rm --entrypoint /usr/local/bin/op "$rehearsal_op" --version)"
    fi
    docker run --rm "$rehearsal_op" --version | grep -q '^claude-secrets' || fail "the action does not start in that image"
}

# A user's repository with a workflow that names the commit; the image comes from the registry, everything else is there.
rehearsal_use() {
    local act kept user=$rehearsal_home/user cache=$rehearsal_home/.cache/act started log=$rehearsal_home/log alone=()
    kept=$cache/${rehearsal_repository/\//-}@$rehearsal_commit
    act=$(act_path)
    say_step "Use: a workflow with uses: $rehearsal_repository@$rehearsal_commit"
    mkdir -p "$user/.github/workflows" "$cache"
    # Where act keeps an action that it has fetched: a clone, from which it takes the commit by itself.
    git clone --quiet "$rehearsal_home/release" "$kept"
    git -C "$kept" remote set-url origin "https://github.com/$rehearsal_repository"
    sed -e "s|@0\{40\} |@$rehearsal_commit |" -e "s|claude-secrets-rehearsal|$rehearsal_project|" \
        "$PROJECT/tests/act/workflows/released.yml" >"$user/.github/workflows/deploy.yml"
    printf 'services:\n  web:\n    image: %s\n    command: [sh, -c, "sha256sum /run/secrets/api_key; exec sleep 3000"]\n    init: true\n' \
        "$images_test" >"$user/docker-compose.yml"
    git -C "$user" init --quiet --initial-branch=main
    git -C "$user" add --all
    git -C "$user" commit --quiet --message "A project"
    # Nothing of the image is kept but what it shares with others.
    docker image rm "$rehearsal_pinned" "$rehearsal_image" >/dev/null
    # Without a network of its own act reaches the engine's socket, and nothing else.
    if [ "$(id -u)" = 0 ] && unshare --net true 2>/dev/null; then
        alone=(unshare --net)
        say "act has no network"
    fi
    started=$(date +%s%N)
    (cd "$user" && env -i PATH="$PATH" HOME="$rehearsal_home" HTTPS_PROXY=http://127.0.0.1:9 HTTP_PROXY=http://127.0.0.1:9 \
        "${alone[@]}" "$act" push --action-offline-mode --action-cache-path "$cache" --rm --no-cache-server \
        -P ubuntu-latest=-self-hosted --container-options "-v $cache:$cache" --secret "API_KEY=canary-of-the-rehearsal") \
        >"$log" 2>&1 || { cat "$log" >&2; fail "the workflow that uses the release failed"; }
    say "the workflow took $((($(date +%s%N) - started) / 1000000)) ms, with the pull"
    sed -E 's/^\[[^]]*\] */   /' "$log" | grep -E 'docker pull|docker run|result|Success|Failure|deployed' || true
    grep -q 'result deployed' "$log" || fail "the released action did not deploy"
    grep -q canary-of-the-rehearsal "$log" && fail "the log shows the secret"
    rehearsal_expect_secret
}

rehearsal_expect_secret() {
    local container seen
    container=$(docker ps -q --filter "label=com.docker.compose.project=$rehearsal_project")
    seen=$(docker logs "$container" | cut -d ' ' -f 1)
    [ "$seen" = "$(printf canary-of-the-rehearsal | sha256sum | cut -d ' ' -f 1)" ] ||
        fail "the service does not read its secret"
    say "right: the service reads its secret"
}
