#!/bin/bash
# Every verb of ./lab, as a person types it: twice, in the wrong way, from elsewhere, interrupted; and
# after down nothing is left.
# shellcheck source=chaos-tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

work=$(mktemp -d /tmp/qlv.XXXXXX)
LAB_DIR=$work/lab
# The directory of lab_of, for the clean-up at the end.
DIRS=()
cleanup() {
    local rc=$? dir
    trap - EXIT ERR
    for dir in "${DIRS[@]}"; do
        lab down --dir "$dir" >/dev/null 2>&1 || true
    done
    rm -rf "$work"
    exit "$rc"
}
trap cleanup EXIT
cd /

lab() { env -u QUORATE_LAB_DIR -u QUORATE_CONNECT "$LAB_ROOT/lab" "$@"; }

# Now the lab in this directory is the one that the questions of lib.sh are about.
lab_of() {
    LAB_DIR=$1
    DIRS+=("$1")
}

# leftovers NUMBER: what there still is of LAB_DIR, and of its number if it had network namespaces.
leftovers() {
    local file
    for file in "$LAB_DIR" "$LAB_DIR.lock"; do
        [[ ! -e $file ]] || printf '%s\n' "$file"
    done
    # The next lab on this machine may have the number by now.
    if grep -qsvxF "$LAB_DIR" "/sys/class/net/qlab$1/ifalias"; then
        tell "number $1 is another lab's now" >&2
    else
        ls -d /run/netns/ql"$1"-* "/sys/class/net/qlab$1" 2>/dev/null || true
    fi
    find /tmp -maxdepth 1 -name 'quorate-lab-loopback-*' -lname "$LAB_DIR"
    grep -F "$LAB_DIR" /proc/mounts || true
    grep -lzF "$LAB_DIR/hosts" /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null || true
}

nothing_is_left() { [[ -z $(leftovers "$1") ]]; }

expect_nothing_left() {
    # A process that was just killed may still be on its way out.
    wait_until 10 "nothing is left of lab $1" nothing_is_left "$1" || fail "left behind: $(leftovers "$1")"
    tell "ok: nothing is left"
}

down() {
    local number=none
    [[ $(conf_get network) != netns ]] || number=$(conf_get number)
    lab down --dir "$LAB_DIR" >/dev/null
    expect_nothing_left "$number"
    lab down --dir "$LAB_DIR" | grep -q 'nothing in' || fail "a second down says otherwise"
    expect_nothing_left "$number"
}

daemons() {
    local h
    for h in $(host_names); do daemon_pid "$h"; done | xargs
}

status_says() { lab status --dir "$LAB_DIR" 2>/dev/null | tr -s ' ' | grep -qE "$1"; }

wrong_words() {
    refused 2 "usage: ./lab" lab
    refused 2 "no verb 'fly'" lab fly
    refused 2 "--hosts takes a number" lab up --hosts 0 --dir "$work/x"
    refused 2 "--hosts takes a number" lab up --hosts 17 --dir "$work/x"
    refused 2 "--hosts takes a number" lab up --hosts two --dir "$work/x"
    refused 2 "--driver takes" lab up --driver vmware --dir "$work/x"
    refused 2 "are possible in" lab up --driver xen --dir "$work/x y"
    QUORATE_LAB_NETWORK=loopback refused 1 "needs network namespaces" lab up --driver xen --dir "$work/x"
    refused 2 "what is '--fast'" lab up --fast --dir "$work/x"
    refused 2 "--hosts needs" lab up --dir "$work/x" --hosts
    refused 2 "--dir needs" lab up --dir
    refused 2 "--dir /" lab down --dir /
    refused 2 "too long" lab up --dir "$work/$(printf 'x%.0s' {1..80})"
    refused 1 "there is no lab" lab status --dir "$work/x"
    refused 1 "there is no lab" lab env --dir "$work/x"
    refused 1 "there is no lab" lab kill h1 --dir "$work/x"
    refused 2 "no step" lab test no-such-step
    refused 2 "bench log" lab bench everything
    check "they leave no file" test -z "$(find "$work" -mindepth 1)"
}

# Every fault of a host, undone again.
faults() {
    local pid
    refused 2 "no host 'h9'" lab kill h9 --dir "$LAB_DIR"
    refused 2 "kill takes one host" lab kill --dir "$LAB_DIR"
    refused 2 "cut takes two" lab cut h1 --dir "$LAB_DIR"
    refused 2 "different" lab cut h1 h1 --dir "$LAB_DIR"
    pid=$(daemon_pid h2)
    lab pause h2 --dir "$LAB_DIR"
    check "status shows the pause" status_says '^h2 .*\(paused\)'
    lab pause h2 --dir "$LAB_DIR"
    lab resume h2 --dir "$LAB_DIR"
    eventually 10 "h2 goes on" no_longer daemon_is_stopped h2
    check "it is the same daemon" test "$(daemon_pid h2)" = "$pid"
    lab crash h2 --dir "$LAB_DIR"
    check "the daemon is gone, the power is on" status_says '^h2 .* on off'
    refused 1 "no daemon runs on h2" lab crash h2 --dir "$LAB_DIR"
    lab start h2 --dir "$LAB_DIR"
    lab start h2 --dir "$LAB_DIR"
    eventually 20 "h2 answers" host_answers h2
    check "sh is on the host" test "$(lab sh h2 --dir "$LAB_DIR" -- cat /proc/1/comm)" = labhost
    refused 3 "by itself" lab sh h2 --dir "$LAB_DIR" -- 'echo by itself; exit 3'
    lab kill h2 --dir "$LAB_DIR"
    lab kill h2 --dir "$LAB_DIR"
    refused 1 "h2 is off" lab sh h2 --dir "$LAB_DIR" -- true
    check "nothing runs on h2" nothing_runs_on h2
    lab start h2 --dir "$LAB_DIR"
    eventually 20 "h2 answers" host_answers h2
    lab wipe h3 --dir "$LAB_DIR"
    eventually 60 "the pool is whole after a wipe" pool_is_whole
}

partitions() {
    lab cut h1 h2 --dir "$LAB_DIR"
    check "status shows the cut" status_says '^cut: '
    check "h1 does not reach h2" no_longer reaches h1 h2
    check "h1 reaches h3" reaches h1 h3
    lab isolate h3 --dir "$LAB_DIR"
    check "h1 does not reach h3" no_longer reaches h1 h3
    lab heal --dir "$LAB_DIR"
    lab heal --dir "$LAB_DIR"
    check "nothing is cut" no_longer status_says '^cut: '
    check "h1 reaches h2" reaches h1 h2
    eventually 60 "the pool is whole after a partition" pool_is_whole
}

# reaches A B: a connection from one host to the other's daemon can be opened.
reaches() {
    ip netns exec "$(netns_of "$1")" timeout 2 bash -c "</dev/tcp/$(host_address "$2")/7077" 2>/dev/null
}

# A name with a space, from another directory, a guest, and a second up.
whole_lab() {
    local before begin
    lab_of "$work/with space"
    lab up --dir "$LAB_DIR" >"$work/said"
    check "up says what to try" test "$(grep -c '^    ' "$work/said")" -eq 3
    before=$(daemons)
    begin=$(now_ms)
    lab up --dir "$LAB_DIR" >/dev/null
    check "a second up takes less than 30 s" test $(($(now_ms) - begin)) -lt 30000
    check "it leaves the daemons alone" test "$(daemons)" = "$before"
    refused 1 "has hosts 3" lab up --hosts 5 --dir "$LAB_DIR"
    refused 1 "has driver qemu" lab up --driver sim --dir "$LAB_DIR"
    (
        eval "$(lab env --dir "$LAB_DIR")"
        quorate guest list --json | rows | jq -es 'any(.[]; .name == "demo" and .state == "running")' >/dev/null
    ) || fail "the variables of env do not lead to the pool"
    faults
    [[ $(conf_get network) != netns ]] || partitions
    lab kill h1 --dir "$LAB_DIR"
    lab up --dir "$LAB_DIR" >/dev/null
    check "up starts what was killed" pool_is_whole
    down
}

sizes() {
    local n
    for n in 1 5 7; do
        lab_of "$work/n$n"
        lab up --hosts "$n" --driver sim --dir "$LAB_DIR" >/dev/null
        check "a pool of $n" pool_is_whole
        down
    done
}

# Where there are no namespaces: addresses of the loopback network, power cuts, no partitions. Two such
# labs do not disturb each other.
# The names of its figures, which scripts rely on; the figures themselves are for a longer run.
bench() {
    local json
    lab_of "$work/bench"
    json=$(lab bench log --json --seconds 1 --rounds 1 --dir "$LAB_DIR" 2>"$work/said") ||
        fail "bench log: $(tail -n 3 "$work/said")"
    rm "$work/said"
    jq -e '[.rows[].depth] == [1, 16, 256] and ("depth commits_per_s p50_ms p99_ms max_ms
        etcd_commits_per_s etcd_p50_ms etcd_p99_ms ratio" | [splits("[ \n]+")]) as $names
        | all(.rows[]; . as $row | all($names[]; $row[.] > 0))' <<<"$json" >/dev/null ||
        fail "bench log --json: $json"
    tell "ok: bench log: $(jq -c '[.rows[].ratio]' <<<"$json") times etcd, in a second each"
    expect_nothing_left none
}

loopback() {
    local first=$work/lo1
    lab_of "$first"
    QUORATE_LAB_NETWORK=loopback lab up --driver sim --dir "$LAB_DIR" >"$work/said" 2>&1
    check "up says that there are no namespaces" grep -q 'allows no namespaces' "$work/said"
    refused 1 "partitions need network namespaces" lab cut h1 h2 --dir "$LAB_DIR"
    refused 1 "partitions need network namespaces" lab isolate h1 --dir "$LAB_DIR"
    lab_of "$work/lo2"
    QUORATE_LAB_NETWORK=loopback lab up --driver sim --dir "$LAB_DIR" >"$work/said" 2>&1 ||
        fail "a second lab on loopback addresses: $(cat "$work/said")"
    check "a second lab beside it is whole" pool_is_whole
    lab kill h2 --dir "$LAB_DIR"
    check "nothing runs on h2" nothing_runs_on h2
    lab start h2 --dir "$LAB_DIR"
    eventually 30 "the pool is whole after a power cut" pool_is_whole
    down
    lab_of "$first"
    check "the first lab is untouched" pool_is_whole
    down
}

# Interrupted anywhere, a first up leaves nothing. (Of a background process a shell ignores SIGINT.)
interrupted() {
    local after number noter rc
    for after in 0.2 0.4 0.6 0.8 1.0 1.3 1.6; do
        lab_of "$work/int-$after"
        rm -f "$work/number"
        note_number &
        noter=$!
        rc=0
        env --default-signal=INT timeout --signal=INT "$after" "$LAB_ROOT/lab" up --dir "$LAB_DIR" \
            >"$work/said" 2>&1 || rc=$?
        kill "$noter" 2>/dev/null || true
        wait "$noter" || true
        number=$(cat "$work/number" 2>/dev/null || true)
        # The signal may also come when all is said.
        if ((rc == 0)) || { lab_exists && grep -q 'quorate events --follow' "$work/said"; }; then
            tell "up was done before $after s were over"
            down
            return
        fi
        tell "interrupted after $after s: $(tail -n 1 "$work/said")"
        expect_nothing_left "${number:-none}"
    done
}

# The number of the lab that begins now, for when its directory is gone again.
note_number() { until [[ -s $work/number ]]; do cat "$LAB_DIR/conf/number" >"$work/number" 2>/dev/null || sleep 0.01; done; }

wrong_words
whole_lab
sizes
bench
loopback
interrupted
check "no process knows the directory" test -z "$(grep -lzF "$work" /proc/[0-9]*/cmdline 2>/dev/null || true)"
check "no file is left" test -z "$(find "$work" -mindepth 1 ! -name said ! -name number)"
