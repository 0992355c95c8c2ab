#!/bin/bash
# A host loses its data directory, another stands still for a while, a third is given yesterday's
# data: each comes back with the same state as the others.
# shellcheck source=chaos-tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

PAUSE_S=${PAUSE_S:-60}
story_begin 3 sim

# write_some COUNT [CONNECT]: changes of the pool.
write_some() {
    local i
    for ((i = 0; i < $1; i++)); do
        WRITES=$((${WRITES:-0} + 1))
        quorate --connect "${2:-$(connect_list)}" guest create "g$WRITES" --image tiny --no-start \
            --no-wait >/dev/null || fail "write $WRITES"
    done
}

write_some 30
for who in follower master; do
    victim=$(master_name)
    [[ $who == master ]] || victim=$(host_but "$victim")
    number=$(host_field "$victim" raft_id)
    host_wipe "$victim"
    write_some 10 "$(connect_without "$victim")"
    eventually 60 "$victim (the $who), wiped, has a new member number" member_beyond "$victim" "$number"
    eventually 60 "it is back and votes" pool_is_whole
    expect_equal_hashes
done

victim=$(host_but "$(master_name)")
daemon_pause "$victim"
tell "$victim stands still for $PAUSE_S s"
over=$(($(now_ms) + PAUSE_S * 1000))
pause_is_over() { (($(now_ms) > over)); }
until pause_is_over; do
    write_some 5
    eventually 5 "the others go on" master_name
done
signal_daemon CONT "$victim"
eventually 60 "$victim goes on and votes" pool_is_whole
expect_equal_hashes

victim=$(host_but "$(master_name)")
power_cut "$victim"
cp -a "$(host_dir "$victim")/data" "$LAB_DIR/yesterday"
daemon_start "$victim"
eventually 30 "the pool is whole" pool_is_whole
write_some 20
expect_equal_hashes
number=$(host_field "$victim" raft_id)
power_cut "$victim"
rm -rf "$(host_dir "$victim")/data"
cp -a "$LAB_DIR/yesterday" "$(host_dir "$victim")/data"
daemon_start "$victim"
write_some 10 "$(connect_without "$victim")"
eventually 60 "$victim, given yesterday's data, has a new member number" member_beyond "$victim" "$number"
eventually 60 "it is back and votes" pool_is_whole
expect_equal_hashes

# All at once, as when the power of the room fails.
for h in $(host_names); do power_cut "$h"; done
for h in $(host_names); do daemon_start "$h"; done
eventually 30 "the pool is whole after all hosts were dark" pool_is_whole
expect_equal_hashes
check "nothing that was acknowledged is lost" test "$(on_pool guest list --json | rows | jq -s length)" -eq "$WRITES"
figures "$WRITES writes, all there"
