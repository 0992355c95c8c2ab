# A reboot is a new run on the same host, and its operation ends when that runs.
given pool h1 h2
given guest web1 on h1
let e = guest web1 run_epoch
when guest_reboot name=web1
then ok
then guest web1 state=stopping stop=reboot want=running host=h1
then op $op kind=reboot state=running
when guest_report name=web1 host=h1 epoch=$e what=exited exit=poweroff
then guest web1 state=starting stop=none host=h1 restarts=0
let f = guest web1 run_epoch
then op $op state=running dst_epoch=$f
then event guest.starting web1
when guest_report name=web1 host=h1 epoch=$e what=started
then STALE
when guest_report name=web1 host=h1 epoch=$f what=started
then guest web1 state=running op=0 restarts=0
then op $op state=done

# It does not apply what was set since the guest started, and refuses to lose it as well.
when guest_set name=web1 vcpus=2
when guest_reboot name=web1
then STATE which a reboot does not apply
given guest plain on h1
when guest_pause name=plain
when guest_reboot name=plain
then STATE operation

# A guest that does not shut down goes on; one that does not come up again is FAILED.
given guest deaf on h1
when guest_reboot name=deaf
when op_expire id=$op
then guest deaf state=running stop=none op=0 want=running
then op $op state=failed code=14
let e = guest deaf run_epoch
when guest_reboot name=deaf
when guest_report name=deaf host=h1 epoch=$e what=exited exit=reboot
when op_expire id=$op
then guest deaf state=stopping stop=destroy code=14
let e = guest deaf run_epoch
when guest_report name=deaf host=h1 epoch=$e what=exited exit=destroyed
then guest deaf state=failed code=14

# The agent could not ask.
given guest mute on h1
let e = guest mute run_epoch
when guest_reboot name=mute
when guest_report name=mute host=h1 epoch=$e what=failed code=25
then guest mute state=running stop=none op=0
then op $op state=failed code=25

# A destruction comes first, and it is not started again then.
given guest hit on h1
let e = guest hit run_epoch
when guest_reboot name=hit
let o = guest hit op
when guest_destroy name=hit
then op $o state=cancelled
when guest_report name=hit host=h1 epoch=$e what=exited exit=poweroff
then guest hit state=stopped
when guest_reboot name=hit
then STATE only a running guest can be rebooted
