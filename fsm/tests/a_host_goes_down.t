# Whoever waits for something that a silent host was to do is told; what is decided stays decided.
given pool h1 h2 h3
when guest_create name=a host=h2
let s = guest a op
given guest b on h2
when guest_migrate name=b host=h1
let m = guest b op
given guest c on h1
when guest_migrate name=c host=h2
let n = guest c op
given guest d on h1
when guest_migrate name=d host=h2
let o = guest d op
when migrate_prepared op=$o host=h2 address=h2:1 key=k
when migrate_switch op=$o host=h1
given guest e on h2
when guest_destroy name=e
let x = guest e op
given guest f on h2
when guest_shutdown name=f
let y = guest f op
given guest g on h1
when guest_migrate name=g host=h3
let z = guest g op
when host_seen name=h2 raft_id=2 up=off
then event host.down h2
then op $s state=failed code=35 detail=h2
then guest a state=starting host=h2 op=0
then op $m state=failed phase=aborted code=35
then guest b state=running host=h2
then op $n state=failed phase=aborted
then guest c state=running host=h1
then op $o state=running phase=switched
then op $x state=running
then op $y state=running
then op $z state=running
then count ops_open=4

# The host is back: it starts what it was to start.
when host_seen name=h2 raft_id=2 up=on
when guest_report name=a host=h2 epoch=1 what=started
then ok
then guest a state=running
when guest_report name=d host=h2 epoch=7 what=started
