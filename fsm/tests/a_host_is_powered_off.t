# A power controller's acknowledgement is a proof for all that the host had.
given pool h1 h2
when guest_create name=db1 host=h1 ha=1
when guest_report name=db1 host=h1 epoch=1 what=started
given guest web1 on h1
when pool_set power_command=bin/off
then INVALID an absolute path
when pool_set power_command=/sbin/off power_timeout_ms=5000
then ok
when host_set name=h1 power_target=rack1/7
then ok
then host h1 power_target=rack1/7
when host_power name=h1 raft_id=1 incarnation=1 off=1
then STATE it is heard, so it has power
when host_seen name=h1 raft_id=1 up=0
when host_power name=h1 raft_id=1 incarnation=1 off=0 detail=no_answer
then event host.power_failed h1 detail=no_answer
then guest db1 state=running host=h1
when host_power name=h1 raft_id=1 incarnation=2 off=1
then STALE
when host_power name=h1 raft_id=1 incarnation=1 off=1 detail=gone
then event host.power_off h1 detail=gone
then event host.fenced h1 detail=power
then guest db1 state=pending exit=lost
then guest web1 state=stopped exit=lost
then host h1 fenced=on

# What comes late is of a host that lives.
when host_report name=h1 raft_id=1 incarnation=2 memory_mib=1024
when guest_start name=db1 host=h1 again=1
when host_power name=h1 raft_id=1 incarnation=1 off=1
then STALE
then guest db1 state=starting host=h1
when pool_set power_command=none
then ok
then pool p power_command=-
