# shellcheck shell=bash
# The projects of measurements, which leave nothing in the engine.

# bench_remove PROJECT [LABEL]: removes what the engine has of a project, and of this label. What is gone already is no error.
bench_remove() {
    local project=$1 label
    for label in "com.docker.compose.project=$project" "claude-secrets.project=$project" ${2+"$2"}; do
        docker ps -aq --filter "label=$label" | xargs -r docker rm -f -v >/dev/null 2>&1 || true
        docker volume ls -q --filter "label=$label" | xargs -r docker volume rm >/dev/null 2>&1 || true
    done
    docker network rm "${project}_default" >/dev/null 2>&1 || true
}
