# What the master expires ends, each kind in its way.
given pool h1
when guest_create name=w host=h1
when op_expire id=$op
then op $op state=failed code=14
then guest w state=stopping stop=destroy op=0 code=14
when op_expire id=$op
then STATE it has ended
when guest_report name=w host=h1 epoch=1 what=exited exit=destroyed
then guest w state=failed code=14 host=-
# A start that is cancelled leaves it stopped.
when guest_start name=w host=h1
when op_cancel id=$op
then op $op state=cancelled code=17
then guest w state=stopping stop=destroy code=0
when guest_report name=w host=h1 epoch=2 what=exited exit=destroyed
then guest w state=stopped

given guest x on h1
let e = guest x run_epoch
when guest_shutdown name=x
when op_cancel id=$op
then STATE cannot be cancelled
when op_expire id=$op
then op $op state=failed code=14
then guest x state=running want=running stop=none
when guest_pause name=x
when op_expire id=$op
then guest x state=running want=running op=0
when guest_pause name=x
when guest_report name=x host=h1 epoch=$e what=paused
when guest_unpause name=x
when op_expire id=$op
then guest x state=paused want=paused
when guest_unpause name=x
when guest_report name=x host=h1 epoch=$e what=failed code=25 detail=stuck
then op $op state=failed code=25 detail=stuck
then guest x state=paused want=paused op=0
when op_expire id=12345
then NOT_FOUND operation 12345
