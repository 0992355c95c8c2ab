# A running guest moves; the log passes it to the target; nothing of the source is left.
given pool h1 h2 h3
given guest web1 on h1 256
let e = guest web1 run_epoch
when guest_migrate name=web1 host=h2
then ok
then guest web1 state=migrating host=h1 run_epoch=$e op=$op
then op $op phase=prepare kind=migrate src=h1 dst=h2 src_epoch=$e dst_epoch=2 live=on
then reserved h1 256
then reserved h2 256
then event guest.migrating web1 detail=prepare

# The key is a secret: shown as such while it is there, and gone afterwards.
when migrate_prepared op=$op host=h2 address=h2:4444 key=sesame
then op $op phase=transfer address=h2:4444 key=(secret)
then guest web1 state=migrating host=h1 run_epoch=$e

when migrate_switch op=$op host=h1
then ok
then op $op phase=switched state=running
then guest web1 state=migrating host=h2 run_epoch=2 op=$op
then event guest.switched web1 host=h2 epoch=2 detail=h1
then reserved h1 0
then reserved h2 256

# Too late for an abort, from whomever.
when migrate_abort op=$op host=h1 code=19
then STATE is switched: its phase does not allow that
when op_cancel id=$op
then STATE its phase does not allow that
when op_expire id=$op
then STATE its phase does not allow that

# The source speaks of its old copy: stale.
when guest_report name=web1 host=h1 epoch=$e what=exited exit=destroyed
then STALE its run epoch is 2, not 1

when guest_report name=web1 host=h2 epoch=2 what=started
then guest web1 state=running host=h2 run_epoch=2 op=0
then op $op phase=ended state=done key=- address=h2:4444
then event guest.started web1 detail=migrated
when migrate_switch op=$op host=h1
then STATE it has ended
