#!/bin/bash
# Who votes: a voter that is gone for long is replaced by a standby, so that the pool can lose another
# one; back again it is a standby. A preferred master gets the mastership back when it is healthy.
# shellcheck source=chaos-tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

story_begin 4 sim
eventually 30 "the pool is whole" pool_is_whole
on_pool pool set --voter-timeout 3s >/dev/null
with_role() { on_pool host list --json | rows | jq -r --arg r "$1" 'select(.role == $r) | .name' | sort; }
voters_are() { [[ $(with_role voter | wc -l) -eq $1 ]]; }
is_role() { [[ $(host_field "$1" role) == "$2" ]]; }
eventually 20 "three vote" voters_are 3
standby=$(with_role standby)
master=$(master_name)
gone=$(with_role voter | grep -vx "$master" | head -n 1)

power_cut "$gone"
eventually 30 "$standby votes in its place" is_role "$standby" voter
eventually 20 "$gone does not" is_role "$gone" standby
check "three vote" voters_are 3

# Before, the loss of one more of the three would have left one.
second=$(with_role voter | grep -vx "$master" | head -n 1)
power_cut "$second"
has_master() { [[ -n $(quorate --connect "$(connect_without "$second")" pool status --json 2>/dev/null | rows | jq -r .master) ]]; }
eventually 20 "two of four that are left have a master" has_master
quorate --connect "$(connect_without "$second")" guest create late --start off >/dev/null
tell "ok: and take commands"
daemon_start "$gone"
daemon_start "$second"
eventually 30 "the pool is whole" pool_is_whole
eventually 30 "three vote" voters_are 3

# The preferred master, named while it is away, and back again.
master=$(master_name)
want=$(with_role voter | grep -vx "$master" | head -n 1)
power_cut "$want"
on_pool pool set-master "$want" >/dev/null
daemon_start "$want"
is_master() { [[ $(master_name) == "$1" ]]; }
eventually 40 "$want is master" is_master "$want"
expect_equal_hashes
