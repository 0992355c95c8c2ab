# A clone has what the guest is made of, and nothing that became of it.
given pool h1 h2
when repo_new name=r source=/srv/r
when repo_init name=r
given guest bare on h1 64
when guest_clone name=bare to=two uuid=11111111-1111-4111-8111-111111111111
then ok
then guest two state=stopped want=off host=- run_epoch=0 generation=1 uuid=11111111-1111-4111-8111-111111111111
then guest bare state=running
then event guest.created two detail=bare
when guest_clone name=bare to=two uuid=21111111-1111-4111-8111-111111111111
then EXISTS guest two
when guest_clone name=bare to=three uuid=11111111-1111-4111-8111-111111111111
then EXISTS
when guest_clone name=none to=three uuid=21111111-1111-4111-8111-111111111111
then NOT_FOUND

# Data is never shared: what the image makes is made anew when that is wished.
when guest_create name=web1 start=off image=tiny disk=r:running_pool/web1/system.img
when guest_clone name=web1 to=web2 uuid=31111111-1111-4111-8111-111111111111
then IN_USE --fresh
then no guest web2
when guest_clone name=web1 to=web2 fresh=on uuid=31111111-1111-4111-8111-111111111111
then ok
then guest web2 image=tiny dir=-
when guest_rename name=web1 to=web7
when guest_clone name=web7 to=web1 fresh=on uuid=41111111-1111-4111-8111-111111111111
then EXISTS directory web1 is taken by web7
when guest_clone name=web7 to=web8 fresh=on uuid=41111111-1111-4111-8111-111111111111
then ok
when guest_create name=raw start=off disk=/dev/x
when guest_clone name=raw to=raw2 fresh=on uuid=51111111-1111-4111-8111-111111111111
then IN_USE neither shared nor copied
