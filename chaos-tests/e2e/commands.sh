#!/bin/bash
# quick
# Every command does the same through each of the three hosts, through a list whose first host is
# dead, and from real guests.
# shellcheck source=chaos-tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

story_begin 3 qemu

# whole_life CONNECT NAME: one guest's life, every verb, through this connection.
whole_life() {
    local via=$1 name=$2 at to
    export QUORATE_CONNECT=$via
    quorate guest create "$name" --image tiny >/dev/null
    guest_is "$name" running || fail "$name is $(guest_field "$name" state) after guest create"
    [[ $(guest_field "$name" memory_mib) == 16 ]] || fail "$name has not the memory of its image"
    refused 4 "already exists" quorate guest create "$name" --image tiny
    quorate guest pause "$name" >/dev/null
    guest_is "$name" paused || fail "$name is $(guest_field "$name" state) after guest pause"
    refused 4 "$name" quorate guest pause "$name"
    quorate guest unpause "$name" >/dev/null
    guest_is "$name" running || fail "$name is $(guest_field "$name" state) after guest unpause"
    at=$(guest_field "$name" host)
    to=$(host_but "$at" "${DEAD:-$at}")
    quorate guest migrate "$name" "$to" >/dev/null
    guest_runs_on "$name" "$to" || fail "$name is on $(guest_field "$name" host), not on $to"
    quorate guest set "$name" --priority 7 --ha on >/dev/null
    [[ $(guest_field "$name" priority) == 7 && $(guest_field "$name" ha) == true ]] ||
        fail "$name has priority $(guest_field "$name" priority)"
    expect_beating "$name"
    quorate guest shutdown "$name" >/dev/null
    eventually 20 "$name is shut down" guest_is "$name" stopped
    quorate guest start "$name" >/dev/null
    guest_is "$name" running || fail "$name is $(guest_field "$name" state) after guest start"
    refused 4 "$name" quorate guest delete "$name"
    quorate guest destroy "$name" >/dev/null
    guest_is "$name" stopped || fail "$name is $(guest_field "$name" state) after guest destroy"
    expect_single "$name"
    quorate guest delete "$name" >/dev/null
    refused 3 "not found" quorate guest show "$name"
    look_at_everything
    unset QUORATE_CONNECT
    tell "ok: a whole life through $via"
}

# Every question, as a table and as JSON.
look_at_everything() {
    local words
    for words in 'pool status' 'pool settings' 'host list' 'host show h1' 'guest list' 'repo list' \
        'repo show lab' 'op list' 'log stats' list info; do
        # shellcheck disable=SC2086 # Several words.
        quorate $words >/dev/null
        # shellcheck disable=SC2086
        quorate $words --json | jq -e . >/dev/null || fail "quorate $words --json is no JSON"
    done
    [[ $(quorate host list --json | rows | jq -s length) == 3 ]] || fail "not three hosts in the list"
    quorate events --json | jq -es 'flatten | length > 0' >/dev/null || fail "no events"
}

# change_pool CONNECT: what is not about guests.
change_pool() {
    export QUORATE_CONNECT=$1
    quorate pool set --host-timeout-ms 2500 >/dev/null
    [[ $(quorate pool settings --json | rows | jq .host_timeout_ms) == 2500 ]] || fail "pool set did nothing"
    quorate pool set --host-timeout-ms 2000 >/dev/null
    quorate host set h3 --can-utility off >/dev/null
    [[ $(host_field h3 can_utility) == false ]] || fail "host set did nothing"
    quorate host set h3 --can-utility on >/dev/null
    mkdir -p "$LAB_DIR/second"
    quorate repo new second "$LAB_DIR/second" >/dev/null
    quorate repo init second >/dev/null
    quorate repo delete second >/dev/null
    eventually 20 "the second repository is gone" no_longer quorate repo show second
    refused 3 "not found" quorate guest start nobody
    refused 3 "not found" quorate guest create x --image nothing
    refused 2 "field name: invalid value, expected letters" quorate guest create 'no spaces' --image tiny
    unset QUORATE_CONNECT
}

for h in $(host_names); do
    whole_life "$(host_address "$h"):7077" "via-$h"
    change_pool "$(host_address "$h"):7077"
done
whole_life "unix:$(host_socket h2)" via-unix

DEAD=h1
power_cut h1
eventually 10 "another master" master_is_not h1
h1_is_down() { [[ $(host_field h1 state) == down ]]; }
eventually 20 "h1 is seen to be down" h1_is_down
whole_life "$(connect_list)" via-list

daemon_start h1
unset DEAD
expect_equal_hashes
