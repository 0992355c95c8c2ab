#!/bin/bash
# The power of source, target and master is cut at many moments of a live migration. Afterwards the
# operation has ended, at most one copy runs and never did two, and nothing is left over.
# shellcheck source=chaos-tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

read -r -a DELAYS_MS <<<"${DELAYS_MS:-0 10 30 60 100 150 250 400 700}"
story_begin 3 qemu

# A guest with enough memory that its migration takes some tenths of a second.
on_pool guest create mover --image tiny --memory 64 --cmdline 'dirty=24 rate=40' >/dev/null
expect_beating mover

op_has_ended() { [[ $(on_pool op show "$1" --json | rows | jq -r .state) != running ]]; }

# begin_migration TO: without waiting; sets OP.
begin_migration() {
    OP=$(on_pool guest migrate mover "$1" --rate-mib-per-s 100 --no-wait --json | jq .op)
    ((OP > 0)) || fail "no operation"
}

pass_ms() { local until=$(($(now_ms) + $1)); past() { (($(now_ms) >= until)); }; wait_until 5 "time passes" past; }

# What must hold after everything: the guest runs (again), once; no other copy anywhere.
settle() {
    local h total=0
    eventually 60 "the pool is whole" pool_is_whole
    eventually 60 "operation $OP has ended" op_has_ended "$OP"
    eventually 30 "nothing is under way with it" guest_is_free mover
    if ! guest_is mover running; then
        tell "it is $(guest_field mover state): $(guest_field mover reason)"
        on_pool guest start mover >/dev/null
    fi
    eventually 30 "it runs" guest_is mover running
    expect_beating mover
    only_one_copy() {
        total=0
        for h in $(host_names); do total=$((total + $(qemus_on "$h"))); done
        ((total == 1))
    }
    eventually 20 "there is one process of it in the pool" only_one_copy
    expect_single mover
}

for who in source target master; do
    for delay in "${DELAYS_MS[@]}"; do
        src=$(guest_field mover host)
        master=$(master_name)
        # The master apart from both ends, where that is possible.
        dst=$(host_but "$src" "$master") || dst=$(host_but "$src")
        case $who in
            source) victim=$src ;;
            target) victim=$dst ;;
            master) victim=$master ;;
        esac
        begin_migration "$dst"
        pass_ms "$delay"
        tell "cutting the power of the $who ($victim) after $delay ms of a migration from $src to $dst"
        power_cut "$victim"
        eventually 20 "there is a master" master_name
        daemon_start "$victim"
        settle
    done
done
expect_equal_hashes
figures "$((3 * ${#DELAYS_MS[@]})) kills during migrations"
