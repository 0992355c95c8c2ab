#!/bin/bash
# One thing at a time of a host's data is damaged, lost or another's, while it is down. It says what it
# found and where; it goes on with what it has, or is set aside and filled by the others under a new
# member number, never with a vote or an acknowledged write forgotten: after each case the pool is
# whole, the states are equal and everything acknowledged is there.
# shellcheck source=chaos-tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=chaos-tests/lab/bench.sh
. "$LAB_ROOT/chaos-tests/lab/bench.sh"

story_ground 3 sim
printf '%s\n' --snapshot-entries 20000 --snapshot-trailing 200000 >"$LAB_DIR/conf/daemon_options"
pool_up
bench_guests

GUESTS=$(on_pool guest list --json | rows | jq -s length)
write_one() {
    on_pool guest create "after-$GUESTS" --image tiny --no-start --no-wait >/dev/null
    GUESTS=$((GUESTS + 1))
}

# Three segments or more and a snapshot on each host.
is_grown() {
    local h
    for h in $(host_names); do
        (($(find "$(log_of "$h")" -name 'wal-0*' | wc -l) >= 3)) || return 1
        compgen -G "$(log_of "$h")/snap-*" >/dev/null || return 1
    done
}
grow() {
    until is_grown; do
        benchlog_at "$(master_name)" 64 1 >/dev/null
    done
}

data_of() { printf '%s/data\n' "$(host_dir "$1")"; }
log_of() { printf '%s/log\n' "$(data_of "$1")"; }
last_of() { compgen -G "$(log_of "$VICTIM")/$1" | sort | tail -n 1; }

# flip FILE OFFSET: one bit.
flip() {
    python3 -c 'import sys
f = open(sys.argv[1], "r+b"); f.seek(int(sys.argv[2])); b = f.read(1)[0]
f.seek(-1, 1); f.write(bytes([b ^ 16]))' "$1" "$2"
}

# of_format FILE CRC-AT FORMAT-AT LENGTH: says that it has format 99, with a checksum that is right.
of_format() {
    python3 -c 'import sys
name, crc_at, format_at, n = sys.argv[1], *map(int, sys.argv[2:])
def crc32c(data):
    c = 0xffffffff
    for byte in data:
        c ^= byte
        for _ in range(8):
            c = c >> 1 ^ (0x82f63b78 if c & 1 else 0)
    return c ^ 0xffffffff
f = open(name, "r+b"); block = bytearray(f.read(n))
block[format_at:format_at + 4] = (99).to_bytes(4, "little")
block[crc_at:crc_at + 4] = crc32c(block[:crc_at] + block[crc_at + 4:]).to_bytes(4, "little")
f.seek(0); f.write(block)' "$@"
}

said() { tail -n "+$MARK" "$(host_dir "$VICTIM")/log/quorated.log" | grep -qE -- "$1"; }
daemon_log() { printf '%s/log/quorated.log\n' "$(host_dir "$VICTIM")"; }

# damaged NAME OUTCOME WORDS COMMAND...: OUTCOME is kept (it goes on with what it has) or refilled.
CASES=0
damaged() {
    local name=$1 outcome=$2 words=$3 number
    shift 3
    VICTIM=$(host_but "$(master_name)")
    number=$(host_field "$VICTIM" raft_id)
    power_cut "$VICTIM"
    write_one
    "$@"
    MARK=$(($(wc -l <"$(daemon_log)") + 1))
    daemon_start "$VICTIM"
    if [[ $outcome == refilled ]]; then
        wait_until 30 "$VICTIM has a new member number" member_beyond "$VICTIM" "$number" ||
            fail "$name: $VICTIM is still member $number: $(tail -n 3 "$(daemon_log)")"
    fi
    wait_until 30 "the pool is whole" pool_is_whole || fail "$name: $(on_pool host list)"
    [[ $outcome == refilled || $(host_field "$VICTIM" raft_id) == "$number" ]] ||
        fail "$name: $VICTIM gave up its data: $(tail -n 3 "$(daemon_log)")"
    [[ -z $words ]] || said "$words" || fail "$name: no word of '$words': $(tail -n 5 "$(daemon_log)")"
    write_one
    wait_until 30 "all hosts are at the same index" hashes_agree || fail "$name: $(on_pool host list)"
    [[ ! -e $LAB_DIR/diverged ]] || fail "$name: the replicas differ: $(cat "$LAB_DIR/diverged")"
    (($(on_pool guest list --json | rows | jq -s length) == GUESTS)) || fail "$name: guests are lost"
    CASES=$((CASES + 1))
    tell "ok: $name: $outcome: $(tail -n "+$MARK" "$(daemon_log)" | grep -oE "(err|why)=.*" | head -n 1 || true)"
    grow
}

remove() { rm -f "${@/#/$(log_of "$VICTIM")/}"; }
middle_segment() { compgen -G "$(log_of "$VICTIM")/wal-0*" | sort | tail -n 2 | head -n 1; }
flip_closed() { flip "$(middle_segment)" 100000; }
flip_open() { flip "$(last_of 'wal-0*')" 4160; }
lose_closed() { rm "$(middle_segment)"; }
lose_all_segments() { rm "$(log_of "$VICTIM")"/wal-0*; }
flip_one() { flip "$(log_of "$VICTIM")/$1-a" 30; }
flip_both() { flip_one "$1"; flip "$(log_of "$VICTIM")/$1-b" 30; }
flip_snapshot() { flip "$(last_of 'snap-*')" 5000; }
# All of it but LMDB's two meta pages: a few pages alone may happen to be free ones, which nobody misses.
overwrite_state() {
    local file pages
    file=$(data_of "$VICTIM")/state/state.mdb
    pages=$(($(stat -c %s "$file") / 4096 - 2))
    dd if=/dev/urandom of="$file" bs=4096 seek=2 count="$pages" conv=notrunc status=none
}
cut_state() { truncate -s 12345 "$(data_of "$VICTIM")/state/state.mdb"; }
lose_state() { rm "$(data_of "$VICTIM")"/state/*; }
lose_state_and_snapshots() { lose_state; rm "$(log_of "$VICTIM")"/snap-*; }
newer_segment() { of_format "$(last_of 'wal-0*')" 12 8 4096; }

of_another_host() {
    rm -rf "$(data_of "$VICTIM")"
    cp -a "$(data_of h3)" "$(data_of "$VICTIM")"
}
make_other_pool() {
    local at=$LAB_DIR/other connect
    connect=$(host_address h1):7099
    mkdir -p "$at/run" "$at/log"
    ip netns exec "$(netns_of h1)" quorated --name h2 --data-dir "$at/data" --run-dir "$at/run" \
        --log-dir "$at/log" --socket "" --driver sim --prefix "$at/ovs" --lab-network yes \
        --listen "$connect" 2>"$at/log/quorated.log" &
    BACKGROUND+=("$!")
    other_answers() { quorate --connect "$connect" pool init other >/dev/null 2>&1; }
    eventually 10 "there is another pool" other_answers
    kill -KILL "$!"
    wait "$!" 2>/dev/null || true
}

make_other_pool
grow
damaged "one bit in a closed segment" refilled 'wal-[0-9]+.*damaged' flip_closed
damaged "one bit in the open segment" refilled 'wal-[0-9]+.*damaged' flip_open
damaged "a closed segment is not there" refilled 'segment' lose_closed
damaged "no segment is there" refilled 'log' lose_all_segments
damaged "a segment of a newer format" refilled 'format 99' newer_segment
damaged "one copy of the vote" kept 'file=vote-a why="it is damaged"' flip_one vote
damaged "both copies of the vote" refilled 'vote' flip_both vote
damaged "one copy of the vote is not there" kept 'file=vote-a why="it is missing"' remove vote-a
damaged "the vote is not there" refilled 'vote' remove vote-a vote-b
damaged "one copy of the guard record" kept 'file=guard-a why="it is damaged"' flip_one guard
damaged "both copies of the guard record" refilled 'guard' flip_both guard
damaged "one copy of the guard record is not there" kept 'file=guard-b why="it is missing"' remove guard-b
damaged "the guard record is not there" refilled 'guard' remove guard-a guard-b
damaged "the ballast is not there" kept '' remove ballast
damaged "one bit in a snapshot" kept 'snapshot_damaged.* file=snap-' flip_snapshot
damaged "pages of the state are overwritten" kept 'state_rebuilt' overwrite_state
damaged "the state is cut short" kept 'state_rebuilt' cut_state
damaged "the state is not there" kept '' lose_state
damaged "neither state nor snapshots are there" kept '' lose_state_and_snapshots
damaged "the data of another host" refilled 'directory of host h3' of_another_host

# The directory of a host of the same name in another pool is whole: only the others can tell. They do
# not talk to it, it says so, and the pool goes on; its operator takes it away.
VICTIM=h2
[[ $(master_name) != h2 ]] || fail "h2 is the master"
power_cut h2
mv "$(data_of h2)" "$LAB_DIR/own"
cp -a "$LAB_DIR/other/data" "$(data_of h2)"
MARK=$(($(wc -l <"$(daemon_log)") + 1))
daemon_start h2
write_one
strangers() { grep -q 'event=host_refuses.*another pool' "$(host_dir "$(master_name)")/log/quorated.log"; }
eventually 20 "the master says that h2 is of another pool" strangers
write_one
power_cut h2
rm -rf "$(data_of h2)"
mv "$LAB_DIR/own" "$(data_of h2)"
daemon_start h2
eventually 30 "with its own data the pool is whole" pool_is_whole
expect_equal_hashes
CASES=$((CASES + 1))
figures "$CASES cases"
