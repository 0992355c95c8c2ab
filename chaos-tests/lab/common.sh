# What every part of ./lab uses: words, waiting, the lab's directory and its hosts.
# shellcheck shell=bash

say() { printf 'lab: %s\n' "$*"; }

# What was said is remembered: see unlock_lab.
warn() {
    printf 'lab: %s\n' "$*" >&2
    [[ ! -d ${LAB_DIR:-} ]] || : 2>/dev/null >"$LAB_DIR/said" || true
}

die() {
    warn "$*"
    exit 1
}

usage_error() {
    warn "$*"
    exit 2
}

# wait_until SECONDS WHAT COMMAND...: run the command, quietly, until it succeeds. This is the only
# place that waits; nothing in the lab sleeps for a fixed time.
wait_until() {
    local limit_ms=$(($1 * 1000)) what=$2 begin now
    shift 2
    begin=$(now_ms)
    until "$@" >/dev/null 2>&1; do
        now=$(now_ms)
        if ((now - begin > limit_ms)); then
            warn "gave up after $((limit_ms / 1000)) s: $what"
            return 1
        fi
        sleep 0.05
    done
}

now_ms() {
    local us=${EPOCHREALTIME/[.,]/}
    printf '%s\n' "${us%???}"
}

# The opposite of a command, for wait_until.
no_longer() { ! "$@"; }

have() { command -v "$1" >/dev/null 2>&1; }

# --- the lab's directory --------------------------------------------------------------------------

# Values that outlive a call of ./lab: one file each in DIR/conf, read as text and never evaluated.
conf_set() {
    mkdir -p "$LAB_DIR/conf"
    printf '%s\n' "$2" >"$LAB_DIR/conf/$1"
}

conf_get() {
    if [[ -r $LAB_DIR/conf/$1 ]]; then
        cat "$LAB_DIR/conf/$1"
    else
        printf '%s\n' "${2:-}"
    fi
}

lab_exists() { [[ -e $LAB_DIR/conf/hosts ]]; }

need_lab() { lab_exists || die "there is no lab in $LAB_DIR; begin with: ./lab up"; }

host_names() {
    local i n
    n=$(conf_get hosts 0)
    for ((i = 1; i <= n; i++)); do
        printf 'h%d\n' "$i"
    done
}

# host_number h2 -> 2, and an error for what is no host of this lab.
host_number() {
    local n=${1#h}
    if ! [[ $1 =~ ^h[1-9][0-9]*$ ]] || ((n > $(conf_get hosts 0))); then
        usage_error "no host '$1'; there are: $(host_names | xargs)"
    fi
    printf '%s\n' "$n"
}

host_dir() { printf '%s/hosts/%s\n' "$LAB_DIR" "$1"; }

host_address() {
    local n=${1#h}
    if [[ $(conf_get network) == netns ]]; then
        printf '10.77.%s.%s\n' "$(conf_get number)" "$n"
    else
        printf '127.77.%s.%s\n' "$(conf_get number)" "$n"
    fi
}

host_socket() { printf '%s/run/quorate.sock\n' "$(host_dir "$1")"; }

# Addresses of all hosts, as --connect takes them.
connect_list() {
    local h list=
    for h in $(host_names); do
        list+=${list:+,}$(host_address "$h"):7077
    done
    printf '%s\n' "$list"
}

# quorate through one host's own socket, or through all.
on_host() {
    local h=$1
    shift
    "$LAB_BUILD/cli/quorate" --connect "unix:$(host_socket "$h")" "$@"
}

on_pool() { "$LAB_BUILD/cli/quorate" --connect "$(connect_list)" "$@"; }

# rows < JSON: the rows of an answer, one object a line.
rows() { jq -c 'if type == "object" and has("rows") then .rows else . end
    | if type == "array" then .[] else . end'; }
