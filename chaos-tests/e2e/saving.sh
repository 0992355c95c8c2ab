#!/bin/bash
# Guests under QEMU are saved and go on: on another host, after every daemon was restarted, from a file
# that is named or from one in the root repository; their counters never jump, no copy runs twice, and
# whatever dies in the middle there is one memory and it is used once.
# shellcheck source=chaos-tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

story_ground 3 qemu
GATES=$LAB_DIR/gates
mkdir -p "$GATES" "$LAB_DIR/conf"
printf -- '--lab-gates\n%s\n' "$GATES" >"$LAB_DIR/conf/daemon_options"
pool_up
tell "a pool of 3 hosts, driver qemu"
pool_dir=$LAB_DIR/repo
files() { find "$pool_dir/saved_pool" -type f 2>/dev/null | wc -l; }
has_files() { (($(files) == $1)); }

on_pool guest create web1 --image tiny >/dev/null
expect_beating web1
at=$(guest_field web1 host)
before=$(beats_of web1)
on_pool guest suspend web1 >/dev/null
check "it is saved" guest_is web1 saved
check "on no host" test -z "$(guest_field web1 host)"
runs_nothing() { (($(qemus_on "$1") == 0)); }
eventually 10 "its copy is gone" runs_nothing "$at"
check "its memory is a file of the root repository" has_files 1
refused 4 "resume it" on_pool guest start web1
refused 4 "saved memory" on_pool guest delete web1
for h in $(host_names); do
    daemon_crash "$h"
    daemon_start "$h"
done
eventually 30 "the pool is whole" pool_is_whole
check "it is saved still" guest_is web1 saved
other=$(host_but "$at")
on_pool guest resume web1 "$other" >/dev/null
expect_beating web1
check "it runs on $other" guest_runs_on web1 "$other"
expect_single web1
check "it did not boot" test "$(cat "$LAB_DIR"/hosts/*/log/web1.console | grep -c '^BOOT ')" -eq 1
check "its counter went on" test "$(beats_of web1)" -gt "$before"
eventually 10 "the file is used up" has_files 0

# By a name of the user's, and back by that name. What is there is not written over.
on_pool save web1 "$LAB_DIR/repo/mine" >/dev/null
on_pool guest create web2 --image tiny >/dev/null
refused 4 "File exists" on_pool guest save web2 "$LAB_DIR/repo/mine"
check "the guest that could not be saved runs on" guest_is web2 running
expect_beating web2
refused 3 "no guest is saved in" on_pool guest restore "$LAB_DIR/repo/other"
on_pool restore "$LAB_DIR/repo/mine" >/dev/null
expect_beating web1
on_pool guest save web1 lab:mine >/dev/null
refused 4 "saved memory" on_pool guest set web1 --memory 32
on_pool guest resume web1 --paused >/dev/null
check "it is resumed as wished" guest_is web1 paused
on_pool guest unpause web1 >/dev/null
expect_beating web1
expect_single web1

# A file that is gone, or no memory: the guest stays saved, and what is wrong is told.
on_pool guest save web2 "$LAB_DIR/repo/two" >/dev/null
mv "$LAB_DIR/repo/two" "$LAB_DIR/repo/away"
refused 3 "No such file" on_pool guest resume web2
check "it is saved still" guest_is web2 saved
echo rubbish >"$LAB_DIR/repo/two"
refused 1 "failed" on_pool guest resume web2
check "it is saved still" guest_is web2 saved
mv "$LAB_DIR/repo/away" "$LAB_DIR/repo/two"
on_pool guest resume web2 >/dev/null
expect_beating web2
expect_single web2

# At every step of both protocols the daemon dies, or the whole host does.
stands_at() { [[ -e $GATES/$1.web1 ]]; }
boots() { cat "$LAB_DIR"/hosts/*/log/web1.console | grep -c '^BOOT '; }
idle() { guest_is_free web1 && { guest_is web1 saved || guest_is web1 running; }; }
# dies_at HOST ACT KILL: the host comes to the act, dies there, and is back.
dies_at() {
    wait_until 10 "$1 stands before $2" stands_at "$1.$2" || fail "nobody stands before $2"
    "$3" "$1"
    rm -f "$GATES"/*
    if [[ $3 == power_cut ]]; then power_on "$1"; fi
    daemon_start "$1"
    eventually 40 "after $3 before $2 it is saved, or runs" idle
}
expect_no_boot() { check "it did not boot" test "$(boots)" -eq "$1"; }

steps=0
for kill in daemon_crash power_cut; do
    # The source: the memory is not yet written; it is, and the log does not know.
    for act in save saved; do
        guest_is web1 running || fail "web1 is $(guest_field web1 state)"
        at=$(guest_field web1 host)
        n=$(boots)
        : >"$GATES/$at.$act"
        on_pool guest suspend web1 --no-wait >/dev/null
        dies_at "$at" "$act" "$kill"
        check "it is not saved" guest_is web1 running
        [[ $kill == power_cut ]] || expect_no_boot "$n"
        expect_beating web1
        expect_single web1
        steps=$((steps + 1))
    done
    # The target: no copy yet; a copy, and the log does not know; the log knows, and it does not run.
    for act in start report unpause; do
        n=$(boots)
        on_pool guest suspend web1 >/dev/null
        before=$(beats_of web1)
        to=$(host_but "$at")
        : >"$GATES/$to.$act"
        on_pool guest resume web1 "$to" --no-wait >/dev/null
        dies_at "$to" "$act" "$kill"
        if guest_is web1 saved; then
            check "it goes on elsewhere" on_pool guest resume web1 "$at"
        fi
        expect_beating web1
        expect_single web1
        # Only when the log knew that the memory was used up is it lost with its host.
        [[ $kill.$act == power_cut.unpause ]] || expect_no_boot "$n"
        check "its counter went on" test "$(beats_of web1)" -gt "$before"
        steps=$((steps + 1))
    done
done
on_pool guest suspend web1 >/dev/null
on_pool guest destroy web1 >/dev/null
check "its memory is given up" guest_is web1 stopped
on_pool guest start web1 >/dev/null
expect_beating web1
expect_single web1
expect_equal_hashes
figures "$steps deaths, each at a step of its own"
