$ quorate pool status
name                lab
id                  abababab-abab-abab-abab-abababababab
master              h1
index               1234
term                3
hosts               3
hosts_up            2
voters              0
guests              3
running             1
ops_open            0
ha                  on
answered_by         h2
failures_to_tolerate  0
tolerates           0
costliest           0 MiB
costliest_without_place  0
fence_limit         0
fences              0
hosts_held          0
[0]
$ quorate pool status --json
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
$ quorate guest show web1
name                web1
uuid                01010101-0101-0101-0101-010101010101
state               running
want                off
run_epoch           7
generation          0
stop                none
exit                none
restarts            0
ha                  off
priority            100
since               2001-09-09 01:43:28 (3m12s ago)
memory              128 MiB
maxmem              0 MiB
vcpus               1
disks               path=shared:web1.img, device=hda, readonly=off, cdrom=off
vnc                 off
vnc_password        (secret)
on_poweroff         destroy
on_reboot           restart
on_crash            restart
changed             off
guarded             off
restart_limit       5
restart_window      1m
restart_backoff     0ms
restart_delay       0ms
not_before          0ms
[0]
$ quorate guest vmcfg web1
name = 'web1'
uuid = '01010101-0101-0101-0101-010101010101'
memory = 128
vcpus = 1
| # vncpasswd is not shown
priority = 100
disk = [
    'vdev=hda,access=rw,target=shared:web1.img',
]
[0]
$ quorate guest vmcfg nobody
! quorate: there is none of that name
[3]
$ quorate guest show nobody
! quorate: there is none of that name
[3]
$ quorate host show h2
name                h2
state               up
master              off
role                voter
applied_index       1233
state_hash          0123456789abcdef0123456789abcdef
address             10.0.0.2:7400
driver              qemu
cpus                0
memory              16 GiB
reserved            1.5 GiB
guests              3
maintenance         off
can_master          off
can_utility         off
can_run             off
raft_id             0
incarnation         0
evacuation          0
fenced              off
held                off
guarantee           none
[0]
$ quorate info
name                h2
state               up
master              off
role                voter
applied_index       1233
state_hash          0123456789abcdef0123456789abcdef
address             10.0.0.2:7400
driver              qemu
cpus                0
memory              16 GiB
reserved            1.5 GiB
guests              3
maintenance         off
can_master          off
can_utility         off
can_run             off
raft_id             0
incarnation         0
evacuation          0
fenced              off
held                off
guarantee           none
[0]
@ blank
$ quorate info
host                h2
version             0.1.0
blank               on
[0]
