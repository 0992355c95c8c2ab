#!/bin/bash
# A guest under QEMU reboots where it is, is renamed and cloned: its disk goes with it under every name,
# nobody else ever gets that disk, and what is left when all are deleted is nothing.
# shellcheck source=chaos-tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

story_begin 2 qemu
pool_dir=$LAB_DIR/repo/running_pool
# Its consoles are kept under both names, its disk under the first: the checker takes patterns.
BOTH='web[12]'

on_pool guest create web1 --image tiny >/dev/null
expect_beating web1
at=$(guest_field web1 host)
epoch=$(guest_field web1 run_epoch)
uuid=$(guest_field web1 uuid)
before=$(beats_of web1)
on_pool guest reboot web1 --wait >/dev/null
check "it runs where it ran" guest_runs_on web1 "$at"
check "under a new epoch" test "$(guest_field web1 run_epoch)" -gt "$epoch"
expect_beating web1
check "with its counter" test "$(beats_of web1)" -gt "$before"
on_pool guest set web1 --vcpus 2 >/dev/null
refused 4 "which a reboot does not apply" on_pool guest reboot web1
on_pool guest shutdown --all >/dev/null
check "all are off when that was waited for" guest_is web1 stopped
on_pool guest start web1 >/dev/null
on_pool guest reboot web1 >/dev/null
expect_beating web1
expect_single web1
refused 4 "only a stopped, saved or failed guest" on_pool guest rename web1 web2
before=$(beats_of web1)
on_pool guest shutdown web1 >/dev/null

on_pool guest rename web1 web2 >/dev/null
check "the identity stays" test "$(guest_field web2 uuid)" == "$uuid"
refused 4 "taken by web2" on_pool guest create web1 --image tiny
# The other host is the one that sweeps now: the directory of the former name is not nobody's.
on_pool guest create other --image tiny >/dev/null
on_pool guest destroy other >/dev/null
on_pool guest delete other >/dev/null
swept() { [[ ! -e $pool_dir/other ]]; }
eventually 20 "what was deleted is swept" swept
check "the renamed guest's disk is not" test -e "$pool_dir/web1/system.img"
on_pool guest start web2 >/dev/null
expect_beating "$BOTH"
check "with its counter under its new name" test "$(beats_of "$BOTH")" -gt "$before"

refused 4 "fresh" on_pool guest clone web2 web3
on_pool guest clone web2 web3 --fresh >/dev/null
check "a clone has an identity of its own" test "$(guest_field web3 uuid)" != "$uuid"
on_pool guest start web3 >/dev/null
expect_beating web3
check "and a disk of its own" test -e "$pool_dir/web3/system.img"
expect_single "$BOTH"
expect_single web3
for g in web2 web3; do
    on_pool guest destroy "$g" >/dev/null
    on_pool guest delete "$g" >/dev/null
done
empty() { [[ ! -e $pool_dir/web1 && ! -e $pool_dir/web2 && ! -e $pool_dir/web3 ]]; }
eventually 20 "nothing is left" empty
expect_equal_hashes
