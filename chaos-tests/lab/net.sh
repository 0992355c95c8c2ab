# The lab's network: one network namespace a host, and one for the switch between them.
#
#     main namespace ── uplink ── br0 in qlN-sw ── pI ── eth0 in qlN-hI       10.77.N.I, main .254
#
# A partition is made in the switch, where frames from a host come in: nothing of it can be felt on
# either side but silence. Where the machine allows no namespaces the hosts are addresses of the
# loopback network, and there are no partitions.
# shellcheck shell=bash

netns_of() { printf 'ql%s-%s\n' "$(conf_get number)" "$1"; }

gateway() { printf '10.77.%s.254\n' "$(conf_get number)"; }

can_have_namespaces() {
    local probe="qlprobe-$$"
    [[ ${QUORATE_LAB_NETWORK:-} != loopback ]] || return 1
    ((EUID == 0)) || return 1
    ip netns add "$probe" 2>/dev/null || return 1
    if ! ip netns exec "$probe" unshare --pid --mount --fork --mount-proc true 2>/dev/null; then
        ip netns delete "$probe"
        return 1
    fi
    ip netns delete "$probe"
}

# take_number NETWORK: the lowest number that no other lab on this machine uses. Taking it is one
# system call that fails where another has it, so labs may begin at the same moment.
take_number() {
    local n
    for ((n = 0; n < 20; n++)); do
        # Not interrupted between the two: a number that is taken and not written down stays taken.
        (trap '' INT TERM HUP && "claim_$1" "$n" && conf_set number "$n") && return
    done
    die "20 labs run on this machine already; end one with: ./lab down --dir DIR"
}

claim_netns() { ip netns add "ql$1-sw" 2>/dev/null; }

# A link to the lab that has the number. One whose lab is gone, or has another number, counts no more.
claim_loopback() {
    local link=${TMPDIR:-/tmp}/quorate-lab-loopback-$1 owner
    if owner=$(readlink "$link") && [[ $(cat "$owner/conf/number" 2>/dev/null) != "$1" ]]; then
        rm -f "$link"
    fi
    ln -sT "$LAB_DIR" "$link" 2>/dev/null
}

in_switch() { ip netns exec "$(netns_of sw)" "$@"; }

add_switch() {
    local sw n
    sw=$(netns_of sw)
    n=$(conf_get number)
    [[ ! -e /sys/class/net/qlab$n ]] || return 0
    [[ -e /run/netns/$sw ]] || ip netns add "$sw"
    ip -n "$sw" link set lo up
    ip -n "$sw" link show br0 >/dev/null 2>&1 || ip -n "$sw" link add br0 type bridge forward_delay 0
    ip -n "$sw" link set br0 up
    ip link add "qlab$n" type veth peer name uplink netns "$sw"
    ip -n "$sw" link set uplink master br0 up
    ip address add "$(gateway)/24" dev "qlab$n"
    # Whose it is, for one who finds it.
    ip link set "qlab$n" alias "$LAB_DIR" up
}

add_port() {
    local host=$1 sw ns port="p${1#h}"
    sw=$(netns_of sw)
    ns=$(netns_of "$host")
    [[ ! -e /run/netns/$ns ]] || return 0
    ip netns add "$ns"
    ip netns exec "$ns" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 2>/dev/null || true
    ip -n "$sw" link add "$port" type veth peer name eth0 netns "$ns"
    ip -n "$sw" link set "$port" master br0 up
    if on_machines; then
        add_machine_port "$host"
    else
        ip -n "$ns" address add "$(host_address "$host")/24" dev eth0
    fi
    ip -n "$ns" link set eth0 up
    ip -n "$ns" link set lo up
}

network_up() {
    local h
    if [[ -z $(conf_get network) ]]; then
        if can_have_namespaces; then
            take_number netns
            conf_set network netns
        else
            take_number loopback
            conf_set network loopback
        fi
    fi
    if [[ $(conf_get network) == loopback ]]; then
        warn "this machine allows no namespaces: hosts are loopback addresses, partitions are not possible"
        return
    fi
    add_switch
    for h in $(host_names); do
        add_port "$h"
    done
}

network_down() {
    local ns n link
    n=$(conf_get number)
    [[ -n $n ]] || return 0
    link=${TMPDIR:-/tmp}/quorate-lab-loopback-$n
    [[ $(readlink "$link") != "$LAB_DIR" ]] || rm -f "$link"
    [[ $(conf_get network) != loopback ]] || return 0
    ip link delete "qlab$n" 2>/dev/null || true
    for ns in /run/netns/"ql$n"-*; do
        [[ -e $ns ]] || continue
        ip netns delete "${ns##*/}"
    done
}

# The table that drops what comes in at a port, made when first needed.
need_cut_table() {
    local h ports=
    [[ $(conf_get network) == netns ]] ||
        die "partitions need network namespaces, which this machine does not allow"
    have nft || die "partitions need the package nftables"
    in_switch nft list table netdev lab >/dev/null 2>&1 && return
    for h in $(host_names); do
        ports+="p${h#h}, "
    done
    in_switch nft -f - <<NFT
table netdev lab {
    set cut { type ipv4_addr . ipv4_addr; }
    chain ports {
        type filter hook ingress devices = { $ports uplink } priority 0;
        ip saddr . ip daddr @cut counter drop;
    }
}
NFT
}

# drop_between ADDRESS ADDRESS: both ways, from now on.
drop_between() {
    in_switch nft add element netdev lab cut "{ $1 . $2, $2 . $1 }"
}

cut_hosts() {
    need_cut_table
    drop_between "$(host_address "$1")" "$(host_address "$2")"
}

isolate_host() {
    local h
    need_cut_table
    drop_between "$(host_address "$1")" "$(gateway)"
    for h in $(host_names); do
        [[ $h == "$1" ]] || drop_between "$(host_address "$1")" "$(host_address "$h")"
    done
}

heal_network() {
    [[ $(conf_get network) == netns ]] || return 0
    in_switch nft delete table netdev lab 2>/dev/null || true
}

# What is cut now, one "A B" a line.
cuts() {
    [[ $(conf_get network) == netns ]] || return 0
    in_switch nft -j list set netdev lab cut 2>/dev/null |
        jq -r '.nftables[] | .set? // empty | .elem[]? | .concat | join(" ")' 2>/dev/null || true
}
