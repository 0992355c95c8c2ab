#!/bin/bash
# quick
# A daemon is killed, twice also the master's: its guest never misses a beat, and the daemon is back
# and owns it again.
# shellcheck source=chaos-tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

story_begin 3 qemu
on_pool guest create web1 --image tiny --host h2 >/dev/null
expect_beating web1
epoch=$(guest_field web1 run_epoch)
watch_guest web1

for who in h2 h2 "$(master_name)"; do
    daemon_crash "$who"
    expect_beating web1
    daemon_start "$who"
    eventually 30 "the pool is whole" pool_is_whole
done
watch_end web1
check "no beat is missing" test "$(report missing)" -eq 0
gap=$(report seen_gap_ms)
check "its largest gap is under 400 ms ($gap)" test "$gap" -lt 400
check "it is the same run" test "$(guest_field web1 run_epoch)" -eq "$epoch"
check "it runs on h2" guest_runs_on web1 h2
on_pool guest pause web1 >/dev/null
check "its daemon rules it again" guest_is web1 paused
on_pool guest unpause web1 >/dev/null
on_pool guest shutdown web1 >/dev/null
eventually 20 "it shuts down when asked to" guest_is web1 stopped
expect_single web1

# A guest that ends while its daemon is away is found out when the daemon is back.
on_pool guest start web1 --host h3 >/dev/null
epoch=$(guest_field web1 run_epoch)
daemon_crash h3
for pid in $(marked_pids h3); do
    [[ $(process_name "$pid") != qemu-* ]] || kill -KILL "$pid"
done
daemon_start h3
runs_anew() { guest_is web1 running && (($(guest_field web1 run_epoch) > epoch)); }
eventually 30 "its end is noticed, and it runs again under a new epoch" runs_anew
expect_beating web1
expect_single web1
figures "largest gap between beats $gap ms (100 is none)"
