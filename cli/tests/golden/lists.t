$ quorate guest list
NAME  STATE    HOST  VCPUS   MEMORY  HA   EPOCH  SINCE  REASON
web1  running  h1        1    2 GiB  on       7  3m12s
web2  stopped            2  512 MiB  off      8  3m12s
web3  failed             3  512 MiB  on       9  3m12s  no kernel at /boot/none
[0]
$ quorate list
NAME  STATE    HOST  VCPUS   MEMORY  HA   EPOCH  SINCE  REASON
web1  running  h1        1    2 GiB  on       7  3m12s
web2  stopped            2  512 MiB  off      8  3m12s
web3  failed             3  512 MiB  on       9  3m12s  no kernel at /boot/none
[0]
$ quorate list web2
NAME  STATE    VCPUS   MEMORY  HA   EPOCH  SINCE
web2  stopped      2  512 MiB  off      8  3m12s
[0]
$ quorate list web2 nobody
NAME  STATE    VCPUS   MEMORY  HA   EPOCH  SINCE
web2  stopped      2  512 MiB  off      8  3m12s
! quorate: guest nobody not found
[3]
$ quorate guest list --json web1
[
  {
    "name": "web1",
    "uuid": "01010101-0101-0101-0101-010101010101",
    "state": "running",
    "host": "h1",
    "vcpus": 1,
    "memory_mib": 2048,
    "ha": true,
    "run_epoch": 7,
    "op": 0,
    "priority": 0,
    "since_ms": 999999808000,
    "image": "",
    "reason": "",
    "saved": ""
  }
]
[0]
$ quorate host list
NAME  STATE  MASTER  ROLE   APPLIED  HASH      GUESTS  RESERVED  MEMORY  DRIVER  ADDRESS
h1    up     yes     voter     1234  01234567       3   1.5 GiB  16 GiB  qemu    10.0.0.1:7400
h2    up             voter     1233  01234567       3   1.5 GiB  16 GiB  qemu    10.0.0.2:7400
h3    down           voter     1232  01234567       3   1.5 GiB  16 GiB  qemu    10.0.0.3:7400
[0]
$ quorate op list
ID  KIND     GUEST  PHASE  DONE  STATE      FROM  TO  BEGUN  REASON
57  start    web1   ended  100%  done             h2     5s
58  migrate  web1   ended  100%  done       h1    h2     5s
59  start    web1   ended  100%  failed           h2     5s  qemu: could not open /boot/none
60  start    web1   ended  100%  cancelled        h2     5s
[0]
$ quorate repo list
[0]
$ quorate repo list --json
[]
[0]
@ guests 0
$ quorate guest list
[0]
$ quorate guest list --json
[]
[0]
@ tty 60
@ guests 3
$ quorate guest list
NAME  STATE    HOST  VCPUS   MEMORY  HA   EPOCH  SINCE  REAS
web1  running  h1        1    2 GiB  on       7  3m12s
web2  stopped            2  512 MiB  off      8  3m12s
<ESC>[31mweb3  failed             3  512 MiB  on       9  3m12s  no k<ESC>[0m
[0]
$ quorate host list
NAME  STATE  MASTER  ROLE   APPLIED  HASH      GUESTS  RESER
h1    up     yes     voter     1234  01234567       3   1.5 
h2    up             voter     1233  01234567       3   1.5 
<ESC>[31mh3    down           voter     1232  01234567       3   1.5 <ESC>[0m
[0]
$ quorate host list --no-color
NAME  STATE  MASTER  ROLE   APPLIED  HASH      GUESTS  RESER
h1    up     yes     voter     1234  01234567       3   1.5 
h2    up             voter     1233  01234567       3   1.5 
h3    down           voter     1232  01234567       3   1.5 
[0]
