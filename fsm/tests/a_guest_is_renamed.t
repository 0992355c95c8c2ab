# A name is a matter of the log: identity, generation and disks stay.
given pool h1 h2
when repo_new name=r source=/srv/r
when repo_init name=r
when guest_create name=web1 start=off image=tiny apart=x disk=r:running_pool/web1/system.img
let u = guest web1 uuid
when guest_rename name=web1 to=web2
then ok
then no guest web1
then guest web2 uuid=$u dir=web1 generation=2 state=stopped apart=x
then event guest.renamed web1 detail=web2
then count guests=1
# Its directory keeps the former name, which nobody else gets.
when guest_create name=web1 start=off
then EXISTS directory web1 is taken by web2
when guest_create name=other start=off
when guest_rename name=other to=web1
then EXISTS
when guest_rename name=other to=web2
then EXISTS guest web2
when guest_rename name=other to=/x
then INVALID field to
when guest_rename name=web2 to=web3
then guest web3 dir=web1
when guest_rename name=web3 to=web1
then guest web1 dir=- uuid=$u
when guest_rename name=web1 to=web4
when guest_delete name=web4
when guest_rename name=other to=web1
then guest web1 dir=-

# Not while it is on a host.
when guest_start name=web1 host=h1
when guest_rename name=web1 to=web9
then STATE
let e = guest web1 run_epoch
when guest_report name=web1 host=h1 epoch=$e what=started
when guest_rename name=web1 to=web9
then STATE only a stopped, saved or failed guest can be renamed
