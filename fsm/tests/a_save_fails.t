# Whatever breaks in the middle, there is one memory of the guest, and at most one run of it.
given pool h1 h2
given guest web1 on h1
let e = guest web1 run_epoch
when guest_save name=web1 file=/f
let o = guest web1 op
when guest_report name=web1 host=h1 epoch=$e what=failed code=9 detail=full
then guest web1 state=running want=running op=0 saved=-
then op $o state=failed code=9 detail=full
# A word about an earlier save is not one about this.
when guest_save name=web1 file=/g
let p = guest web1 op
when guest_saved op=$o host=h1
then STATE it has ended
then guest web1 state=saving
when op_expire id=$p
then guest web1 state=running saved=-
when guest_saved op=$p host=h1
then STATE
when guest_save name=web1 file=/g
when op_cancel id=$op
then guest web1 state=running
then op $op state=cancelled
# It dies while it is saved.
when guest_save name=web1 file=/g
let p = guest web1 op
when guest_report name=web1 host=h1 epoch=$e what=exited exit=crash
then guest web1 state=starting saved=- stop=none
then op $p state=failed
let e = guest web1 run_epoch
when guest_report name=web1 host=h1 epoch=$e what=started
# A destruction comes first.
when guest_save name=web1 file=/g
let p = guest web1 op
when guest_destroy name=web1
then op $p state=cancelled
when guest_saved op=$p host=h1
then STATE
when guest_report name=web1 host=h1 epoch=$e what=exited exit=destroyed
then guest web1 state=stopped saved=-

# A resume that fails leaves the memory where it was.
given guest web2 on h1
when guest_save name=web2 file=/f
when guest_saved op=$op host=h1
when guest_resume name=web2 host=h2
let o = guest web2 op
let e = guest web2 run_epoch
when guest_report name=web2 host=h2 epoch=$e what=failed code=3 detail=gone
then guest web2 state=saved saved=/f code=3 host=- op=0
then op $o state=failed
when guest_resume name=web2 host=h2
then guest web2 code=0
let e = guest web2 run_epoch
when guest_report name=web2 host=h2 epoch=$e what=exited exit=crash
then guest web2 state=saved saved=/f
when guest_resume name=web2 host=h2
when op_cancel id=$op
then guest web2 state=stopping stop=destroy
let e = guest web2 run_epoch
when guest_report name=web2 host=h2 epoch=$e what=exited exit=destroyed
then guest web2 state=saved saved=/f
when guest_resume name=web2 host=h2
when guest_destroy name=web2
let e = guest web2 run_epoch
when guest_report name=web2 host=h2 epoch=$e what=exited exit=destroyed
then guest web2 state=saved saved=/f
# A host that is lost while it restores: another one does, when HA is on for the guest.
when guest_resume name=web2 host=h2
when host_fence name=h2 reason=x
then guest web2 state=saved saved=/f host=-
when guest_set name=web2 ha=on
when guest_resume name=web2 host=h1
when host_fence name=h1 reason=x
then guest web2 state=pending saved=/f
when guest_destroy name=web2
then guest web2 state=stopped saved=-
when guest_delete name=web2
then ok

