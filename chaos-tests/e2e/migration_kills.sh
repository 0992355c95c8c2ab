#!/bin/bash
# kill -9 at every named step of a live migration, of each of those who have a part in it: the
# daemon alone, or the host with all that runs there. Each step is reached by a gate (docs/lab.md),
# not by luck. Afterwards the operation has ended, exactly one copy runs and never did two, it was
# not restarted unless its own host had died, and nothing is left over. Then the same with cancel.
# WHOLE=1 tries all 72 pairs of step and victim instead of the most dangerous ones.
# shellcheck source=chaos-tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

# Step, who stands before it (s source, t target), which act of the agent, the operation's phase, who
# dies there in a run that is not WHOLE: those who hold something that nobody else knows of.
STEPS=(
    'incoming    t.incoming prepare   TD,SH,MD          the target has made no copy'
    'prepared    t.prepared prepare   TD,TH,SM          its copy listens, the log does not know'
    'stream      s.migrate  transfer  SD,TM             the log knows, nothing is sent'
    'streaming   -          transfer  SD,SH,TH,MH       memory is on its way'
    'switch      s.switch   transfer  SD,SH,TD,TH,MH,SM both copies are complete and stand still'
    'resume      t.unpause  switched  SD,SH,TD,TH,MD,TM the log has decided, neither runs'
    'report      t.report   switched  TD,TH,SH          the target runs, the log does not know'
    'discard     s.destroy  ended     SD,SH,TH          the copy of the source is still there'
    'aborted     t.destroy  aborted   SD,TD,TH,MD       cancelled; neither end has tidied up'
)
# The last two: source and target are the master as well.
declare -A VICTIMS=([SD]=source-daemon [SH]=source-host [TD]=target-daemon [TH]=target-host
    [MD]=master-daemon [MH]=master-host [SM]=source-master [TM]=target-master)
WHOLE=${WHOLE:-}

story_ground 3 qemu
GATES=$LAB_DIR/gates
mkdir -p "$GATES"
printf -- '--lab-gates\n%s\n' "$GATES" >"$LAB_DIR/conf/daemon_options"
refused 2 "for tests only" "$LAB_BUILD/cli/quorated" --name=x --lab-gates="$GATES"
pool_up

# It changes memory faster than a stream of RATE carries: such a migration is under way for as long as
# somebody wants it to be.
on_pool guest create mover --image tiny --memory 32 --cmdline 'dirty=16 rate=20' >/dev/null
expect_beating mover
RATE=2

op_field() { on_pool op show "$OP" --json | rows | jq -r ".$1"; }
op_has_ended() { [[ $(op_field state) != running ]]; }
op_sends() { [[ $(op_field phase) == transfer ]] && (($(op_field sent_bytes) > 0)); }

close_gate() { : >"$GATES/$1"; }
open_gates() { rm -f "$GATES"/*; }
stands_at() { [[ -e $GATES/$1.mover ]]; }

# bring_to HOST: the guest, in peace.
bring_to() { [[ $(guest_field mover host) == "$1" ]] || on_pool guest migrate mover "$1" --quiet; }

# cast VICTIM: who plays what. SRC is where the guest is, if that may be.
cast() {
    MASTER=$(master_name)
    SRC=$(guest_field mover host)
    case $1 in
        source-master) SRC=$MASTER ;;
        target-master)
            [[ $SRC != "$MASTER" ]] || SRC=$(host_but "$MASTER")
            DST=$MASTER
            ;;
        *) [[ $SRC != "$MASTER" ]] || SRC=$(host_but "$MASTER") ;;
    esac
    [[ $1 == target-master ]] || DST=$(host_but "$SRC" "$MASTER")
    bring_to "$SRC"
    case $1 in
        source-*) VICTIM=$SRC ;;
        target-*) VICTIM=$DST ;;
        master-*) VICTIM=$MASTER ;;
    esac
}

# reach STEP GATE PHASE: a migration from SRC to DST that stands at this step; sets OP.
reach() {
    local gate=${2/#s./$SRC.} rate=$RATE
    STEP=$1
    gate=${gate/#t./$DST.}
    case $1 in
        streaming) gate= ;;
        aborted) close_gate "$SRC.cancel" ;;
        *) rate=0 ;;
    esac
    [[ -z $gate ]] || close_gate "$gate"
    OP=$(on_pool guest migrate mover "$DST" --rate-mib-per-s "$rate" --no-wait --json | jq .op)
    if [[ $1 == streaming || $1 == aborted ]]; then
        wait_until 10 "operation $OP sends" op_sends || fail "$1: it never sent"
    fi
    if [[ $1 == aborted ]]; then
        on_pool op cancel "$OP" >/dev/null
    fi
    [[ -z $gate ]] || wait_until 10 "somebody stands at $gate" stands_at "$gate" || fail "nobody stands at $gate"
    [[ $(op_field phase) == "$3" || $3 == ended ]] || fail "$1: phase $(op_field phase)"
}


# On its host one process, one directory named after the current run, no key of a stream; on the
# others none. Nobody listens for a stream.
nothing_left_over() {
    local h at want
    at=$(guest_field mover host)
    for h in $(host_names); do
        want=
        [[ $h != "$at" ]] || want=$(guest_field mover uuid).$(guest_field mover run_epoch)
        is_left "$h: $(copies_on "$h")" "$h: $want" || return 1
        is_left "$h: $(qemus_on "$h") processes" "$h: $((${#want} > 0)) processes" || return 1
        is_left "$h: $(find "$(host_dir "$h")/run" -name 'keys*')" "$h: " || return 1
        is_left "$h: $(listeners_on "$h")" "$h: $(host_address "$h"):7077" || return 1
    done
}

listeners_on() { ip netns exec "$(netns_of "$1")" ss -Hltn | awk '{print $4}' | sort; }

# settle MAY_RESTART: what must hold after everything.
settle() {
    local restarted=0 boots
    wait_until 30 "the pool is whole" pool_is_whole || fail "$(on_pool host list)"
    # A stream that broke with nobody goes on.
    [[ $STEP != streaming ]] || op_has_ended || on_pool op cancel "$OP" >/dev/null || true
    wait_until 30 "operation $OP has ended" op_has_ended || fail "$(on_pool op show "$OP")"
    wait_until 30 "it runs, or is known not to" is_at_rest || fail "$(on_pool guest list)"
    guest_is mover running || on_pool guest start mover >/dev/null
    wait_until 20 "it beats" beats_beyond mover "$(beats_of mover)" || fail "it does not beat"
    wait_until 20 "one copy, and nothing left over" nothing_left_over ||
        fail "left over: $(cat "$LAB_DIR/left")"
    hbcheck --json --pool "$LAB_DIR" --guest mover >"$LAB_DIR/beats" ||
        fail "heartbeats: $(jq -c .findings "$LAB_DIR/beats")"
    boots=$(jq .boots "$LAB_DIR/beats")
    ((boots == BOOTS)) || restarted=1
    BOOTS=$boots
    ((restarted <= $1)) || fail "it was started anew, which this gave no reason for"
    case $(op_field state) in
        done) [[ $(guest_field mover host) == "$DST" || $restarted == 1 ]] ||
            fail "it is said to have moved" ;;
        failed) [[ -n $(op_field reason) ]] || fail "operation $OP failed and does not say why" ;;
        cancelled) ;;
        *) fail "operation $OP is $(op_field state)" ;;
    esac
    tell "ok: operation $OP is $(op_field state), one copy runs$( ((restarted == 0)) || echo , started anew)"
}

is_at_rest() {
    on_pool guest list --json | rows | jq -es 'length == 1 and .[0].op == 0 and
        (.[0].state == "running" or .[0].state == "stopped" or .[0].state == "failed")'
}

# The only death that ends the guest is that of the host that has it, or has it by the decision that
# is made.
owner_dies() {
    case $1/$2 in
        source-host/resume | source-master/resume) return 1 ;;
        source-host/report | source-master/report) return 1 ;;
        source-host/discard | source-master/discard) return 1 ;;
        source-host/* | source-master/*) return 0 ;;
        # The source cannot know that the target, which had everything, is gone by the switch.
        target-host/switch | target-master/switch) return 0 ;;
        target-host/resume | target-host/report | target-host/discard) return 0 ;;
        target-master/resume | target-master/report | target-master/discard) return 0 ;;
    esac
    return 1
}

# kill_at VICTIM STEP GATE PHASE WORDS...: one of the matrix.
kill_at() {
    local may=0
    cast "$1"
    reach "$2" "$3" "$4"
    ! owner_dies "$1" "$2" || may=1
    tell "--- $2 (${*:5}): $1 $VICTIM dies; $SRC -> $DST, master $MASTER"
    case $1 in
        *-daemon) daemon_crash "$VICTIM" ;;
        *) power_cut "$VICTIM" ;;
    esac
    KILLS=$((KILLS + 1))
    # The others go on at once, or only when the victim is back.
    ((TURN % 2 == 0)) || open_gates
    wait_until 20 "there is a master" master_name
    daemon_start "$VICTIM"
    if ((TURN % 2 == 0)); then
        wait_until 30 "$VICTIM is back" pool_is_whole
        open_gates
    fi
    settle "$may"
}

KILLS=0 TURN=0 BOOTS=1
declare -A MET=()
for step in "${STEPS[@]}"; do
    read -r name gate phase victims words <<<"$step"
    [[ -z $WHOLE ]] || victims=SD,SH,TD,TH,MD,MH,SM,TM
    tell "=== $name: $victims"
    for victim in ${victims//,/ }; do
        kill_at "${VICTIMS[$victim]}" "$name" "$gate" "$phase" "$words"
        TURN=$((TURN + 1))
        MET[$victim]=1
    done
    TURN=$((TURN + 1))
done
check "every victim died somewhere" test "${#MET[@]}" -eq "${#VICTIMS[@]}"

# Cancel, at every step up to the switch: the guest stays, in the same run. After that: refused.
CANCELS=0
for step in "${STEPS[@]}"; do
    read -r name gate phase _ words <<<"$step"
    [[ $phase == prepare || $phase == transfer || $phase == switched ]] || continue
    cast source-daemon
    epoch=$(guest_field mover run_epoch)
    reach "$name" "$gate" "$phase"
    tell "--- cancel at $name ($words)"
    if [[ $phase == switched ]]; then
        refused 4 "" on_pool op cancel "$OP"
        open_gates
        settle 0
        check "it has moved" test "$(op_field state)" = "done"
        continue
    fi
    on_pool op cancel "$OP" >/dev/null
    open_gates
    settle 0
    check "it was cancelled" test "$(op_field state)" = cancelled
    check "it is in the same run as before" test "$(guest_field mover run_epoch)" -eq "$epoch"
    CANCELS=$((CANCELS + 1))
done
expect_equal_hashes
on_pool guest shutdown mover >/dev/null
check "nobody holds a lock on its disk" qemu-img info "$(find "$LAB_DIR/repo/running_pool" -name '*.img' | head -n 1)"
figures "$KILLS kills at ${#STEPS[@]} steps${WHOLE:+ (the whole matrix)}, $CANCELS cancels"
