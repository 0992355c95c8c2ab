# What cannot be is refused by the field's name.
given pool h1
when guest_create name=-web start=off
then INVALID guest create: field name
when guest_create name=web/1 start=off
then INVALID field name: invalid value, expected letters, digits
when guest_create name=Web_1.a-b start=off
then ok
when guest_create name=Web_1.a-b start=off
then EXISTS guest Web_1.a-b already exists
when guest_create name=w start=off uuid=00000000-0000-0000-0000-000000000000
then INVALID field uuid
when guest_create name=w start=off uuid=00000000-0000-0000-0000-000000000001
then ok
when guest_create name=w2 start=off uuid=00000000-0000-0000-0000-000000000001
then EXISTS uuid 00000000-0000-0000-0000-000000000001 is taken by w
when guest_create name=w3 start=off disk=relative
then INVALID field path: invalid value, expected /PATH or REPOSITORY:PATH
when guest_create name=w3 start=off disk=nope:a.img
then NOT_FOUND repository nope not found
when repo_new name=r1 source=/srv/r1
when guest_create name=w3 start=off disk=r1:../../etc/shadow
then INVALID field path: invalid value, expected /PATH or REPOSITORY:PATH
when guest_create name=w3 start=off disk=r1:a/..b/c.img disk=/dev/loop0
then ok
when guest_create name=w4 start=off config.maxmem_mib=64 config.memory_mib=128
then INVALID field maxmem_mib: invalid value, expected no less than memory_mib
when guest_create name=w4 start=off config.boot=x
then INVALID field boot: invalid value, expected of the letters
when guest_create name=w4 start=off config.kernel=vmlinuz
then INVALID field kernel: invalid value, expected /PATH or REPOSITORY:PATH
# The uuid is free again when its guest is gone.
when guest_delete name=w
when guest_create name=w2 start=off uuid=00000000-0000-0000-0000-000000000001
then ok

# Memory and CPUs of which nobody said anything.
when guest_create name=plain host=h1
then reserved h1 128
when guest_create name=small config.memory_mib=16 host=h1
then reserved h1 144
