$ quorate guest start web1
guest web1 is running on h2 (operation 57, 1.3s)
[0]
@ commands
1
$ quorate guest start web1 --no-wait
guest start web1: begun (operation 57)
[0]
$ quorate guest start web1 --quiet
[0]
$ quorate guest start missing
! quorate: guest missing not found
[3]
$ quorate guest pause busy
! quorate: guest busy is stopped: only a running guest can be paused
[4]
$ quorate guest start sick
! quorate: start of web1 on h2 failed: qemu: could not open /boot/none (operation 59)
[1]
$ quorate guest start late
! quorate: start of web1 was cancelled (operation 60)
[1]
$ quorate guest start web1 --json --request-id 00000000-0000-4000-8000-000000000001
{
  "code": 0,
  "index": 1235,
  "op": 57,
  "what": "guest",
  "name": "web1",
  "detail": "",
  "a": 0,
  "b": 0,
  "request": "00000000-0000-4000-8000-000000000001",
  "text": "done",
  "operation": {
    "id": 57,
    "kind": "start",
    "subject": "web1",
    "phase": "ended",
    "progress": 100,
    "state": "done",
    "src": "",
    "dst": "h2",
    "created_ms": 999999995000,
    "ended_ms": 999999996300,
    "total_bytes": 0,
    "sent_bytes": 0,
    "remaining_bytes": 0,
    "rate_bytes_per_s": 0,
    "dirty_bytes_per_s": 0,
    "downtime_ms": 0,
    "commit_ms": 0,
    "resume_ms": 0,
    "code": 0,
    "reason": "",
    "user": "",
    "parent": 0,
    "moved": 0
  }
}
[0]
$ quorate guest start missing --json --request-id 00000000-0000-4000-8000-000000000002
{
  "code": 3,
  "index": 1235,
  "op": 0,
  "what": "guest",
  "name": "missing",
  "detail": "",
  "a": 0,
  "b": 0,
  "request": "00000000-0000-4000-8000-000000000002",
  "text": "guest missing not found"
}
! quorate: guest missing not found
[3]
$ quorate guest set web1 --memory 2GiB
guest set web1: done
[0]
$ quorate guest delete web1
guest delete web1: done
[0]
$ quorate repo new shared /srv/shared
repo new shared: done
[0]
$ quorate host add h4 10.0.0.4:7400
host add h4: done
[0]
$ quorate pool set --ha off --host-timeout 3s
pool set: done
[0]
$ quorate pool transfer h2
the mastership is being handed over
[0]
$ quorate op cancel 58
op cancel 58: done
[0]
$ quorate guest create web9 --image tiny --memory 64 --ha on --disk /a.img,device=hda --vif bridge=br0
guest web1 is running on h2 (operation 57, 1.3s)
[0]
# The same request is carried out once.
@ commands
16
$ quorate guest delete web1 --request-id 00000000-0000-4000-8000-000000000003
guest delete web1: done
[0]
$ quorate guest delete web1 --request-id 00000000-0000-4000-8000-000000000003
guest delete web1: done
[0]
@ commands
17
$ quorate pool init lab
pool init lab: done
[0]
$ quorate op wait 57
guest web1 is running on h2 (operation 57, 1.3s)
[0]
$ quorate op wait 99
! quorate: operation not found
[3]
$ quorate op wait 59 --json
{
  "id": 59,
  "kind": "start",
  "subject": "web1",
  "phase": "ended",
  "progress": 100,
  "state": "failed",
  "src": "",
  "dst": "h2",
  "created_ms": 999999995000,
  "ended_ms": 999999996300,
  "total_bytes": 0,
  "sent_bytes": 0,
  "remaining_bytes": 0,
  "rate_bytes_per_s": 0,
  "dirty_bytes_per_s": 0,
  "downtime_ms": 0,
  "commit_ms": 0,
  "resume_ms": 0,
  "code": 25,
  "reason": "qemu: could not open /boot/none",
  "user": "",
  "parent": 0,
  "moved": 0
}
! quorate: start of web1 on h2 failed: qemu: could not open /boot/none (operation 59)
[1]
