#!/bin/bash
# Four clients create 250 guests each while the master's power is cut every second. Every creation
# that was acknowledged happened exactly once, every other one was told why, and the replicas agree.
# shellcheck source=chaos-tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

CLIENTS=4
EACH=${EACH:-250}
story_begin 3 sim

# client NUMBER: one line a creation, "NAME STATUS REQUEST", and what was said of those that failed.
client() {
    local i name request rc
    for ((i = 1; i <= EACH; i++)); do
        name=c$1-$i
        request=$(</proc/sys/kernel/random/uuid)
        rc=0
        quorate --connect "$(connect_list)" guest create "$name" --image tiny --no-start --no-wait \
            --request-id "$request" >/dev/null 2>"$LAB_DIR/said.$1" || rc=$?
        printf '%s %d %s\n' "$name" "$rc" "$request" >>"$LAB_DIR/results.$1"
        if ((rc != 0)); then
            printf '%s: %s\n' "$name" "$(tr '\n' ' ' <"$LAB_DIR/said.$1")" >>"$LAB_DIR/failures.$1"
        fi
    done
}

all_done() { ((${#CLIENT_PIDS[@]} == $(cat "$LAB_DIR"/ended.* 2>/dev/null | wc -l))); }

CLIENT_PIDS=()
for ((c = 1; c <= CLIENTS; c++)); do
    (client "$c"; echo >"$LAB_DIR/ended.$c") &
    CLIENT_PIDS+=("$!")
    BACKGROUND+=("$!")
done

kills=0
victim=
next=$(($(now_ms) + 1000))
second_is_over() { (($(now_ms) >= next)) || all_done; }
until all_done; do
    wait_until 5 "a second passes" second_is_over
    next=$(($(now_ms) + 1000))
    all_done && break
    wait_until 20 "there is a master to kill" master_name || fail "no master"
    victim=$(master_name) || continue
    power_cut "$victim"
    daemon_start "$victim"
    kills=$((kills + 1))
done
wait "${CLIENT_PIDS[@]}"
tell "$kills masters killed"
((kills >= ${LEAST_KILLS:-3})) || fail "only $kills kills: too little happened for this story to mean anything"

cat "$LAB_DIR"/results.* >"$LAB_DIR/results"
cat "$LAB_DIR"/failures.* >"$LAB_DIR/failures" 2>/dev/null || true
awk '$2 == 0 {print $1}' "$LAB_DIR/results" | sort >"$LAB_DIR/acknowledged"
awk '$2 != 0 {print $1, $2, $3}' "$LAB_DIR/results" >"$LAB_DIR/refused"
check "every client did all it had to" test "$(wc -l <"$LAB_DIR/results")" -eq $((CLIENTS * EACH))
check "every failure has a reason" test "$(grep -cvE ': .+' "$LAB_DIR/failures" || true)" -eq 0
# A retry that was applied a second time would be told that its guest exists.
check "no retry met its own first copy" no_longer grep -qi 'already exists' "$LAB_DIR/failures"

eventually 30 "the pool is whole again" pool_is_whole
expect_equal_hashes
on_pool guest list --json | rows | jq -r .name | sort >"$LAB_DIR/present"
check "no name is there twice" test -z "$(uniq -d "$LAB_DIR/present")"
check "every acknowledged guest exists" test -z "$(comm -23 "$LAB_DIR/acknowledged" "$LAB_DIR/present")"

# Without a majority nothing is acknowledged: everybody is told why, and that what was sent may yet
# happen. The same request again, when there is a majority, finds or makes the one guest.
alone=$(host_but "$(master_name)")
for h in $(host_names); do [[ $h == "$alone" ]] || power_cut "$h"; done
FAILURES=6
for ((i = 1; i <= FAILURES; i++)); do
    request=$(</proc/sys/kernel/random/uuid)
    rc=0
    quorate --connect "$(host_address "$alone"):7077" --timeout 1 guest create "late-$i" --image tiny \
        --no-start --no-wait --request-id "$request" >/dev/null 2>"$LAB_DIR/said" || rc=$?
    ((rc == 5)) || fail "without a majority: status $rc: $(cat "$LAB_DIR/said")"
    grep -qiE 'master|majority|not known|in time' "$LAB_DIR/said" ||
        fail "it is not told why: $(cat "$LAB_DIR/said")"
    printf 'late-%d %d %s\n' "$i" "$rc" "$request" >>"$LAB_DIR/refused"
done
tell "ok: without a majority: $(cat "$LAB_DIR/said")"
for h in $(host_names); do [[ $h == "$alone" ]] || daemon_start "$h"; done
eventually 30 "the pool is whole again" pool_is_whole

# The same request again tells what became of one whose answer was lost, and changes nothing.
while read -r name _ request; do
    on_pool guest create "$name" --image tiny --no-start --no-wait --request-id "$request" \
        >/dev/null || fail "asking again for $name: it must exist now, made once"
done <"$LAB_DIR/refused"
on_pool guest list --json | rows | jq -r .name | sort >"$LAB_DIR/present"
check "all guests exist, once" test "$(uniq "$LAB_DIR/present" | wc -l)" -eq $((CLIENTS * EACH + FAILURES))
on_pool events --json | jq -rs 'flatten[] | select(.kind == "guest.created") | .subject' | sort |
    uniq -c | awk '$1 != 1' >"$LAB_DIR/twice"
check "every creation is one event" test ! -s "$LAB_DIR/twice"
expect_equal_hashes
figures "$(wc -l <"$LAB_DIR/acknowledged") acknowledged, $(wc -l <"$LAB_DIR/refused") told why not, $kills masters killed"
