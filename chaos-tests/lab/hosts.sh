# The hosts: each a power supply (labhost: pid 1 of its own PID namespace) and a daemon on it, or, with
# driver xen, a machine (xen.sh) and a daemon in that.
#
#     DIR/hosts/hN/data   what survives a power cut
#     DIR/hosts/hN/run    sockets, what the hypervisor driver keeps: gone with the power, as /run is
#     DIR/hosts/hN/log    the daemon's log, the guests' consoles
#     DIR/hosts/hN/{power,daemon}.pid
# shellcheck shell=bash

read_pid() {
    local pid=
    [[ ! -r $1 ]] || read -r pid <"$1" || true
    printf '%s\n' "${pid:-0}"
}

# A process that is there and not only waiting to be reaped.
is_alive() {
    local state
    (($1 > 0)) && state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null) &&
        [[ -n $state && $state != Z && $state != X ]]
}

process_state() { sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null || true; }

power_pid() { read_pid "$(host_dir "$1")/power.pid"; }

# The daemon, if the process with its number is really one of this host.
daemon_pid() {
    local pid
    if on_machines; then
        read -r pid _ < <(machine_daemon "$1")
        printf '%s\n' "$pid"
        return
    fi
    pid=$(read_pid "$(host_dir "$1")/daemon.pid")
    if ((pid > 0)) && is_alive "$pid" && tr '\0' '\n' 2>/dev/null <"/proc/$pid/environ" |
        grep -qxF "QUORATE_LAB_HOST=$(host_dir "$1")"; then
        printf '%s\n' "$pid"
    else
        printf '0\n'
    fi
}

# The letter of its state, as /proc has it.
daemon_state() {
    if on_machines; then
        machine_daemon "$1" | cut -d ' ' -f 2
    else
        process_state "$(daemon_pid "$1")"
    fi
}

power_is_on() {
    local pid
    pid=$(power_pid "$1")
    [[ $(conf_get network) == netns ]] || return 0
    is_alive "$pid" && [[ $(process_name "$pid") == labhost ]]
}

process_name() { cat "/proc/$1/comm" 2>/dev/null || true; }

daemon_runs() { (($(daemon_pid "$1") > 0)); }

power_on() {
    local host=$1 dir
    dir=$(host_dir "$host")
    mkdir -p "$dir"/{data,run,log,ovs}
    if ! power_is_on "$host"; then
        rm -rf "$dir/run"
        mkdir -p "$dir/run"
        "$LAB_BUILD/chaos-tests/labhost" power "$dir/power.pid" "$(netns_of "$host")" 9>&-
    fi
    ! on_machines || machine_power "$host"
}

# The lab's driver, unless a story wants to see a machine without its hypervisor.
daemon_driver() { conf_get daemon_driver "$(conf_get driver qemu)"; }

daemon_start() {
    local host=$1 dir address words program memory_mib=2048
    dir=$(host_dir "$host")
    address=$(host_address "$host")
    program=$LAB_BUILD/cli/quorated
    daemon_runs "$host" && return
    power_on "$host"
    if on_machines; then
        machine_wait "$host"
        program=/usr/sbin/quorated
        memory_mib=0
    fi
    words=("$program" --name "$host" --data-dir "$dir/data" --run-dir "$dir/run"
        --log-dir "$dir/log" --listen "$address:7077" --socket "$dir/run/quorate.sock"
        --driver "$(daemon_driver)" --prefix "$dir/ovs" --memory-mib "$(conf_get memory_mib "$memory_mib")"
        --lab-network yes --migrate-address "$address")
    ! on_machines || words+=("${MACHINE_DAEMON[@]}")
    if [[ -r $LAB_DIR/conf/daemon_options ]]; then
        mapfile -t -O "${#words[@]}" words <"$LAB_DIR/conf/daemon_options"
    fi
    run_on "$host" "${words[@]}"
    wait_until 10 "the daemon of $host runs" daemon_runs "$host" ||
        die "the daemon of $host did not start: $(tail -n 3 "$dir/log/quorated.log")"
}

# run_on HOST PROGRAM ARG...: start a program on the host, detached from this terminal, with an empty
# environment but for the host's mark; its process id goes to daemon.pid.
run_on() {
    local host=$1 dir clean
    if on_machines; then
        machine_run "$@"
        return
    fi
    dir=$(host_dir "$host")
    shift
    clean=(env -i "PATH=$PATH" HOME=/root "QUORATE_LAB_HOST=$dir" LC_ALL=C.UTF-8)
    if [[ $(conf_get network) == netns ]]; then
        "${clean[@]}" "$LAB_BUILD/chaos-tests/labhost" run "$(power_pid "$host")" "$dir/daemon.pid" \
            "$@" </dev/null >>"$dir/log/quorated.log" 2>&1 9>&-
    else
        "${clean[@]}" setsid "$@" </dev/null >>"$dir/log/quorated.log" 2>&1 9>&- &
        printf '%s\n' "$!" >"$dir/daemon.pid"
        disown -a
    fi
}

# Processes of a host that has no PID namespace: those that carry its mark.
marked_pids() {
    grep -lzxF "QUORATE_LAB_HOST=$(host_dir "$1")" /proc/[0-9]*/environ 2>/dev/null |
        sed 's|/proc/\([0-9]*\)/.*|\1|' || true
}

nothing_runs_on() { [[ -z $(marked_pids "$1") ]]; }

kill_marked() {
    local pids
    mapfile -t pids < <(marked_pids "$1")
    ((${#pids[@]} == 0)) || kill -KILL "${pids[@]}" 2>/dev/null || true
    nothing_runs_on "$1"
}

# The power cut: everything on the host ends at once, and what was under /run is gone.
power_cut() {
    local host=$1 dir pid
    dir=$(host_dir "$host")
    pid=$(power_pid "$host")
    if [[ $(conf_get network) == netns ]] && power_is_on "$host"; then
        kill -KILL "$pid" 2>/dev/null || true
        wait_until 10 "$host is dark" no_longer is_alive "$pid"
    fi
    wait_until 10 "nothing runs on $host" kill_marked "$host"
    rm -rf "$dir/run" "$dir"/{power,daemon,machine,relay}.pid
    mkdir -p "$dir/run"
}

signal_daemon() {
    local pid
    pid=$(daemon_pid "$2")
    ((pid > 0)) || die "no daemon runs on $2"
    if on_machines; then
        machine_sh "$2" "kill -$1 $pid"
    else
        kill "-$1" "$pid"
    fi
}

daemon_crash() {
    signal_daemon KILL "$1"
    wait_until 10 "the daemon of $1 is gone" no_longer daemon_runs "$1"
}

daemon_is_stopped() { [[ $(daemon_state "$1") == T ]]; }

daemon_pause() {
    signal_daemon STOP "$1"
    wait_until 5 "the daemon of $1 stands still" daemon_is_stopped "$1"
}

# A daemon that can be asked: it says its pool, or (exit status 4) that it has none.
host_answers() {
    local rc=0
    on_host "$1" --local pool status --json >/dev/null 2>&1 || rc=$?
    ((rc == 0 || rc == 4))
}

host_wipe() {
    local host=$1 was_on=0
    daemon_runs "$host" && was_on=1
    power_cut "$host"
    rm -rf "$(host_dir "$host")/data"
    ((was_on == 0)) || daemon_start "$host"
}
