# Packages. Only what is missing is installed, by apt, from the sources that the machine already has.
# shellcheck shell=bash

BUILD_PACKAGES=(gcc libc6-dev cmake ninja-build ccache pkg-config libuv1-dev liblmdb-dev
    libmsgpack-dev libjansson-dev libzstd-dev libxxhash-dev libsmartcols-dev libcmocka-dev
    libxen-dev libraft-dev)
RUN_PACKAGES=(qemu-system-x86 qemu-utils iproute2 nftables util-linux procps jq cpio xz-utils zstd)
TEST_PACKAGES=(clang clang-format clang-tidy libclang-rt-dev shellcheck python3 socat strace git)
# For machines with Xen; what those run themselves is unpacked, not installed.
XEN_PACKAGES=(busybox-static kmod lz4 socat e2fsprogs bash util-linux coreutils)
BENCH_PACKAGES=(etcd-server etcd-client nghttp2-client)
RAFT_VERSION=0.22.1
APT_SOURCES=/etc/apt

as_root() {
    if ((EUID == 0)); then
        "$@"
    elif have sudo; then
        sudo "$@"
    else
        die "this needs root: $*"
    fi
}

is_installed() { [[ $(dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null) == ii* ]]; }

missing_of() {
    local package
    for package in "$@"; do
        is_installed "$package" || printf '%s\n' "$package"
    done
}

# The version of libraft-dev that CMake asks for, as apt knows it; empty if it knows none.
raft_candidate() {
    apt-cache madison libraft-dev 2>/dev/null |
        awk -F'|' -v want="$RAFT_VERSION" '{gsub(/ /, "", $2)} index($2, want) == 1 {print $2; exit}'
}

# release_stanza CODE: the first stanza of the machine's own apt sources that has this release.
release_stanza() {
    awk -v code="$1" 'BEGIN {RS = ""}
        $0 ~ "(^|\n)Suites:([^\n]*[ \t])?" code "([ \t\n]|$)" {print; exit}' \
        "$APT_SOURCES"/sources.list.d/*.sources 2>/dev/null
}

# release_line CODE: the same from the one-line format, as "URI KEY".
release_line() {
    sed -nE "s/^deb +(\[[^]]*signed-by=([^] ]+)[^]]*\] +)?(\[[^]]*\] +)?([^ ]+) +$1 +main.*/\4 \2/p" \
        "$APT_SOURCES/sources.list" "$APT_SOURCES"/sources.list.d/*.list 2>/dev/null | head -n 1
}

# backports_source CODE: an apt source like the machine's own for its release, with the same place and
# the same key, for the backports suite.
backports_source() {
    local code=$1 stanza uri='' key=''
    stanza=$(release_stanza "$code" || true)
    if [[ -n $stanza ]]; then
        grep -v '^#' <<<"$stanza" |
            sed -E "s/^Suites:.*/Suites: $code-backports/; s/^Components:.*/Components: main/"
        return
    fi
    read -r uri key < <(release_line "$code" || true) || true
    [[ -n $uri ]] || die "no apt source for $code found, so none for $code-backports can be made"
    printf 'Types: deb\nURIs: %s\nSuites: %s-backports\nComponents: main\nSigned-By: %s\n' \
        "$uri" "$code" "${key:-/usr/share/keyrings/debian-archive-keyring.gpg}"
}

# libraft 0.22.1 is in Debian 13 and in Debian 12's backports.
need_raft() {
    local code version
    is_installed libraft-dev && dpkg-query -W -f '${Version}' libraft-dev | grep -q "^$RAFT_VERSION" && return
    if [[ -z $(raft_candidate) ]]; then
        # shellcheck source=/dev/null
        code=$(. /etc/os-release && printf '%s' "$VERSION_CODENAME")
        backports_source "$code" |
            as_root tee "$APT_SOURCES/sources.list.d/quorate-backports.sources" >/dev/null
        say "added the suite $code-backports to apt's sources"
        as_root apt-get -qq update
    fi
    version=$(raft_candidate)
    [[ -n $version ]] || die "apt has no libraft-dev $RAFT_VERSION; Debian 12 (backports) and 13 do"
    apt_install -t "$(raft_suite "$version")" "libraft-dev=$version"
}

# The suite that has this version, so that what it depends on comes from there too.
raft_suite() {
    apt-cache madison libraft-dev | awk -F'|' -v v="$1" '{gsub(/ /, "", $2)}
        $2 == v {split($3, part, " "); sub(/\/.*/, "", part[2]); print part[2]; exit}'
}

apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 install -y \
        --no-install-recommends "$@" >&2
}

# install_missing KIND...: build, run, test, bench, xen.
install_missing() {
    local kind missing packages=()
    for kind in "$@"; do
        case $kind in
            build) packages+=("${BUILD_PACKAGES[@]}") ;;
            run) packages+=("${RUN_PACKAGES[@]}") ;;
            test) packages+=("${TEST_PACKAGES[@]}") ;;
            xen) packages+=("${XEN_PACKAGES[@]}") ;;
            bench) packages+=("${BENCH_PACKAGES[@]}") ;;
        esac
    done
    have dpkg-query || { warn "no dpkg here: nothing is installed, the packages must be there"; return; }
    mapfile -t missing < <(missing_of "${packages[@]}")
    ((${#missing[@]} > 0)) || return 0
    say "installing ${#missing[@]} packages: ${missing[*]}"
    as_root apt-get -qq update
    case " ${missing[*]} " in *' libraft-dev '*) need_raft ;; esac
    mapfile -t missing < <(missing_of "${packages[@]}")
    ((${#missing[@]} == 0)) || apt_install "${missing[@]}"
}
