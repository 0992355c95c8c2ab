#!/bin/bash
# A terminal at the console of a real guest, from a host that does not run it: keys arrive, Ctrl-C too,
# the console follows the guest through a migration and a reboot, a second terminal is refused or takes
# it over, it outlives the death of daemons, and every end gives the terminal back.
# shellcheck source=chaos-tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

story_begin 3 qemu
on_pool guest create web1 --image tiny >/dev/null
expect_beating web1
at=$(guest_field web1 host)
other=$(host_but "$at")

# addresses "h2 h1": where these hosts listen.
addresses() {
    local h list=
    for h in $1; do
        list+=${list:+,}$(host_address "$h"):7077
    done
    printf '%s\n' "$list"
}

# terminal NAME HOSTS [OPTION...]: guest console in a terminal of its own, through these hosts alone. What
# it shows is in NAME.out, keys are written to the pipe NAME.keys; NAME.end has its exit status and
# whether the terminal was given back.
terminal() {
    local name=$LAB_DIR/$1 host=$2
    shift 2
    rm -f "$name".*
    mkfifo "$name.keys"
    cat >"$name.sh" <<END
before=\$(stty -g)
status=0
"$LAB_BUILD/cli/quorate" --connect "$(addresses "$host")" guest console web1 $* || status=\$?
[[ \$(stty -g) == "\$before" ]] && back=back || back=raw
echo "\$status \$back" >"$name.end"
END
    socat "OPEN:$name.keys,rdwr!!CREATE:$name.out" "EXEC:bash $name.sh,pty,setsid,ctty,stderr" \
        2>"$name.err" &
    BACKGROUND+=($!)
}
keys() { printf '%b' "$2" >"$LAB_DIR/$1.keys"; }
shows() { grep -aqE "$2" "$LAB_DIR/$1.out" 2>/dev/null; }
shown() { grep -acE "$2" "$LAB_DIR/$1.out" 2>/dev/null || true; }
shows_more() { (($(shown "$1" "$2") > $3)); }
has_ended() { [[ -s $LAB_DIR/$1.end ]]; }
# ended NAME STATUS: with that status, and the terminal as it was.
ended() {
    eventually 10 "$1 has ended" has_ended "$1"
    [[ $(cat "$LAB_DIR/$1.end") == "$2 back" ]] || fail "$1 ended with '$(cat "$LAB_DIR/$1.end")'"
}
# It shows the guest as it beats now.
expect_shown() {
    local n
    n=$(shown "$1" '^HB ')
    eventually 20 "$1 shows beats" shows_more "$1" '^HB ' "$((n + 3))"
}

terminal near "$at"
eventually 10 "a terminal at the guest's own host" shows near "console of web1 on $at"
expect_shown near
keys near '\x03\x03'
expect_shown near
check "Ctrl-C went to the guest" no_longer has_ended near
keys near 'abc\x1d'
ended near 0
check "what is typed is not shown twice" no_longer shows near abc

terminal far "$other"
eventually 10 "a terminal at another host" shows far "console of web1 on $at"
expect_shown far
third=$(host_but "$at" "$other")
terminal second "$third"
ended second 4
check "a second one is refused" shows second 'somebody is at the console'

epoch=$(guest_field web1 run_epoch)
on_pool guest migrate web1 "$third" >/dev/null
eventually 20 "the console follows the guest to $third" shows far "console of web1 on $third"
expect_shown far
# A key that the guest knows: it reboots.
keys far R
rebooted() { (($(guest_field web1 run_epoch) > epoch + 1)) && guest_runs web1; }
eventually 20 "a key reboots it" rebooted
opens=$(shown far "console of web1 on $third")
check "the console is there again" test "$opens" -ge 1
eventually 20 "the new run is shown" shows_more far "console of web1 on $third" 1
expect_shown far

terminal thief "$at" --force
eventually 10 "another terminal takes it" shows thief "console of web1 on $third"
expect_shown thief
ended far 1
check "who had it is told" shows far 'somebody else took the console'

# The terminal's host dies: the next one of its list takes over. So does the guest's daemon's end.
terminal lists "$other $third" --force
eventually 10 "a terminal with two hosts" shows lists "console of web1 on $third"
ended thief 1
daemon_crash "$other"
eventually 20 "it goes on through the other host" shows_more lists "console of web1 on $third" 1
expect_shown lists
daemon_start "$other"
daemon_crash "$third"
daemon_start "$third"
eventually 30 "and when the daemon of the guest's host was restarted" shows_more lists "console of web1 on $third" 2
expect_shown lists

expect_beating web1
expect_single web1
on_pool guest destroy web1 >/dev/null
ended lists 0
check "the end is told" shows lists 'web1 is stopped'
refused 4 "it has no console" on_pool guest console web1
refused 3 "not found" on_pool guest console nobody
# Its screen, from a host that does not run it, for two viewers.
on_pool guest create web2 --image tiny --vnc on >/dev/null
expect_beating web2
other=$(host_but "$(guest_field web2 host)")
quorate --connect "$(addresses "$other")" guest vnc web2 >"$LAB_DIR/vnc.port" 2>"$LAB_DIR/vnc.said" &
BACKGROUND+=($!)
VNC=$!
has_port() { [[ -s $LAB_DIR/vnc.port ]]; }
wait_until 10 "it listens" has_port
port=$(sed 's/.*://' "$LAB_DIR/vnc.port")
greets() { [[ $(head -c 12 <"/dev/tcp/127.0.0.1/$port") == "RFB 003.00"* ]]; }
check "the screen's server greets" greets
check "and another viewer" greets
on_pool guest destroy web2 >/dev/null
no_greeting() { [[ -z $(head -c 12 <"/dev/tcp/127.0.0.1/$port") ]]; }
check "a guest that is off has no screen" no_greeting
check "which is told" grep -q "is stopped" "$LAB_DIR/vnc.said"
kill -INT "$VNC"
check "it ends in good order" wait "$VNC"
check "nothing fell over" pool_is_whole
figures "$(shown lists '^HB ') beats seen by the last terminal"
