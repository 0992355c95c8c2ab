# Guests that an evacuation moved away can go back where they were, and nobody else does.
given pool h1 h2 h3
given guest a on h1
given guest b on h1
given guest c on h1
when host_maintenance mode=on name=h1
let e = op $op id
when guest_migrate name=a host=h2 parent=$e
let m = guest a op
when migrate_prepared op=$m host=h2 address=h2:9
when migrate_switch op=$m host=h1
then guest a host=h2 moved_from=h1
when guest_report name=a host=h2 epoch=4 what=started
then op $e moved=1

# A second evacuation remembers where it was first.
when host_evacuate name=h2
let f = op $op id
when guest_migrate name=a host=h3 parent=$f
let m = guest a op
when migrate_prepared op=$m host=h3 address=h3:9
when migrate_switch op=$m host=h2
when guest_report name=a host=h3 epoch=5 what=started
then guest a host=h3 moved_from=h1
when evacuation_end id=$f
then op $f state=done

# Back it goes by an operation of the host that it comes to.
when host_maintenance mode=on name=h1 move_back=1
then STATE it is in maintenance
when host_seen name=h1 raft_id=1 up=0
when host_maintenance mode=off name=h1 move_back=1
then STATE it takes no guests unless it is up
then host h1 maintenance=on
when host_seen name=h1 raft_id=1 up=1
when host_maintenance mode=off name=h1 move_back=1
then ok
let r = op $op id
then op $r kind=return subject=h1 dst=h1 state=running
then host h1 maintenance=off evacuation=0
when guest_migrate name=a host=h2 parent=$r
then STATE
when guest_migrate name=a host=h1 parent=$r
then ok
let m = guest a op
when migrate_prepared op=$m host=h1 address=h1:9
when migrate_switch op=$m host=h3
when guest_report name=a host=h1 epoch=6 what=started
then guest a host=h1 moved_from=-
then op $r moved=1
when evacuation_end id=$r
then op $r state=done
when evacuation_end id=$r
then STATE

# Somebody chose another place, or it was started anew: there is no way back any more.
when host_maintenance mode=off name=h1 move_back=1
let r = op $op id
when op_cancel id=$r
then op $r state=cancelled
