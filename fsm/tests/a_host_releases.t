# A host stops in good order: its own word that it let go frees what is guarded, at once.
given pool h1 h2
when guest_create name=db1 host=h1 ha=1
when guest_report name=db1 host=h1 epoch=1 what=started
given guest web1 on h1
when host_release name=h1 raft_id=1 incarnation=2
then STALE
when host_release name=h1 raft_id=9 incarnation=1
then STALE
then guest db1 state=running host=h1
when host_release name=h1 raft_id=1 incarnation=1
then ok
then event host.fenced h1 detail=released
then host h1 state=down fenced=on fenced_ms=0
then guest db1 state=pending host=- want=running exit=lost guarded=off
then guest web1 state=running host=h1
when host_release name=h1 raft_id=1 incarnation=1
then STATE it is fenced already

# The next daemon has reported: the word of the last one is void, whenever it comes.
when guest_start name=db1 host=h2 again=1
when host_report name=h2 raft_id=2 incarnation=2 memory_mib=1024
when host_release name=h2 raft_id=2 incarnation=1
then STALE
then guest db1 state=starting host=h2

# What ends its guests with their lease, by the word of its present daemon.
then host h1 guarantee=none
when host_guarantee name=h1 raft_id=1 incarnation=1 guarantee=guard
then event host.guarantee h1 detail=guard
then host h1 guarantee=guard
when host_guarantee name=h1 raft_id=1 incarnation=2 guarantee=watchdog
then STALE
when host_guarantee name=h1 raft_id=1 incarnation=1 guarantee=guard
then no event host.guarantee
