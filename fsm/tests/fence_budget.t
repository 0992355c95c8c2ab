# Leases fence so many hosts in so long a time; beyond that an operator decides, or time.
given pool h1 h2 h3 h4
at 2000000
when pool_set fence_hosts=1 fence_percent=0 fence_window_ms=60000
then ok
when guest_create name=a host=h1 ha=1
when guest_create name=b host=h2 ha=1
when guest_create name=c host=h3 ha=1
at +1000
when host_lease_over name=h1 term=1
then event host.fenced h1
then guest a state=pending

# The second is one too many: it is held, once, and its guest stays where it may be.
at +1000
when host_lease_over name=h2 term=1
then ok
then event host.held h2
then host h2 state=up fenced=off held=on
then guest b state=starting host=h2 guarded=on
when host_lease_over name=h2 term=1
then STATE too many hosts were fenced of late
then host h2 held=on

# An operator's declaration is no part of the budget.
when host_fence name=h3 reason=unplugged
then guest c state=pending
then host h3 fenced=on fenced_ms=0

# Heard again: the first counts no more, and there is room for the one that is held.
when host_seen name=h1 raft_id=1 up=1
then host h1 fenced=off fenced_ms=0
when host_lease_over name=h2 term=1
then event host.fenced h2
then host h2 state=down fenced=on held=off
then guest b state=pending

# Its time passes: to the last millisecond it counts.
when guest_start name=a host=h1 again=1
at +59998
when host_lease_over name=h1 term=1
then event host.held h1
at +2
when host_lease_over name=h1 term=1
then event host.fenced h1
then host h1 held=off

# A host that has a lease again is held no more.
when host_report name=h4 raft_id=4 incarnation=2 memory_mib=1024
when guest_start name=a host=h4 again=1
when host_lease_over name=h4 term=1
then host h4 held=on
when host_seen name=h4 raft_id=4 up=1
then host h4 held=off state=up
when host_lease_over name=h4 term=1
then host h4 held=on
when host_fence name=h4 reason=burnt
then host h4 held=off fenced=on
then guest a state=pending

# A share of the pool, when that is more: two of four.
when pool_set fence_percent=50
when host_report name=h1 raft_id=1 incarnation=2 memory_mib=1024
when host_report name=h2 raft_id=2 incarnation=2 memory_mib=1024
when host_report name=h3 raft_id=3 incarnation=2 memory_mib=1024
when guest_start name=a host=h1 again=1
when guest_start name=b host=h2 again=1
when guest_start name=c host=h3 again=1
when host_lease_over name=h1 term=1
then event host.fenced h1
when host_lease_over name=h2 term=1
then event host.fenced h2
when host_lease_over name=h3 term=1
then event host.held h3

# Settings that contradict each other.
when pool_set fence_hosts=0 fence_percent=0
then INVALID would leave every fence to an operator
then pool p fence_hosts=1 fence_percent=50
when pool_set fence_window_ms=11999 lease_ms=3000
then INVALID the fence window is no shorter
when pool_set fence_window_ms=12000
then ok
when pool_set lease_ms=5000
then INVALID the fence window is no shorter
when pool_set lease_ms=5000 fence_window_ms=20000
then ok
