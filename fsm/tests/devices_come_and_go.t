# A running guest gets a disk: its configuration has it when its host has said so.
given pool h1 h2
when repo_new name=r source=/srv/r
when repo_init name=r
given guest web1 on h1
let e = guest web1 run_epoch
when guest_block_attach name=web1 path=r:x.img device=xvdb
then ok
then op $op kind=attach state=running
then guest web1 op=$op state=running generation=3
when guest_block_attach name=web1 path=/y device=xvdc
then STATE operation
# The repository is not the guest's yet.
when guest_report name=web1 host=h1 epoch=$e what=device
then guest web1 op=0 state=running
then op $op state=done
when guest_report name=web1 host=h1 epoch=$e what=device
then guest web1 op=0
when repo_delete name=r
then IN_USE
when guest_block_attach name=web1 path=/y device=xvdb
then INVALID each device once
when guest_block_attach name=web1 path=y device=xvdc
then INVALID expected /PATH
when guest_block_attach name=web1 path=/y device=xvdc format=what
then INVALID raw, qcow2
# It does not let go: the disk stays.
when guest_block_detach name=web1 device=xvdb
when guest_report name=web1 host=h1 epoch=$e what=failed code=14
then op $op state=failed code=14
when guest_block_detach name=web1 device=xvdb
when op_expire id=$op
then guest web1 op=0 state=running
when repo_delete name=r
then IN_USE
when guest_block_detach name=web1 device=xvdz
then NOT_FOUND disk xvdz
when guest_block_detach name=web1 device=xvdb force=on
then op $op kind=detach force=on
when guest_report name=web1 host=h1 epoch=$e what=device
then op $op state=done
when repo_delete name=r
then ok
# A guest that dies meanwhile is without it.
when guest_block_attach name=web1 path=/y device=xvdb
when guest_report name=web1 host=h1 epoch=$e what=exited exit=reboot
then op $op state=failed
then guest web1 state=starting op=0
let e = guest web1 run_epoch
when guest_block_attach name=web1 path=/y device=xvdb
then STATE
when guest_report name=web1 host=h1 epoch=$e what=started
when guest_block_detach name=web1 device=xvdb
then NOT_FOUND

# Cards have places that stay.
when guest_network_attach name=web1
then INVALID XX:XX
when guest_network_attach name=web1 mac=00:16:3e:00:00:01
when guest_report name=web1 host=h1 epoch=$e what=device
when guest_network_attach name=web1 mac=00:16:3e:00:00:01
then INVALID
when guest_network_attach name=web1 mac=00:16:3e:00:00:02
when guest_report name=web1 host=h1 epoch=$e what=device
when guest_network_detach name=web1 mac=00:16:3e:00:00:01
when guest_report name=web1 host=h1 epoch=$e what=device
when guest_network_detach name=web1 mac=00:16:3e:00:00:01
then NOT_FOUND

# Of a guest that is off it is done at once.
when guest_create name=off start=off
when guest_block_attach name=off path=/y device=xvdb
then ok
then guest off op=0 generation=2
then event guest.changed off detail=attach
when guest_block_detach name=off device=xvdb
then guest off op=0 generation=3
when guest_block_detach name=off device=xvdb
then NOT_FOUND
