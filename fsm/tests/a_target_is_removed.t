# The target of a migration is removed by force: the guest stays with its source.
given pool h1 h2
given guest a on h1
when guest_migrate name=a host=h2
let m = guest a op
when host_remove name=h2 force=on
then op $m phase=aborted state=failed code=35
then guest a state=running host=h1 run_epoch=1 op=0
