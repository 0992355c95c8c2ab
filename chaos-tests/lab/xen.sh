# Hosts that are machines: with driver xen a host's power supply feeds an emulated computer, whose real
# Xen runs a control domain, whose Linux runs the daemon.
#
#     DIR/hosts/hN/data/disk.img   the machine's disk; mounted over DIR/hosts/hN/data inside
#     DIR/hosts/hN/log/machine     what Xen and the control domain say on the serial line
#     DIR/hosts/hN/run/quorate.sock  leads to the daemon's socket inside
#     DIR/machine.cpio             the control domain's file system, with the programs of this build
#
# The emulator runs in the host's namespaces (net.sh), so that cutting the network and the power is the
# same for all. The namespace has a bridge between the cable and the machine, and an address on it: from
# there a machine that is cut off from all others can still be asked.
# shellcheck shell=bash

MACHINE_MIB=${MACHINE_MIB:-704}
MACHINE_DOM0_MIB=${MACHINE_DOM0_MIB:-368}
MACHINE_DISK_MIB=2048
# An emulated machine under load is slow to begin, and slow to speak.
MACHINE_BOOT_S=${MACHINE_BOOT_S:-120}
# shellcheck disable=SC2034 # hosts.sh gives them to the daemon.
MACHINE_DAEMON=(--election-ms 2500 --heartbeat-ms 250)

on_machines() { [[ $(conf_get driver) == xen ]]; }

machine_parts() { printf '%s/xen\n' "$LAB_CACHE"; }

# build_machines: exit status 77 where the packages cannot be had.
build_machines() { "$LAB_ROOT/chaos-tests/images/build-xen" "$(machine_parts)"; }

# need_machines: before anything of a lab is there, all that machines need, or an end that says why not.
need_machines() {
    # They stand between others on command lines that know no quotes.
    [[ $LAB_DIR$LAB_CACHE =~ ^[[:alnum:]/._-]+$ ]] ||
        usage_error "--driver xen: letters, digits and . _ - alone are possible in $LAB_DIR and $LAB_CACHE"
    can_have_namespaces || die "--driver xen needs network namespaces, which this machine does not allow"
    install_missing xen
    build_machines || die "--driver xen is not possible on this machine"
}

# pack_machine: the file system with this build's programs and what they load, once for all machines.
# A kernel takes several archives behind each other as one.
pack_machine() {
    local tree library
    tree=$(mktemp -d)
    mkdir -p "$tree"/usr/{sbin,bin,lib/x86_64-linux-gnu}
    cp "$LAB_BUILD"/cli/quorat{ed,e-guard,e,e-xen} "$tree/usr/sbin/"
    for library in $(ldd "$tree"/usr/sbin/* | awk '/=> \//{print $3}' | sort -u); do
        cp -nL "$library" "$tree/usr/lib/x86_64-linux-gnu/"
    done
    strip "$tree"/usr/sbin/*
    (cd "$tree" && find . | cpio -R 0:0 -o -H newc --quiet) >"$LAB_DIR/programs.cpio"
    cat "$(machine_parts)/machine.cpio" "$LAB_DIR/programs.cpio" >"$LAB_DIR/machine.cpio"
    rm -rf "$tree" "$LAB_DIR/programs.cpio"
}

# --- the network of a host that is a machine -------------------------------------------------------

# An address in the namespace, beside the machine's own.
watcher_address() { printf '10.77.%s.%d\n' "$(conf_get number)" $((${1#h} + 100)); }

add_machine_port() {
    local ns
    ns=$(netns_of "$1")
    ip -n "$ns" link add br0 type bridge forward_delay 0
    ip -n "$ns" link set eth0 master br0
    ip -n "$ns" tuntap add tap0 mode tap
    ip -n "$ns" link set tap0 master br0 up
    ip -n "$ns" address add "$(watcher_address "$1")/24" dev br0
    ip -n "$ns" link set br0 up
}

beside_host() {
    local host=$1
    shift
    ip netns exec "$(netns_of "$host")" "$@"
}

# --- power ----------------------------------------------------------------------------------------

machine_pid() { read_pid "$(host_dir "$1")/machine.pid"; }

machine_log() { printf '%s/log/machine\n' "$(host_dir "$1")"; }

make_machine_disk() {
    local disk
    disk=$(host_dir "$1")/data/disk.img
    [[ ! -e $disk ]] || return 0
    truncate -s "${MACHINE_DISK_MIB}M" "$disk.new"
    mke2fs -q -t ext4 -E lazy_itable_init=1,lazy_journal_init=1 "$disk.new"
    mv "$disk.new" "$disk"
}

# machine_inside HOST PROGRAM ARG...: in the host's namespaces; its process id goes to a file.
machine_inside() {
    local host=$1 pid_file=$2 dir
    dir=$(host_dir "$host")
    shift 2
    env -i "PATH=$PATH" "QUORATE_LAB_HOST=$dir" "$LAB_BUILD/chaos-tests/labhost" run \
        "$(power_pid "$host")" "$dir/$pid_file" "$@" </dev/null >>"$dir/log/emulator" 2>&1 9>&-
}

machine_boot() {
    local host=$1 dir words xen linux mac
    dir=$(host_dir "$host")
    make_machine_disk "$host"
    rm -f "$(machine_log "$host")"
    printf -v mac '52:54:00:4d:%02x:%02x' "$(conf_get number)" "${host#h}"
    xen="console=com1 com1=115200,8n1 dom0_mem=${MACHINE_DOM0_MIB}M,max:${MACHINE_DOM0_MIB}M"
    xen+=" dom0_max_vcpus=1 dom0=pv loglvl=info guest_loglvl=info"
    linux="console=hvc0 quiet loglevel=4 panic=1 lab.dir=$LAB_DIR lab.host=$host"
    linux+=" lab.address=$(host_address "$host")/24"
    # shellcheck disable=SC2054 # The commas are the emulator's.
    words=("$(command -v qemu-system-x86_64)" -name "$host" -machine q35 -accel tcg -cpu qemu64,+npt
        -m "$MACHINE_MIB" -smp 1 -nodefaults -display none -no-reboot -serial "file:$(machine_log "$host")"
        -kernel "$(machine_parts)/hypervisor" -append "$xen"
        -initrd "$(machine_parts)/kernel $linux,$LAB_DIR/machine.cpio"
        -netdev tap,id=lab,ifname=tap0,script=no,downscript=no
        -device "virtio-net-pci,netdev=lab,mac=$mac,romfile="
        -drive "file=$dir/data/disk.img,format=raw,if=none,id=disk" -device virtio-blk-pci,drive=disk
        -fsdev "local,id=dir,path=$LAB_DIR,security_model=passthrough,multidevs=remap"
        -device virtio-9p-pci,fsdev=dir,mount_tag=lab -device virtio-rng-pci)
    machine_inside "$host" machine.pid "${words[@]}"
}

machine_is_ready() { machine_sh "$1" true; }

# The machine answers, or there is no use waiting for it.
machine_has_booted() {
    machine_is_ready "$1" || ! is_alive "$(machine_pid "$1")" ||
        grep -aqE 'Kernel panic|Panic on CPU|FATAL TRAP' "$(machine_log "$1")"
}

# machine_power HOST: what is behind a power supply that is on. It may be called at once for all.
machine_power() {
    is_alive "$(machine_pid "$1")" || machine_boot "$1"
}

machine_wait() {
    local dir
    dir=$(host_dir "$1")
    wait_until "$MACHINE_BOOT_S" "$1 has booted" machine_has_booted "$1" || true
    machine_is_ready "$1" ||
        die "$1 did not boot: $(tail -n 3 "$(machine_log "$1")" "$dir/log/emulator" 2>/dev/null)"
    [[ -S $dir/run/quorate.sock ]] || machine_inside "$1" relay.pid "$(command -v socat)" \
        "UNIX-LISTEN:$dir/run/quorate.sock,fork" "TCP:$(host_address "$1"):1003"
}

# --- inside ---------------------------------------------------------------------------------------

# machine_sh HOST COMMAND: run it in the control domain by its shell. What it says is said, its exit
# status is returned; 255 if the machine does not answer.
machine_sh() {
    local LC_ALL=C command=$2 said status
    # The connection is not closed before the answer is there: socat inside would not wait for it.
    # shellcheck disable=SC2016 # The other shell expands it.
    said=$(beside_host "$1" bash -c 'exec 3<>"/dev/tcp/$0/1001" && printf "%d\n%s" "${#1}" "$1" >&3 && cat <&3' \
        "$(host_address "$1")" "$command" 2>/dev/null) || return 255
    status=${said##*$'\n'status }
    [[ $status =~ ^[0-9]+$ ]] || return 255
    said=${said%$'\n'status *}
    [[ -z $said ]] || printf '%s\n' "${said%$'\n'}"
    return "$status"
}

machine_terminal() {
    local here=-
    [[ ! -t 0 ]] || here=-,raw,echo=0
    beside_host "$1" socat "$here" "TCP:$(host_address "$1"):1002"
}

quoted() { printf '%q ' "$@"; }

# machine_run HOST PROGRAM ARG...: start the host's daemon inside.
machine_run() {
    local host=$1 dir words
    dir=$(host_dir "$host")
    shift
    words=(env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 setsid "$@")
    machine_sh "$host" "$(quoted "${words[@]}") </dev/null >>$dir/log/quorated.log 2>&1 &
        echo \$! >$dir/run/daemon.pid"
}

# The number of the daemon's process inside, and the letter of its state; "0 -" if none runs.
machine_daemon() {
    local said=
    if is_alive "$(machine_pid "$1")"; then
        said=$(machine_sh "$1" "read -r pid <$(host_dir "$1")/run/daemon.pid &&
            [[ \$(cat /proc/\$pid/comm) == quorated ]] &&
            awk -v pid=\$pid '/^State:/{print pid, \$2}' /proc/\$pid/status" 2>/dev/null) || said=
    fi
    printf '%s\n' "${said:-0 -}"
}
