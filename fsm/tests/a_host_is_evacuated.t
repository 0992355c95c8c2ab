# An evacuation counts its migrations; the host takes no guests meanwhile, and it ends empty.
given pool h1 h2 h3
given guest a on h1
given guest b on h1
when host_evacuate name=h1 parallel=2
then event op.begun h1
let e = host h1 evacuation
then op $e kind=evacuate subject=h1 state=running deadline_ms=0 parallel=2
when host_evacuate name=h1
then STATE host h1 is up: its guests are being moved away
when guest_create name=x host=h1
then STATE its guests are being moved away
when evacuation_end id=$e
then IN_USE host h1 is in use by 2 guests
when guest_migrate name=a host=h2 parent=$e
let m = guest a op
then op $m parent=$e
when migrate_prepared op=$m host=h2 address=h2:1
when migrate_switch op=$m host=h1
let r = guest a run_epoch
when guest_report name=a host=h2 epoch=$r what=started
then op $e moved=1 failed=0
# One that fails is counted; one that goes well forgives.
when guest_migrate name=b host=h2 parent=$e
let m = guest b op
when migrate_abort op=$m host=h2 code=25
then op $e moved=1 failed=1 state=running
when guest_migrate name=b host=h3 parent=$e
let m = guest b op
when migrate_prepared op=$m host=h3 address=h3:1
when migrate_switch op=$m host=h1
let r = guest b run_epoch
when guest_report name=b host=h3 epoch=$r what=started
then op $e moved=2 failed=0
when evacuation_end id=$e
then op $e state=done
then host h1 evacuation=0
then event op.ended h1
when evacuation_end id=$e
then STATE it has ended
when guest_migrate name=a host=h1 parent=$e
then STATE it has ended

# Five failures in a row end it, with the guest that would not go.
when host_evacuate name=h3
let e = host h3 evacuation
when guest_migrate name=b host=h1 parent=$e
let m = guest b op
when migrate_abort op=$m host=h1 code=25
when guest_migrate name=b host=h1 parent=$e
let m = guest b op
when migrate_abort op=$m host=h1 code=25
when guest_migrate name=b host=h1 parent=$e
let m = guest b op
when migrate_abort op=$m host=h1 code=25
when guest_migrate name=b host=h1 parent=$e
let m = guest b op
when migrate_abort op=$m host=h1 code=25
then op $e failed=4 state=running
when guest_migrate name=b host=h1 parent=$e
let m = guest b op
when migrate_abort op=$m host=h1 code=25
then op $e failed=5 state=failed code=25 detail=b
then host h3 evacuation=0
then guest b state=running host=h3 op=0

# Cancelled: what is on its way goes on. No deadline expires it.
when host_evacuate name=h3
let e = host h3 evacuation
when guest_migrate name=b host=h1 parent=$e
let m = guest b op
when op_expire id=$e
then STATE
when op_cancel id=$e
then op $e state=cancelled
then op $m state=running
then host h3 evacuation=0
when op_cancel id=$m

# Maintenance: it takes no guests, and those it has leave; going out of it ends that.
when host_maintenance mode=no name=h3
then INVALID field mode
when host_maintenance mode=on name=h3
let e = host h3 evacuation
then host h3 maintenance=on
then op $e state=running
when guest_create name=y host=h3
then STATE it is in maintenance
when host_maintenance mode=off name=h3
then op $e state=cancelled
then host h3 maintenance=off evacuation=0
when host_maintenance mode=on name=h3 evacuate=off
then host h3 maintenance=on evacuation=0
then event host.changed h3
when host_maintenance mode=on name=h3 evacuate=off
then no event host.changed
when host_maintenance mode=off name=h3

# A host that is lost meanwhile, in each way.
when host_evacuate name=h3
let e = host h3 evacuation
when host_seen name=h3 raft_id=3 up=off
then op $e state=failed code=35
then host h3 evacuation=0 state=down
when host_evacuate name=h3
then STATE host h3 is down
when host_seen name=h3 raft_id=3 up=on
when host_evacuate name=h3
let e = host h3 evacuation
when host_fence name=h3 reason=off
then op $e state=failed
then host h3 evacuation=0 fenced=on
when host_evacuate name=h2
let e = host h2 evacuation
when host_remove name=h2 force=on
then op $e state=failed
then no host h2
then count ops_open=0
