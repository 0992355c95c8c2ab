# ./lab chaos: the simulator (chaos-tests/sim), a whole pool in one process on virtual time.
# shellcheck shell=bash

verb_chaos() {
    local arg args=() before=''
    install_missing build >&2
    for arg in "$@" --; do
        case $arg in
        --mutants | --audit)
            "chaos_${arg#--}" "$@"
            return
            ;;
        esac
        [[ $before != --sweep || $arg != --* ]] || args+=(tour) # There is one story.
        args+=("$arg")
        before=$arg
    done
    unset 'args[-1]'
    build_release quorate-sim >&2
    exec "$LAB_ROOT/build/chaos-tests/quorate-sim" "${args[@]}"
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

# chaos_audit --audit [--seeds N] [--seconds N]: the same seeds with other compilers, optimisations and
# sanitizers, and on a heap that is filled with other bytes, must be the same histories.
chaos_audit() {
    local seeds=10 seconds=60 want='' name dir got bad=0
    while (($# > 0)); do
        case $1 in
        --audit) shift ;;
        --seeds | --seconds)
            [[ ${2:-} =~ ^[0-9]+$ ]] || usage_error "$1 needs a number"
            printf -v "${1#--}" %s "$2"
            shift 2
            ;;
        *) usage_error "chaos --audit: unknown option $1; --seeds and --seconds there are" ;;
        esac
    done
    for name in release asan gcc-O0 gcc-O3 clang-O0 clang-O2 heap; do
        dir=$(audit_build "$name") || die "chaos --audit: $name does not build"
        got=$(audit_run "$name" "$dir" "$seeds" "$seconds")
        want=${want:-$got}
        if [[ -n $got && $got == "$want" ]]; then
            printf 'same     %-9s %s\n' "$name" "$(sha256sum <<<"$got" | cut -c1-16)"
        else
            printf 'DIFFERS  %-9s in seed %s\n' "$name" "$(diff <(echo "$want") <(echo "$got") | sed -n 's/^> \([0-9]*\) .*/\1/p' | head -n 1)"
            bad=$((bad + 1))
        fi
    done
    ((bad == 0))
}

# The directory of this variant's build, on stdout.
audit_build() {
    local name=$1 dir=$LAB_ROOT/build-audit-$1
    case $name in
    release | heap) dir=$LAB_ROOT/build ;;&
    release | heap | asan)
        [[ $name != asan ]] || dir=$LAB_ROOT/build-asan
        build_preset "${name/heap/release}" "$dir" quorate-sim >&2
        ;;
    *)
        [[ -e $dir/build.ninja ]] || cmake -S "$LAB_ROOT" -B "$dir" -G Ninja -DCMAKE_C_COMPILER="${name%-*}" \
            -DCMAKE_BUILD_TYPE= -DCMAKE_C_FLAGS="-${name#*-} -g" >&2 || return
        ninja -C "$dir" -j "$(jobs_here)" quorate-sim | compiler_output >&2
        ;;
    esac
    echo "$dir"
}

# "SEED HASH", a line a seed.
audit_run() {
    local fill=0
    [[ $1 != heap ]] || fill=165
    MALLOC_PERTURB_=$fill "$2/chaos-tests/quorate-sim" --seed 1 --seeds "$3" --seconds "$4" |
        sed -n 's/.* seed \([0-9]*\): .* hash \([0-9a-f]*\),.*/\1 \2/p' | sort -n
}
