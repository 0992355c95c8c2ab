# A lease is over: guarded guests are freed, others stay where they are.
given pool h1 h2 h3
when guest_create name=db1 host=h1 ha=1
then guest db1 state=starting host=h1 guarded=on
when guest_report name=db1 host=h1 epoch=1 what=started
given guest web1 on h1
then guest web1 state=running guarded=off
when host_lease_over name=h1 term=2
then STALE
then host h1 state=up fenced=off
when host_lease_over name=h1 term=1
then ok
then host h1 state=down fenced=on
then guest db1 state=pending host=- want=running exit=lost guarded=off op=0
then guest web1 state=running host=h1
then reserved h1 64
when host_lease_over name=h1 term=1
then STATE it is fenced already

# What stayed there may become guarded before the host is seen again, and is freed as well.
when guest_set name=web1 ha=on
when guest_report name=web1 host=h1 epoch=2 what=guarded
then ok
then host h1 fenced=on
then guest web1 state=running host=h1 guarded=on
when host_lease_over name=h1 term=1
then ok
then guest web1 state=pending host=- want=running exit=lost guarded=off

# It is started elsewhere, under a new epoch; what the old host says of the old run is not believed.
when guest_start name=db1 host=h2
then ok
then guest db1 state=starting host=h2 run_epoch=3 guarded=on
when guest_report name=db1 host=h1 epoch=1 what=exited exit=lost
then STALE
when guest_report name=db1 host=h2 epoch=3 what=started
then guest db1 state=running host=h2

# It is heard again: fenced no more.
when host_seen name=h1 raft_id=1 up=1
then host h1 state=up fenced=off

# An operator's word frees everything.
when guest_set name=web1 ha=off
when guest_start name=web1 host=h1
when guest_report name=web1 host=h1 epoch=4 what=started
then guest web1 state=running host=h1
when host_fence name=h1 reason=unplugged
then ok
then guest web1 state=stopped host=- exit=lost
then reserved h1 0
