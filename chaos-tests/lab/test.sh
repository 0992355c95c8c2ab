# ./lab test: everything that can be checked, one line a step, the log of each step in a file.
#
# A step is a function step_NAME or a script chaos-tests/e2e/NAME.sh. It passes with exit status 0,
# is skipped with 77, and fails with anything else. A step that runs several tests may write their
# numbers to the file $STEP_COUNTS ("passed failed"); else it counts as one.
# shellcheck shell=bash

SKIPPED=77
STEPS=(build unit build_asan unit_asan layers pure docs format shell tidy fuzz chaos)
# Too long for every day, or a figure and no verdict: run when they are named.
NAMED_STEPS=(coverage marks)
QUICK_STEPS=(build unit build_asan unit_asan layers pure docs format shell tidy)

step_build() {
    build_release
    build_images
}

step_unit() { run_ctest "$LAB_ROOT/build"; }

step_build_asan() {
    build_preset asan "$LAB_ROOT/build-asan"
}

step_unit_asan() { run_ctest "$LAB_ROOT/build-asan"; }

# run_ctest DIR: all its tests, and how many passed and failed.
run_ctest() {
    local rc=0 line
    ctest --test-dir "$1" -j "$(jobs_here)" --output-on-failure | tee "$STEP_LOG.ctest" || rc=$?
    line=$(grep -E '% tests passed, [0-9]+ tests failed out of [0-9]+' "$STEP_LOG.ctest" | tail -n 1)
    if [[ $line =~ ,\ ([0-9]+)\ tests\ failed\ out\ of\ ([0-9]+) ]]; then
        printf '%d %d\n' $((BASH_REMATCH[2] - BASH_REMATCH[1])) "${BASH_REMATCH[1]}" >"$STEP_COUNTS"
    fi
    return "$rc"
}

step_layers() { (cd "$LAB_ROOT" && .ci/layers); }

step_pure() { (cd "$LAB_ROOT" && .ci/pure); }

step_docs() { (cd "$LAB_ROOT" && .ci/docs); }

c_files() { (cd "$LAB_ROOT" && find core fsm raftlog hvdriver migration cli chaos-tests -name '*.[ch]'); }

step_format() { c_files | (cd "$LAB_ROOT" && xargs clang-format --dry-run -Werror); }

step_shell() {
    cd "$LAB_ROOT" || return
    shellcheck -x lab .ci/run cli/tests/test_install chaos-tests/sim/tests/corpus chaos-tests/images/build{,-xen} \
        chaos-tests/images/machine/* chaos-tests/lab/*.sh chaos-tests/e2e/*.sh
}

step_tidy() {
    if ((QUICK == 1)); then
        (cd "$LAB_ROOT" && .ci/tidy --changed)
    else
        (cd "$LAB_ROOT" && .ci/tidy)
    fi
}

step_fuzz() {
    build_preset fuzz "$LAB_ROOT/build-fuzz"
    run_ctest "$LAB_ROOT/build-fuzz"
}

# Seeds that nobody has run: each must hold. The same again with CHAOS_SEED=S ./lab test chaos.
step_chaos() {
    local sim=$LAB_ROOT/build/chaos-tests/quorate-sim seed=${CHAOS_SEED:-$(date +%s)} dir rc=0
    dir=${STEP_LOG%.log}.d
    mkdir -p "$dir"
    chaos_fresh three --seed "$seed" --seeds 250 --seconds 60 || rc=1
    chaos_fresh five --seed "$seed" --seeds 100 --seconds 60 --hosts 5 || rc=1
    chaos_fresh long --seed "$seed" --seeds 12 --seconds 600 || rc=1
    "$sim" --sweep tour --every 11 --seed "$((seed % 100))" --marks --jobs "$(jobs_here)" || rc=1
    chaos_marks "$STEP_LOG" OFTEN || rc=1
    printf '= fresh seeds from %s, %s simulated hours\n' "$seed" \
        "$(awk 'match($0, / seeds, [0-9.]+ sim/) { s += substr($0, RSTART + 8) } END { print s }' "$STEP_LOG")"
    return "$rc"
}

# chaos_fresh NAME OPTION...: what fails is made small, with its report, in the folder of the step's logs.
chaos_fresh() {
    local name=$1
    shift
    "$sim" "$@" --jobs "$(jobs_here)" --judged --marks --report "$dir/$name.html" --save "$dir/$name.scenario"
}

# So many seeds that what is seldom happens in them, too.
step_marks() {
    local sim=$LAB_ROOT/build/chaos-tests/quorate-sim seed=${CHAOS_SEED:-$(date +%s)} dir rc=0
    dir=${STEP_LOG%.log}.d
    mkdir -p "$dir"
    chaos_fresh three --seed "$seed" --seeds 1000 --seconds 60 || rc=1
    chaos_fresh five --seed "$seed" --seeds 400 --seconds 60 --hosts 5 || rc=1
    chaos_fresh long --seed "$seed" --seeds 150 --seconds 600 || rc=1
    chaos_fresh disks --seed "$seed" --seeds 60 --seconds 200 --clients 16 --faults full_disk,slow_disk || rc=1
    chaos_fresh members --seed "$seed" --seeds 100 --seconds 120 --hosts 5 \
        --faults members,cut,pause,freeze,slow_disk || rc=1
    chaos_marks "$STEP_LOG" '(OFTEN|SELDOM)' || rc=1
    printf '= fresh seeds from %s\n' "$seed"
    return "$rc"
}

# chaos_marks LOG HOW_OFTEN: each of these marks of core/marks.def must have been hit in one of the batches of
# this log. Names those that were not.
chaos_marks() {
    awk -v kind="^mark $2 " '$0 ~ kind {hits[$3] += $4}
        END {for (m in hits) {all++; if (!hits[m]) {print "FAILED: no run came by the mark " m; bad = 1}}
            if (!all) {print "FAILED: no marks were counted"; bad = 1}
            exit bad}' "$1"
}

# What share of our lines the unit tests run: a figure, not a limit.
step_coverage() {
    local dir=$LAB_ROOT/build-coverage
    build_preset coverage "$dir"
    find "$dir" -name '*.gcda' -delete
    run_ctest "$dir"
    find "$dir" -name '*.gcda' -not -path '*test*' -print0 | xargs -0 gcov -n 2>/dev/null |
        awk -F"[':% ]+" '/^File/ {own = $2 ~ /\.c$/ && $2 !~ /(^|\/)(tests|bench|tools)\//}
            /^Lines executed/ && own {hit += $3 * $5 / 100; all += $5; own = 0}
            END {printf "= %.1f %% of %d lines\n", 100 * hit / all, all}'
}

# The stories, in order of their names; in a quick run those that say so in their first lines.
story_names() {
    local file
    for file in "$LAB_ROOT"/chaos-tests/e2e/*.sh; do
        [[ ${file##*/} != lib.sh ]] || continue
        if ((QUICK == 0)) || head -n 5 "$file" | grep -q '^# quick$'; then
            basename "$file" .sh
        fi
    done
}

# run_step NAME COMMAND...: in the background of a log file, with a time limit, and count it.
run_step() {
    local name=$1 begin rc=0 passed=0 failed=0 word
    shift
    STEP_LOG=$LAB_LOGS/$name.log
    STEP_COUNTS=$LAB_LOGS/$name.counts
    export STEP_LOG STEP_COUNTS
    rm -f "$STEP_COUNTS"
    begin=$(now_ms)
    # A subshell with errexit of its own: a step ends at its first failing command.
    (set -e; "$@") >"$STEP_LOG" 2>&1 </dev/null &
    wait "$!" || rc=$?
    case $rc in
        0) word='ok     ' passed=1 ;;
        "$SKIPPED") word='skipped' ;;
        *) word='FAILED ' failed=1 ;;
    esac
    if [[ -s $STEP_COUNTS ]]; then
        read -r passed failed <"$STEP_COUNTS"
        ((rc == 0 || failed > 0)) || failed=1
    fi
    ((rc != SKIPPED)) || SKIPS=$((SKIPS + 1))
    PASSED=$((PASSED + passed))
    FAILED=$((FAILED + failed))
    printf '%s %-22s %4d.%d s%s\n' "$word" "$name" $((($(now_ms) - begin) / 1000)) \
        $((($(now_ms) - begin) / 100 % 10)) "$(step_note "$passed" "$failed" "$rc")"
    if ((rc != 0 && rc != SKIPPED)); then
        sed 's/^/    | /' < <(tail -n 40 "$STEP_LOG")
        printf '    the whole log: %s\n' "$STEP_LOG"
    fi
}

# What else is worth a word: how many tests, or the step's own last line where it begins with "=".
step_note() {
    local figures
    if (($1 + $2 > 1)); then
        printf '  %d tests' $(($1 + $2))
    fi
    figures=$(grep '^= ' "$STEP_LOG" | tail -n 1 | cut -c 3-) || true
    [[ -z $figures ]] || printf '  %s' "$figures"
    if (($3 == SKIPPED)); then
        printf '  %s' "$(tail -n 1 "$STEP_LOG")"
    fi
}

# is_wanted NAME WANTED...: no wish is every wish.
is_wanted() {
    local name=$1 wish
    shift
    (($# > 0)) || return 0
    for wish in "$@"; do
        [[ $name != "$wish" ]] || return 0
    done
    return 1
}

verb_test() {
    local name wanted=() steps
    QUICK=0 PASSED=0 FAILED=0 SKIPS=0
    while (($# > 0)); do
        case $1 in
            --quick) QUICK=1 ;;
            -*) usage_error "test: what is '$1'?" ;;
            *) wanted+=("$1") ;;
        esac
        shift
    done
    for name in "${wanted[@]}"; do
        is_wanted "$name" "${STEPS[@]}" "${NAMED_STEPS[@]}" || [[ -e $LAB_ROOT/chaos-tests/e2e/$name.sh ]] ||
            usage_error "test: no step '$name'; there are: ${STEPS[*]} ${NAMED_STEPS[*]} $(story_names | xargs)"
    done
    install_missing build run test
    LAB_LOGS=$LAB_ROOT/build/test-logs
    mkdir -p "$LAB_LOGS"
    steps=("${STEPS[@]}")
    ((QUICK == 0)) || steps=("${QUICK_STEPS[@]}")
    ((${#wanted[@]} == 0)) || steps+=("${NAMED_STEPS[@]}")
    for name in "${steps[@]}"; do
        if is_wanted "$name" "${wanted[@]}"; then
            run_step "$name" "step_$name"
        fi
    done
    for name in $(story_names); do
        if is_wanted "$name" "${wanted[@]}"; then
            run_step "$name" timeout --kill-after=60 "${STORY_LIMIT_S:-900}" \
                bash "$LAB_ROOT/chaos-tests/e2e/$name.sh"
        fi
    done
    printf '%d passed, %d failed' "$PASSED" "$FAILED"
    ((SKIPS == 0)) || printf ', %d skipped' "$SKIPS"
    printf '\n'
    ((FAILED == 0))
}
