# What the builders of images share: freshness, the packaged cloud kernel, the initrd of our guests.
# shellcheck shell=bash

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
disk_bytes=$((4 * 1024 * 1024))

say() { printf 'images: %s\n' "$*"; }

# is_fresh TARGET SOURCE...: whether the target exists and no source is newer.
is_fresh() {
    local target=$1 source
    shift
    [[ -e $target ]] || return 1
    for source in "$@"; do
        [[ $target -nt $source ]] || return 1
    done
}

# put_rest OUT IMAGE: vm.cfg and an empty disk beside the kernel.
put_rest() {
    cp "$here/$2/vm.cfg" "$1/vm.cfg"
    rm -f "$1/system.img"
    truncate -s "$disk_bytes" "$1/system.img"
}

# depends_on PACKAGE PATTERN: the package that this one names first among those that fit.
depends_on() {
    apt-cache depends "$1" 2>/dev/null | sed -nE "s/^ *Depends: ($2)\$/\1/p" | head -n 1
}

# fetch DIR PACKAGE...: their archives, downloaded and not installed. apt downloads as its own user,
# which could not write there.
fetch() {
    local dir=$1
    shift
    mkdir -p "$dir"
    (cd "$dir" && apt-get -o APT::Sandbox::User=root -qq download "$@")
}

# unpack_kernel DIR: the packaged cloud kernel, unpacked into DIR. Fails where it cannot be had.
unpack_kernel() {
    local dir=$1 package
    [[ -e $dir/done ]] && return
    rm -rf "$dir"
    package=$(depends_on linux-image-cloud-amd64 'linux-image-[0-9][^ ]*')
    [[ -n $package ]] || return 1
    fetch "$dir/deb" "$package" || return 1
    dpkg -x "$dir"/deb/*.deb "$dir/root" || return 1
    rm -rf "$dir/deb"
    touch "$dir/done"
}

# put_module FROM TO: one kernel module, unpacked and without its debugging symbols.
put_module() {
    case $1 in
        *.ko) cp "$1" "$2" ;;
        *.ko.xz) xz -dc "$1" >"$2" ;;
        *.ko.zst) zstd -dqc "$1" >"$2" ;;
    esac
    strip --strip-debug "$2"
}

# pack_tree TREE OUT: a cpio archive whose bytes depend on nothing but its content.
pack_tree() {
    find "$1" -exec touch -h -d @0 {} +
    (cd "$1" && find . | LC_ALL=C sort | cpio --reproducible -R 0:0 -o -H newc --quiet) >"$2"
}

# pack_initrd OUT UNPACKED: our init and the modules of its devices.
pack_initrd() {
    local out=$1 kernel=$2 tree module found
    tree=$(mktemp -d)
    mkdir -p "$tree"/{dev,proc,lib,sbin}
    gcc -std=gnu17 -O2 -Wall -Wextra -Werror -D_GNU_SOURCE -static -I"$root" -o "$tree/init" \
        "$here/linux/init.c" "$here/linux/xenstore.c" "$here/beat.c"
    strip "$tree/init"
    # What the kernel calls when a hypervisor asks for an orderly end.
    ln -s /init "$tree/sbin/poweroff"
    for module in virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci \
        virtio_blk button evdev xen-blkfront; do
        found=$(find "$kernel/root" -name "$module.ko*" | head -n 1)
        # Else it is built into this kernel.
        [[ -z $found ]] || put_module "$found" "$tree/lib/$module.ko"
    done
    pack_tree "$tree" "$out"
    rm -rf "$tree"
}
