#!/bin/bash
# The disk under the log of a host is full, first of a follower, then of the master: the host says so
# and steps aside, the pool goes on, and when there is room again it catches up by itself.
# shellcheck source=chaos-tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=chaos-tests/lab/bench.sh
. "$LAB_ROOT/chaos-tests/lab/bench.sh"

SIZE_MIB=160
story_ground 3 sim
for h in h1 h2 h3; do
    mkdir -p "$LAB_DIR/hosts/$h/data"
    mount -t tmpfs -o "size=${SIZE_MIB}m,mode=700" "quorate-$h" "$LAB_DIR/hosts/$h/data" ||
        skip "a file system cannot be mounted here"
done
# Mounts of the hosts' own namespaces end with the hosts; those here must be ended before the rest.
unmount_and_end() {
    local rc=$? h
    for h in h1 h2 h3; do power_cut "$h" || true; done
    ((rc == 0)) || keep_logs
    for h in h1 h2 h3; do umount -l "$LAB_DIR/hosts/$h/data" 2>/dev/null || true; done
    (exit "$rc")
    story_end
}
trap unmount_and_end EXIT
pool_up
bench_guests

fill() { dd if=/dev/zero of="$(host_dir "$1")/data/filler" bs=64k status=none 2>/dev/null || true; }
says_full() { grep -q 'event=disk_full' "$(host_dir "$1")/log/quorated.log"; }
has_room() { tail -n 20 "$(host_dir "$1")/log/quorated.log" | grep -q 'event=disk_has_room'; }
load() { benchlog_at "$(master_name)" 64 "$1" >/dev/null; }
writes=0
write_one() {
    writes=$((writes + 1))
    quorate --connect "$(connect_list)" guest create "w$writes" --image tiny --no-start --no-wait >/dev/null ||
        fail "write $writes"
}
full_for_a_while() {
    fill "$1"
    wait_until 20 "$1 says that its disk is full" full_is_said "$1" || fail "$1 does not say that its disk is full"
}
# A full disk is felt by writing.
full_is_said() { load 1 2>/dev/null || true; says_full "$1"; }

VICTIM=$(host_but "$(master_name)")
full_for_a_while "$VICTIM"
tell "ok: $VICTIM, a follower, says that its disk is full"
for _ in $(seq 20); do write_one; done
check "its daemon still runs" daemon_runs "$VICTIM"
rm "$(host_dir "$VICTIM")/data/filler"
eventually 20 "$VICTIM says that there is room again" has_room "$VICTIM"
eventually 30 "the pool is whole" pool_is_whole
expect_equal_hashes

VICTIM=$(master_name)
full_for_a_while "$VICTIM"
eventually 20 "$VICTIM, the master, gave way to another" master_is_not "$VICTIM"
for _ in $(seq 20); do write_one; done
check "its daemon still runs" daemon_runs "$VICTIM"
rm "$(host_dir "$VICTIM")/data/filler"
eventually 20 "$VICTIM says that there is room again" has_room "$VICTIM"
eventually 30 "the pool is whole" pool_is_whole
expect_equal_hashes
check "nothing that was acknowledged is lost" \
    test "$(on_pool guest list --json | rows | jq -s '[.[] | select(.name | startswith("w"))] | length')" -eq "$writes"
figures "$writes writes around two full disks, all there"
