# ./lab chaos: the simulator (chaos-tests/sim), a whole pool in one process on virtual time.
# shellcheck shell=bash

verb_chaos() {
    local arg
    install_missing build >&2
    for arg in "$@"; do
        if [[ $arg == --mutants ]]; then
            chaos_mutants "$@"
            return
        fi
    done
    build_release quorate-sim >&2
    exec "$LAB_ROOT/build/chaos-tests/quorate-sim" "$@"
}

# One mistake, for chaos_mutants: a line of what came of it on stdout. quorate-sim's runs end at the first
# seed that finds it.
chaos_mutant() {
    local name=$1 sim=$2 seeds=$3 seconds=$4 log line
    log=$(mktemp)
    if timeout 1800 "$sim" --mutant "$name" --seeds "$seeds" --seconds "$seconds" --stop >"$log" 2>&1; then
        printf 'SURVIVES %-26s %4s seeds\n' "$name" "$seeds"
    elif grep -q '^FAILED' "$log"; then
        line=$(grep -A 1 -m 1 '^FAILED' "$log" | sed -n '2s/^ *//p')
        printf 'killed   %-26s %4s seeds  %.110s\n' "$name" "$(grep -c -E '^(ok|FAILED)' "$log")" \
            "${line:-$(grep -m 1 '^FAILED' "$log")}"
    else
        printf 'BROKEN   %-26s %s\n' "$name" "$(tail -n 1 "$log")"
    fi
    rm -f "$log"
}

# chaos_mutants --mutants [--only A,B] [--seeds N] [--seconds N] [--jobs N]: make each deliberate mistake
# of core/mutants.def in turn; a run of the simulator must find it within N seeds.
chaos_mutants() {
    local seeds=200 seconds=60 only='' jobs=1 name sim out left=0
    while (($# > 0)); do
        case $1 in
        --mutants) shift ;;
        --only | --seeds | --seconds | --jobs)
            (($# > 1)) || usage_error "$1 needs a value"
            printf -v "${1#--}" %s "$2"
            shift 2
            ;;
        *) usage_error "chaos --mutants: unknown option $1; --only, --seeds, --seconds and --jobs there are" ;;
        esac
    done
    [[ $seeds$seconds$jobs =~ ^[0-9]+$ && $jobs -gt 0 ]] ||
        usage_error 'chaos --mutants: --seeds, --seconds and --jobs take numbers'
    build_preset mutants "$LAB_ROOT/build-mutants" quorate-sim >&2
    sim=$LAB_ROOT/build-mutants/chaos-tests/quorate-sim
    out=$(mktemp)
    while read -r name _; do
        [[ -z $only || ,$only, == *,$name,* ]] || continue
        ((left < jobs)) || { wait -n; left=$((left - 1)); }
        chaos_mutant "$name" "$sim" "$seeds" "$seconds" | tee -a "$out" &
        left=$((left + 1))
    done < <("$sim" --mutants)
    wait
    chaos_score "$out"
}

# The last line; false when one survives, or none was asked for.
chaos_score() {
    local killed rest median
    killed=$(grep -c '^killed' "$1")
    rest=$(grep -c -v '^killed' "$1")
    median=$(awk '/^killed/ { print $3 }' "$1" | sort -n |
        awk '{ n[NR] = $1 } END { print NR == 0 ? "-" : (n[int((NR + 1) / 2)] + n[int(NR / 2) + 1]) / 2 }')
    rm -f "$1"
    printf '%d killed, %d not; median %s seeds\n' "$killed" "$rest" "$median"
    ((killed > 0 && rest == 0))
}
