# shellcheck shell=bash
# What tests leave behind: in the engine, in their folder for temporary files, and in the work tree.

# shellcheck source=scripts/lib/project.sh
. "${BASH_SOURCE[0]%/*}/project.sh"

# leftovers_note: notes what is there before the tests, and gives these a folder of their own for temporary files.
leftovers_note() {
    # Short, since tests put sockets below it, and a socket's path may have 107 characters.
    leftovers_temporary=$(mktemp -d /tmp/cst.XXXXXX)
    # Tests let other users in, to their own folders below it.
    chmod 0711 "$leftovers_temporary"
    leftovers_engine=$(leftovers_in_engine)
    leftovers_tree=$(git -C "$PROJECT" status --porcelain)
}

# leftovers_list: prints what is there and was not before, one a line, and removes the temporary files.
leftovers_list() {
    comm -13 <(printf '%s\n' "$leftovers_engine") <(leftovers_in_engine)
    find "$leftovers_temporary" -mindepth 1 -maxdepth 1 -printf 'file %p\n'
    rm -rf "$leftovers_temporary"
    comm -13 <(sort <<<"$leftovers_tree") <(git -C "$PROJECT" status --porcelain | sort) | sed '/^$/d; s/^/work tree: /'
}

# Only what Compose, act or we ourselves make: someone else may be at work on this engine.
leftovers_in_engine() {
    {
        docker ps -a --filter label=com.docker.compose.project --format 'container {{.Names}}'
        docker ps -a --filter label=claude-secrets.project --format 'container {{.Names}}'
        docker ps -a --filter name=^act- --format 'container {{.Names}}'
        docker volume ls --filter label=com.docker.compose.project --format 'volume {{.Name}}'
        docker volume ls --filter label=claude-secrets.project --format 'volume {{.Name}}'
        docker volume ls --filter name=^act- --format 'volume {{.Name}}'
        docker network ls --filter label=com.docker.compose.project --format 'network {{.Name}}'
        docker image ls --filter label=com.docker.compose.project --format 'image {{.Repository}}'
        docker image ls --filter 'reference=act-*' --format 'image {{.Repository}}'
    } | sort -u
}
