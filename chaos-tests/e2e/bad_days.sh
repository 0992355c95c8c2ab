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
AT=$(host_address h1)
refused 8 "another process has $dir/data/state open" another_daemon "$dir" --listen "$AT:7078"
refused 8 "another process listens on $AT:7077" another_daemon "$LAB_DIR/x" --listen "$AT:7077"
refused 2 "--colour: unknown option; see --help" another_daemon "$LAB_DIR/x" --listen "$AT:7078" --colour red
refused 2 "election_ms" another_daemon "$LAB_DIR/x" --listen "$AT:7078" --election-ms 1
refused 2 "heartbeat_ms: must be at most a third" another_daemon "$LAB_DIR/x" --listen "$AT:7078" --heartbeat-ms 150
# In a network that others can reach (this machine's, not a lab's closed one) nobody listens in clear.
refused 8 "listen on 0.0.0.0:7078: connections are not encrypted yet" quorated --name x --data-dir "$LAB_DIR/x/data" \
    --run-dir "$LAB_DIR/x/run" --log-dir "$LAB_DIR/x/log" --socket "" --driver sim --listen 0.0.0.0:7078
DRIVER=vmware refused 8 'this program has no driver' another_daemon "$LAB_DIR/x" --listen "$AT:7078"
check "h1 answers as before" host_answers h1

# A name that nobody may have founds nothing: the host is blank as before, and then founds a pool.
timeout 60 ip netns exec "$(netns_of h1)" env "QUORATE_LAB_HOST=$LAB_DIR/hosts/h1" quorated --name b1 \
    --data-dir "$LAB_DIR/x/data" --run-dir "$LAB_DIR/x/run" --log-dir "$LAB_DIR/x/log" --socket "" \
    --driver sim --prefix "$LAB_DIR/x/ovs" --lab-network yes --listen "$AT:7079" 2>"$LAB_DIR/x/said" &
blank=$!
BACKGROUND+=("$blank")
is_blank() { grep -qF "belongs to no pool yet" <<<"$(quorate --connect "$AT:7079" guest list 2>&1)"; }
eventually 10 "a blank host answers" is_blank
refused 2 "field name: invalid value, expected letters" quorate --connect "$AT:7079" pool init 'my pool'
check "it is blank still" is_blank
refused 4 "belongs to no pool yet: run 'pool init' here" quorate --connect "$AT:7079" guest list
check "it founds a pool" quorate --connect "$AT:7079" --quiet pool init mine
refused 4 "pool mine already exists" quorate --connect "$AT:7079" pool init other
kill "$blank"
wait "$blank" || true

# Calls that are wrong in every way that quorate itself would not let pass.
"$LAB_ROOT/chaos-tests/tools/badcalls" "$AT:7077" g1 >"$LAB_DIR/said" || fail "$(grep -v '^ok' "$LAB_DIR/said")"
tell "ok: $(tail -n 1 "$LAB_DIR/said")"

# Clients that say nothing: closed after their time, whatever they think of it.
for _ in $(seq 20); do
    socat -u "TCP:$AT:7077" - >>"$LAB_DIR/told" 2>/dev/null &
    BACKGROUND+=("$!")
    silent+=("$!")
done
nobody_waits() {
    local pid
    for pid in "${silent[@]}"; do ! kill -0 "$pid" 2>/dev/null || return 1; done
}
check "meanwhile h1 answers" host_answers h1
eventually 10 "clients that say nothing are closed" nobody_waits
check "and told why" test "$(grep -aoF 'no hello within' "$LAB_DIR/told" | wc -l)" -eq 20

# ended_by_h1 BYTES: a client that sends these and stays is sent away.
ended_by_h1() {
    local fd
    exec {fd}<>"/dev/tcp/$AT/7077"
    printf '%b' "$1" >&"$fd"
    timeout 20 cat <&"$fd" >/dev/null 2>&1 || (($? != 124)) || fail "$1: h1 keeps the connection"
    exec {fd}>&-
    tell "ok: closed: $1"
}
ended_by_h1 'QRCTL01\n\xff\xff\xff\x7f'
ended_by_h1 'QRCTL01\n\x05\x00\x00\x00\xdd\x10\x00\x00\x00'
ended_by_h1 'QRPEER1\n\xff\xff\xff\x7f'
ended_by_h1 'QRPEER1\n\x04\x00\x00\x00\xc1\xc1\xc1\xc1'
ended_by_h1 'GET / HTTP/1.1\r\n\r\n'
(printf 'QRPEER1\n'; timeout 2 cat /dev/urandom) | timeout 8 socat -u - "TCP:$AT:7077" 2>/dev/null || true
timeout 3 socat -u OPEN:/dev/urandom "TCP:$AT:7077" 2>/dev/null || true
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
