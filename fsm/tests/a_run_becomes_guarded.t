# A running guest that becomes protected is guarded once its host says so, and not before.
given pool h1 h2
given guest web1 on h1
when guest_set name=web1 ha=on
then guest web1 guarded=off
when host_lease_over name=h1 term=1
then guest web1 state=running host=h1
when host_seen name=h1 raft_id=1 up=1
when guest_report name=web1 host=h1 epoch=1 what=guarded
then ok
then guest web1 guarded=on
when guest_report name=web1 host=h1 epoch=1 what=unguarded
then STATE
when guest_set name=web1 ha=off
then guest web1 guarded=on
when guest_report name=web1 host=h1 epoch=1 what=unguarded
then guest web1 guarded=off
when guest_set name=web1 ha=on
when guest_report name=web1 host=h1 epoch=1 what=guarded
when host_lease_over name=h1 term=1
then guest web1 state=pending
