#!/bin/bash
# Three emulated machines, each a real Xen whose control domain runs the daemon: a pool of them that
# loses a machine, has one cut off and one paused; the drivers' suite inside one; and a real
# paravirtual guest on storage that all share, saved on one machine, restored on another, and begun
# again on a third when its machine lost its power.
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
conf_set daemon_driver sim
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

# --- a pool on them -------------------------------------------------------------------------------

all_run() { (($(on_pool guest list --json | rows | jq -s 'map(select(.state == "running")) | length') == $1)); }
is_down() { [[ $(quorate --connect "$(connect_without "$1")" host show "$1" --json | rows | jq -r .state) == down ]]; }

for h in $(host_names); do
    on_pool guest create "sim-$h" --image xen --host "$h" >/dev/null
done
eventually 20 "a guest runs on each" all_run 3

first=$(master_name)
other=$(host_but "$first")
begin=$(now_ms)
power_cut "$first"
eventually 30 "another master" master_is_not "$first"
timed "machine of the master killed, next one" "$begin"
check "nothing of $first is left" nothing_runs_on "$first"
on_pool guest create after --image xen --host "$other" >/dev/null
check "the pool goes on" guest_runs_on after "$other"
begin=$(now_ms)
daemon_start "$first"
eventually 60 "the pool is whole" pool_is_whole
timed "machine back in the pool" "$begin"
expect_equal_hashes

master=$(master_name)
isolate_host "$master"
eventually 30 "another master" master_is_not "$master"
eventually 30 "$master is seen to be down" is_down "$master"
check "$master can still be asked" host_answers "$master"
heal_network
eventually 60 "the pool is whole" pool_is_whole

other=$(host_but "$(master_name)")
daemon_pause "$other"
eventually 30 "$other is seen to be down" is_down "$other"
signal_daemon CONT "$other"
eventually 60 "the pool is whole" pool_is_whole
daemon_crash "$other"
check "the daemon of $other is gone" no_longer daemon_runs "$other"
check "its machine goes on" machine_is_ready "$other"
daemon_start "$other"
eventually 60 "the pool is whole" pool_is_whole
expect_equal_hashes

# --- the drivers' suite, where it would have to drive Xen -----------------------------------------

# suite NAME: a test program of hvdriver in the control domain of h1, with what it loads.
suite() {
    local program=$LAB_BUILD/hvdriver/hvdriver_test_$1 to=$LAB_DIR/tests library begin
    build_release "hvdriver_test_$1"
    mkdir -p "$to"
    cp "$program" "$to/"
    for library in $(ldd "$program" | awk '/=> \//{print $3}'); do
        cp -nL "$library" "$to/"
    done
    begin=$(now_ms)
    in_host h1 "cd /tmp && LD_LIBRARY_PATH=$to timeout 300 $to/hvdriver_test_$1"
    timed "suite on $1 ($(grep -c '\[       OK \]' <<<"$SAID") cases)" "$begin"
}
suite sim

# --- a real guest ---------------------------------------------------------------------------------

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
disk = ['phy:/dev/loop0,xvda,w']
CFG

# begin_real HOST EPOCH COMMAND: by this command, which leaves it paused; then tell it where it is.
begin_real() {
    in_host "$1" "losetup /dev/loop0 $disk && $3 && id=\$(xl domid real) &&
        xenstore-write /local/domain/\$id/quorate/run '$1 $2' &&
        xenstore-chmod /local/domain/\$id/quorate/run b\$id && xl unpause real"
}

# beats_on HOST N: it has said so often there that it runs there.
beats_on() { (($(grep -c "^HB .* host=$1 " "$LAB_DIR/hosts/$1/log/guest-real.log") >= $2)); }

begin=$(now_ms)
begin_real h1 1 "xl create -q -p $LAB_DIR/real.cfg"
timed "guest created" "$begin"
eventually 60 "real beats" beats_on h1 5
timed "its first beats" "$begin"

watch_guest real
begin=$(now_ms)
# Through a pipe: the pages of another domain cannot be written to a 9p file without a copy.
in_host h1 "mkfifo /tmp/save && { cat /tmp/save >$LAB_DIR/real.save & } &&
    xl save real /tmp/save && wait && losetup -d /dev/loop0"
timed "saved" "$begin"
begin=$(now_ms)
begin_real h2 2 "xl restore -p $LAB_DIR/real.save"
timed "restored on another machine" "$begin"
eventually 60 "real beats on h2" beats_on h2 10
watch_end real
timed "and beating" "$begin"
tell "largest gap between its beats: $(report seen_gap_ms) ms"
in_host h2 "xl list real"
expect_single real

power_cut h2
begin=$(now_ms)
begin_real h3 3 "xl create -q -p $LAB_DIR/real.cfg"
eventually 60 "real beats on h3" beats_on h3 10
timed "begun again after its machine was killed" "$begin"
expect_single real
in_host h3 "xl shutdown -w real"
check "it said goodbye" grep -q BYE "$LAB_DIR/hosts/h3/log/guest-real.log"
expect_single real

printf -v line '%s, ' "${TIMES[@]}"
figures "${line%, }"
