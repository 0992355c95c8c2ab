# A destruction ends whatever is under way, in every state that has a host.
given pool h1 h2
when guest_create name=a host=h1 config.memory_mib=64
let s = guest a op
when guest_destroy name=a
then ok
then op $s state=cancelled code=17 phase=ended detail=destroy
then guest a state=stopping stop=destroy want=off op=$op
then op $op kind=destroy state=running deadline_ms=0
when guest_destroy name=a
then STATE is under way
# The start that was on its way is told too late: nothing comes of it.
when guest_report name=a host=h1 epoch=1 what=started
then guest a state=stopping
when guest_report name=a host=h1 epoch=1 what=exited exit=destroyed
then guest a state=stopped host=- op=0
then op $op state=done
when guest_destroy name=a
then STATE guest a is stopped: only a guest that is on a host can be destroyed

# In the middle of a migration: the copy at the target is aborted.
given guest b on h1
when guest_migrate name=b host=h2
let m = guest b op
when guest_destroy name=b
then op $m phase=aborted state=cancelled
then reserved h2 0
then guest b state=stopping host=h1
when migrate_switch op=$m host=h1
then STATE it has ended

# On a host that is down it waits.
given guest c on h2
when host_seen name=h2 raft_id=2 up=off
when guest_destroy name=c
then ok
then guest c state=stopping host=h2
then reserved h2 64
when host_seen name=h2 raft_id=2 up=on
let e = guest c run_epoch
when guest_report name=c host=h2 epoch=$e what=exited exit=lost
then guest c state=stopped exit=lost

# During a shutdown that takes too long for somebody.
given guest d on h2
when guest_shutdown name=d
let s = guest d op
when guest_destroy name=d
then op $s state=cancelled
then guest d stop=destroy
