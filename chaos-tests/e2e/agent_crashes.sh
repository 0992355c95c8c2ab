#!/bin/bash
# Daemons are killed at random moments while guests start, shut down, pause and move. The pool
# converges every time: nothing runs twice, nothing is left over, and a guest whose host kept its
# power is never started anew without having been asked to stop. SEED repeats a run.
# shellcheck source=chaos-tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

ROUNDS=${ROUNDS:-30}
SEED=${SEED:-$((SRANDOM % 100000))}
RANDOM=$SEED
tell "SEED=$SEED"
GUESTS=(ann bob cyd)
story_begin 3 qemu
for g in "${GUESTS[@]}"; do
    on_pool guest create "$g" --image tiny >/dev/null
done

any_of() { local -a list=("$@"); printf '%s\n' "${list[RANDOM % ${#list[@]}]}"; }

# begin_something GUEST: what fits its state, without waiting for it. An answer other than yes is
# fine: the guest may be busy, the master may just have died.
begin_something() {
    local state to=
    state=$(guest_field "$1" state)
    case $state in
        stopped | failed) ACT=start ;;
        paused) ACT=unpause ;;
        *) ACT=$(any_of shutdown migrate migrate migrate pause) ;;
    esac
    [[ $ACT != migrate ]] || to=$(any_of h1 h2 h3)
    on_pool guest "$ACT" "$1" ${to:+"$to"} --no-wait --timeout 5 >/dev/null 2>&1 || true
}

idle() { [[ $(on_pool guest list --json | rows | jq -s '[.[] | select(.op != 0)] | length') == 0 ]]; }

# settled: what runs is what the state says, on every host.
wanted_on() {
    on_pool guest list --json | rows | jq -r --arg h "$1" \
        'select(.host == $h and (.state == "running" or .state == "paused"))
         | "\(.uuid).\(.run_epoch)"' | sort
}
settled() {
    local h want
    for h in $(host_names); do
        want=$(wanted_on "$h")
        is_left "$h: $(copies_on "$h")" "$h: $want" || return 1
        is_left "$h: $(qemus_on "$h") processes" "$h: $(wc -w <<<"$want") processes" || return 1
    done
}

for ((i = 1; i <= ROUNDS; i++)); do
    for g in "${GUESTS[@]}"; do
        begin_something "$g"
        tell "round $i: $ACT $g"
    done
    victim=$(any_of h1 h2 h3)
    until_ms=$(($(now_ms) + RANDOM % 200))
    past() { (($(now_ms) >= until_ms)); }
    wait_until 5 "its moment" past
    tell "round $i: the daemon of $victim dies"
    daemon_crash "$victim"
    daemon_start "$victim"
    # Every third time the next round begins in the middle of this one.
    if ((i % 3 != 0)); then
        wait_until 40 "the pool is whole" pool_is_whole
        wait_until 60 "nothing is under way" idle || fail "$(on_pool op list)"
    fi
done
eventually 40 "the pool is whole" pool_is_whole
eventually 60 "nothing is under way" idle
wait_until 20 "what runs is what the state says" settled ||
    fail "$(cat "$LAB_DIR/left"); $(on_pool guest list)"
for g in "${GUESTS[@]}"; do
    if guest_is "$g" paused; then
        on_pool guest unpause "$g" >/dev/null
    elif ! guest_is "$g" running; then
        on_pool guest start "$g" >/dev/null
    fi
    expect_beating "$g"
    expect_single "$g"
done
# Nobody's power was cut: each boot but the first follows a goodbye.
for g in "${GUESTS[@]}"; do
    json=$(hbcheck --json --pool "$LAB_DIR" --guest "$g")
    check "$g never died" test "$(jq '.boots - .byes' <<<"$json")" -eq 1
done
expect_equal_hashes
figures "$ROUNDS kills of daemons, SEED=$SEED"
