# shellcheck shell=bash
# Measures what reading 1, 20 and 200 secrets from a store costs, at 0 and 20 ms of added round trip, cold each time,
# against a loop of curl that reads them one after the other.

# shellcheck source=scripts/lib/bench_record.sh
. "${BASH_SOURCE[0]%/*}/bench_record.sh"
# shellcheck source=scripts/lib/peers.sh
. "${BASH_SOURCE[0]%/*}/peers.sh"
# shellcheck source=scripts/lib/wait.sh
. "${BASH_SOURCE[0]%/*}/wait.sh"

bench_ports_bao=28200
bench_ports_aws=28300
bench_ports_azure=28350
bench_ports_delayed=28400
# As tests/support/peers/azure knows them.
bench_azure_tenant=11111111-2222-3333-4444-555555555555
bench_azure_client=aaaaaaaa-0000-0000-0000-000000000001
bench_azure_secret=the-client-secret
bench_pids=()

# bench_stores DIRECTORY PROGRAM: prints one table for each store.
bench_stores() {
    local directory=$1 program=$2
    bench_store "$directory/stores" "$program" vault "$bench_ports_bao" "Vault (OpenBao), without TLS"
    bench_store "$directory/stores" "$program" aws "$bench_ports_aws" "AWS Secrets Manager (ministack)"
    bench_store "$directory/stores" "$program" azure "$bench_ports_azure" \
        "Azure Key Vault (a stand-in, with TLS, behind a proxy)"
}

# bench_stores_start DIRECTORY: the stores, filled.
bench_stores_start() {
    peers_ensure
    mkdir -p "$1/stores"
    bench_start_bao "$1/stores"
    bench_start_aws "$1/stores"
    bench_start_azure "$1/stores"
}

bench_stores_stop() {
    local pid
    for pid in "${bench_pids[@]}"; do
        kill "$pid" 2>/dev/null || true
    done
}

bench_background() {
    local log=$1
    shift
    "$@" >"$log" 2>&1 </dev/null &
    bench_pids+=("$!")
}

bench_start_bao() {
    bench_background "$1/bao.log" "$CLAUDE_SECRETS_BAO" server -dev -dev-root-token-id=bench \
        "-dev-listen-address=127.0.0.1:$bench_ports_bao" -dev-no-store-token
    wait_for_port "$bench_ports_bao" "OpenBao"
    local number
    for number in $(seq 200); do
        [ "$number" = 1 ] || printf 'next\n'
        printf 'url = "http://127.0.0.1:%s/v1/secret/data/bench/key-%s"\n' "$bench_ports_bao" "$number"
        printf 'header = "X-Vault-Token: bench"\nfail\nsilent\n'
        printf 'data = "{\\"data\\":{\\"value\\":\\"value-of-key-%s\\"}}"\n' "$number"
    done >"$1/seed-bao"
    curl -K "$1/seed-bao" >/dev/null
}

bench_start_aws() {
    GATEWAY_PORT=$bench_ports_aws bench_background "$1/aws.log" "$CLAUDE_SECRETS_MINISTACK"
    wait_for_port "$bench_ports_aws" "ministack"
    local number
    for number in $(seq 200); do
        bench_aws_call "$bench_ports_aws" CreateSecret \
            "{\"Name\":\"bench/key-$number\",\"SecretString\":\"value-of-key-$number\"}" >/dev/null
    done
}

bench_start_azure() {
    bench_background "$1/azure.log" "$CLAUDE_SECRETS_AZURE_PYTHON" "$PROJECT/tests/support/peers/azure/standin.py" \
        "$bench_ports_azure" "$1"
    wait_for_port "$bench_ports_azure" "the stand-in of Azure"
    local control=http://127.0.0.1:$bench_ports_azure/control number
    curl -s -f -d '{"name":"kv-tests"}' "$control/vault" >/dev/null
    for number in $(seq 200); do
        [ "$number" = 1 ] || printf 'next\n'
        printf 'url = "%s/put"\nfail\nsilent\n' "$control"
        printf 'data = "{\\"vault\\":\\"kv-tests\\",\\"name\\":\\"bench-key-%s\\",\\"value\\":\\"value-of-key-%s\\"}"\n' \
            "$number" "$number"
    done >"$1/seed-azure"
    curl -K "$1/seed-azure" >/dev/null
}

# bench_aws_call PORT ACTION JSON
bench_aws_call() {
    curl -s -f --aws-sigv4 aws:amz:us-east-1:secretsmanager --user test:test -H 'content-type: application/x-amz-json-1.1' \
        -H "x-amz-target: secretsmanager.$2" -d "$3" "http://127.0.0.1:$1/"
}

# bench_store DIRECTORY PROGRAM STORE PORT TITLE
bench_store() {
    local directory=$1 program=$2 store=$3 upstream=$4 title=$5 delay count port
    bench_table "$title" "Cold each time, against a loop of curl that reads one secret after the other." \
        'round trip' secrets 'ours, reading' 'ours, whole process' 'curl loop' 'peak memory'
    for delay in 0 20; do
        port=$upstream
        if [ "$delay" != 0 ]; then
            bench_ports_delayed=$((bench_ports_delayed + 1))
            port=$bench_ports_delayed
            bench_background "$directory/delay.log" python3 "$PROJECT/scripts/lib/delay.py" "$port" "$upstream" "$delay"
            wait_for_port "$port" "the slow link"
        fi
        for count in 1 20 200; do
            bench_project_of "$directory" "$store" "$count"
            bench_row "$directory" "$program" "$store" "$port" "$delay" "$count"
        done
    done
}

# A project that asks for so many secrets, and for nothing else.
bench_project_of() {
    local directory=$1 store=$2 count=$3 number
    mkdir -p "$directory/project"
    printf 'services:\n  one: { image: bench }\n' >"$directory/project/docker-compose.yml"
    {
        printf 'secrets:\n'
        for number in $(seq "$count"); do
            case $store in
                vault) printf '  KEY_%s: { from: ["vault:secret/bench/key-%s"] }\n' "$number" "$number" ;;
                aws) printf '  KEY_%s: { from: ["aws:bench/key-%s"] }\n' "$number" "$number" ;;
                azure) printf '  KEY_%s: { from: ["azure:bench-key-%s"] }\n' "$number" "$number" ;;
            esac
        done
    } >"$directory/project/claude-secrets.yml"
}

# bench_variables DIRECTORY STORE PORT: what leads a run to the store, one a line.
bench_variables() {
    case $2 in
        vault) printf '%s\n' "VAULT_ADDR=http://127.0.0.1:$3" VAULT_TOKEN=bench ;;
        aws)
            printf '%s\n' "AWS_ENDPOINT_URL=http://127.0.0.1:$3" AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID=test \
                AWS_SECRET_ACCESS_KEY=test
            ;;
        azure)
            printf '%s\n' "HTTPS_PROXY=http://bench:x@127.0.0.1:$3" "INPUT_CA-CERTIFICATES=$1/ca.pem" \
                INPUT_AZURE-VAULT-URL=https://kv-tests.vault.azure.net "INPUT_AZURE-TENANT-ID=$bench_azure_tenant" \
                "INPUT_AZURE-CLIENT-ID=$bench_azure_client" "AZURE_CLIENT_SECRET=$bench_azure_secret"
            ;;
    esac
}

bench_row() {
    local directory=$1 program=$2 store=$3 port=$4 delay=$5 count=$6 run started
    local -a reading=() whole=() loops=() memory=() variables=()
    mapfile -t variables < <(bench_variables "$directory" "$store" "$port")
    for run in $(seq "${BENCH_STORE_RUNS:-5}"); do
        rm -rf "$directory/project/data"
        started=$(bench_now)
        env "${variables[@]}" "$program" create-files --verbose --sources "$store" --project-directory "$directory/project" \
            --report-file "$directory/report.json" >"$directory/run.log" 2>&1 || {
            tail -n 20 "$directory/run.log" >&2
            fail "the run with $count secrets from $store failed"
        }
        whole+=($(($(bench_now) - started)))
        reading+=("$(python3 -c 'import json,sys; print(*[s["milliseconds"] for s in json.load(open(sys.argv[1]))["stages"] if s["name"] == "Secrets"])' "$directory/report.json")")
        memory+=("$(sed -nE 's/.*peak memory ([0-9]+) kB.*/\1/p' "$directory/run.log" | tail -n 1)")
        [ "$run" -le "${BENCH_LOOP_RUNS:-2}" ] || continue
        started=$(bench_now)
        bench_loop "$directory" "$store" "$port" "$count"
        loops+=($(($(bench_now) - started)))
    done
    bench_line "$delay ms" "$count" "$(bench_spread ms "${reading[@]}")" "$(bench_spread ms "${whole[@]}")" \
        "$(bench_spread ms "${loops[@]}")" "$(bench_middle "${memory[@]}") kB"
}

# What a shell script of today does: one request after the other, each with a process of its own.
bench_loop() {
    local directory=$1 store=$2 port=$3 count=$4 number token
    local -a azure=(curl -s -f --cacert "$directory/ca.pem" -x "http://bench:x@127.0.0.1:$port")
    if [ "$store" = azure ]; then
        token=$("${azure[@]}" "https://login.microsoftonline.com/$bench_azure_tenant/oauth2/v2.0/token" \
            -d "grant_type=client_credentials&client_id=$bench_azure_client&client_secret=$bench_azure_secret" \
            -d scope=https://vault.azure.net/.default | sed -nE 's/.*"access_token": *"([^"]*)".*/\1/p')
    fi
    for number in $(seq "$count"); do
        case $store in
            vault) curl -s -f -H 'X-Vault-Token: bench' "http://127.0.0.1:$port/v1/secret/data/bench/key-$number" ;;
            aws) bench_aws_call "$port" GetSecretValue "{\"SecretId\":\"bench/key-$number\"}" ;;
            azure)
                "${azure[@]}" -H "Authorization: Bearer $token" \
                    "https://kv-tests.vault.azure.net/secrets/bench-key-$number?api-version=7.4"
                ;;
        esac >/dev/null
    done
}
