#!/bin/bash
# quick
# What goes wrong with QEMU itself: it is missing, it dies, what it needs is not there or in use. Each
# is told in words that say what to do, with the status a script can rely on; nothing is left over,
# and once the reason is gone the same command works.
# shellcheck source=chaos-tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

story_ground 3 qemu
# Every host's emulator is a script, so that it can be spoilt, here or there. QEMU keeps its process
# id and its command line, by which it is known.
EMULATOR=$LAB_DIR/emulator
# shellcheck disable=SC2016  # A script's text.
GOOD='exec qemu-system-x86_64 "$@"'
emulator() {
    printf '#!/bin/sh\n%s\n' "$1" >"$EMULATOR.new"
    chmod 755 "$EMULATOR.new"
    mv "$EMULATOR.new" "$EMULATOR"
}
printf -- '--emulator\n%s\n' "$EMULATOR" >"$LAB_DIR/conf/daemon_options"
emulator "$GOOD"
pool_up
on_pool guest create web1 --image tiny --host h2 >/dev/null
expect_beating web1

# Nothing on any host but what is said to run there.
nothing_left_over() {
    local h want
    for h in $(host_names); do
        want=
        [[ $(guest_field web1 host) != "$h" ]] ||
            want=$(guest_field web1 uuid).$(guest_field web1 run_epoch)
        is_left "$h: $(copies_on "$h")" "$h: $want" || return 1
        is_left "$h: $(qemus_on "$h") processes" "$h: $(wc -w <<<"$want") processes" || return 1
    done
}
clean() {
    wait_until 20 "nothing is left over" nothing_left_over || fail "left over: $(cat "$LAB_DIR/left")"
}

# cannot_start STATUS WORDS: web1, which is off, does not start; the pool says why, and where.
cannot_start() {
    refused "$1" "$2" on_pool guest start web1 --host h1
    refused "$1" "start of web1 on h1 failed" on_pool guest start web1 --host h1
    check "it is failed" guest_is web1 failed
    grep -qF -- "$2" <<<"$(on_pool guest list)" || fail "guest list does not say '$2'"
    grep -qF -- "$2" <<<"$(on_pool op list)" || fail "op list does not say '$2'"
    clean
}
starts_again() {
    check "it starts where it failed before" on_pool guest start web1 --host h1 --quiet
    expect_beating web1
    on_pool guest shutdown web1 >/dev/null
    clean
}

# --- a host without QEMU

daemon_without_qemu() {
    local dir=$LAB_DIR/x
    mkdir -p "$dir"/{data,run,log}
    timeout 10 ip netns exec "$(netns_of h1)" quorated --name x --data-dir "$dir/data" \
        --run-dir "$dir/run" --log-dir "$dir/log" --socket "$dir/run/quorate.sock" --driver qemu \
        --lab-network yes --listen "$(host_address h1):7078" --emulator "$1"
}
refused 8 "no-such-qemu is not here: install the package qemu-system-x86" daemon_without_qemu /usr/bin/no-such-qemu
refused 8 "run /etc/passwd: Permission denied" daemon_without_qemu /etc/passwd

# --- it is removed, or spoilt, while guests run

rm "$EMULATOR"
expect_beating web1
daemon_crash h2
(daemon_start h2) >/dev/null 2>&1 &
starting=$!
eventually 10 "the daemon's last words say what to install" \
    grep -q 'install the package qemu-system-x86' "$(host_dir h2)/log/quorated.log"
kill "$starting" 2>/dev/null || true # It may have given up by itself.
wait "$starting" || true
eventually 10 "it does not stay" no_longer daemon_runs h2
expect_beating web1
emulator "$GOOD"
daemon_start h2
eventually 30 "the pool is whole" pool_is_whole
check "it is the same run" test "$(guest_field web1 run_epoch)" -eq 1

# The target of a migration cannot make its copy: the guest stays.
# shellcheck disable=SC2016
emulator 'case $QUORATE_LAB_HOST$* in */h1*--version) ;; */h1*)
    echo "qemu-system-x86_64: libfdt.so.1: cannot open shared object file" >&2; exit 127 ;; esac
'"$GOOD"
refused 1 "libfdt.so.1: cannot open shared object file" on_pool guest migrate web1 h1
check "it runs on where it was" guest_runs_on web1 h2
expect_beating web1
clean
on_pool guest shutdown web1 >/dev/null

cannot_start 1 "libfdt.so.1: cannot open shared object file"
check "elsewhere it starts" on_pool guest start web1 --host h3 --quiet
on_pool guest shutdown web1 >/dev/null
# shellcheck disable=SC2016
emulator 'case $* in *--version) ;; *) kill -SEGV $$ ;; esac
'"$GOOD"
cannot_start 1 "QEMU died of signal 11 (SEGV): dmesg on this host"
rm "$EMULATOR"
cannot_start 4 "install the package qemu-system-x86"
emulator "$GOOD"
starts_again

# --- what it needs

refused 3 "kernel /boot/none: No such file on this host: put it there" \
    on_pool guest create web2 --kernel /boot/none --memory 16
refused 3 "No such file on this host" on_pool guest start web2
on_pool guest delete web2 >/dev/null
refused 3 "kernel /boot/none: No such file on this host" \
    on_pool guest create web2 --image tiny --kernel /boot/none
on_pool guest delete web2 >/dev/null

image=$(find "$LAB_DIR/repo/running_pool/web1" -name system.img)
qemu-system-x86_64 -M pc -nodefaults -display none -S -daemonize -pidfile "$LAB_DIR/holder.pid" \
    -drive "file=$image,format=raw,if=ide"
BACKGROUND+=("$(cat "$LAB_DIR/holder.pid")")
cannot_start 4 "running_pool/web1/system.img is in use: end the process that has it open (fuser -v"
kill "$(cat "$LAB_DIR/holder.pid")"
wait_until 10 "the other process is gone" no_longer test -e "$LAB_DIR/holder.pid"
starts_again
expect_single web1
expect_equal_hashes
