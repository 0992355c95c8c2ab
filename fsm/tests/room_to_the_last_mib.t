given pool h1
given guest a on h1 600
when guest_create name=b host=h1 config.memory_mib=425
then NO_ROOM 425 MiB needed, 424 MiB free
when guest_create name=b host=h1 config.memory_mib=424
then ok
then reserved h1 1024
when guest_create name=c host=h1 config.memory_mib=8
then NO_ROOM 8 MiB needed, 0 MiB free
when guest_set name=a memory_mib=601
then NO_ROOM 601 MiB needed, 600 MiB free
when guest_set name=a memory_mib=592
then ok
when guest_create name=c host=h1 config.memory_mib=8
then ok
