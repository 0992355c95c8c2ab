# What is under way with the guests of a fenced host ends.
given pool h1 h2 h3
when pool_set fence_hosts=9
when guest_create name=a host=h1 ha=1
let s = guest a op
when guest_create name=b host=h1 ha=1
when guest_report name=b host=h1 epoch=2 what=started
when guest_shutdown name=b
let d = guest b op
when guest_create name=c host=h1 ha=1
when guest_report name=c host=h1 epoch=3 what=started
when guest_migrate name=c host=h2
let m = guest c op
when guest_create name=d host=h2 ha=1
when guest_report name=d host=h2 epoch=5 what=started
when guest_migrate name=d host=h1
let n = guest d op
when guest_create name=e host=h1 ha=1 paused=1
when guest_report name=e host=h1 epoch=7 what=started
then guest e state=paused
when host_lease_over name=h1 term=1
then ok
then op $s state=failed code=35
then guest a state=pending want=running
then op $d state=done
then guest b state=stopped want=off
then op $m state=failed phase=aborted
then guest c state=pending
then reserved h2 128
then op $n state=failed phase=aborted
then guest d state=running host=h2
then guest e state=pending want=paused
then reserved h1 0

# A guest that is lost after its switch belongs to the target.
when guest_migrate name=d host=h3
let o = guest d op
when migrate_prepared op=$o host=h3 address=h3:1 key=k
when migrate_switch op=$o host=h2
when host_lease_over name=h2 term=1
then op $o state=running phase=switched
then guest d host=h3 guarded=on
when host_lease_over name=h3 term=1
then op $o state=failed
then guest d state=pending

# With HA off nothing waits for a place; what waits can be ended.
when guest_destroy name=e
then ok
then guest e state=stopped
when pool_set ha=off
when host_seen name=h1 raft_id=1 up=1
when guest_start name=e host=h1
then guest e guarded=off
when host_lease_over name=h1 term=1
then guest e state=starting host=h1
