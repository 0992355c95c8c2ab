# A guest that keeps dying waits longer each time, then is failed; a start by hand begins anew.
given pool h1 h2
when guest_create name=w host=h1
when guest_report name=w host=h1 epoch=1 what=started
when guest_set name=w restart_backoff_ms=1000 restart_limit=3 restart_window_ms=5000
then guest w restart_backoff_ms=1000 restart_limit=3 restart_window_ms=5000
when guest_set name=w restart_window_ms=10
then INVALID field restart_window_ms
at 2000000
when guest_report name=w host=h1 epoch=1 what=exited exit=crash
then guest w state=starting restarts=1 run_epoch=2 host=h1
when guest_report name=w host=h1 epoch=2 what=started
when guest_report name=w host=h1 epoch=2 what=exited exit=crash detail=panic
then guest w state=pending restarts=2 host=- last_host=h1 want=running not_before_ms=2001000 exit=crash detail=panic
then event guest.pending w detail=crash
then reserved h1 0
when guest_start name=w host=h1 again=on
then guest w state=starting restarts=2 run_epoch=3 not_before_ms=0 last_host=-
then event guest.starting w detail=again
# It dies while that start is open: the start has failed.
let s = guest w op
when guest_report name=w host=h1 epoch=3 what=exited exit=crash
then guest w state=pending restarts=3 not_before_ms=2002000
then op $s state=failed code=36
when guest_start name=w host=h1 again=on
when guest_report name=w host=h1 epoch=4 what=started
when guest_report name=w host=h1 epoch=4 what=exited exit=crash
then guest w state=failed want=off host=- not_before_ms=0
when guest_start name=w host=h1 again=on
then STATE only a pending guest is restarted by the pool
when guest_start name=w host=h1
then guest w state=starting restarts=0
when guest_report name=w host=h1 epoch=5 what=started
# A run that lasted is forgiven; a reboot never waits.
when guest_report name=w host=h1 epoch=5 what=exited exit=crash
when guest_report name=w host=h1 epoch=6 what=started
at +5000
when guest_report name=w host=h1 epoch=6 what=exited exit=crash
then guest w state=starting restarts=1
when guest_report name=w host=h1 epoch=7 what=started
when guest_report name=w host=h1 epoch=7 what=exited exit=reboot
then guest w state=starting restarts=2
# No restart at all.
when guest_report name=w host=h1 epoch=8 what=started
when guest_set name=w restart_limit=0
when guest_report name=w host=h1 epoch=8 what=exited exit=crash
then guest w state=failed

# A protected guest waits its own time after its host is lost, and stays paused if it was to be.
when guest_create name=p host=h1 ha=on
let e = guest p run_epoch
when guest_report name=p host=h1 epoch=$e what=started
when guest_set name=p restart_delay_ms=7000
when guest_pause name=p
when guest_report name=p host=h1 epoch=$e what=paused
at 3000000
when host_fence name=h1 reason=off
then guest p state=pending want=paused last_host=h1 not_before_ms=3007000
when guest_start name=p host=h2 again=on
then guest p state=starting want=paused host=h2
# Ended by hand while it waits.
when guest_destroy name=p
let e = guest p run_epoch
when guest_report name=p host=h2 epoch=$e what=exited exit=destroyed
then guest p state=stopped last_host=-

# A preserved copy that was guarded: with it the guard has nothing more of it.
when guest_create name=q host=h2 ha=on
let e = guest q run_epoch
when guest_report name=q host=h2 epoch=$e what=started
when guest_set name=q on_crash=preserve
when guest_report name=q host=h2 epoch=$e what=exited exit=crash
then guest q state=failed host=h2 guarded=on
when guest_report name=q host=h2 epoch=$e what=exited exit=destroyed
then guest q state=failed host=- guarded=off

# What new guests have that say nothing is a setting of the pool.
when guest_create name=n1 start=off
then guest n1 priority=100 restart_backoff_ms=0
when pool_set guest_priority=7 guest_backoff_ms=2000
then ok
when guest_create name=n2 start=off
then guest n2 priority=7 restart_backoff_ms=2000
when guest_create name=n3 start=off priority=0 restart_backoff_ms=0
then guest n3 priority=0 restart_backoff_ms=0
when pool_set guest_backoff_ms=0 guest_priority=0
when guest_create name=n4 start=off
then guest n4 priority=0 restart_backoff_ms=0
then guest n2 priority=7
