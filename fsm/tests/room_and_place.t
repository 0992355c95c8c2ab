# A guest is put only where it fits and may be.
given pool h1 h2 h3
given guest a on h1 600
when guest_create name=b host=h1 config.memory_mib=512
then NO_ROOM not enough room on h1: 512 MiB needed, 424 MiB free
then no guest b
when guest_create name=b host=h2 config.memory_mib=512
then ok
let e = guest b run_epoch
when guest_report name=b host=h2 epoch=$e what=started
# Memory on its way counts as well.
when guest_migrate name=b host=h1
then NO_ROOM not enough room on h1: 512 MiB needed, 424 MiB free
when guest_migrate name=b host=h3
then ok
when guest_create name=c host=h3 config.memory_mib=600
then NO_ROOM 600 MiB needed, 512 MiB free
when guest_create name=c host=h2 config.memory_mib=600
then NO_ROOM 600 MiB needed, 512 MiB free

when host_set name=h1 can_run=off
when guest_create name=d host=h1
then STATE host h1 is up: it is set not to run guests
when host_set name=h1 can_run=on
when host_seen name=h1 raft_id=1 up=off
then event host.down h1
when guest_create name=d host=h1
then STATE host h1 is down: it takes no guests unless it is up
when guest_migrate name=a host=h2
then STATE host h1 is down: the guest cannot be copied unless its host is up
when guest_create name=d host=h2 preferred=h1,h3
then STATE preferred hosts do not include it
when guest_create name=d host=h3 preferred=h1,h9
then NOT_FOUND host h9
when guest_create name=d host=h3 preferred=h1,h3
then ok

# Memory that is set counts from now on; with it, no migration until the next start.
when host_seen name=h1 raft_id=1 up=on
when guest_set name=a memory_mib=2000
then NO_ROOM 2000 MiB needed, 1024 MiB free
when guest_set name=a memory_mib=700
then ok
then guest a changed=on
then reserved h1 700
when guest_migrate name=a host=h2
then STATE its hardware was changed since it started
when guest_set name=a memory_mib=4
then INVALID field memory_mib
when guest_set name=a maxmem_mib=600
then INVALID field maxmem_mib
when guest_set name=a ha=yes
then INVALID field ha
when guest_set name=a preferred=h9
then NOT_FOUND
when guest_set name=a preferred=h1,h2 ha=on priority=7
then guest a preferred=h1,h2 ha=on priority=7
when guest_set name=a preferred=any
then guest a preferred=- priority=7
let g = guest a generation
when guest_set name=a priority=7
then guest a generation=$g
then no event guest.changed
