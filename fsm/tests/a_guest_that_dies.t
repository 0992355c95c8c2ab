# Crashes restart the guest under a new epoch, until five in a row without a minute of running.
given pool h1
when guest_create name=w host=h1
when guest_report name=w host=h1 epoch=1 what=started
at +1000
when guest_report name=w host=h1 epoch=1 what=exited exit=crash
then guest w state=starting run_epoch=2 restarts=1 host=h1 exit=crash op=0
then event guest.starting w detail=crash epoch=2
when guest_report name=w host=h1 epoch=2 what=started
# A minute of running forgives.
at +60000
when guest_report name=w host=h1 epoch=2 what=exited exit=crash
then guest w restarts=1 run_epoch=3
when guest_report name=w host=h1 epoch=3 what=exited exit=crash
when guest_report name=w host=h1 epoch=4 what=exited exit=lost
when guest_report name=w host=h1 epoch=5 what=started
when guest_report name=w host=h1 epoch=5 what=exited exit=crash
when guest_report name=w host=h1 epoch=6 what=exited exit=crash
then guest w state=starting restarts=5 run_epoch=7
when guest_report name=w host=h1 epoch=7 what=exited exit=crash detail=panic
then guest w state=failed host=- code=36 detail=panic want=off
then event guest.failed w code=36
then reserved h1 0
# A start by hand begins anew.
when guest_start name=w host=h1
then guest w state=starting restarts=0 code=0 detail=- run_epoch=8

# A start that fails.
when guest_report name=w host=h1 epoch=8 what=failed code=25 detail=no_kernel
then guest w state=failed code=25 detail=no_kernel host=- op=0
then op $op state=failed code=25 detail=no_kernel

# The host is gone and back while it starts: the start goes on under a new epoch.
when guest_start name=w host=h1
when guest_report name=w host=h1 epoch=9 what=exited exit=lost
then guest w state=starting run_epoch=10 op=$op
then op $op state=running dst_epoch=10
when guest_report name=w host=h1 epoch=10 what=started
then op $op state=done

# Power off and reboot, by policy.
when guest_report name=w host=h1 epoch=10 what=exited exit=reboot
then guest w state=starting run_epoch=11
when guest_report name=w host=h1 epoch=11 what=started
when guest_report name=w host=h1 epoch=11 what=exited exit=poweroff
then guest w state=stopped exit=poweroff want=off
when guest_set name=w on_poweroff=restart on_crash=preserve on_reboot=destroy
when guest_start name=w host=h1
when guest_report name=w host=h1 epoch=12 what=started
when guest_report name=w host=h1 epoch=12 what=exited exit=poweroff
then guest w state=starting run_epoch=13
when guest_report name=w host=h1 epoch=13 what=started
when guest_report name=w host=h1 epoch=13 what=exited exit=reboot
then guest w state=stopped exit=reboot

# Preserved: failed, with its host, so that the copy can be looked at.
when guest_start name=w host=h1
when guest_report name=w host=h1 epoch=14 what=started
when guest_report name=w host=h1 epoch=14 what=exited exit=crash
then guest w state=failed host=h1 run_epoch=14 code=36 want=off
then reserved h1 128
when guest_start name=w host=h1
then STATE its last copy is kept on its host
when guest_delete name=w
then STATE its last copy is kept on its host
when guest_destroy name=w
when guest_report name=w host=h1 epoch=14 what=exited exit=destroyed
then guest w state=stopped host=-
