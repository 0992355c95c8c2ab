# The guest dies at its source while it is being copied: the migration ends, the guest restarts there.
given pool h1 h2
given guest web1 on h1
when guest_migrate name=web1 host=h2
let m = guest web1 op
when migrate_prepared op=$m host=h2 address=h2:1 key=k
when guest_report name=web1 host=h1 epoch=1 what=exited exit=crash
then ok
then op $m phase=aborted state=failed code=36
then guest web1 state=starting host=h1 run_epoch=3 restarts=1 op=0 exit=crash
then reserved h2 0
when migrate_switch op=$m host=h1
then STATE it has ended
when guest_report name=web1 host=h1 epoch=3 what=started
then guest web1 state=running

# It dies at its target after the switch: a crash under the new epoch.
when guest_migrate name=web1 host=h2
let m = guest web1 op
let t = op $m dst_epoch
when migrate_prepared op=$m host=h2 address=h2:1 key=k
when migrate_switch op=$m host=h1
when guest_report name=web1 host=h2 epoch=$t what=failed code=25
then ok
then op $m phase=ended state=failed code=25
then guest web1 state=starting host=h2 run_epoch=5 exit=crash restarts=2
