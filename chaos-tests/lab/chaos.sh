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

# chaos_mutants --mutants [--only A,B] [--seeds N] [--seconds N]: make each deliberate mistake of
# core/mutants.def in turn; a run of the simulator must find it within N seeds.
chaos_mutants() {
    local seeds=200 seconds=60 only='' name sim missed=() found=0 log line
    while (($# > 0)); do
        case $1 in
        --mutants) shift ;;
        --only | --seeds | --seconds)
            (($# > 1)) || usage_error "$1 needs a value"
            printf -v "${1#--}" %s "$2"
            shift 2
            ;;
        *) usage_error "chaos --mutants: unknown option $1; --only, --seeds and --seconds there are" ;;
        esac
    done
    build_preset mutants "$LAB_ROOT/build-mutants" quorate-sim >&2
    sim=$LAB_ROOT/build-mutants/chaos-tests/quorate-sim
    log=$(mktemp)
    while read -r name _; do
        [[ -z $only || ,$only, == *,$name,* ]] || continue
        if timeout 900 "$sim" --mutant "$name" --seeds "$seeds" --seconds "$seconds" --stop >"$log" 2>&1; then
            missed+=("$name")
            printf 'SURVIVES %-26s %s seeds\n' "$name" "$seeds"
        else
            found=$((found + 1))
            line=$(grep -A 1 -m 1 '^FAILED' "$log" | sed -n '2s/^ *//p')
            printf 'killed   %-26s seed %-4s %.110s\n' "$name" "$(grep -c -E '^(ok|FAILED)' "$log")" \
                "${line:-$(tail -n 1 "$log")}"
        fi
    done < <("$sim" --mutants)
    rm -f "$log"
    printf '%d killed, %d survive\n' "$found" "${#missed[@]}"
    ((${#missed[@]} == 0))
}
