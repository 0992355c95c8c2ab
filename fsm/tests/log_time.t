# Log time follows the largest time seen; one clock that is far ahead cannot carry it away.
given pool h1 h2 h3
at 2000000
when guest_create name=a start=off
then guest a created_ms=2000000
at 1500000
when guest_create name=b start=off
then guest b created_ms=2000000
# A day and more ahead, by one host: not believed.
at 4000000000
via h1
when guest_create name=c start=off
then guest c created_ms=2000000
when guest_create name=d start=off
then guest d created_ms=2000000
# Another host, with the right time, ends the claim.
at 2000500
via h2
when guest_create name=e start=off
then guest e created_ms=2000500
at 4000000000
via h1
when guest_create name=f start=off
then guest f created_ms=2000500
# A second host says the same: the pool was asleep.
at 4000000700
via h3
when guest_create name=g start=off
then guest g created_ms=4000000000
at 4000000900
when guest_create name=h start=off
then guest h created_ms=4000000900
# A name that is no host's has no say.
at 9000000000
via h9
when guest_create name=i start=off
via h1
when guest_create name=j start=off
then guest j created_ms=4000000900
# When all others are down, the one that is left is believed.
at 4000001000
when host_seen name=h2 raft_id=2 up=off
when host_seen name=h3 raft_id=3 up=off
at 9000000000
via h1
when guest_create name=k start=off
then guest k created_ms=9000000000
