# The first host is dead: the next one is asked.
$ quorate --connect unix:$D/dead,$S pool status --json
{
  "name": "lab",
  "id": "abababab-abab-abab-abab-abababababab",
  "master": "h1",
  "index": 1234,
  "term": 3,
  "hosts": 3,
  "hosts_up": 2,
  "voters": 0,
  "guests": 3,
  "running": 1,
  "ops_open": 0,
  "ha": true,
  "root": "",
  "preferred_master": "",
  "state_hash": "",
  "answered_by": "h2",
  "failures_to_tolerate": 0,
  "tolerates": 0,
  "costliest": "",
  "costliest_mib": 0,
  "costliest_without_place": 0,
  "fence_limit": 0,
  "fences": 0,
  "hosts_held": 0
}
[0]
$ quorate --connect unix:$D/dead,$S guest start web1
guest web1 is running on h2 (operation 57, 1.3s)
[0]
# All are dead.
$ quorate --connect unix:$D/dead guest list
! quorate: connect to unix:/D/dead: No such file or directory (is quorated running? see quorate help connect)
[5]
$ quorate --connect unix:$D/dead,unix:$D/dead2 guest list
! quorate: none of the 2 addresses can be reached; the last one: connect to unix:/D/dead2: No such file or directory
[5]
# The answer of a moment without a majority is asked for again.
@ fail NO_QUORUM 2
$ quorate guest start web1
guest web1 is running on h2 (operation 57, 1.3s)
[0]
@ commands
2
@ lose 2
$ quorate guest start web1
guest web1 is running on h2 (operation 57, 1.3s)
[0]
@ commands
3
# Contact is lost while an operation is waited for: waiting goes on.
@ drop 2
$ quorate op wait 57
guest web1 is running on h2 (operation 57, 1.3s)
[0]
@ fail NOT_READY 1
$ quorate --connect unix:$D/dead,$S op wait 58
guest web1 runs on h2 now, it stood still for 13ms: 7 last pass, 4 commit, 2 resume (operation 58, 1.3s)
! migrate web1 h1 -> h2 0%, prepare
! migrate web1 h1 -> h2 12%, transfer, 15.3 MiB sent, 234 MiB/s, dirty 12 MiB/s, downtime 7ms
! migrate web1 h1 -> h2 56%, transfer, 71.6 MiB sent, 234 MiB/s, dirty 12 MiB/s, downtime 7ms
! migrate web1 h1 -> h2 99%, switched, 126 MiB sent, 234 MiB/s, dirty 12 MiB/s, downtime 7ms
[0]
# A final refusal is not repeated.
@ fail DENIED 1
$ quorate guest start web1
! quorate: not allowed
[7]
@ fail NO_POOL 1
$ quorate guest list
! quorate: unix:/D/d.sock: this host belongs to no pool
[4]
# A host that lost its pool: another one of the list may have it. When none has, that is the end.
@ fail NO_POOL 1
$ quorate --connect $S,$S guest list web1
NAME  STATE    HOST  VCPUS  MEMORY  HA  EPOCH  SINCE
web1  running  h1        1   2 GiB  on      7  3m12s
[0]
@ fail NO_POOL 2
$ quorate --connect $S,$S guest list web1
! quorate: unix:/D/d.sock: this host belongs to no pool
[4]
# Time passes.
@ fail NO_QUORUM 100000
$ quorate guest list --timeout 0.1
! quorate: unix:/D/d.sock: no majority of hosts is reachable
[5]
$ quorate --timeout 0.1 --request-id 00000000-0000-4000-8000-000000000001 guest start web1
! quorate: unix:/D/d.sock: no majority of hosts is reachable; it is not known whether the command was carried out: repeat it with --request-id 00000000-0000-4000-8000-000000000001 to see
[5]
