#!/bin/bash
# The days on which high availability must not make things worse: HA where it cannot be kept, a fence
# budget that is spent, an operator who declares a living host dead; and hosts that are stopped in good
# order, with each answer to what becomes of their guests.
# shellcheck source=chaos-tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

story_begin 3 qemu
eventually 30 "the pool is whole" pool_is_whole

ask_of() { printf '%s' "$(connect_without "$1")"; }
other() { quorate --connect "$(ask_of "$1")" "${@:2}"; }
# The guest as the hosts other than $1 know it.
other_field() { other "$1" guest show "$2" --json | rows | jq -r ".$3"; }
runs_not_on() { [[ $(other_field "$1" "$2" state) == running && $(other_field "$1" "$2" host) != "$1" ]]; }
daemon_is_gone() { no_longer daemon_runs "$1"; }
epoch_of() { guest_field "$1" run_epoch; }

# --- HA where it cannot be kept

refused 4 "is a path of one host" on_pool guest create local --start off --ha on --disk /tmp/none.img
refused 3 "not found" on_pool guest show local
on_pool guest create local --start off --disk /tmp/none.img >/dev/null
refused 4 "is a path of one host" on_pool guest set local --ha on
check "a refusal changes nothing" test "$(guest_field local ha)" = false
on_pool guest set local --ha on --force >/dev/null
check "by force it has HA" test "$(guest_field local ha)" = true
on_pool pool set --ha off >/dev/null
refused 4 "guest local" on_pool pool set --ha on
on_pool pool set --ha on --force >/dev/null
on_pool guest delete local >/dev/null
refused 3 "h9" on_pool guest create nowhere --image tiny --ha on --preferred h9

# --- settings that contradict each other change nothing

before=$(on_pool pool settings --json | rows | jq -cS .)
refused 2 "three times in its length" on_pool pool set --lease 1s --lease-renew 500ms
refused 2 "leave every fence to an operator" on_pool pool set --fence-hosts 0 --fence-percent 0
refused 2 "no shorter" on_pool pool set --fence-window 10s
check "the settings are what they were" test "$before" = "$(on_pool pool settings --json | rows | jq -cS .)"

guaranteed() { [[ $(on_pool host list --json | rows | jq -r .guarantee | sort -u) == guard ]]; }
eventually 10 "every host has a guard, and says so" guaranteed

# --- a host is stopped in good order

for ((i = 1; i <= 2; i++)); do
    on_pool guest create "ha$i" --image tiny --ha on --host h2 >/dev/null
done
on_pool guest create plain --image tiny --host h2 >/dev/null
for g in ha1 ha2 plain; do expect_beating "$g"; done
[[ $(master_name) != h2 ]] || on_pool pool transfer h1 >/dev/null
eventually 30 "h2 is not master" master_is_not h2

refused 2 "HA guests on h2: 2." other h2 host stop h2
check "it was not stopped" daemon_runs h2

e1=$(epoch_of ha1) p=$(epoch_of plain)
other h2 host stop h2 --guests=leave >/dev/null
eventually 10 "the daemon of h2 is gone" daemon_is_gone h2
daemon_start h2
eventually 30 "the pool is whole" pool_is_whole
check "left, its guests never noticed" test "$(epoch_of ha1) $(epoch_of plain)" = "$e1 $p"

begin=$(now_ms)
other h2 host stop h2 --guests=release >/dev/null
eventually 30 "ha1 runs elsewhere" runs_not_on h2 ha1
eventually 30 "ha2 runs elsewhere" runs_not_on h2 ha2
released=$(($(now_ms) - begin))
fences() { other h2 events --limit 0 --json | rows | jq -r --argjson b "$begin" 'select(.kind == "host.fenced" and .time_ms >= $b) | .detail'; }
check "the proof was its own word" test "$(fences)" = released
eventually 10 "the daemon of h2 is gone" daemon_is_gone h2
check "what is not protected stays where it is" test "$(other_field h2 plain run_epoch)" -eq "$p"
daemon_start h2
eventually 30 "the pool is whole" pool_is_whole
for g in ha1 ha2 plain; do expect_beating "$g"; done

# Migrated away: nothing is started anew.
host=$(guest_field ha1 host)
e1=$(epoch_of ha1)
boots() { hbcheck --json --pool "$LAB_DIR" --guest "$1" | jq .boots; }
b1=$(boots ha1)
other "$host" host stop "$host" --guests=migrate --quiet >/dev/null
check "ha1 is elsewhere" runs_not_on "$host" ha1
check "it was not started anew" test "$(boots ha1)" -eq "$b1"
eventually 10 "the daemon of $host is gone" daemon_is_gone "$host"
daemon_start "$host"
eventually 30 "the pool is whole" pool_is_whole
on_pool host maintenance off "$host" >/dev/null

# Shut down: they stay down.
host=$(guest_field plain host)
other "$host" host stop "$host" --guests=shutdown >/dev/null
check "plain is shut down" test "$(other_field "$host" plain state)" = stopped
eventually 10 "the daemon of $host is gone" daemon_is_gone "$host"
daemon_start "$host"
eventually 30 "the pool is whole" pool_is_whole

# --- the fence budget is spent: an operator decides

on_pool pool set --fence-hosts 0 --fence-percent 10 >/dev/null
for g in ha1 ha2; do guest_runs "$g" || on_pool guest start "$g" >/dev/null; done
expect_beating ha1
host=$(guest_field ha1 host)
power_cut "$host"
held() { [[ $(other "$host" host show "$host" --json | rows | jq -r .held) == true ]]; }
eventually 30 "$host is held" held
check "the pool says so" test "$(other "$host" pool status --json | rows | jq -r '"\(.fences) of \(.fence_limit), \(.hosts_held)"')" = "0 of 0, 1"
held_events() { other "$host" events --limit 0 --json | rows | jq -r 'select(.kind == "host.held") | .subject'; }
check "an event tells, once" test "$(held_events)" = "$host"
check "its guest is where it was" test "$(other_field "$host" ha1 host)" = "$host"
refused 2 "is up" on_pool host fence "$(host_but "$host")" "a mistake"
other "$host" host fence "$host" "the plug is out" --yes >/dev/null
eventually 30 "ha1 runs elsewhere" runs_not_on "$host" ha1
check "it is held no more" test "$(other "$host" host show "$host" --json | rows | jq -r .held)" = false
on_pool pool set --fence-hosts 2 >/dev/null
daemon_start "$host"
eventually 30 "the pool is whole" pool_is_whole
expect_beating ha1

# --- a power controller's word is a proof, long before the lease would be

cat >"$LAB_DIR/off" <<EOS
#!/bin/bash
: >"$LAB_DIR/asked.\$2"
until [[ -e $LAB_DIR/dark.\$2 ]]; do sleep 0.05; done
echo "outlet \$3 of \$2 is off"
EOS
chmod 755 "$LAB_DIR/off"
for h in h1 h2 h3; do on_pool host set "$h" --power-target "rack-$h" >/dev/null; done
on_pool pool set --lease 30s --power-command "$LAB_DIR/off" >/dev/null
host=$(guest_field ha1 host)
[[ $(master_name) != "$host" ]] || on_pool pool transfer "$(host_but "$host")" >/dev/null
eventually 30 "$host is not master" master_is_not "$host"
isolate_host "$host"
begin=$(now_ms)
eventually 20 "the master asks for the power of $host" test -e "$LAB_DIR/asked.$host"
check "before it is off nothing is started elsewhere" test "$(other_field "$host" ha1 host)" = "$host"
power_cut "$host"
: >"$LAB_DIR/dark.$host"
eventually 20 "ha1 runs elsewhere" runs_not_on "$host" ha1
powered=$(($(now_ms) - begin))
check "long before the lease was over" test "$powered" -lt 20000
power_events() { other "$host" events --limit 0 --json | rows | jq -r 'select(.kind == "host.power_off") | "\(.subject): \(.detail)"'; }
check "its words are in the event" test "$(power_events)" = "$host: outlet rack-$host of $host is off"
heal_network
rm "$LAB_DIR"/asked.* "$LAB_DIR"/dark.*
on_pool pool set --power-command none --lease 3s >/dev/null
daemon_start "$host"
eventually 30 "the pool is whole" pool_is_whole
expect_beating ha1

# --- what must be apart has no place left: it waits, and starts when there is one

for h in h1 h2 h3; do
    on_pool guest create "apart-$h" --image tiny --memory 32 --ha on --apart db --host "$h" >/dev/null
done
refused 6 "is to be apart" on_pool guest create apart-four --image tiny --memory 32 --apart db
host=$(host_but "$(master_name)")
power_cut "$host"
waits() { [[ $(other_field "$host" "apart-$host" state) == pending ]]; }
eventually 30 "apart-$host waits" waits
refused 4 "cannot be master" other "$host" pool transfer "$host"
why=$(other "$host" explain guest "apart-$host" --json | rows | jq -r 'select(.verdict == "apart") | .host' | wc -l)
check "explain says why" test "$why" -eq 2
daemon_start "$host"
eventually 30 "the pool is whole" pool_is_whole
eventually 30 "apart-$host runs where there is a place again" guest_runs_on "apart-$host" "$host"

for g in apart-h1 apart-h2 apart-h3; do on_pool guest destroy "$g" >/dev/null; done
refused 4 "in use" on_pool host remove "$(guest_field ha1 host)"

# --- two of three are lost: nothing runs that should not, events can be read, and all is well after

left=$(host_but none)
mapfile -t lost < <(host_names | grep -vx "$left")
power_cut "${lost[0]}"
power_cut "${lost[1]}"
guarded_gone() { [[ $(qemus_on "$left") -le 1 ]]; } # plain, if it is here, goes on.
eventually 20 "no HA guest runs without a majority" guarded_gone
refused 5 "majority" on_host "$left" --timeout 2 guest list
events=$(on_host "$left" events --json 2>"$LAB_DIR/said" | rows | jq -r .kind | sort -u)
check "events can be read" grep -qx host.fenced <<<"$events"
check "and it is said that they may be old" grep -q "may be old" "$LAB_DIR/said"
daemon_start "${lost[0]}"
daemon_start "${lost[1]}"
eventually 30 "the pool is whole" pool_is_whole
for g in ha1 ha2; do
    eventually 30 "$g runs again" guest_runs "$g"
    expect_beating "$g"
done

# --- all lose their power at once: HA guests are back, the higher priority first

on_pool guest set ha1 --priority 10 >/dev/null
on_pool guest set ha2 --priority 900 >/dev/null
for h in h1 h2 h3; do power_cut "$h"; done
begin=$(now_ms)
for h in h1 h2 h3; do daemon_start "$h"; done
eventually 30 "the pool is whole" pool_is_whole
for g in ha1 ha2; do
    eventually 30 "$g runs again" guest_runs "$g"
    expect_beating "$g"
done
tell "all of them: $(($(now_ms) - begin)) ms"

for g in ha1 ha2 plain; do expect_single "$g"; done
expect_equal_hashes
figures "ms from host stop --guests=release until both guests were started elsewhere: $released; from the cut to the start elsewhere by power: $powered"
