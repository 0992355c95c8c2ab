# The verbs of ./lab.
# shellcheck shell=bash

lab_usage() {
    cat <<'TEXT'
usage: ./lab VERB [--dir DIR]

  up [--hosts N] [--driver qemu|sim|xen] [--no-guest]
                          install, build, start a pool; again: what is missing
  down                    end everything that up made, and delete it
  status                  hosts, their processes, what is cut
  env                     print the variables that make `quorate` talk to this pool

  kill HOST               power cut: the daemon and everything it runs, at once
  crash HOST              kill -9 of the daemon; its guests go on
  pause HOST, resume HOST stop and continue the daemon (SIGSTOP, SIGCONT)
  start HOST              start what kill or crash ended
  sh HOST [-- COMMAND...] a shell on the host, or one command there
  wipe HOST               power cut, delete its data, start it again if it was on
  cut A B                 no packet between these two hosts
  isolate HOST            no packet between this host and any other, or this machine
  heal                    undo all cuts

  test [--quick] [NAME...]         build and run all tests, or those named
  bench log [--json] [--seconds N] commits per second and latency, beside etcd
  bench soak [--json] [--minutes N] load on a busy machine: is anybody elected needlessly?
  chaos [--seed S] [--seeds N] ... simulated pools under faults, on virtual time

DIR is where a lab keeps everything; default $QUORATE_LAB_DIR or ~/.quorate-lab.
TEXT
}

verb_up() {
    local hosts='' driver='' guest=1
    while (($# > 0)); do
        case $1 in
            --hosts) hosts=${2:-}; shift 2 || usage_error "--hosts needs a number" ;;
            --driver) driver=${2:-}; shift 2 || usage_error "--driver needs qemu, sim or xen" ;;
            --no-guest) guest=0; shift ;;
            *) usage_error "up: what is '$1'?" ;;
        esac
    done
    if ! [[ ${hosts:=} =~ ^([1-9][0-9]?)?$ ]] || ((${hosts:-3} > 16)); then
        usage_error "--hosts takes a number from 1 to 16"
    fi
    [[ $driver =~ ^(|qemu|sim|xen)$ ]] || usage_error "--driver takes qemu, sim or xen"
    check_settled hosts "$hosts"
    check_settled driver "$driver"
    lab_exists || { UP_BEGUN=1 && trap undo_up INT TERM HUP; }
    install_missing build run
    if [[ $(conf_get driver "${driver:-qemu}") == xen ]]; then
        need_machines
    else
        build_images
    fi
    build_release quorate quorated quorate-guard hbcheck labhost
    if ! lab_exists; then
        conf_set driver "${driver:-qemu}"
        conf_set hosts "${hosts:-3}"
    fi
    ! on_machines || pack_machine
    network_up
    pool_up
    ((guest == 0)) || make_demo
    show_pool
    ((guest == 0)) || say_what_next
    UP_BEGUN=0
}

UP_BEGUN=0 # A first up is under way.

# A first up that is interrupted leaves nothing; a later one leaves what was there.
undo() {
    trap '' INT TERM HUP
    UP_BEGUN=0
    warn "interrupted: undoing what was begun"
    verb_down >&2
}

undo_up() {
    undo
    exit 130
}

# What a lab was made with stays as it is.
check_settled() {
    local now
    now=$(conf_get "$1")
    [[ -z $2 || -z $now || $2 == "$now" ]] ||
        die "the lab in $LAB_DIR has $1 $now; for another: ./lab down first, or --dir DIR"
}

verb_down() {
    local h
    if ! lab_exists; then
        say "nothing in $LAB_DIR"
        return
    fi
    for h in $(host_names); do
        power_cut "$h"
    done
    network_down
    rm -rf "$LAB_DIR"
    say "ended, and $LAB_DIR deleted"
}

verb_status() {
    local h pid state line
    need_lab
    printf '%-6s %-16s %-6s %-10s %s\n' HOST ADDRESS POWER DAEMON PROCESSES
    for h in $(host_names); do
        pid=$(daemon_pid "$h")
        state=off
        ((pid == 0)) || state=$pid
        ! daemon_is_stopped "$h" || state="$pid (paused)"
        printf '%-6s %-16s %-6s %-10s %s\n' "$h" "$(host_address "$h")" \
            "$(power_is_on "$h" && echo on || echo off)" "$state" "$(marked_pids "$h" | wc -l)"
    done
    while read -r line; do
        [[ -z $line ]] || printf 'cut: %s\n' "$line"
    done < <(cuts)
    if wait_until 3 "a host answers" on_pool --local pool status; then
        echo
        on_pool --local host list
        echo
        on_pool --local guest list
    fi
}

verb_env() {
    need_lab
    printf 'export QUORATE_CONNECT=%q\n' "$(connect_list)"
    # shellcheck disable=SC2016 # The reader's shell expands it.
    printf 'export PATH=%q:$PATH\n' "$LAB_BUILD/cli:$LAB_BUILD/chaos-tests"
}

# one_host VERB [HOST]
one_host() {
    (($# == 2)) || usage_error "$1 takes one host"
    need_lab
    host_number "$2" >/dev/null
}

verb_kill() { one_host kill "$@"; power_cut "$1"; }
verb_crash() { one_host crash "$@"; daemon_crash "$1"; }
verb_pause() { one_host pause "$@"; daemon_pause "$1"; }
verb_resume() { one_host resume "$@"; signal_daemon CONT "$1"; }
verb_start() { one_host start "$@"; daemon_start "$1"; }
verb_wipe() { one_host wipe "$@"; host_wipe "$1"; }
verb_sh() {
    local host=${1:-}
    (($# > 0)) || usage_error "sh takes a host, and perhaps a command"
    one_host sh "$host"
    shift
    if ! power_is_on "$host"; then
        die "$host is off; ./lab start $host"
    elif on_machines && (($# == 0)); then
        machine_terminal "$host"
    elif on_machines; then
        machine_sh "$host" "$*"
    elif [[ $(conf_get network) == loopback ]]; then
        die "$host is an address of this machine: use your own shell"
    else
        host_shell "$host" "$@"
    fi
}

# In the namespaces of a host that is processes.
host_shell() {
    local words=(nsenter --target "$(power_pid "$1")" --net --pid --mount -- bash)
    shift
    (($# == 0)) || words+=(-c "$*")
    "${words[@]}"
}

verb_isolate() { one_host isolate "$@"; isolate_host "$1"; }
verb_heal() { need_lab; heal_network; }

verb_cut() {
    (($# == 2)) || usage_error "cut takes two hosts"
    need_lab
    host_number "$1" >/dev/null
    host_number "$2" >/dev/null
    [[ $1 != "$2" ]] || usage_error "cut takes two different hosts"
    cut_hosts "$1" "$2"
}

# Take --dir DIR out of the words, wherever it stands; the rest goes to LAB_WORDS.
take_dir() {
    LAB_WORDS=()
    LAB_DIR=${QUORATE_LAB_DIR:-${HOME:-/root}/.quorate-lab}
    LAB_DIR_OPTION= # As the user would have to type it again.
    while (($# > 0)); do
        case $1 in
            --dir)
                [[ -n ${2:-} ]] || usage_error "--dir needs a directory"
                LAB_DIR=$2
                # shellcheck disable=SC2034 # pool.sh says it.
                LAB_DIR_OPTION="--dir $2"
                shift 2
                ;;
            --dir=*) set -- --dir "${1#--dir=}" "${@:2}" ;;
            -h | --help) lab_usage; exit 0 ;;
            --) LAB_WORDS+=("${@:2}"); break ;;
            *) LAB_WORDS+=("$1"); shift ;;
        esac
    done
    LAB_DIR=$(realpath -m -- "$LAB_DIR")
    [[ $LAB_DIR != / ]] || usage_error "--dir / is not possible"
    # A unix socket's path is limited to 107 bytes.
    ((${#LAB_DIR} <= 70)) || usage_error "--dir is too long: sockets below it would not fit"
}

# One call of ./lab at a time works on one lab.
unlock_lab() {
    local rc=$?
    # A program that the signal ended, or that took it for a failure, may end this shell, too, before its
    # trap for the signal runs. What failed by itself has said why, and is left to be looked at.
    if ((UP_BEGUN == 1)) && { ((rc > 128)) || { ((rc != 0)) && lab_exists && [[ ! -e $LAB_DIR/said ]]; }; }; then
        undo
    fi
    # Whoever else holds the lock keeps its file.
    if ! lab_exists && flock -n 9 2>/dev/null; then
        rm -f "$LAB_DIR.lock"
    fi
}

lock_lab() {
    trap unlock_lab EXIT
    mkdir -p "$(dirname "$LAB_DIR")"
    # Whoever had the lock before may have deleted the file: then what is locked here is no longer it.
    until [[ $LAB_DIR.lock -ef /proc/self/fd/9 ]]; do
        exec 9>"$LAB_DIR.lock"
        flock -w 600 9 || die "another ./lab works in $LAB_DIR"
    done
}

lab_main() {
    local verb
    take_dir "$@"
    ((${#LAB_WORDS[@]} > 0)) || { lab_usage >&2; exit 2; }
    verb=${LAB_WORDS[0]}
    case $verb in
        up | down | kill | crash | pause | resume | start | wipe | cut | isolate | heal)
            lock_lab
            "verb_$verb" "${LAB_WORDS[@]:1}"
            ;;
        status | env | sh | test | bench | chaos) "verb_$verb" "${LAB_WORDS[@]:1}" ;;
        help) lab_usage ;;
        *) usage_error "no verb '$verb'; ./lab --help lists them" ;;
    esac
}
