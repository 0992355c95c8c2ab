# A guest is created, runs, is shut down, and is deleted.
given pool h1 h2 h3
when guest_create name=web1 host=h1 config.memory_mib=512
then ok
then guest web1 state=starting want=running host=h1 run_epoch=1 generation=1 op=$op
then op $op kind=start phase=work state=running dst=h1 dst_epoch=1 subject=web1 user=anna deadline_ms=1060000
then event guest.created web1
then event guest.starting web1 host=h1 epoch=1
then event op.begun web1 op=$op detail=start
then count hosts=3 guests=1 running=0 ops_open=1
then reserved h1 512
again
then count guests=1

at +250
when guest_report name=web1 host=h1 epoch=1 what=started
then ok
then guest web1 state=running op=0 since_ms=1000250 generation=2
then op $op phase=ended state=done ended_ms=1000250
then event guest.started web1
then event op.ended web1 op=$op
then count running=1 ops_open=0

when guest_shutdown name=web1
then guest web1 state=stopping stop=shutdown want=off
when guest_report name=web1 host=h1 epoch=1 what=exited exit=poweroff
then guest web1 state=stopped host=- op=0 stop=none exit=poweroff
then op $op state=done kind=shutdown
then event guest.stopped web1 detail=poweroff
then reserved h1 0

when guest_delete name=web1
then ok
then no guest web1
then event guest.deleted web1 code=0
then count guests=0

# What its last run ended with is not told again of a guest that is deleted.
when guest_create name=web2 host=h1
let e = guest web2 run_epoch
when guest_report name=web2 host=h1 epoch=$e what=failed code=25
then guest web2 state=failed code=25
when guest_delete name=web2
then event guest.deleted web2 code=0
