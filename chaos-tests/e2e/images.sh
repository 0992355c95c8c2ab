#!/bin/bash
# quick
# The guests alone, under QEMU without a pool: they boot, beat, say goodbye, keep their counter, know
# where they are after a live migration, and when two copies run the checker says so.
# shellcheck source=chaos-tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

LAB_DIR=$(mktemp -d /tmp/ql.XXXXXX)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$LAB_DIR"' EXIT
cd "$LAB_DIR"
images=$LAB_CACHE/images

# run_tiny NAME PLACE [OPTION...]: QEMU in the background; console NAME.log, monitor NAME.qmp. Its
# disk does THROTTLE accesses a second.
run_tiny() {
    local name=$1 place=$2
    shift 2
    rm -f "$name.qmp"
    qemu-system-x86_64 -M pc -accel tcg,tb-size=8 -m 16392k -nodefaults -display none \
        -chardev "file,id=c,path=$name.log,append=on" -serial chardev:c \
        -qmp "unix:$name.qmp,server=on,wait=off" -kernel "$images/tiny/kernel" \
        -append 'dirty=4 rate=20 quorate.host=wrong quorate.epoch=1' \
        -fw_cfg "name=opt/quorate/run,string=$place" \
        -object "throttle-group,id=t,x-iops-total=${THROTTLE:-0}" \
        -blockdev "driver=raw,node-name=d0,file.driver=file,file.filename=disk.img,file.locking=$LOCKING" \
        -blockdev "driver=throttle,node-name=d1,throttle-group=t,file=d0" \
        -device ide-hd,drive=d1,bus=ide.0,unit=0 "$@" &
    PID=$!
    wait_until 10 "the monitor of $name" test -S "$name.qmp"
}

# qmp NAME COMMAND [ARGUMENTS]: one command; prints its return.
qmp() {
    printf '{"execute":"qmp_capabilities"}\n{"execute":"%s","arguments":%s}\n' "$2" "${3:-{\}}" |
        socat -t 5 - "UNIX-CONNECT:$1.qmp" | jq -c 'select(has("return")) | .return' | tail -n 1
}

said() { grep -qE "$2" "$1.log" 2>/dev/null; }
migrated() { [[ $(qmp "$1" query-migrate | jq -r .status) == completed ]]; }
beats_in() { grep -c '^HB ' "$1.log" 2>/dev/null || true; }
has_beats() { (($(beats_in "$1") >= $2)); }

LOCKING=on
THROTTLE=
truncate -s 4M disk.img
run_tiny a 'h1 5'
eventually 10 "tiny boots and beats" has_beats a 5
qmp a system_powerdown >/dev/null
check "it powers off when asked to" wait "$PID"
check "it said goodbye" said a '^BYE counter='
run_tiny a 'h1 6'
eventually 10 "it knows that it was shut down" said a '^BOOT counter=[0-9]+ run=2 clean=1 epoch=6 host=h1$'
eventually 10 "it beats again" has_beats a 10

run_tiny b 'h2 7' -incoming unix:stream
wait_until 10 "it listens" test -S stream
wait_until 20 "the target listens" test -S stream
qmp a migrate '{"uri":"unix:stream"}' >/dev/null
eventually 20 "it is migrated" migrated a
eventually 10 "it knows its new host" said b '^MOVED counter=[0-9]+ run=3 epoch=7 host=h2$'
qmp a quit >/dev/null
eventually 10 "it beats there" has_beats b 5
qmp b quit >/dev/null
wait
check "the checker is content" hbcheck --log h1=a.log --log h2=b.log --disk disk.img --least 12

# A busy host: every access of the disk takes a quarter of a second.
rm -f a.log b.log
THROTTLE=4
run_tiny a 'h1 8'
eventually 20 "it beats slowly" has_beats a 5
qmp a quit >/dev/null
wait
THROTTLE=
check "no beat on a slow disk is lost" hbcheck --log h1=a.log --disk disk.img --least 5

rm -f a.log b.log
LOCKING=off
run_tiny a 'h1 8'
eventually 10 "one copy beats" has_beats a 5
run_tiny b 'h2 9'
eventually 10 "a second copy beats on the same disk" has_beats b 10
qmp a quit >/dev/null
qmp b quit >/dev/null
wait
refused 1 "consoles of" hbcheck --log h1=a.log --log h2=b.log --disk disk.img
refused 1 "on its disk" hbcheck --disk disk.img
refused 1 "although run" hbcheck --disk disk.img

[[ -e $images/linux/kernel ]] || { tell "no linux image here"; exit 0; }
LOCKING=on
rm -f disk.img linux.log
truncate -s 4M disk.img
qemu-system-x86_64 -M pc -accel tcg -m 131080k -nodefaults -display none -serial file:linux.log \
    -qmp unix:linux.qmp,server=on,wait=off -kernel "$images/linux/kernel" \
    -initrd "$images/linux/initrd" -append 'console=ttyS0 quiet panic=-1 mitigations=off' \
    -blockdev driver=raw,node-name=d0,file.driver=file,file.filename=disk.img \
    -device virtio-blk-pci,drive=d0 -fw_cfg name=opt/quorate/run,string='h3 11' &
PID=$!
eventually 60 "linux boots and beats" has_beats linux 10
qmp linux system_powerdown >/dev/null
check "it powers off when asked to" wait "$PID"
check "it said goodbye" said linux '^BYE counter='
check "the checker is content" hbcheck --log h3=linux.log --disk disk.img --least 10
