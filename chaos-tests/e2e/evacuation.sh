#!/bin/bash
# A host is emptied while its guests beat, HA or not. In the middle the daemon of the master is killed:
# another master goes on from where it was. Afterwards the host owns nothing, each guest ran once at a
# time and was never started anew, and the host takes no guests until maintenance ends. Then what cannot
# be emptied is refused with its numbers.
# shellcheck source=chaos-tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

GUESTS=${GUESTS:-6}
story_begin 3 qemu

eventually 30 "the pool is whole" pool_is_whole
[[ $(master_name) != h2 ]] || on_pool pool transfer h1 >/dev/null
eventually 30 "h2 is not master" master_is_not h2

names=()
for ((i = 1; i <= GUESTS; i++)); do
    names+=("g$i")
    # Of a few that change memory, so that emptying the host takes a while.
    on_pool guest create "g$i" --image tiny --host h2 --memory 32 --cmdline 'dirty=8 rate=20' \
        --ha "$( ((i % 2)) && printf on || printf off)" >/dev/null
done
for g in "${names[@]}"; do expect_beating "$g"; done

# All that can be known before anything moves.
plan=$(on_pool host evacuate h2 --dry-run --json | rows | jq -cs '.')
# shellcheck disable=SC2016 # $n is jq's.
check "the plan names every guest and a place for it" jq -e --argjson n "$GUESTS" \
    'length == $n and all(.host == "h1" or .host == "h3")' <<<"$plan"
check "a plan moves nothing" test "$(host_field h2 guests)" -eq "$GUESTS"
check "explain names the host that it is on, and the entry" jq -e \
    '[.[] | select(.here)] | length == 1 and .[0].host == "h2" and .[0].entry > 0' \
    <<<"$(on_pool explain guest g1 --json | rows | jq -cs '.')"

op_field() { on_pool op show "$OP" --json | rows | jq -r ".$1"; }
has_moved() { (($(op_field moved) >= $1)); }
has_ended() { [[ $(op_field state) != running ]]; }

begin=$(now_ms)
OP=$(on_pool host maintenance on h2 --parallel 1 --no-wait --json | jq .op)
wait_until 30 "one guest has moved" has_moved 1 || fail "nothing moves: $(on_pool op list)"
left=$(host_field h2 guests)
((left > 1)) || fail "the host was emptied before the master could be killed"
master=$(master_name)
daemon_crash "$master"
tell "the daemon of the master, $master, is killed with $left guests on h2"
# Back within a lease, or its host's protected guests would be killed by the guard, as they must.
wait_until 30 "another is master" master_is_not "$master" || fail "nobody became master"
daemon_start "$master"
wait_until 120 "the evacuation has ended" has_ended || fail "$(on_pool op list)"
tell "ok: it ended as $(op_field state) after $(($(now_ms) - begin)) ms"
check "it is done" test "$(op_field state)" = "done"
check "it moved all of them, none twice" test "$(op_field moved)" -eq "$GUESTS"
check "h2 owns no guest" test "$(host_field h2 guests)" -eq 0
check "no process of a guest is left there" test "$(qemus_on h2)" -eq 0
eventually 30 "the pool is whole" pool_is_whole
for g in "${names[@]}"; do
    expect_beating "$g"
    expect_single "$g"
    check "$g was never started anew" test \
        "$(hbcheck --json --pool "$LAB_DIR" --guest "$g" | jq .boots)" -eq 1
done

# In maintenance it takes nobody, by name or by choice.
refused 4 "maintenance" on_pool guest migrate g1 h2
for ((i = 0; i < 3; i++)); do
    on_pool guest create "new$i" --image tiny --memory 32 >/dev/null
    check "new$i is elsewhere" test "$(guest_field "new$i" host)" != h2
done
# Those that were moved away come back, nobody else.
plan=$(on_pool host maintenance off h2 --move-back --dry-run --json | rows | jq -cs '.')
# shellcheck disable=SC2016 # $n is jq's.
check "the plan brings back who was moved" jq -e --argjson n "$GUESTS" \
    'length == $n and all(.host == "h2")' <<<"$plan"
check "a plan changes nothing" test "$(host_field h2 maintenance)" = true
on_pool host maintenance off h2 --move-back --quiet
check "they are back" test "$(host_field h2 guests)" -eq "$GUESTS"
for g in "${names[@]}"; do
    expect_beating "$g"
    check "$g was never started anew" test \
        "$(hbcheck --json --pool "$LAB_DIR" --guest "$g" | jq .boots)" -eq 1
done
check "nobody is to come back any more" test -z "$(on_pool host maintenance off h2 --move-back --dry-run --json | rows)"
on_pool host evacuate h2 --quiet
on_pool guest migrate g1 h2 --quiet
check "after maintenance it takes guests again" guest_runs_on g1 h2

# A guest that may run nowhere else.
on_pool guest set g1 --preferred h2 >/dev/null
refused 6 "1 of 1 guests cannot leave h2: g1" on_pool host evacuate h2
check "a refusal leaves it where it is" guest_runs_on g1 h2

# What would break the promise that a host may be lost is refused with the numbers, unless forced.
pool_field() { on_pool pool status --json | rows | jq -r ".$1"; }
check "a guest that may run on one host only has no place" test "$(pool_field tolerates)" -eq 0
on_pool guest set g1 --preferred any >/dev/null
on_pool pool set --failures-to-tolerate 1 >/dev/null
check "the pool can lose a host" test "$(pool_field tolerates)" -ge 1
room=$(on_pool host list --json | rows | jq -s 'map(.memory_mib - .reserved_mib) | max')
refused 6 "not 1: when" on_pool guest create big --image tiny --memory "$room" --ha on
on_pool guest create big --image tiny --memory "$room" --ha on --no-wait --force >/dev/null
check "by force it has what it was refused, and says so" test "$(pool_field tolerates)" -eq 0
check "the costliest host is the one that has it" test "$(pool_field costliest)" = "$(guest_field big host)"
on_pool guest destroy big >/dev/null
expect_equal_hashes
