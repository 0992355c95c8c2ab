#!/bin/bash
# All daemons are restarted, one after the other, while guests beat: as one operation that ends although
# the master itself is killed in the middle. First the guests stay where they are, then they are moved
# away and back. No guest is started anew.
# shellcheck source=chaos-tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

story_begin 3 qemu
eventually 30 "the pool is whole" pool_is_whole
for ((i = 1; i <= 3; i++)); do
    on_pool guest create "g$i" --image tiny --host "h$i" --memory 32 \
        --ha "$( ((i % 2)) && printf on || printf off)" >/dev/null
done
for g in g1 g2 g3; do expect_beating "$g"; done
incarnations() { on_pool host list --json | rows | jq -r .incarnation | sort | tr '\n' ' '; }
incarnation() { on_pool host show "$1" --json | rows | jq -r .incarnation; }
epochs() { on_pool guest list --json | rows | jq -r '"\(.name) \(.run_epoch) \(.host)"'; }
op_field() { on_pool op show "$OP" --json | rows | jq -r ".$1"; }
has_ended() { [[ $(op_field state) != running ]]; }
one_is_done() { (($(op_field moved) >= 1)); }

# --- the guests stay

before=$(epochs)
declare -A first
for h in h1 h2 h3; do first[$h]=$(incarnation "$h"); done
begin=$(now_ms)
OP=$(on_pool pool restart --no-wait --json | jq .op)
refused 4 "being restarted" on_pool pool restart
wait_until 30 "one host is done" one_is_done || fail "nothing happens: $(on_pool op list)"
master=$(master_name)
daemon_crash "$master"
tell "the daemon of the master, $master, is killed"
wait_until 30 "another is master" master_is_not "$master" || fail "nobody became master"
daemon_start "$master"
wait_until 60 "the restart has ended" has_ended || fail "$(on_pool op list)"
took=$(($(now_ms) - begin))
check "it is done" test "$(op_field state)" = "done"
check "with three hosts" test "$(op_field moved)" -eq 3
for h in h1 h2 h3; do
    check "$h was restarted" test "$(incarnation "$h")" -gt "${first[$h]}"
done
eventually 30 "the pool is whole" pool_is_whole
check "no guest noticed" test "$(epochs)" = "$before"

# --- the guests are moved away, and come back

for h in h1 h2 h3; do first[$h]=$(incarnation "$h"); done
on_pool pool restart --guests migrate --quiet
for h in h1 h2 h3; do
    check "$h was restarted once" test "$(incarnation "$h")" -eq $((first[$h] + 1))
    check "$h is not in maintenance" test "$(host_field "$h" maintenance)" = false
done
where() { on_pool guest list --json | rows | jq -r '"\(.name) \(.host)"'; }
check "each guest is where it was" test "$(where)" = $'g1 h1\ng2 h2\ng3 h3'
for g in g1 g2 g3; do
    expect_beating "$g"
    expect_single "$g"
    check "$g was never started anew" test "$(hbcheck --json --pool "$LAB_DIR" --guest "$g" | jq .boots)" -eq 1
done
expect_equal_hashes
figures "ms for three daemons, with the master killed meanwhile: $took"
