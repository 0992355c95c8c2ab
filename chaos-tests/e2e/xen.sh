#!/bin/bash
# Three emulated machines, each a real Xen whose control domain runs the daemon with driver xen: the
# drivers' suite inside one; then a pool of them, with a paravirtual and a PVH guest on storage that all
# share. They move, live and stopped; a disk comes and goes; a daemon is killed and finds its guest
# again; machines with a protected guest are cut off, hang and lose their power, and it runs elsewhere,
# never twice. Beside that xl's own save and restore of such a guest.
# shellcheck source=chaos-tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

have qemu-system-x86_64 || skip "no qemu-system-x86_64 here"
can_have_namespaces || skip "network namespaces are not allowed here"
install_missing xen
words=$(build_machines) || skip "${words:-the machines could not be built}"

TIMES=()
# timed NAME BEGIN: how long it took since then.
timed() {
    local ms=$(($(now_ms) - $2))
    TIMES+=("$1 $((ms / 1000)).$((ms / 100 % 10)) s")
    tell "$1: $ms ms"
}

# in_host HOST COMMAND: a command in its control domain that must succeed. What it says is in SAID.
in_host() { SAID=$(machine_sh "$1" "$2") || fail "on $1: $2: $SAID"; }

story_ground 3 xen
pack_machine

# --- the machines ---------------------------------------------------------------------------------

begin=$(now_ms)
for h in $(host_names); do power_on "$h"; done
for h in $(host_names); do machine_wait "$h"; done
timed "3 machines booted" "$begin"
for h in $(host_names); do
    in_host "$h" "cat /sys/hypervisor/type; xl info xen_version; xl list"
    grep -qx xen <<<"$SAID" || fail "$h runs no Xen: $SAID"
    check "$h: Xen $(sed -n 2p <<<"$SAID"), whose first domain is there" grep -q '^Domain-0 ' <<<"$SAID"
done

begin=$(now_ms)
pool_up
timed "pool whole" "$begin"

# --- the drivers' suite -----------------------------------------------------------------------------

# suite NAME: a test program of hvdriver in the control domain of h1, with what it loads.
suite() {
    local program=$LAB_BUILD/hvdriver/hvdriver_test_$1 to=$LAB_DIR/tests library begin
    build_release "hvdriver_test_$1"
    mkdir -p "$to"
    cp "$program" "$LAB_BUILD/cli/quorate-xen" "$LAB_BUILD/hvdriver/guest_pvh.elf" "$to/"
    for library in $(ldd "$program" "$to/quorate-xen" | awk '/=> \//{print $3}' | sort -u); do
        cp -nL "$library" "$to/"
    done
    begin=$(now_ms)
    in_host h1 "cd /tmp && LD_LIBRARY_PATH=$to XEN_TEST_GUEST=$to/guest_pvh.elf \
        XEN_TEST_PROGRAM=$to/quorate-xen timeout 900 $to/hvdriver_test_$1"
    timed "suite on $1 ($(grep -c '\[       OK \]' <<<"$SAID") cases)" "$begin"
}
suite xen

# --- guests of the pool -----------------------------------------------------------------------------

# An emulated processor boots Linux in ten seconds, and in half a minute on a busy machine.
expect_beating() {
    local at
    at=$(beats_of "$1")
    eventually 90 "$1 beats" beats_beyond "$1" $((at + 3))
}

xl_names() { machine_sh "$1" "xl list" | awk 'NR > 2 {print $1}'; }
has_domain() { xl_names "$1" | grep -qx "$2"; }
has_no_domain() { ! has_domain "$@"; }

begin=$(now_ms)
on_pool guest create pv --image xen --host h1 >/dev/null
timed "paravirtual guest created" "$begin"
begin=$(now_ms)
on_pool guest create pvh --image xenpvh --ha on --host h2 >/dev/null
timed "PVH guest created" "$begin"
expect_beating pv
expect_beating pvh
check "Xen's own tools see it" has_domain h1 pv

# --- a daemon dies alone ----------------------------------------------------------------------------

# One that is not protected: a daemon that takes longer than a lease to come back gives up the others.
epoch=$(guest_field pv run_epoch)
watch_guest pv
daemon_crash h1
check "its domain goes on" has_domain h1 pv
daemon_start h1
eventually 60 "the pool is whole" pool_is_whole
eventually 20 "the daemon has found its guest" guest_is pv running
expect_beating pv
watch_end pv
check "it is the same run" test "$(guest_field pv run_epoch)" = "$epoch"
tell "daemon killed and back: largest gap between beats $(report seen_gap_ms) ms"

# --- moves ------------------------------------------------------------------------------------------

# move GUEST HOST OPTION...: and tell how long it took, and how long the guest was not heard.
move() {
    local guest=$1 to=$2 begin
    shift 2
    watch_guest "$guest"
    begin=$(now_ms)
    on_pool guest migrate "$guest" "$to" "$@" >/dev/null
    timed "$guest moved $*" "$begin"
    expect_beating "$guest"
    watch_end "$guest"
    check "it runs on $to" guest_runs_on "$guest" "$to"
    check "Xen there has it" has_domain "$to" "$guest"
    expect_single "$guest"
    TIMES+=("not heard for $(report seen_gap_ms) ms")
}
move pvh h3 --live
move pv h2
eventually 20 "nothing of it is left on h1" has_no_domain h1 pv

# --- a disk comes and goes --------------------------------------------------------------------------

# block_state HOST GUEST: of its second disk, as Xen's own tools say: 4 is that the guest uses it.
block_state() { machine_sh "$1" "xl block-list $2" | awk 'NR > 1 && $1 == 51728 {print $4}'; }
uses_disk() { [[ $(block_state "$1" "$2") == 4 ]]; }
has_no_disk() { [[ -z $(block_state "$1" "$2") ]]; }

truncate -s 1M "$LAB_DIR/repo/more.img"
begin=$(now_ms)
on_pool guest block-attach pv lab:more.img xvdb >/dev/null
timed "disk attached" "$begin"
eventually 20 "the guest uses it" uses_disk h2 pv
move pv h3
eventually 20 "it uses it there as well" uses_disk h3 pv
# A guest that stands still cannot let go; it does when it runs again, and the pool is told then.
on_pool guest pause pv >/dev/null
refused 5 "let go" on_pool guest block-detach pv xvdb
check "it has not lost it" uses_disk h3 pv
on_pool guest unpause pv >/dev/null
begin=$(now_ms)
eventually 30 "the disk is detached" on_pool guest block-detach pv xvdb
timed "detached" "$begin"
check "it has let go of it" has_no_disk h3 pv
no_loop() { [[ -z $(machine_sh h3 "losetup -j $LAB_DIR/repo/more.img") ]]; }
eventually 5 "the loop device is gone" no_loop
expect_beating pv
on_pool guest block-attach pvh lab:more.img xvdb >/dev/null
on_pool guest block-detach pvh xvdb --force >/dev/null
check "with force it is taken" has_no_disk "$(guest_field pvh host)" pvh
expect_beating pvh

# --- the worst days of a protected guest ------------------------------------------------------------

fenced_ms() {
    quorate --connect "$(connect_without "$2")" events --limit 0 --json | rows | jq -s --argjson b "$1" \
        '[.[] | select(.time_ms >= $b and .kind == "host.fenced") | .time_ms - $b] | max // 0'
}
runs_but() { local at; at=$(quorate --connect "$(connect_without "$1")" guest list --json | rows |
    jq -r 'select(.name == "pvh" and .state == "running") | .host'); [[ -n $at && $at != "$1" ]]; }

# blow NAME UNDO COMMAND...: to the host of pvh.
blow() {
    local name=$1 undo=$2 host begin
    shift 2
    host=$(guest_field pvh host)
    begin=$(date +%s%3N)
    tell "$name of $host"
    "$@" "$host"
    eventually 60 "pvh runs elsewhere" runs_but "$host"
    TIMES+=("$name: fenced after $(fenced_ms "$begin" "$host") ms, runs after $(($(date +%s%3N) - begin)) ms")
    expect_beating pvh
    "$undo" "$host"
    eventually 90 "the pool is whole" pool_is_whole
    eventually 20 "nothing of it is left on $host" has_no_domain "$host" pvh
    expect_single pvh
}
healed() { heal_network; }
resumed() { signal_daemon CONT "$1"; }
blow "cut off" healed isolate_host
blow "daemon stopped" resumed daemon_pause
blow "power lost" daemon_start power_cut

# --- into a file and back ---------------------------------------------------------------------------

at=$(guest_field pv host)
watch_guest pv
begin=$(now_ms)
on_pool guest save pv >/dev/null
timed "pv saved" "$begin"
eventually 20 "nothing of it is left on $at" has_no_domain "$at" pv
begin=$(now_ms)
on_pool guest restore pv "$(host_but "$at")" >/dev/null
timed "and restored elsewhere" "$begin"
expect_beating pv
watch_end pv
TIMES+=("not heard for $(report seen_gap_ms) ms")
expect_single pv
expect_equal_hashes
on_pool guest shutdown pvh >/dev/null
eventually 30 "it has shut down" guest_is pvh stopped
on_pool guest destroy pv >/dev/null

# --- beside it, xl's own save and restore -----------------------------------------------------------

disk=$LAB_DIR/repo/running_pool/real/system.img
mkdir -p "${disk%/*}"
cp --sparse=always "$(image_dir)/xen/system.img" "$disk"
cat >"$LAB_DIR/real.cfg" <<CFG
name = 'real'
type = 'pv'
memory = 96
kernel = '$LAB_DIR/repo/seed_pool/xen/kernel'
ramdisk = '$LAB_DIR/repo/seed_pool/xen/initrd'
extra = 'console=hvc0 quiet panic=-1 mitigations=off audit=0'
disk = ['phy:/dev/loop7,xvda,w']
CFG

# begin_real HOST EPOCH COMMAND: by this command, which leaves it paused; then tell it where it is.
begin_real() {
    in_host "$1" "losetup /dev/loop7 $disk && $3 && id=\$(xl domid real) &&
        xenstore-write /local/domain/\$id/quorate/run '$1 $2' &&
        xenstore-chmod /local/domain/\$id/quorate/run b\$id && xl unpause real"
}

# beats_on HOST N: it has said so often there that it runs there.
beats_on() { (($(grep -c "^HB .* host=$1 " "$LAB_DIR/hosts/$1/log/guest-real.log") >= $2)); }

begin_real h1 1 "xl create -q -p $LAB_DIR/real.cfg"
eventually 60 "real beats" beats_on h1 5
check "the pool leaves it alone" test -z "$(guest_field real name)"
watch_guest real
begin=$(now_ms)
# Through a pipe: the pages of another domain cannot be written to a 9p file without a copy.
in_host h1 "mkfifo /tmp/save && { cat /tmp/save >$LAB_DIR/real.save & } &&
    xl save real /tmp/save && wait && losetup -d /dev/loop7"
begin_real h2 2 "xl restore -p $LAB_DIR/real.save"
timed "by xl: saved and restored elsewhere" "$begin"
eventually 60 "real beats on h2" beats_on h2 10
watch_end real
TIMES+=("not heard for $(report seen_gap_ms) ms")
expect_single real
in_host h2 "xl destroy real"

printf -v line '%s, ' "${TIMES[@]}"
figures "${line%, }"
