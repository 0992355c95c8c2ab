$ quorate events
1 2001-09-09 01:46:40 guest.started web2 host=h1 epoch=1
2 2001-09-09 01:46:40 guest.started web3 host=h1 epoch=2
3 2001-09-09 01:46:40 guest.started web1 host=h1 epoch=3
4 2001-09-09 01:46:40 guest.started web2 host=h1 epoch=4
5 2001-09-09 01:46:40 guest.started web3 host=h1 epoch=5
[0]
$ quorate events --json --limit 1
{"seq":1,"index":101,"time_ms":1000000000001,"kind":"guest.started","subject":"web2","host":"h1","op":0,"epoch":1,"code":0,"detail":"","user":""}
[0]
$ quorate events --from 4
4 2001-09-09 01:46:40 guest.started web2 host=h1 epoch=4
5 2001-09-09 01:46:40 guest.started web3 host=h1 epoch=5
[0]
$ quorate events --from 9
[0]
$ quorate events --limit 2
1 2001-09-09 01:46:40 guest.started web2 host=h1 epoch=1
2 2001-09-09 01:46:40 guest.started web3 host=h1 epoch=2
[0]
@ first 4
$ quorate events
4 2001-09-09 01:46:40 guest.started web2 host=h1 epoch=4
5 2001-09-09 01:46:40 guest.started web3 host=h1 epoch=5
[0]
$ quorate events --from 2
4 2001-09-09 01:46:40 guest.started web2 host=h1 epoch=4
5 2001-09-09 01:46:40 guest.started web3 host=h1 epoch=5
! quorate: events 2..3 are no longer kept
[0]
# A follower that is cut off goes on where it was, without loss or repetition.
@ first 1
@ cut 2
$ quorate events --follow --from 1 --limit 5
1 2001-09-09 01:46:40 guest.started web2 host=h1 epoch=1
2 2001-09-09 01:46:40 guest.started web3 host=h1 epoch=2
3 2001-09-09 01:46:40 guest.started web1 host=h1 epoch=3
4 2001-09-09 01:46:40 guest.started web2 host=h1 epoch=4
5 2001-09-09 01:46:40 guest.started web3 host=h1 epoch=5
! quorate: unix:/D/d.sock: going down; going on after event 2
[0]
$ quorate events --follow --limit 3 --json
{"seq":1,"index":101,"time_ms":1000000000001,"kind":"guest.started","subject":"web2","host":"h1","op":0,"epoch":1,"code":0,"detail":"","user":""}
{"seq":2,"index":102,"time_ms":1000000000002,"kind":"guest.started","subject":"web3","host":"h1","op":0,"epoch":2,"code":0,"detail":"","user":""}
{"seq":3,"index":103,"time_ms":1000000000003,"kind":"guest.started","subject":"web1","host":"h1","op":0,"epoch":3,"code":0,"detail":"","user":""}
[0]
# Without a majority: what one host has, and that it may be old.
@ first 1
@ fail NO_QUORUM 100000
$ quorate events --limit 1
1 2001-09-09 01:46:40 guest.started web2 host=h1 epoch=1
! quorate: unix:/D/d.sock: no majority of hosts is reachable; these are the events that one host knows of, and may be old
[0]
$ quorate events --limit 1 --local
1 2001-09-09 01:46:40 guest.started web2 host=h1 epoch=1
[0]
