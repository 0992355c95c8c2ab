#!/bin/bash
# High availability: a host with protected guests loses its power, is cut off, hangs; its guests run
# elsewhere within seconds, never twice. A daemon that dies alone, or its guard, is no reason to
# restart anything. A guest without HA is never moved.
# shellcheck source=chaos-tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

ROUNDS=${ROUNDS:-1}
GUESTS=${GUESTS:-4}
# Lease and 2 s, and what a busy machine adds.
LIMIT_MS=${LIMIT_MS:-9000}
story_begin 3 qemu
need_namespaces

for ((i = 1; i <= GUESTS; i++)); do
    on_pool guest create "ha$i" --image tiny --ha on --host h2 >/dev/null
done
on_pool guest create plain --image tiny --host h1 >/dev/null
expect_beating ha1
expect_beating plain
plain=$(guest_field plain run_epoch)

guard_of() { pgrep -f -- "^[^ ]*quorate-guard $(host_dir "$1")/run/" || true; }
guarded_on() { on_pool guest list --json | rows | jq -r --arg h "$1" 'select(.host == $h and .ha) | .name'; }
ha_state() { on_pool guest list --json | rows | jq -r 'select(.ha) | "\(.name) \(.state) \(.host)"'; }

# all_run_but HOST: all protected guests run, none on HOST.
all_run_but() {
    local state
    state=$(ha_state)
    [[ $(grep -c " running " <<<"$state") -eq $GUESTS ]] && ! grep -q " $1\$" <<<"$state"
}

# The host with the most protected guests: the one that hurts most.
fullest() { on_pool guest list --json | rows | jq -r 'select(.ha) | .host' | sort | uniq -c | sort -rn | awk 'NR == 1 {print $2}'; }

# took BEGIN HOST: times from the log of events of the others, in ms since the blow: host fenced, last guest started.
took() {
    local begin=$1
    quorate --connect "$(connect_without "$2")" events --limit 0 --json | rows | jq -s --argjson b "$begin" \
        '[.[] | select(.time_ms >= $b)] as $e |
         "\([$e[] | select(.kind == "host.fenced") | .time_ms - $b] | max // 0) \(
            [$e[] | select(.kind == "guest.started") | .time_ms - $b] | max // 0)"' -r
}

told() { [[ ! $(took "$1" "$2") =~ (^| )0( |$) ]]; }

# watch_guests GUEST...: measure when their beats arrive until watch_no_more.
watch_guests() {
    local guest
    watched=("$@") watchers=()
    for guest in "$@"; do
        watch_guest "$guest"
        watchers+=("$WATCH")
    done
}

watch_no_more() {
    local pid
    kill -TERM "${watchers[@]}"
    for pid in "${watchers[@]}"; do
        wait "$pid" || fail "a guest's beats are not as they should be: see watch.* in $LAB_DIR"
    done
}

# heard_of BEGIN: "BEATS MARGIN": ms from the blow to the first beat of the last guest, and the least
# time between the last beat of a guest's old run and the first of its new one.
heard_of() {
    local begin=$1 guest
    for guest in "${watched[@]}"; do
        jq -c --argjson b "$begin" '.heard | sort_by(.epoch) |
            {first: (.[-1].first_ms - $b), margin: (.[-1].first_ms - .[-2].last_ms)}' "$LAB_DIR/watch.$guest"
    done | jq -rs '"\(map(.first) | max) \(map(.margin) | min)"'
}

# blow NAME UNDO HOST COMMAND...: break the host, wait for its guests, mend it.
blow() {
    local name=$1 undo=$2 host=$3 begin seen heard guest
    shift 3
    # shellcheck disable=SC2046 # Names are words.
    watch_guests $(guarded_on "$host")
    begin=$(date +%s%3N)
    tell "$name of $host, which has $(guarded_on "$host" | tr '\n' ' ')"
    "$@"
    eventually 30 "all protected guests run elsewhere" all_run_but "$host"
    eventually 10 "the events tell when" told "$begin" "$host"
    seen=$(took "$begin" "$host")
    for guest in "${watched[@]}"; do
        expect_beating "$guest"
    done
    watch_no_more
    heard=$(heard_of "$begin")
    tell "$name: fenced, last guest started after $seen ms; last guest heard, least silence: $heard ms"
    printf '%s %s %s\n' "$name" "$seen" "$heard" >>"$LAB_DIR/times"
    check "within $LIMIT_MS ms" test "${seen#* }" -lt "$LIMIT_MS"
    check "no beat of an old run after the first of the new" test "${heard#* }" -gt 0
    "$undo" "$host"
    eventually 30 "the pool is whole" pool_is_whole
    check "they stayed where they are" all_run_but "$host"
    eventually 10 "nothing of them is left on $host" nothing_runs_guarded "$host"
}
nothing_runs_guarded() { [[ $(qemus_on "$1") -eq $(on_pool guest list --json | rows | jq -s --arg h "$1" '[.[] | select(.host == $h)] | length') ]]; }

healed() { heal_network; }
resumed() { signal_daemon CONT "$1"; }

for ((round = 1; round <= ROUNDS; round++)); do
    blow kill daemon_start "$(fullest)" power_cut "$(fullest)"
    blow isolate healed "$(fullest)" isolate_host "$(fullest)"
    blow pause resumed "$(fullest)" daemon_pause "$(fullest)"
done

# The master itself, with guests, is cut off.
master=$(master_name)
on_pool guest migrate ha1 "$master" >/dev/null 2>&1 || true
guest_runs_on ha1 "$master" || fail "ha1 is not on the master"
blow "isolate the master" healed "$master" isolate_host "$master"

# --- nothing happens when it need not

host=$(fullest)
epochs=$(on_pool guest list --json | rows | jq -r '"\(.name) \(.run_epoch)"')
found() { grep -c 'event=guard_found' "$(host_dir "$host")/log/quorated.log"; }
found_before=$(found)
found_again() { (($(found) > found_before)); }
daemon_crash "$host"
daemon_start "$host"
# One that never heard from the guard when that dies must take it that no lease is in force.
eventually 5 "the new daemon has found the old guard" found_again
eventually 30 "the pool is whole" pool_is_whole
first=$(guard_of "$host")
[[ -n $first ]] || fail "no guard runs on $host"
kill -KILL "$first"
another_guard() { [[ -n $(guard_of "$host") && $(guard_of "$host") != "$first" ]]; }
eventually 10 "another guard is there" another_guard
expect_beating ha1
check "no run ended" test "$epochs" == "$(on_pool guest list --json | rows | jq -r '"\(.name) \(.run_epoch)"')"

# The new guard knows them all: it ends them when the lease does.
blow "isolate after" healed "$host" isolate_host "$host"

# --- HA off for the pool: the runs go on, and nothing ends them any more

epochs=$(on_pool guest list --json | rows | jq -r '"\(.name) \(.run_epoch)"')
on_pool pool set --ha off >/dev/null
none_guarded() { ! on_pool guest show "$1" --json | rows | jq -e .guarded >/dev/null; }
for ((i = 1; i <= GUESTS; i++)); do
    eventually 10 "ha$i is let go of" none_guarded "ha$i"
done
host=$(fullest)
isolate_host "$host"
down() { [[ $(quorate --connect "$(connect_without "$host")" host show "$host" --json | rows | jq -r .state) == down ]]; }
eventually 20 "$host is missed" down
name=$(guarded_on "$host" | head -n 1)
beats=$(beats_of "$name")
# Longer than any lease.
eventually 20 "$name beats on" beats_beyond "$name" $((beats + 60))
heal_network
eventually 30 "the pool is whole" pool_is_whole
check "no run ended" test "$epochs" == "$(on_pool guest list --json | rows | jq -r '"\(.name) \(.run_epoch)"')"

for ((i = 1; i <= GUESTS; i++)); do
    expect_single "ha$i"
done
expect_single plain
check "plain never moved" test "$(guest_field plain run_epoch)" -eq "$plain"
expect_equal_hashes
figures "ms until fenced/last of $GUESTS guests started/heard, and least silence between two runs of a guest:" \
    "$(awk '{n = $1; for (i = 2; i < NF - 3; i++) n = n " " $i
             printf "%s%s %s/%s/%s %s", sep, n, $(NF - 3), $(NF - 2), $(NF - 1), $NF; sep = ", "}' "$LAB_DIR/times")"
