# The daemons of all hosts, one after the other; the cursor is in the state.
given pool h1 h2 h3
when pool_restart guests=kill
then INVALID leave or migrate
when pool_restart
then ok
let r = op $op id
then op $r kind=restart subject=p state=running live=on dst=-
then pool p restart=$r
when pool_restart
then STATE its hosts are being restarted
when restart_step id=$r host=h2 begin=1
then event host.restarting h2
then op $r dst=h2 src_epoch=1
when restart_step id=$r host=h3 begin=1
then STATE it is not its turn
when restart_step id=$r host=h2
then STATE it is not its turn
when host_report name=h2 raft_id=2 incarnation=2 memory_mib=1024
when host_seen name=h2 raft_id=2 up=0
when restart_step id=$r host=h2
then STATE it is not its turn
when host_seen name=h2 raft_id=2 up=1
when restart_step id=$r host=h2
then event host.restarted h2
then host h2 restarted=$r
then op $r dst=- moved=1
when restart_step id=$r host=h2 begin=1
then STATE it is not its turn
when host_seen name=h3 raft_id=3 up=0
when restart_step id=$r host=h3 begin=1
then STATE
when op_cancel id=$r
then op $r state=cancelled
then pool p restart=0
when restart_step id=$r host=h1 begin=1
then STATE

# Another one begins anew, and ends by the master's word.
when pool_restart guests=migrate
let r = op $op id
then op $r live=off
when restart_step id=$r host=h2 begin=1
then ok
when host_maintenance mode=on name=h2
then host h2 maintenance=on
when evacuation_end id=$r code=28 detail=h2
then host h2 maintenance=off
then op $r state=failed
then pool p restart=0
