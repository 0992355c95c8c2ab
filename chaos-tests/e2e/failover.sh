#!/bin/bash
# The master's power is cut twenty times. How long until the next write is acknowledged? Then the same
# when nobody is told that it died: the machine itself is gone, not only what ran on it, so that no
# system is left to end its connections.
#
# Measured from the moment before the kill, through the command line with all its start-up; the other
# two hosts are asked. The limits are those of a machine that does other things too: the figures, not
# the limits, are the result.
# shellcheck source=chaos-tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

KILLS=${KILLS:-20}
SILENT_KILLS=${SILENT_KILLS:-10}
MEDIAN_LIMIT_MS=${MEDIAN_LIMIT_MS:-150}
WORST_LIMIT_MS=${WORST_LIMIT_MS:-600}
SILENT_MEDIAN_LIMIT_MS=${SILENT_MEDIAN_LIMIT_MS:-600}
SILENT_WORST_LIMIT_MS=${SILENT_WORST_LIMIT_MS:-1500}
story_begin 3 sim
on_pool guest create probe --image tiny --no-start >/dev/null
WRITES=0

# write_after MASTER FILE BEGIN: the first write after the master's end, through the others.
write_after() {
    local others took
    others=$(connect_without "$1")
    WRITES=$((WRITES + 1))
    quorate --connect "$others" guest set probe --priority "$WRITES" >/dev/null ||
        fail "write $WRITES failed"
    took=$(($(now_ms) - $3))
    printf '%d\n' "$took" >>"$LAB_DIR/$2"
    tell "$1 is gone: a write is acknowledged after $took ms"
    [[ $(quorate --connect "$others" guest list --json | rows | jq -r '.priority') == "$WRITES" ]] ||
        fail "the write that was acknowledged is not there"
}

for ((i = 1; i <= KILLS; i++)); do
    eventually 30 "the pool is whole" pool_is_whole
    master=$(master_name)
    power=$(power_pid "$master")
    begin=$(now_ms)
    kill -KILL "$power"
    write_after "$master" times "$begin"
    power_cut "$master" # What it left behind.
    daemon_start "$master"
done

for ((i = 1; i <= SILENT_KILLS; i++)); do
    eventually 30 "the pool is whole" pool_is_whole
    master=$(master_name)
    need_cut_table
    begin=$(now_ms)
    isolate_host "$master"
    write_after "$master" silent "$begin"
    power_cut "$master" # While it is cut off: nobody is told.
    heal_network
    daemon_start "$master"
done
eventually 30 "the pool is whole" pool_is_whole
expect_equal_hashes
read -r median worst < <(median_worst <"$LAB_DIR/times")
read -r silent_median silent_worst < <(median_worst <"$LAB_DIR/silent")
figures "killed: median $median ms, worst $worst ms of $KILLS; silent: median $silent_median ms," \
    "worst $silent_worst ms of $SILENT_KILLS"
check "the median is under $MEDIAN_LIMIT_MS ms" test "$median" -lt "$MEDIAN_LIMIT_MS"
check "the worst is under $WORST_LIMIT_MS ms" test "$worst" -lt "$WORST_LIMIT_MS"
check "silent: the median is under $SILENT_MEDIAN_LIMIT_MS ms" \
    test "$silent_median" -lt "$SILENT_MEDIAN_LIMIT_MS"
check "silent: the worst is under $SILENT_WORST_LIMIT_MS ms" \
    test "$silent_worst" -lt "$SILENT_WORST_LIMIT_MS"
