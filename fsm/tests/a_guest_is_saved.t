# A guest's memory goes to a file, and comes back from it once (docs/protocols/saving.md).
given pool h1 h2
given guest web1 on h1 512
let e = guest web1 run_epoch
when guest_save name=web1 file=relative
then INVALID expected /PATH
when guest_save name=web1 file=nowhere:x
then NOT_FOUND
when guest_save name=web1 file=/srv/web1.mem
then ok
then guest web1 state=saving host=h1 want=running saved=-
then op $op kind=save phase=transfer path=/srv/web1.mem src=h1
let o = guest web1 op
when guest_migrate name=web1 host=h2
then STATE operation
when guest_saved op=$o host=h2
then STATE
when guest_saved op=$o host=h1
then ok
then guest web1 state=saved host=- saved=/srv/web1.mem want=off op=0
then op $o state=done
then event guest.saved web1 host=h1
then reserved h1 0
# Told twice, or that it failed after all: the log has decided.
when guest_saved op=$o host=h1
then STATE
when guest_report name=web1 host=h1 epoch=$e what=failed code=25
then STALE
when guest_report name=web1 host=h1 epoch=$e what=exited exit=crash
then STALE

# Nothing but a resume starts it, and its hardware stays.
when guest_start name=web1 host=h1
then STATE resume it
when guest_set name=web1 memory_mib=64
then STATE saved memory
when guest_delete name=web1
then STATE saved memory
when guest_set name=web1 priority=7
then ok
when guest_resume name=web1 host=h2
then ok
then guest web1 state=starting want=running host=h2 saved=/srv/web1.mem
then op $op kind=resume dst=h2
then reserved h2 512
let f = guest web1 run_epoch
# It may not run before the log knows that the file is used up.
when guest_report name=web1 host=h2 epoch=$f what=started
then STATE
when guest_report name=web1 host=h2 epoch=$e what=restored
then STALE
when guest_report name=web1 host=h2 epoch=$f what=restored
then guest web1 state=running saved=- op=0 host=h2
then op $op state=done
when guest_report name=web1 host=h2 epoch=$f what=restored
then guest web1 state=running
when guest_resume name=web1 host=h2
then STATE only a saved guest
# A crash from here on is a crash: there is no way back to the file.
when guest_report name=web1 host=h2 epoch=$f what=exited exit=crash
then guest web1 state=starting saved=-

# A paused guest is saved, and resumed as the operator wants it.
given guest p on h1
let e = guest p run_epoch
when guest_pause name=p
when guest_report name=p host=h1 epoch=$e what=paused
when guest_save name=p file=/p
let o = guest p op
when guest_saved op=$o host=h1
when guest_resume name=p host=h1 paused=on
let e = guest p run_epoch
when guest_report name=p host=h1 epoch=$e what=restored
then guest p state=paused want=paused saved=-
