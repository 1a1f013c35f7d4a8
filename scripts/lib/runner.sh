# shellcheck shell=bash
# Starts a container action's image with the arguments and the environment that the GitHub Actions runner uses:
# the same mounts, the names of the variables on the command line and the values in the client's environment.

# shellcheck source=scripts/lib/project.sh
. "${BASH_SOURCE[0]%/*}/project.sh"

# runner_lay_out WORK REPOSITORY: the folders of a self-hosted runner that works on REPOSITORY (owner/name).
# Sets runner_workspace, where the checkout belongs.
runner_lay_out() {
    local work=$1
    runner_repository=$2
    runner_workspace=$work/${2#*/}/${2#*/}
    runner_temp=$work/_temp
    runner_commands=$runner_temp/_runner_file_commands
    mkdir -p "$runner_workspace" "$runner_commands" "$runner_temp/_github_home" "$runner_temp/_github_workflow"
    printf '{}\n' >"$runner_temp/_github_workflow/event.json"
    runner_runs=0
}

# runner_run IMAGE LOG VARIABLE... [-- INPUT=VALUE...]: one step. VARIABLEs are names of exported shell variables, the
# step's `env:`; the inputs are its `with:` and may not be secret. Everything that the action prints goes to LOG.
# Sets runner_outputs and runner_summary, the files that the action wrote those to.
runner_run() {
    local image=$1 log=$2
    shift 2
    runner_runs=$((runner_runs + 1))
    local file
    for file in set_output save_state set_env add_path step_summary; do
        : >"$runner_commands/${file}_$runner_runs"
    done
    runner_outputs=$runner_commands/set_output_$runner_runs
    # shellcheck disable=SC2034 # for the caller
    runner_summary=$runner_commands/step_summary_$runner_runs

    # shellcheck disable=SC2034 # read through its name, below
    local -A values=(
        [HOME]=/github/home
        [GITHUB_ACTION]=secrets [GITHUB_ACTOR]=demo [GITHUB_ACTOR_ID]=1
        [GITHUB_API_URL]=https://api.github.com [GITHUB_BASE_REF]="" [GITHUB_HEAD_REF]=""
        [GITHUB_EVENT_NAME]=workflow_dispatch [GITHUB_EVENT_PATH]=/github/workflow/event.json
        [GITHUB_GRAPHQL_URL]=https://api.github.com/graphql [GITHUB_JOB]=deploy
        [GITHUB_OUTPUT]=/github/file_commands/set_output_$runner_runs
        [GITHUB_STATE]=/github/file_commands/save_state_$runner_runs
        [GITHUB_ENV]=/github/file_commands/set_env_$runner_runs
        [GITHUB_PATH]=/github/file_commands/add_path_$runner_runs
        [GITHUB_STEP_SUMMARY]=/github/file_commands/step_summary_$runner_runs
        [GITHUB_REF]=refs/heads/main [GITHUB_REF_NAME]=main [GITHUB_REF_TYPE]=branch
        [GITHUB_REPOSITORY]=$runner_repository [GITHUB_REPOSITORY_OWNER]=${runner_repository%/*}
        [GITHUB_RUN_ATTEMPT]=1 [GITHUB_RUN_ID]=1000000$runner_runs [GITHUB_RUN_NUMBER]=$runner_runs
        [GITHUB_SERVER_URL]=https://github.com
        [GITHUB_SHA]=$(git -C "$runner_workspace" rev-parse HEAD)
        [GITHUB_WORKFLOW]=Deploy [GITHUB_WORKSPACE]=/github/workspace
        [RUNNER_ARCH]=X64 [RUNNER_OS]=Linux [RUNNER_NAME]=demo [RUNNER_ENVIRONMENT]=self-hosted
        [RUNNER_TEMP]=/github/runner_temp
        # The one path that the runner hands over as the host sees it.
        [RUNNER_WORKSPACE]=${runner_workspace%/*}
    )
    local -a names=() settings=()
    local name input
    while [ "$#" -gt 0 ] && [ "$1" != -- ]; do
        names+=(-e "$1")
        shift
    done
    [ "$#" -eq 0 ] || shift
    for name in "${!values[@]}"; do
        names+=(-e "$name")
        settings+=("$name=${values[$name]}")
    done
    # A shell has no variables with hyphens, an environment has: env sets them.
    while IFS= read -r -d '' input; do
        names+=(-e "${input%%=*}")
        settings+=("$input")
    done < <(runner_inputs "$@")

    # HOME is for the action's container only: our own client keeps its settings.
    DOCKER_CONFIG=${DOCKER_CONFIG:-$HOME/.docker} env "${settings[@]}" docker run \
        --name "claudesecretsdemo_$$_$runner_runs" --label claude-secrets-demo \
        --workdir /github/workspace --rm \
        "${names[@]}" -e GITHUB_ACTIONS=true -e CI=true \
        -v /var/run/docker.sock:/var/run/docker.sock \
        -v "$runner_temp":/github/runner_temp \
        -v "$runner_temp/_github_home":/github/home \
        -v "$runner_temp/_github_workflow":/github/workflow \
        -v "$runner_commands":/github/file_commands \
        -v "$runner_workspace":/github/workspace \
        "$image" >"$log" 2>&1
}

# runner_inputs INPUT=VALUE...: prints the INPUT_ variable of every input, given or with action.yml's default, each with
# a NUL behind it, since values may have several lines.
runner_inputs() {
    local -A given=()
    local pair name default
    for pair in "$@"; do
        given[${pair%%=*}]=${pair#*=}
    done
    while IFS=$'\t' read -r name default; do
        if [ -z "${given[$name]+set}" ]; then
            given[$name]=$default
        fi
    done < <(runner_declared_inputs)
    for name in "${!given[@]}"; do
        pair=${name^^}
        printf 'INPUT_%s=%s\0' "${pair// /_}" "${given[$name]}"
    done
}

# The inputs of action.yml with their defaults, tab-separated. Reads the plain two-level form that the file has.
runner_declared_inputs() {
    [ -r "$PROJECT/action.yml" ] || return 0
    awk '
        function flush() { if (name != "") print name "\t" value; name = ""; value = "" }
        /^[^ #]/ { flush(); inside = ($0 ~ /^inputs:/) }
        inside && /^  [A-Za-z]/ { flush(); name = $1; sub(/:$/, "", name) }
        inside && /^    default:/ {
            value = $0; sub(/^    default: */, "", value)
            if (value ~ /^".*"$/ || value ~ /^\047.*\047$/) value = substr(value, 2, length(value) - 2)
        }
        END { flush() }
    ' "$PROJECT/action.yml"
}

# runner_output NAME: prints an output of the last step, be it NAME=VALUE or NAME<<DELIMITER.
runner_output() {
    awk -v name="$1" '
        inside && $0 == mark { inside = 0; next }
        inside { print; next }
        index($0, name "=") == 1 { print substr($0, length(name) + 2) }
        index($0, name "<<") == 1 { mark = substr($0, length(name) + 3); inside = 1 }
    ' "$runner_outputs"
}

# runner_log LOG: prints it the way that GitHub shows a step, without the commands that only the runner reads.
runner_log() {
    sed -E -e '/^::add-mask::/d' -e '/^::stop-commands::/d' -e '/^::[0-9a-f]{32}::$/d' -e '/^::endgroup::/d' \
        -e 's/^::group::/▸ /' -e 's/^::([a-z]+)[^:]*::/\1: /' -e 's/%0A/\n      /g' "$1" | sed 's/^/   | /'
}
