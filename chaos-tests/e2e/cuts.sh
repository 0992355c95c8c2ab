#!/bin/bash
# Every cut that three hosts can have: each pair apart, each host alone, and links that come and go. As
# long as a majority sees a master, a write through the list of hosts succeeds, whichever host stands
# first in it, and soon; a host without a majority says so; nobody is elected who need not be; and when
# the cut is over all agree again within a moment.
# shellcheck source=chaos-tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

FLAP_S=${FLAP_S:-15}
WORST_LIMIT_MS=${WORST_LIMIT_MS:-3000}
LATER_LIMIT_MS=${LATER_LIMIT_MS:-600}
HEAL_LIMIT_MS=${HEAL_LIMIT_MS:-3000}
story_begin 3 sim
on_pool guest create probe --image tiny --no-start >/dev/null
WRITES=0

# list_from HOST: all addresses, that one first.
list_from() { printf '%s:7077,%s\n' "$(host_address "$1")" "$(connect_without "$1")"; }

# write_to FILE CONNECT: one write, and how long it took.
write_to() {
    local begin
    WRITES=$((WRITES + 1))
    begin=$(now_ms)
    quorate --connect "$2" guest set probe --priority $((WRITES % 1000)) >/dev/null ||
        fail "write $WRITES through $2"
    printf '%d\n' $(($(now_ms) - begin)) >>"$LAB_DIR/$1"
}

# Writes through each order of the list: the first may find out that its host is cut off.
write_everywhere() {
    local h
    for h in $(host_names); do
        write_to first "$(list_from "$h")"
        for _ in 1 2 3 4; do
            write_to later "$(list_from "$h")"
        done
    done
}

term_of() { on_host "$1" --local log stats --json | rows | jq .term; }

heal_and_agree() {
    local begin
    begin=$(now_ms)
    heal_network
    eventually 30 "all hosts are at the same index" hashes_agree
    printf '%d\n' $(($(now_ms) - begin)) >>"$LAB_DIR/healed"
    expect_equal_hashes
    eventually 30 "the pool is whole" pool_is_whole
    check "what was written last is there" \
        test "$(on_pool guest list --json | rows | jq .priority)" -eq $((WRITES % 1000))
}

for pair in 'h1 h2' 'h1 h3' 'h2 h3'; do
    term=$(term_of "$(master_name)")
    # shellcheck disable=SC2086 # Two words.
    cut_hosts $pair
    write_everywhere
    check "$pair apart: the master is who it was" test "$(term_of "$(master_name)")" -eq "$term"
    heal_and_agree
    check "$pair together: the master is who it was" test "$(term_of "$(master_name)")" -eq "$term"
done

for h in $(host_names); do
    master=$(master_name)
    term=$(term_of "$master")
    isolate_host "$h"
    write_everywhere
    refused 5 "reaches no master" on_host "$h" --timeout 2 guest set probe --priority 1000
    refused 5 "no majority" on_host "$h" --timeout 2 guest list
    check "what it has can be looked at locally" on_host "$h" --local guest list
    if [[ $h != "$master" ]]; then
        check "$h alone: the master is who it was" test "$(term_of "$master")" -eq "$term"
    fi
    # What it was asked with time left is not known; then it was told no, and has not done it.
    WRITES=$((WRITES + 1))
    quorate --connect "$(connect_without "$h")" guest set probe --priority $((WRITES % 1000)) >/dev/null
    heal_and_agree
done

# Links that come and go, for shorter and longer than anybody's patience.
flap() {
    local pairs=('h1 h2' 'h1 h3' 'h2 h3') end
    end=$(($(now_ms) + FLAP_S * 1000))
    while (($(now_ms) < end)); do
        # shellcheck disable=SC2046,SC2086 # Two words.
        cut_hosts ${pairs[RANDOM % 3]}
        sleep "$((RANDOM % 2)).$((RANDOM % 10))"
        heal_network
        sleep "0.$((RANDOM % 6))"
    done
}
flap &
flapping=$!
BACKGROUND+=("$flapping")
while kill -0 "$flapping" 2>/dev/null; do
    for h in $(host_names); do
        write_to flapping "$(list_from "$h")"
    done
done
wait "$flapping"
heal_and_agree

read -r median_first worst_first < <(median_worst <"$LAB_DIR/first")
read -r median_later worst_later < <(median_worst <"$LAB_DIR/later")
read -r median_flap worst_flap < <(median_worst <"$LAB_DIR/flapping")
read -r median_heal worst_heal < <(median_worst <"$LAB_DIR/healed")
figures "write in ms, median/worst: the first after a cut $median_first/$worst_first, later" \
    "$median_later/$worst_later, flapping $median_flap/$worst_flap of $(wc -l <"$LAB_DIR/flapping");" \
    "agreed again after $median_heal/$worst_heal"
check "a first write took under $WORST_LIMIT_MS ms" test "$worst_first" -lt "$WORST_LIMIT_MS"
check "a later one under $LATER_LIMIT_MS ms in the median" test "$median_later" -lt "$LATER_LIMIT_MS"
check "a later one under $WORST_LIMIT_MS ms" test "$worst_later" -lt "$WORST_LIMIT_MS"
check "all agreed after $HEAL_LIMIT_MS ms" test "$worst_heal" -lt "$HEAL_LIMIT_MS"
