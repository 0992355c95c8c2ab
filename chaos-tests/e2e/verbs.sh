#!/bin/bash
# Every verb of the command line, also in the older system's words, through each of three hosts: it does
# what it says and tells it with the names that scripts rely on. A verb of `quorate help` that this
# story does not know fails it.
# shellcheck source=chaos-tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

story_begin 3 sim
RAN=$LAB_DIR/ran

# q VERB...: run it, remember that it was tried.
q() {
    printf '%s\n' "$*" >>"$RAN"
    quorate "$@"
}
quietly() { q "$@" >/dev/null || fail "quorate $*"; }
# q_refused STATUS WORDS VERB...
q_refused() {
    printf '%s\n' "${*:3}" >>"$RAN"
    refused "$1" "$2" quorate "${@:3}"
}

# has NAMES VERB...: every row has these names, with values.
has() {
    local names=$1
    shift
    q "$@" --json | rows | jq -es --arg names "$names" \
        'length > 0 and all(.[]; . as $row | $names | split(" ") | all(. as $n | $row | has($n)))' \
        >/dev/null || fail "quorate $* --json: not all of: $names"
}

names_for_scripts() {
    has 'name master index hosts' pool status
    has 'name state master role applied_index state_hash' host list
    has 'name uuid state host vcpus memory_mib ha run_epoch' guest list
    has 'id kind subject phase progress state' op list
}

pool_verbs() {
    quietly pool set --host-timeout-ms 2500
    [[ $(q pool settings --json | rows | jq .host_timeout_ms) == 2500 ]] || fail "pool set did nothing"
    q_refused 2 "a lease is renewed three times in its length" pool set --lease-ms 1000 --lease-renew-ms 900
    quietly pool set --host-timeout-ms 2000
    q_refused 4 "level" pool set-level 2
    q_refused 4 "already exists" pool init again
    quietly pool log stats
    quietly log stats
    quietly version
    quietly completion bash
    quietly help guest create
    quietly info
}

mastership_verbs() {
    local to
    to=$(host_but "$(master_name)")
    quietly pool transfer "$to"
    master_is() { [[ $(master_name) == "$1" ]]; }
    eventually 20 "$to is master" master_is "$to"
    to=$(host_but "$to")
    quietly pool set-master "$to"
    eventually 40 "$to, preferred, is master" master_is "$to"
}

host_verbs() {
    quietly host set h2 --can-utility off
    [[ $(host_field h2 can_utility) == false ]] || fail "host set did nothing"
    quietly host set h2 --can-utility on
    quietly host show h2
    q_refused 3 "not found" host show nobody
    q_refused 4 "exists" host add h2 127.0.0.1:1
    q_refused 3 "not found" host fence nobody --reason test
}

repo_verbs() {
    mkdir -p "$LAB_DIR/second"
    quietly repo new second "$LAB_DIR/second"
    quietly repo init second
    quietly repo show second
    quietly repo list
    q_refused 3 "not found" repo root nothing
    quietly repo root lab
    quietly repo delete second
    eventually 20 "the second repository is gone" no_longer quorate repo show second
}

guest_verbs() {
    local g=$1 op id first again
    op=$(q guest create "$g" --image tiny --no-wait --json | jq .op)
    quietly op wait "$op"
    quietly op show "$op"
    quietly guest show "$g"
    quietly guest pause "$g"
    quietly guest unpause "$g"
    quietly guest set "$g" --priority 9
    quietly guest migrate "$g" "$(host_but "$(guest_field "$g" host)")"
    q_refused 4 "operation $op" op cancel "$op"
    quietly guest shutdown "$g" --timeout 30
    eventually 10 "$g is off" guest_is "$g" stopped
    quietly guest start "$g"
    quietly guest reboot "$g"
    q_refused 4 "has no console under driver sim" guest console "$g"
    q_refused 2 "not a number" guest vnc "$g" --port nonsense
    q_refused 4 "only a stopped, saved or failed guest" guest rename "$g" "$g-2"
    truncate -s 1M "$LAB_DIR/repo/$g.img"
    quietly guest block-attach "$g" "lab:$g.img" xvdb
    [[ $(q guest block-list "$g" --json | rows | jq -r 'select(.device == "xvdb") | .path') == "lab:$g.img" ]] ||
        fail "the disk is not listed"
    q_refused 2 "each device once" guest block-attach "$g" "lab:$g.img" xvdb
    quietly guest block-detach "$g" xvdb
    quietly guest network-attach "$g" --mac 00:16:3e:00:00:07
    quietly guest network-list "$g"
    quietly guest network-detach "$g" 00:16:3e:00:00:07
    quietly guest save "$g" "lab:$g.memory"
    quietly guest resume "$g"
    quietly guest suspend "$g"
    quietly guest restore "$g"
    quietly guest vcpu-set "$g" 1
    quietly guest mem-max "$g" 64
    q guest mem-set "$g" 32 2>&1 | grep "with its next start" >/dev/null || fail "guest mem-set does not say when"
    quietly guest destroy "$g"
    quietly guest rename "$g" "$g-2"
    q_refused 4 "--fresh" guest clone "$g-2" "$g-3"
    quietly guest clone "$g-2" "$g-3" --fresh
    q_refused 4 "is taken by $g-2" guest clone "$g-2" "$g" --fresh
    quietly guest delete "$g-3"
    quietly guest delete "$g-2"
    # The same request twice: once done, twice told.
    id=$(</proc/sys/kernel/random/uuid)
    first=$(q guest create "$g" --image tiny --no-start --no-wait --json --request-id "$id")
    again=$(q guest create "$g" --image tiny --no-start --no-wait --json --request-id "$id")
    [[ $first == "$again" ]] || fail "the same request was told '$first' and '$again'"
    q guest list --local --json | jq -e '.. | objects | select(has("index"))' >/dev/null ||
        q guest list --local | grep -q . || fail "guest list --local"
    q_refused 2 "request" guest list --request-id nonsense
    quietly guest delete "$g"
    quietly events
}

older_words() {
    local g=$1
    printf "name = '%s'\nmemory = 16\nvcpus = 1\nkernel = '%s'\nwhatever = 1\n" "$g" \
        "$LAB_DIR/repo/seed_pool/tiny/kernel" >"$LAB_DIR/vm.cfg"
    q new "$LAB_DIR/vm.cfg" >/dev/null 2>"$LAB_DIR/said" || fail "new: $(cat "$LAB_DIR/said")"
    grep -q 'vm.cfg:5.*whatever' "$LAB_DIR/said" || fail "no warning of line 5: $(cat "$LAB_DIR/said")"
    q_refused 4 "is stopped: it has no console" console "$g"
    quietly start "$g"
    quietly pause "$g"
    quietly unpause "$g"
    quietly migrate --live "$g" "$(host_but "$(guest_field "$g" host)")"
    quietly reboot -w "$g"
    truncate -s 1M "$LAB_DIR/repo/$g.img"
    quietly block-attach "$g" "lab:$g.img" xvdb
    quietly block-list "$g"
    quietly block-detach "$g" xvdb
    quietly network-attach "$g" --mac 00:16:3e:00:00:07
    quietly network-list "$g"
    quietly network-detach "$g" 00:16:3e:00:00:07
    quietly save "$g" "lab:$g.memory"
    quietly restore "lab:$g.memory"
    quietly suspend "$g"
    quietly resume "$g"
    quietly vcpu-set "$g" 2
    quietly mem-max "$g" 64
    quietly shutdown -w "$g"
    quietly mem-set "$g" 32
    [[ $(guest_field "$g" memory_mib) == 32 ]] || fail "mem-set did nothing"
    quietly rename "$g" "$g-2"
    quietly rename "$g-2" "$g"
    quietly delete "$g"
    quietly create "$LAB_DIR/vm.cfg"
    quietly list
    quietly destroy "$g"
    quietly guest delete "$g"
    printf "name = '%s'\nmemory = 'much'\n" "$g" >"$LAB_DIR/bad.cfg"
    q_refused 2 "bad.cfg:2:" create "$LAB_DIR/bad.cfg"
}

for h in $(host_names); do
    QUORATE_CONNECT=$(host_address "$h"):7077
    export QUORATE_CONNECT
    pool_verbs
    host_verbs
    repo_verbs
    guest_verbs "g-$h"
    older_words "old-$h"
    tell "ok: through $h"
done
# Hosts that are emptied: shown first, then done, then undone.
emptying_verbs() {
    local g=$1 at
    at=$(guest_field "$g" host)
    quietly explain guest "$g"
    quietly host evacuate "$at" --dry-run on
    check "that was only shown" guest_runs_on "$g" "$at"
    quietly host maintenance on "$at"
    [[ $(host_field "$at" maintenance) == true ]] || fail "host maintenance did nothing"
    check "$g runs elsewhere" no_longer guest_runs_on "$g" "$at"
    check "$g runs" guest_runs "$g"
    q_refused 4 "maintenance" guest migrate "$g" "$at"
    quietly host maintenance off "$at"
    at=$(guest_field "$g" host)
    quietly host evacuate "$at"
    check "$g runs elsewhere again" no_longer guest_runs_on "$g" "$at"
}

quietly guest create last --image tiny
quietly guest vmcfg last
check "its vm.cfg says what it has" grep -q "^memory = " <(on_pool guest vmcfg last)
names_for_scripts
emptying_verbs last
mastership_verbs
quietly pool balance --threshold 1 --dry-run
quietly pool balance --threshold 90
quietly pool restart
eventually 30 "the pool is whole" pool_is_whole
gone=$(host_but "$(master_name)")
q_refused 2 "none of migrate" host stop "$gone" --guests keep
quietly host stop "$gone" --guests leave
daemon_is_gone() { ! daemon_runs "$1"; }
eventually 10 "the daemon of $gone has stopped" daemon_is_gone "$gone"
daemon_start "$gone"
eventually 30 "the pool is whole" pool_is_whole
# A host leaves the pool and comes back, as it is: what it holds of the pool it sets aside by itself.
gone=$(host_but "$(master_name)")
where=$(host_address "$gone"):7077
QUORATE_CONNECT=$(connect_without "$gone")
# A move that begins before the others know of the daemon's new start fails with it.
has_left() {
    [[ $(guest_field last host) != "$gone" ]] || on_pool guest migrate last "$(host_but "$gone")" >/dev/null
    [[ $(guest_field last host) != "$gone" ]]
}
eventually 20 "its guest runs elsewhere" has_left
quietly host remove "$gone"
eventually 20 "$gone has set its data aside" test -d "$(host_dir "$gone")/data/log.refused-1"
quietly host add "$gone" "$where"
eventually 40 "$gone is back in the pool" pool_is_whole
expect_equal_hashes

quorate help 2>&1 | sed -n '/^Options/q; s/^  \([a-z][a-z-]*\( [a-z][a-z-]*\)*\)  .*/\1/p' >"$LAB_DIR/verbs"
check "help lists verbs" test "$(wc -l <"$LAB_DIR/verbs")" -gt 40
while read -r verb; do
    grep -qE "^$verb( |\$)" "$RAN" || fail "verb '$verb' was not tried"
done <"$LAB_DIR/verbs"
figures "$(wc -l <"$LAB_DIR/verbs") verbs, $(wc -l <"$RAN") calls"
