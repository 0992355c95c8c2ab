# Guests that are to be apart are never on one host, wherever they are on their way to.
given pool h1 h2 h3
when guest_create name=a host=h1 apart=db
then guest a apart=db
when guest_create name=b host=h1 apart=db
then IN_USE host h1 has guest a, from which it is to be apart
when guest_create name=b host=h1 apart=.x
then INVALID field apart
when guest_create name=b host=h1 together=a/b
then INVALID field together
when guest_create name=b host=h2 apart=db together=shop
then ok
when guest_report name=b host=h2 epoch=2 what=started
when guest_migrate name=b host=h1
then IN_USE host h1 has guest a
when guest_migrate name=b host=h3
then ok
let m = guest b op
when guest_create name=c host=h3 apart=db
then IN_USE host h3 has guest b
when guest_create name=c host=h2 apart=db
then IN_USE host h2 has guest b
when op_cancel id=$m
# A guest that is on a host enters a group only where that is true already.
when guest_create name=d host=h2
when guest_report name=d host=h2 epoch=4 what=started
when guest_set name=d apart=db
then IN_USE host h2 has guest b
when guest_migrate name=d host=h3
when migrate_prepared op=$op host=h3 address=h3:99
when migrate_switch op=$op host=h2
when guest_report name=d host=h3 epoch=5 what=started
when guest_set name=d apart=db
then guest d apart=db
# Who leaves a group, or is deleted, is in nobody's way.
when guest_set name=b apart=none
then guest b apart=- together=shop
when guest_create name=e host=h2 apart=db start=on
then ok
when guest_destroy name=e
when guest_report name=e host=h2 epoch=6 what=exited exit=destroyed
when guest_delete name=e
when guest_create name=f host=h2 apart=db
then ok

# Processors, where the pool has a limit.
when host_report name=h2 raft_id=2 incarnation=9 memory_mib=1024 cpus=2
when pool_set vcpu_percent=200
when guest_create name=v host=h2 config.vcpus=3
then NO_ROOM not enough processors on h2: 3 virtual CPUs needed, 2 left
when guest_create name=v host=h2 config.vcpus=2
then ok
when pool_set vcpu_percent=0
when guest_create name=w host=h2 config.vcpus=64
then ok
