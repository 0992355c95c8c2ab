# Whatever goes wrong before the switch leaves the guest with its source, under its old epoch.
given pool h1 h2 h3
given guest web1 on h1
let e = guest web1 run_epoch

# The target gives up.
when guest_migrate name=web1 host=h2
let m = guest web1 op
when migrate_abort op=$m host=h2 code=25 detail=nope
then ok
then op $m phase=aborted state=failed code=25 detail=nope
then guest web1 state=running host=h1 run_epoch=$e op=0
then reserved h2 0
when migrate_switch op=$m host=h1
then STATE it has ended
when migrate_prepared op=$m host=h2 address=h2:1
then STATE it has ended

# Somebody cancels in the middle of the transfer.
when guest_migrate name=web1 host=h2
let m = guest web1 op
when migrate_prepared op=$m host=h2 address=h2:4444 key=k
when op_cancel id=$m
then op $m phase=aborted state=cancelled code=17 key=-
then guest web1 state=running host=h1 run_epoch=$e
when op_cancel id=$m
then STATE it has ended

# The master's patience ends.
when guest_migrate name=web1 host=h2
let m = guest web1 op
when op_expire id=$m
then op $m phase=aborted state=failed code=14

# The target's copy dies before the switch.
when guest_migrate name=web1 host=h2
let m = guest web1 op
let t = op $m dst_epoch
when guest_report name=web1 host=h2 epoch=$t what=started
then STATE not to be expected
when guest_report name=web1 host=h2 epoch=$t what=exited exit=crash code=36
then op $m phase=aborted state=failed code=36
then guest web1 state=running host=h1 run_epoch=$e

# A paused guest stays paused.
when guest_pause name=web1
when guest_report name=web1 host=h1 epoch=$e what=paused
then guest web1 state=paused
when guest_migrate name=web1 host=h3
let m = guest web1 op
when migrate_abort op=$m
then guest web1 state=paused want=paused
then op $m state=cancelled

# Wrong host, wrong order, wrong operation.
when guest_migrate name=web1 host=h2
let m = guest web1 op
when migrate_switch op=$m host=h1
then STATE is prepare
when migrate_prepared op=$m host=h3 address=h3:1
then INVALID field host
when migrate_prepared op=$m host=h2 address=h2:1
when migrate_switch op=$m host=h2
then INVALID field host
when migrate_abort op=$m host=h3
then INVALID field host
when migrate_switch op=9999 host=h1
then NOT_FOUND operation 9999 not found
when migrate_switch op=$m host=h1
then ok
then guest web1 host=h2 state=migrating
let t = op $m dst_epoch
when guest_report name=web1 host=h2 epoch=$t what=started
then guest web1 state=paused want=paused host=h2
