# ./lab bench soak: a pool under load on a machine that is short of processors, for as long as asked.
# Nothing fails meanwhile, so nobody may stand for election: a master that is only slow must not be
# taken for a dead one. Shown for each host: the term at the begin and at the end, how often it stood
# for election, the longest turn of its loop, and how long the load had to wait for an answer.
# shellcheck shell=bash

SOAK_DEPTHS=(16 64)
SOAK_SLICE_S=20
SOAK_BURNERS=()

bench_soak() {
    local json=0 seconds=60 burners=2
    while (($# > 0)); do
        case $1 in
            --json) json=1; shift ;;
            --minutes) seconds=$((60 * ${2:-0})); shift 2 || usage_error "--minutes needs a number" ;;
            --seconds) seconds=${2:-}; shift 2 || usage_error "--seconds needs a number" ;;
            --burners) burners=${2:-}; shift 2 || usage_error "--burners needs a number" ;;
            *) usage_error "bench soak: what is '$1'?" ;;
        esac
    done
    if ! [[ $seconds =~ ^[1-9][0-9]{0,4}$ && $burners =~ ^[0-9]{1,2}$ ]]; then
        usage_error "--minutes, --seconds and --burners take numbers"
    fi
    install_missing build run bench >&2
    build_release quorate quorated labhost benchlog >&2
    build_images >&2
    bench_begin soak >&2
    soak_run "$seconds" "$burners" >&2
    if ((json == 1)); then
        soak_rows | jq -c '{rows: .}'
    else
        soak_rows | soak_table
    fi
}

# soak_run SECONDS BURNERS: load in slices, the hosts looked at after each. Needs a pool and the
# guests of bench_guests. Afterwards soak_rows tells.
soak_run() {
    local seconds=$1 burners=$2 end master slice=0 left i
    soak_look >"$LAB_DIR/soak.begin"
    for ((i = 0; i < burners; i++)); do
        burn &
        SOAK_BURNERS+=("$!")
        disown "$!" # Else the shell tells of its end.
    done
    : >"$LAB_DIR/soak.looks"
    : >"$LAB_DIR/soak.load"
    end=$(($(now_ms) + seconds * 1000))
    while left=$(((end - $(now_ms) + 999) / 1000)) && ((left > 0)); do
        master=$(on_pool pool status --json | rows | jq -r .master)
        benchlog_at "$master" "${SOAK_DEPTHS[slice % ${#SOAK_DEPTHS[@]}]}" \
            $((left < SOAK_SLICE_S ? left : SOAK_SLICE_S)) >>"$LAB_DIR/soak.load" ||
            { soak_stop; die "the load was refused"; }
        soak_look >>"$LAB_DIR/soak.looks"
        slice=$((slice + 1))
        say "slice $slice, $left s left: $(tail -n 1 "$LAB_DIR/soak.load" |
            jq -r '"\(.commits_per_s | floor) commits/s, p99 \(.p99_us / 1000) ms, max \(.max_us / 1000) ms"')," \
            "terms $(soak_rows | jq -c 'map(.term_end) | unique')"
    done
    soak_stop
}

soak_stop() {
    ((${#SOAK_BURNERS[@]} == 0)) || kill -KILL "${SOAK_BURNERS[@]}" 2>/dev/null || true
    SOAK_BURNERS=()
}

# It does not outlive the script.
burn() { while [[ -d /proc/$$ ]]; do :; done; }

# What each host says of its log now, one object a line. The longest turn is since the last look.
soak_look() {
    local h
    for h in $(host_names); do
        on_host "$h" --local log stats --json | rows | jq -c --arg h "$h" '. + {host: $h}'
    done
}

soak_rows() {
    jq -n --slurpfile begin "$LAB_DIR/soak.begin" --slurpfile looks "$LAB_DIR/soak.looks" \
        --slurpfile load "$LAB_DIR/soak.load" '
        [$begin[] | . as $b | ($looks | map(select(.host == $b.host))) as $l
            | {host: $b.host,
               minutes: (($load | map(.seconds) | add) / 6 | round / 10),
               term_begin: $b.term, term_end: ($l | last | .term),
               elections: (($l | last | .elections) - $b.elections),
               longest_turn_ms: ($l | map(.longest_turn_us) | max / 1000),
               commits: ($load | map(.commits) | add),
               max_ms: ($load | map(.max_us) | max / 1000)}]'
}

# Whether anybody stood for election, or was elected, while the load ran.
soak_was_calm() { soak_rows | jq -e 'all(.elections == 0 and .term_begin == .term_end)' >/dev/null; }

soak_table() {
    jq -r '["host", "minutes", "term", "at end", "elections", "turn ms", "commits", "max ms"],
        (.[] | [.host, .minutes, .term_begin, .term_end, .elections, .longest_turn_ms, .commits,
                .max_ms]) | @tsv' |
        awk -F'\t' '{for (i = 1; i <= NF; i++) printf "%10s", $i; print ""}'
}
