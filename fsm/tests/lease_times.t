# The times of leases fit together, or nothing changes.
given pool h1 h2
then pool p lease_ms=3000 lease_bound_ms=3000
when pool_set lease_ms=1200 lease_renew_ms=500
then INVALID a lease is renewed three times
then pool p lease_ms=3000 lease_renew_ms=500
when pool_set kill_margin_ms=2600
then INVALID the kill margin leaves no time
when pool_set lease_ms=900
then INVALID
when pool_set lease_ms=5000
then ok
then pool p lease_ms=5000 lease_bound_ms=5000

# A shorter lease: the longest that may be in force is known until the master says that it is over.
when pool_set lease_ms=2000
then pool p lease_ms=2000 lease_bound_ms=5000
when lease_settled lease_ms=3000 term=1
then pool p lease_bound_ms=5000
when lease_settled lease_ms=2000 term=2
then STALE
when lease_settled lease_ms=2000 term=1
then pool p lease_bound_ms=2000
