# shellcheck shell=bash
# Several stores at once against each of them alone, over a slow link: they are asked at the same time, so all of them should take
# little more than the slowest.

# shellcheck source=scripts/lib/bench_record.sh
. "${BASH_SOURCE[0]%/*}/bench_record.sh"
# shellcheck source=scripts/lib/bench_stores.sh
. "${BASH_SOURCE[0]%/*}/bench_stores.sh"

bench_several_secrets=20
bench_several_stores=(vault aws azure old-vault)

# bench_several DIRECTORY PROGRAM: the stores of bench_stores run already.
bench_several() {
    local directory=$1/stores program=$2 store which slowest=0
    local -a all=()
    local -A times=()
    bench_several_links "$directory"
    for _ in $(seq "${BENCH_STORE_RUNS:-5}"); do
        for which in "${bench_several_stores[@]}" all; do
            case $which in
                all) all=("${bench_several_stores[@]}") ;;
                *) all=("$which") ;;
            esac
            bench_several_project "$directory" "${all[@]}"
            times[$which]+=" $(bench_several_run "$directory" "$program")"
        done
    done
    bench_table "Several stores at once" "$bench_several_secrets secrets from each, with a round trip of $bench_several_delay ms, until all values are there." \
        stores "reading" "of the slowest"
    for which in "${bench_several_stores[@]}" all; do
        # shellcheck disable=SC2086 # one number each
        store=$(bench_middle ${times[$which]})
        [ "$which" = all ] || [ "$store" -le "$slowest" ] || slowest=$store
        # shellcheck disable=SC2086
        bench_line "$which" "$(bench_spread ms ${times[$which]})" \
            "$([ "$which" = all ] && awk -v a="$store" -v b="$slowest" 'BEGIN { printf "%.2f times\n", a / b }')"
    done
}

bench_several_delay=20

# A slow link to each store.
bench_several_links() {
    local store upstream
    declare -gA bench_several_port=()
    for store in "${bench_several_stores[@]}"; do
        case $store in
            vault | old-vault) upstream=$bench_ports_bao ;;
            aws) upstream=$bench_ports_aws ;;
            azure) upstream=$bench_ports_azure ;;
        esac
        bench_ports_delayed=$((bench_ports_delayed + 1))
        bench_several_port[$store]=$bench_ports_delayed
        bench_background "$1/delay.log" python3 "$PROJECT/scripts/lib/delay.py" "$bench_ports_delayed" "$upstream" \
            "$bench_several_delay"
        wait_for_port "$bench_ports_delayed" "the slow link"
    done
}

# A project that asks these stores.
bench_several_project() {
    local directory=$1 store number
    shift
    rm -rf "$directory/several"
    mkdir -p "$directory/several"
    printf 'services:\n  one: { image: bench }\n' >"$directory/several/docker-compose.yml"
    {
        [[ " $* " != *" old-vault "* ]] ||
            printf 'sources: { old-vault: { kind: vault, addr: "http://127.0.0.1:%s" } }\n' "${bench_several_port[old-vault]}"
        printf 'secrets:\n'
        for store in "$@"; do
            for number in $(seq "$bench_several_secrets"); do
                case $store in
                    azure) printf '  AZURE_%s: { from: ["azure:bench-key-%s"] }\n' "$number" "$number" ;;
                    aws) printf '  AWS_S_%s: { from: ["aws:bench/key-%s"] }\n' "$number" "$number" ;;
                    vault) printf '  V_%s: { from: ["vault:secret/bench/key-%s"] }\n' "$number" "$number" ;;
                    old-vault) printf '  O_%s: { from: ["old-vault:secret/bench/key-%s"] }\n' "$number" "$number" ;;
                esac
            done
        done
    } >"$directory/several/claude-secrets.yml"
    for store in "$@"; do
        case $store in
            old-vault) printf 'OLD_VAULT_TOKEN=bench\n' ;;
            *) bench_variables "$directory" "$store" "${bench_several_port[$store]}" ;;
        esac
    done >"$directory/several.variables"
    # A proxy is for Azure alone.
    printf 'NO_PROXY=127.0.0.1\n' >>"$directory/several.variables"
}

# bench_several_run DIRECTORY PROGRAM: how many milliseconds the stage of the secrets took.
bench_several_run() {
    local directory=$1 program=$2
    local -a variables=()
    mapfile -t variables <"$directory/several.variables"
    bench_said=$directory/run.log
    bench_time env "${variables[@]}" "$program" create-files --project-directory "$directory/several" \
        --report-file "$directory/report.json" >/dev/null
    python3 -c 'import json,sys; print(*[s["milliseconds"] for s in json.load(open(sys.argv[1]))["stages"] if s["name"] == "Secrets"])' \
        "$directory/report.json"
}
