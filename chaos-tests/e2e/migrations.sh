#!/bin/bash
# One guest goes round the pool by live migration, twenty times. Its counter never goes back and
# never doubles; the largest gap is told beside its parts: QEMU's downtime, the commit of the switch,
# and the time until the target lets it run.
# shellcheck source=chaos-tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

ROUNDS=${ROUNDS:-20}
GAP_LIMIT_MS=${GAP_LIMIT_MS:-1500}
story_begin 3 qemu
on_pool guest create traveller --image tiny >/dev/null
expect_beating traveller
watch_guest traveller

for ((i = 1; i <= ROUNDS; i++)); do
    from=$(guest_field traveller host)
    to=h$((${from#h} % 3 + 1))
    epoch=$(guest_field traveller run_epoch)
    on_pool guest migrate traveller "$to" --json >"$LAB_DIR/outcome"
    guest_runs_on traveller "$to" || fail "it is on $(guest_field traveller host) after migration $i to $to"
    (($(guest_field traveller run_epoch) > epoch)) || fail "its run epoch did not grow"
    on_pool op show "$(jq .op "$LAB_DIR/outcome")" --json | rows |
        jq -r '"\(.downtime_ms) \(.commit_ms) \(.resume_ms)"' >>"$LAB_DIR/parts"
    expect_beating traveller
done
watch_end traveller
expect_single traveller
check "all three hosts saw it" test "$(report 'hosts | [.[] | select(. > 0)] | length')" -eq 3
check "no beat is missing but those cut in two by a move" test "$(report missing)" -le "$ROUNDS"
# One open description per copy: the processes of the copies that left are gone.
for h in $(host_names); do
    want=0
    [[ $(guest_field traveller host) != "$h" ]] || want=1
    check "$h runs $want copies" test "$(qemus_on "$h")" -eq "$want"
done
expect_equal_hashes
gap=$(report seen_gap_ms)
# part FIELD: median and worst of one part of the standstill.
part() {
    local median worst
    read -r median worst < <(cut -d' ' -f"$1" "$LAB_DIR/parts" | median_worst)
    printf '%s/%s' "$median" "$worst"
}
tell "downtime, commit, resume: $(paste -sd, "$LAB_DIR/parts")"
check "each move has its figures" no_longer grep -q null "$LAB_DIR/parts"
figures "$ROUNDS moves, largest gap between beats $gap ms (100 is none); median/worst ms:" \
    "downtime by QEMU $(part 1), commit $(part 2), resume $(part 3)"
check "the largest gap is under $GAP_LIMIT_MS ms" test "$gap" -lt "$GAP_LIMIT_MS"
