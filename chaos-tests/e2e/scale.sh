#!/bin/bash
# A thousand guests on three hosts with the sim driver: rates, sizes, times.
# shellcheck source=chaos-tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

GUESTS=${GUESTS:-1000}
MEMORY_LIMIT_MIB=${MEMORY_LIMIT_MIB:-64}
# What holds on the busiest of machines; the aim, 20 ms, is for a quiet one.
LIST_LIMIT_MS=${LIST_LIMIT_MS:-1000}
STREAMS=4
conf_memory() { conf_set memory_mib 65536; }
LAB_DIR=
story_ground 3 sim
conf_memory
pool_up
tell "a pool of 3 hosts, driver sim"

create_some() {
    local i
    for ((i = $1; i <= GUESTS; i += STREAMS)); do
        quorate --connect "$(connect_list)" guest create "g$i" --image tiny --no-wait >/dev/null || exit 1
    done
}

begin=$(now_ms)
pids=()
for ((s = 1; s <= STREAMS; s++)); do
    create_some "$s" &
    pids+=("$!")
    BACKGROUND+=("$!")
done
for pid in "${pids[@]}"; do wait "$pid" || fail "a creation failed"; done
created_ms=$(($(now_ms) - begin))
all_run() { [[ $(on_pool pool status --json | rows | jq .running) == "$GUESTS" ]]; }
eventually 120 "all $GUESTS guests run" all_run
running_ms=$(($(now_ms) - begin))
expect_equal_hashes

for ((i = 0; i < 20; i++)); do
    begin=${EPOCHREALTIME/[.,]/}
    quorate --connect "$(host_address h2):7077" list >"$LAB_DIR/list"
    printf '%d\n' $((${EPOCHREALTIME/[.,]/} - begin)) >>"$LAB_DIR/list_us"
done
check "the list has them all" test "$(grep -c '^g[0-9]' "$LAB_DIR/list")" -eq "$GUESTS"
read -r list_us _ < <(median_worst <"$LAB_DIR/list_us")

most_kib=0
for h in $(host_names); do
    kib=$(sed -n 's/^RssAnon:[[:space:]]*\([0-9]*\).*/\1/p' "/proc/$(daemon_pid "$h")/status")
    all_kib=$(sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\).*/\1/p' "/proc/$(daemon_pid "$h")/status")
    tell "$h: $((kib / 1024)) MiB of its own, $((all_kib / 1024)) MiB resident, $(du -sm "$(host_dir "$h")/data" | cut -f 1) MiB on disk"
    ((all_kib <= most_kib)) || most_kib=$all_kib
done

state_kib=$(du -k "$(host_dir h1)/data/state/state.mdb" | cut -f 1)
log_kib=$(on_pool log stats --json | rows | jq '.log_bytes / 1024 | floor')
tell "h1: its log has $log_kib KiB, its state $state_kib KiB on the disk"

victim=$(host_but "$(master_name)")
daemon_crash "$victim"
begin=$(now_ms)
daemon_start "$victim"
eventually 30 "$victim is back" host_answers "$victim"
restart_ms=$(($(now_ms) - begin))
eventually 30 "the pool is whole" pool_is_whole
expect_equal_hashes
figures "$((GUESTS * 1000 / created_ms)) creations/s, all running after $((running_ms / 1000)) s, list $((list_us / 1000)).$((list_us / 100 % 10)) ms, log $((log_kib / 1024)) MiB, state $((state_kib / 1024)) MiB, most resident $((most_kib / 1024)) MiB, restart $restart_ms ms"
check "list takes less than $LIST_LIMIT_MS ms" test "$((list_us / 1000))" -lt "$LIST_LIMIT_MS"
check "a daemon uses less than $MEMORY_LIMIT_MIB MiB" test "$((most_kib / 1024))" -lt "$MEMORY_LIMIT_MIB"
