#!/bin/bash
# quick
# The disk under the log fails (EIO of fdatasync, put in by strace), of a follower and of the master:
# its daemon says so and ends with status 1 rather than acknowledge what may not be there, its guest never
# notices, the pool goes on, and the daemon is back with what it had once the disk works again.
# shellcheck source=chaos-tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

story_begin 3 qemu
WRITES=0
write_one() {
    WRITES=$((WRITES + 1))
    quorate --connect "$(connect_without "$VICTIM")" --quiet guest create "w$WRITES" --image tiny \
        --no-start || fail "write $WRITES"
}

# The disk of VICTIM fails from now on: whoever syncs is told of an error.
disk_fails() {
    strace -f -q -o "$LAB_DIR/trace" -e trace=fdatasync,exit_group -e inject=fdatasync:error=EIO \
        -p "$(daemon_pid "$VICTIM")" 2>"$LAB_DIR/strace" &
    BACKGROUND+=("$!")
    tracer=$!
    is_traced() { grep -q '^TracerPid:[[:space:]]*[1-9]' "/proc/$1/status"; }
    wait_until 10 "strace is there" is_traced "$(daemon_pid "$VICTIM")" ||
        skip "strace may not attach here: $(tail -n 1 "$LAB_DIR/strace")"
}

for who in follower master; do
    VICTIM=$(master_name)
    [[ $who == master ]] || VICTIM=$(host_but "$VICTIM")
    on_pool guest create "$who" --image tiny --host "$VICTIM" --quiet
    expect_beating "$who"
    number=$(host_field "$VICTIM" raft_id)
    epoch=$(guest_field "$who" run_epoch)
    pid=$(daemon_pid "$VICTIM")
    disk_fails
    write_one
    eventually 10 "$VICTIM, the $who, ends" no_longer is_alive "$pid"
    wait "$tracer" || true
    check "it was told of an error" grep -q 'fdatasync.*EIO.*INJECTED' "$LAB_DIR/trace"
    check "it ended with status 1" grep -qE "exit_group\(1\)|exited with 1" "$LAB_DIR/trace"
    check "it says why" grep -qE 'event=disk_failed .*sync wal-[a-z0-9]+: Input/output error' \
        "$(host_dir "$VICTIM")/log/quorated.log"
    check "and what follows" grep -q 'event=replica_stopped .*code=IO' "$(host_dir "$VICTIM")/log/quorated.log"
    expect_beating "$who"
    eventually 10 "another is master" master_is_not "$VICTIM"
    write_one
    daemon_start "$VICTIM"
    eventually 30 "the pool is whole" pool_is_whole
    check "$VICTIM is who it was" test "$(host_field "$VICTIM" raft_id)" -eq "$number"
    check "it is the same run of its guest" test "$(guest_field "$who" run_epoch)" -eq "$epoch"
    expect_equal_hashes
    expect_single "$who"
done
check "nothing that was acknowledged is lost" \
    test "$(on_pool guest list --json | rows | jq -s '[.[] | select(.name | startswith("w"))] | length')" -eq "$WRITES"
