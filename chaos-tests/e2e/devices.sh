#!/bin/bash
# Disks and cards come to a running Linux guest under QEMU and go again; it moves with what it was given,
# reboots with it, and without what was taken. A guest that does not let go keeps its disk, and is not
# held up by that.
# shellcheck source=chaos-tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

[[ -e $LAB_CACHE/images/linux/kernel ]] || skip "no linux image here"
story_begin 2 qemu
on_pool pool set --start-timeout-ms 8000 >/dev/null
disk() { truncate -s 8M "$LAB_DIR/repo/$1.img"; }
lists_disk() { [[ -n $(on_pool guest block-list "$1" --json | rows | jq -r --arg d "$2" 'select(.device == $d) | .path') ]]; }
# qmp GUEST COMMAND: asked of its monitor for operators.
qmp() {
    local dir
    dir=$(host_dir "$(guest_field "$1" host)")/run/$(guest_field "$1" uuid).$(guest_field "$1" run_epoch)
    printf '{"execute":"qmp_capabilities"}\n{"execute":"%s"}\n' "$2" |
        socat -t 3 - "UNIX-CONNECT:$dir/spare" | jq -c 'select(has("return")) | .return' | tail -n 1
}
has_block() { qmp "$1" query-block | jq -e --arg d "$2" 'any(.[]; .qdev | contains($d))' >/dev/null; }

on_pool guest create web1 --image linux >/dev/null
eventually 60 "it beats" beats_beyond web1 5
disk b
disk c
on_pool guest block-attach web1 lab:b.img xvdb >/dev/null
check "it has it" has_block web1 xvdb
check "and is said to" lists_disk web1 xvdb
refused 1 "No such file" on_pool guest block-attach web1 lab:nothing.img xvdc
check "what failed is not said to be there" no_longer lists_disk web1 xvdc
refused 4 "come and go" on_pool guest block-attach web1 lab:c.img hdb
on_pool guest block-attach web1 lab:c.img xvdc >/dev/null
on_pool guest network-attach web1 --mac 00:16:3e:00:00:01 >/dev/null
on_pool guest network-attach web1 --mac 00:16:3e:00:00:02 >/dev/null

to=$(host_but "$(guest_field web1 host)")
on_pool guest migrate web1 "$to" >/dev/null
check "it moved with all that" guest_runs_on web1 "$to"
check "disk b is there as well" has_block web1 xvdb
on_pool guest block-detach web1 xvdb >/dev/null
check "it let go of disk b after the move" no_longer has_block web1 xvdb
check "and is not said to have it" no_longer lists_disk web1 xvdb
on_pool guest network-detach web1 00:16:3e:00:00:01 >/dev/null
[[ $(on_pool guest network-list web1 --json | rows | jq -s length) == 1 ]] || fail "one card is left"
on_pool guest migrate web1 "$(host_but "$to")" >/dev/null
check "it moved back without it" guest_runs web1
on_pool guest suspend web1 >/dev/null
on_pool guest resume web1 >/dev/null
at=$(beats_of web1)
eventually 20 "it beats after it was saved with its devices" beats_beyond web1 "$((at + 3))"
expect_single web1
on_pool guest reboot web1 >/dev/null
check "after a reboot disk c is there" has_block web1 xvdc
check "and disk b is not" no_longer has_block web1 xvdb

# tiny does not know of devices that go.
on_pool guest create deaf --image tiny >/dev/null
expect_beating deaf
disk d
on_pool guest block-attach deaf lab:d.img xvdb >/dev/null
refused 5 "in time" on_pool guest block-detach deaf xvdb
check "it keeps its disk" lists_disk deaf xvdb
refused 4 "cannot take a device" on_pool guest block-detach deaf xvdb --force
on_pool guest shutdown deaf >/dev/null
check "it shuts down all the same" guest_is deaf stopped
on_pool guest block-detach deaf xvdb >/dev/null
check "off, it is taken from it" no_longer lists_disk deaf xvdb
on_pool guest block-attach deaf lab:d.img xvdb >/dev/null
on_pool guest start deaf >/dev/null
check "or given to it" has_block deaf xvdb
expect_single deaf
expect_equal_hashes
