#!/bin/bash
# quick
# What goes wrong around a daemon: each is told in words, and loses nothing.
# shellcheck source=chaos-tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

story_begin 3 sim
on_pool guest create g1 --image tiny --no-start >/dev/null

# another_daemon DIR OPTION...: a daemon in the foreground, in h1's namespace, that should not stay.
another_daemon() {
    local dir=$1
    shift
    timeout 10 ip netns exec "$(netns_of h1)" env "QUORATE_LAB_HOST=$LAB_DIR/hosts/h1" \
        quorated --name h1 --data-dir "$dir/data" --run-dir "$dir/run" --log-dir "$dir/log" \
        --socket "$dir/run/quorate.sock" --driver "${DRIVER:-sim}" --prefix "$dir/ovs" --memory-mib 512 \
        --lab-network yes --migrate-address 10.77.0.1 "$@"
}

dir=$(host_dir h1)
mkdir -p "$LAB_DIR/x/run" "$LAB_DIR/x/log" "$LAB_DIR/x/data"
refused_somehow() {
    local words=$1 text rc=0
    shift
    text=$("$@" 2>&1) || rc=$?
    ((rc != 0 && rc != 124)) || fail "status $rc: $* said: $text"
    grep -qiE -- "$words" <<<"$text" || fail "'$words' expected; $* said: $text"
    tell "ok: refused ($rc): $(tail -n 1 <<<"$text")"
}
refused_somehow 'lock|another|in use' another_daemon "$dir" --listen "$(host_address h1):7078"
refused_somehow 'in.use' another_daemon "$LAB_DIR/x" --listen "$(host_address h1):7077"
refused_somehow 'unknown|no option|no such' another_daemon "$LAB_DIR/x" --listen "$(host_address h1):7078" --colour red
DRIVER=vmware
refused_somehow 'vmware' another_daemon "$LAB_DIR/x" --listen "$(host_address h1):7078"
check "h1 answers as before" host_answers h1

# Clients that say nothing, half a frame, garbage for ever.
for _ in $(seq 20); do
    socat -u SYSTEM:'sleep 20' "TCP:$(host_address h1):7077" 2>/dev/null &
    BACKGROUND+=("$!")
done
printf 'QRCTL01\n\xff\xff\xff\x7f' | timeout 8 socat -t 5 - "TCP:$(host_address h1):7077" >/dev/null || true
printf 'QRCTL01\n\x05\x00\x00\x00\xdd\x10\x00\x00\x00' | timeout 8 socat -t 5 - "TCP:$(host_address h1):7077" >/dev/null || true
printf 'QRPEER1\n\xff\xff\xff\x7f' | timeout 8 socat -t 5 - "TCP:$(host_address h1):7077" >/dev/null || true
printf 'QRPEER1\n\x04\x00\x00\x00\xc1\xc1\xc1\xc1' | timeout 8 socat -t 5 - "TCP:$(host_address h1):7077" >/dev/null || true
(printf 'QRPEER1\n'; timeout 2 cat /dev/urandom) | timeout 8 socat -u - "TCP:$(host_address h1):7077" 2>/dev/null || true
timeout 3 socat -u OPEN:/dev/urandom "TCP:$(host_address h1):7077" 2>/dev/null || true
timeout 3 socat -u OPEN:/dev/zero "UNIX-CONNECT:$(host_socket h1)" 2>/dev/null || true
check "h1 answers as before" host_answers h1
check "and its pool writes" on_host h1 guest set g1 --priority 3
resident_kib=$(sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\).*/\1/p' "/proc/$(daemon_pid h1)/status")
check "h1 uses $((resident_kib / 1024)) MiB" test "$resident_kib" -lt $((200 * 1024))

# Every file of a data directory damaged: set aside, the host is filled by the others again.
number=$(host_field h3 raft_id)
power_cut h3
find "$(host_dir h3)/data" -type f -size +0 | while read -r file; do
    case $file in *lock*) ;; *) printf 'X' | dd of="$file" bs=1 seek=20 conv=notrunc status=none ;; esac
done
daemon_start h3
eventually 60 "h3, every file of whose data was damaged, has a new member number" member_beyond h3 "$number"
eventually 60 "it is back and votes" pool_is_whole
expect_equal_hashes
check "the guest is still there" test "$(guest_field g1 priority)" -eq 3
figures "a daemon under garbage uses $((resident_kib / 1024)) MiB"
