given pool h1 h2
when pool_set voters=4
then INVALID field voters: invalid value, expected an odd number
when pool_set voters=3 ha=off host_timeout_ms=1500
then pool - voters=3 ha=off host_timeout_ms=1500
then event pool.changed
when pool_set voters=3
then no event pool.changed
when pool_set host_timeout_ms=10
then INVALID pool set: field host_timeout_ms: invalid value, expected 200 to 600000 ms
when pool_set ha=yes
then INVALID field ha: invalid value, expected on or off
when pool_set name=new-name start_timeout_ms=5s
then pool - name=new-name start_timeout_ms=5000
when guest_create name=w host=h1
then op $op deadline_ms=1005000
when host_set name=h2 can_master=off
when pool_set_master host=h2
then STATE it is set not to become master
when pool_set_master host=h3
then NOT_FOUND
when pool_set_level level=1
then ok
when pool_set_level level=2
then STATE its program does not know the format level

# How many hosts may be lost; 0 is a value of it.
when pool_set failures_to_tolerate=2
then pool failures_to_tolerate=2
when pool_set vcpu_percent=300
then pool failures_to_tolerate=2 vcpu_percent=300
when pool_set failures_to_tolerate=0
then pool failures_to_tolerate=0
when pool_set voter_timeout_ms=999
then INVALID
when pool_set voter_timeout_ms=2000
then pool - voter_timeout_ms=2000
