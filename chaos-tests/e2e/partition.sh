#!/bin/bash
# The master, with a guest on it, is cut off. The others go on without it; it acknowledges nothing;
# its guest goes on and nobody starts a second one; after the cut all agree.
# shellcheck source=chaos-tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

story_begin 3 qemu
master=$(master_name)
on_pool guest create lonely --image tiny --host "$master" >/dev/null
on_pool guest create other --image tiny --host "$(host_but "$master")" >/dev/null
expect_beating lonely
others=$(connect_without "$master")

isolate_host "$master"
begin=$(now_ms)
quorate --connect "$others" guest set other --priority 5 >/dev/null || fail "the majority cannot write"
tell "the majority wrote after $(($(now_ms) - begin)) ms"
took=$(($(now_ms) - begin))
# It may have been told NO_QUORUM, NOT_LEADER, TIMEOUT or UNSURE: all "not available now".
refused 5 "" on_host "$master" --timeout 3 guest set lonely --priority 9
refused 5 "" on_host "$master" --timeout 3 guest list
check "what it has can be looked at locally" on_host "$master" --local guest list
host_is_down() { [[ $(quorate --connect "$others" host show "$master" --json | rows | jq -r .state) == down ]]; }
eventually 20 "the others see that it is gone" host_is_down
expect_beating lonely
expect_beating other

heal_network
eventually 30 "the pool is whole" pool_is_whole
# Nobody knew whether it would be carried out; it is old or new, never anything else.
check "the write without an answer happened or did not" grep -qxE '9|100' <<<"$(guest_field lonely priority)"
expect_equal_hashes
check "lonely runs where it ran" guest_runs_on lonely "$master"
expect_beating lonely
expect_single lonely
expect_single other

figures "majority writes again $took ms after the cut"
