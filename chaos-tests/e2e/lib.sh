# What the stories share. A story is a script that makes a pool of its own, in real processes, lives
# through something with it, and ends with status 0 if all it expected came true.
# shellcheck shell=bash

set -eEuo pipefail

LAB_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
LAB_BUILD=${LAB_BUILD:-$LAB_ROOT/build}
LAB_CACHE=${LAB_CACHE:-$LAB_ROOT/build}
export PATH="$LAB_BUILD/cli:$LAB_BUILD/chaos-tests:$PATH"
for part in common install build net xen hosts pool; do
    # shellcheck source=/dev/null
    . "$LAB_ROOT/chaos-tests/lab/$part.sh"
done
STORY=$(basename "$0" .sh)
# A command that nobody expected to fail.
trap 'tell "FAILED in line $LINENO: $BASH_COMMAND"' ERR
BACKGROUND=()

# story_begin HOSTS DRIVER: a pool. What it leaves behind is cleaned up whatever happens.
story_begin() {
    story_ground "$1" "$2"
    pool_up
    tell "a pool of $1 hosts, driver $2"
}

# story_ground HOSTS DRIVER: the network alone.
story_ground() {
    LAB_DIR=$(mktemp -d /tmp/ql.XXXXXX)
    chmod 755 "$LAB_DIR"
    trap story_end EXIT
    conf_set driver "$2"
    conf_set hosts "$1"
    network_up
    need_namespaces
}

need_namespaces() {
    [[ $(conf_get network) == netns ]] || skip "network namespaces are not allowed here"
}

skip() {
    printf '%s\n' "$*"
    exit 77
}

story_end() {
    local rc=$? h pid
    trap - EXIT
    for pid in "${BACKGROUND[@]}"; do
        kill "$pid" 2>/dev/null || true
    done
    if ((rc != 0 && rc != 77)); then
        keep_logs
    fi
    for h in $(host_names); do
        power_cut "$h" || true
    done
    network_down
    rm -rf "$LAB_DIR"
    exit "$rc"
}

# The daemons' logs of a story that failed stay in the build directory.
keep_logs() {
    local h to=$LAB_ROOT/build/test-logs/$STORY.d
    rm -rf "$to"
    mkdir -p "$to"
    for h in $(host_names); do
        cp -r "$(host_dir "$h")/log" "$to/$h" 2>/dev/null || true
        printf -- '--- %s\n' "$h"
        tail -n 8 "$to/$h/quorated.log" 2>/dev/null || true
    done
    printf 'the logs are in %s\n' "$to"
}

tell() { printf '%s %s\n' "$(date +%T.%3N)" "$*"; }

# The figures of a story, shown behind its name by ./lab test.
figures() { printf '= %s\n' "$*"; }

fail() {
    tell "FAILED: $*"
    exit 1
}

# check WHAT COMMAND...
check() {
    local what=$1
    shift
    "$@" || fail "$what: $*"
    tell "ok: $what"
}

# refused STATUS WORDS COMMAND...: it must end with this status and say these words.
refused() {
    local want=$1 words=$2 text rc=0
    shift 2
    text=$("$@" 2>&1) || rc=$?
    ((rc == want)) || fail "status $rc instead of $want: $* said: $text"
    grep -qiF -- "$words" <<<"$text" || fail "'$words' expected; $* said: $text"
    tell "ok: refused: $(head -n 1 <<<"$text")"
}

# eventually SECONDS WHAT COMMAND...
eventually() {
    wait_until "$@" || fail "$2"
    tell "ok: $2"
}

master_name() {
    local name
    name=$(on_pool pool status --json 2>/dev/null | rows | jq -r '.master')
    [[ -n $name && $name != null ]] && printf '%s\n' "$name"
}

# master_is_not NAME: there is a master, and it is another one.
master_is_not() {
    local name
    name=$(master_name) && [[ $name != "$1" ]]
}

# A host that is not one of those named.
host_but() {
    local h but
    for h in $(host_names); do
        for but in "$@"; do
            [[ $h != "$but" ]] || continue 2
        done
        printf '%s\n' "$h"
        return
    done
    return 1
}

host_field() { on_pool host list --json | rows | jq -r --arg h "$1" 'select(.name == $h) | .'"$2"; }

# connect_without HOST: the addresses of the others.
connect_without() {
    local h list=
    for h in $(host_names); do
        [[ $h == "$1" ]] || list+=${list:+,}$(host_address "$h"):7077
    done
    printf '%s\n' "$list"
}

guest_runs() { guest_is "$1" running; }
guest_runs_on() { guest_is "$1" running && [[ $(guest_field "$1" host) == "$2" ]]; }
guest_is_free() { [[ $(guest_field "$1" op) == 0 ]]; }

# All hosts have applied the same index. Equal indexes with different hashes end the story at once.
hashes_agree() {
    local json
    json=$(on_pool host list --json | rows | jq -cs '.')
    jq -e '[.[].applied_index] | unique | length == 1 and .[0] > 0' <<<"$json" >/dev/null || return 1
    jq -e '[.[].state_hash] | unique | length == 1' <<<"$json" >/dev/null ||
        { printf '%s\n' "$json" >"$LAB_DIR/diverged"; return 0; }
}

expect_equal_hashes() {
    eventually 60 "all hosts are at the same index" hashes_agree
    [[ ! -e $LAB_DIR/diverged ]] || fail "the replicas differ: $(cat "$LAB_DIR/diverged")"
    check "their state hashes are equal" no_longer test -e "$LAB_DIR/diverged"
}

# member_beyond HOST NUMBER: it has been given a new member number, as one that lost its data is.
member_beyond() { (($(host_field "$1" raft_id) > $2)); }

# --- heartbeats -----------------------------------------------------------------------------------

# The newest beat of a guest; 0 if there is none.
beats_of() {
    local json
    json=$(hbcheck --json --least 0 --pool "$LAB_DIR" --guest "$1" 2>/dev/null) || true
    jq -r .last <<<"${json:-{\"last\": 0\}}"
}

beats_beyond() { (($(beats_of "$1") > $2)); }

# It beats now: its counter grows.
expect_beating() {
    local at
    at=$(beats_of "$1")
    eventually 20 "$1 beats" beats_beyond "$1" $((at + 3))
}

# expect_single GUEST: no two copies ever ran at once, nothing was lost.
expect_single() {
    local report
    report=$(hbcheck --pool "$LAB_DIR" --guest "$1") || fail "heartbeats of $1: $report"
    tell "ok: $1 ran once at a time: $(head -n 1 <<<"$report")"
}

# watch_guest GUEST: from now on measure when its beats arrive.
watch_guest() {
    hbcheck --json --watch 0 --pool "$LAB_DIR" --guest "$1" >"$LAB_DIR/watch.$1" &
    WATCH=$!
    BACKGROUND+=("$WATCH")
}

# watch_end GUEST: end the measurement; its JSON is in REPORT.
watch_end() {
    kill -TERM "$WATCH"
    wait "$WATCH" || true
    REPORT=$(cat "$LAB_DIR/watch.$1")
    [[ -n $REPORT ]] || fail "the measurement of $1 left no report"
}

report() { jq -r ".$1" <<<"$REPORT"; }

# --- numbers --------------------------------------------------------------------------------------

# Numbers, one a line, to "median worst".
median_worst() { sort -n | awk '{a[NR] = $1} END {print a[int((NR + 1) / 2)], a[NR]}'; }

# How many hypervisor processes run on a host.
qemus_on() {
    local pid n=0
    for pid in $(marked_pids "$1"); do
        [[ $(process_name "$pid") != qemu-* ]] || n=$((n + 1))
    done
    printf '%d\n' "$n"
}

# The copies of guests on a host, as UUID.EPOCH.
copies_on() { find "$(host_dir "$1")/run" -mindepth 1 -maxdepth 1 -type d -printf '%f\n' | sort; }

# is_left IS WANTED: equal? If not, what is wrong is in $LAB_DIR/left.
is_left() { [[ $1 == "$2" ]] || { printf '%s, not %s\n' "$1" "$2" >"$LAB_DIR/left"; return 1; }; }
