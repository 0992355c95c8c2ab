# Each command says in which state the guest is and what it would take.
given pool h1 h2
when guest_create name=web1 start=off
then ok
then guest web1 state=stopped host=- op=0
then outcome op=0
when guest_pause name=web1
then STATE guest web1 is stopped: only a running guest can be paused
when guest_unpause name=web1
then STATE only a paused guest can go on
when guest_shutdown name=web1
then STATE only a running guest can be asked to shut down
when guest_migrate name=web1 host=h2
then STATE guest web1 is stopped: only a running or paused guest can be migrated
when guest_start name=web1
then INVALID guest start: field host
when guest_start name=web1 host=h9
then NOT_FOUND host h9 not found
when guest_start name=nope host=h1
then NOT_FOUND guest nope not found
when guest_start name=web1 host=h1 generation=7
then STALE its generation is 1, not 7
when guest_start name=web1 host=h1 generation=1
then ok
when guest_start name=web1 host=h1
then STATE guest web1 is starting: operation
when guest_delete name=web1
then STATE is under way
let e = guest web1 run_epoch
when guest_report name=web1 host=h1 epoch=$e what=started
when guest_start name=web1 host=h1
then STATE guest web1 is running: only a stopped or failed guest can be started
when guest_delete name=web1
then STATE only a stopped or failed guest can be deleted
when guest_migrate name=web1 host=h1
then INVALID field host
when guest_migrate name=web1
then INVALID field host
when guest_pause name=web1
then ok
when guest_migrate name=web1 host=h2
then STATE is under way
when guest_report name=web1 host=h1 epoch=$e what=paused
then guest web1 state=paused want=paused
when guest_shutdown name=web1
then STATE guest web1 is paused
when guest_unpause name=web1
when guest_report name=web1 host=h1 epoch=$e what=unpaused
then guest web1 state=running
then op $op state=done kind=unpause
# Reports of another epoch, another host, another guest.
when guest_report name=web1 host=h1 epoch=99 what=exited exit=crash
then STALE its run epoch is 1, not 99
when guest_report name=web1 host=h2 epoch=$e what=exited exit=crash
then STALE
when guest_report name=web9 host=h2 epoch=$e what=started
then NOT_FOUND
when guest_report name=web1 host=h1 epoch=$e what=exited
then INVALID field exit
when guest_report name=web1 host=h1 epoch=$e what=failed
then STATE not to be expected
then guest web1 state=running
