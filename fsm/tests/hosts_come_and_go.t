when host_add name=h1 address=h1:1
then NO_POOL make one with pool init
when pool_init name=p host=h1 address=h1
then INVALID field address
when pool_init name=p host=h1 address=h1:1
then ok
then outcome a=1
then host h1 state=joining raft_id=1
then pool - name=p next_raft_id=2 next_epoch=1
when pool_init name=q host=h1 address=h1:1
then EXISTS pool p already exists
when host_add name=h2 address=h1:1
then EXISTS address h1:1 is taken by h1
when host_add name=h1 address=h7:1
then EXISTS host h1 already exists
when host_add name=h2 address=h2:99999
then INVALID field address
when host_add name=h2 address=[fe80::1]:7000
then ok
then outcome a=2
then event host.added h2
then count hosts=2
when host_seen name=h2 raft_id=2 up=on
then host h2 state=joining
when host_report name=h2 raft_id=9 incarnation=1
then STALE its member number is 2, not 9
when host_report name=h2 raft_id=2 incarnation=3 memory_mib=512 version=1.0
then host h2 state=up memory_mib=512 incarnation=3
then event host.up h2
when host_report name=h2 raft_id=2 incarnation=3
then STALE its incarnation is 3, not 3
when host_seen name=h2 raft_id=9 up=off
then STALE
when host_seen name=h2 raft_id=2 up=off
then host h2 state=down
when host_seen name=h2 raft_id=2 up=off
then ok
then no event host.down
when host_report name=h2 raft_id=2 incarnation=4 memory_mib=512
then host h2 state=up
# It lost its data: a new member.
when host_renew name=h2 old_raft_id=7
then STALE
when host_renew name=h2 old_raft_id=2
then outcome a=3
then host h2 raft_id=3 state=joining incarnation=0
when host_report name=h2 raft_id=2 incarnation=5
then STALE its member number is 3, not 2
when host_report name=h2 raft_id=3 incarnation=1 memory_mib=512
then host h2 state=up

given guest a on h2
when host_remove name=h2
then IN_USE host h2 is in use by guest a
when host_report name=h1 raft_id=1 incarnation=1 memory_mib=512
when guest_migrate name=a host=h1
let m = guest a op
when host_remove name=h1
then IN_USE host h1 is in use by guest a
when pool_set_master host=h2
then pool - master=h2
when host_remove name=h2 force=on
then ok
then guest a state=stopped host=- exit=lost op=0
then op $m state=failed code=35 phase=aborted
then event guest.stopped a detail=lost
then event host.removed h2
then no host h2
then pool - master=-
then reserved h1 0
then count hosts=1 ops_open=0
when host_remove name=h1
then STATE host h1 is up: it is the last host of the pool
when host_add name=h2 address=h2:1
then outcome a=4
