# shellcheck shell=bash
# How big an image is: as a whole, compressed as a registry would keep it, and file by file.

# shellcheck source=scripts/lib/project.sh
. "${BASH_SOURCE[0]%/*}/project.sh"

# Compressed; measured parts: buildx 23 MB, Compose 11 MB, the program 7 MB.
sizes_aim=43

# sizes_report IMAGE: prints the sizes to stdout. What was measured for an image id is kept: gzip -9 takes some seconds.
sizes_report() {
    local image=$1 id kept
    id=$(docker image inspect --format '{{.Id}}' "$image")
    kept=$TOOLS/sizes-${id#sha256:}
    if [ ! -s "$kept" ]; then
        rm -f "$TOOLS"/sizes-*
        sizes_measure "$image" >"$kept.part"
        mv "$kept.part" "$kept"
    fi
    cat "$kept"
}

sizes_measure() {
    local image=$1 whole compressed container
    whole=$(docker image inspect --format '{{.Size}}' "$image")
    compressed=$(docker save "$image" | gzip -9 | wc -c)
    printf '%s: %s MB, compressed %s MB (aim: under %s)\n' \
        "$image" "$(sizes_mb "$whole")" "$(sizes_mb "$compressed")" "$sizes_aim"
    container=$(docker create "$image")
    # The engine adds empty files of its own to a container; only what has a size is listed.
    docker export "$container" | tar -tvf - | awk '$3 > 0 { printf "%9.1f MB  %s\n", $3 / 1e6, $6 }' | sort -rn
    docker rm "$container" >/dev/null
}

sizes_mb() {
    awk -v bytes="$1" 'BEGIN { printf "%.1f", bytes / 1e6 }'
}
