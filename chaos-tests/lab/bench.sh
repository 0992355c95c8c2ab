# ./lab bench log: commits per second and latency of the full path (client, log on disk on three
# hosts, state machine, answer), beside a three-member etcd on the same disk, in the same network
# namespaces, in the same run, with puts of the same size to its leader. Rounds alternate, so that a
# machine that gets slower or faster meanwhile does so for both.
# shellcheck shell=bash

BENCH_DEPTHS=(1 16 256)
BENCH_GUESTS=256

verb_bench() {
    local json=0 seconds=4 rounds=3
    case ${1:-} in
        log) shift ;;
        soak) shift; bench_soak "$@"; return ;;
        *) usage_error "bench: there are 'bench log' and 'bench soak'" ;;
    esac
    while (($# > 0)); do
        case $1 in
            --json) json=1; shift ;;
            --seconds) seconds=${2:-}; shift 2 || usage_error "--seconds needs a number" ;;
            --rounds) rounds=${2:-}; shift 2 || usage_error "--rounds needs a number" ;;
            *) usage_error "bench: what is '$1'?" ;;
        esac
    done
    if ! [[ $seconds =~ ^[1-9][0-9]{0,2}$ && $rounds =~ ^[1-9][0-9]?$ ]]; then
        usage_error "--seconds and --rounds take numbers"
    fi
    install_missing build run bench >&2
    build_release quorate quorated labhost benchlog >&2
    build_images >&2
    bench_begin bench >&2
    etcd_up
    bench_rounds "$rounds" "$seconds" >&2
    if ((json == 1)); then
        bench_rows | jq -c '{rows: .}'
    else
        bench_rows | bench_table
    fi
}

# bench_begin WORD: a lab of its own with some guests, ended whatever happens.
bench_begin() {
    LAB_DIR=$LAB_DIR.$1
    [[ ! -e $LAB_DIR ]] || die "$LAB_DIR exists: another bench runs, or one died; ./lab down --dir $LAB_DIR"
    ETCD_PIDS=()
    trap bench_end EXIT
    conf_set driver sim
    conf_set hosts 3
    network_up
    [[ $(conf_get network) == netns ]] || die "the benchmark needs network namespaces"
    pool_up
    say "a pool with $BENCH_GUESTS guests"
    bench_guests
}

bench_end() {
    local h
    trap - EXIT
    ((${#ETCD_PIDS[@]} == 0)) || kill -KILL "${ETCD_PIDS[@]}" 2>/dev/null || true
    soak_stop
    for h in $(host_names); do
        power_cut "$h" || true
    done
    network_down
    rm -rf "$LAB_DIR"
}

# create_from FIRST: every fourth guest from there on.
create_from() {
    local i
    for ((i = $1; i < BENCH_GUESTS; i += 4)); do
        on_pool guest create "bench-$i" --image tiny --no-start --no-wait >/dev/null
    done
}

bench_guests() {
    local s pid pids=()
    for s in 0 1 2 3; do
        create_from "$s" &
        pids+=("$!")
    done
    for pid in "${pids[@]}"; do
        wait "$pid" || die "the guests of the benchmark could not be made"
    done
}

etcd_ctl() { ETCDCTL_API=3 etcdctl --endpoints="$(etcd_endpoints)" "$@"; }

etcd_endpoints() {
    local h list=
    for h in $(host_names); do
        list+=${list:+,}http://$(host_address "$h"):2379
    done
    printf '%s\n' "$list"
}

etcd_up() {
    local h address cluster=
    for h in $(host_names); do
        cluster+=${cluster:+,}$h=http://$(host_address "$h"):2380
    done
    for h in $(host_names); do
        address=$(host_address "$h")
        mkdir -p "$LAB_DIR/etcd/$h"
        chmod 700 "$LAB_DIR/etcd/$h"
        # In a session of its own, as our daemons are: the scheduler shares time among sessions.
        setsid ip netns exec "$(netns_of "$h")" etcd --name "$h" --data-dir "$LAB_DIR/etcd/$h" \
            --listen-client-urls "http://$address:2379" --advertise-client-urls "http://$address:2379" \
            --listen-peer-urls "http://$address:2380" \
            --initial-advertise-peer-urls "http://$address:2380" --initial-cluster "$cluster" \
            --initial-cluster-token bench --log-level error >"$LAB_DIR/etcd/$h.log" 2>&1 9>&- &
        ETCD_PIDS+=("$!")
        disown "$!" # Else the shell tells of its end.
    done
    wait_until 30 "etcd has a leader" etcd_leader || die "$(tail -n 3 "$LAB_DIR"/etcd/*.log)"
}

# The address of etcd's leader.
etcd_leader() {
    local address
    address=$(etcd_ctl endpoint status -w json 2>/dev/null |
        jq -r '.[] | select(.Status.leader == .Status.header.member_id and .Status.leader != 0) | .Endpoint')
    [[ -n $address ]] && printf '%s\n' "$address"
}

etcd_revision() { etcd_ctl get nothing -w json | jq .header.revision; }

# big_endian NUMBER: four bytes.
big_endian() {
    local hex
    printf -v hex '%08x' "$1"
    # shellcheck disable=SC2059 # The format is the bytes.
    printf "\\x${hex:0:2}\\x${hex:2:2}\\x${hex:4:2}\\x${hex:6:2}"
}

# one_byte NUMBER
one_byte() {
    local hex
    printf -v hex '%02x' "$1"
    # shellcheck disable=SC2059 # The format is the byte.
    printf "\\x$hex"
}

# put_request BYTES: the body of a gRPC call etcdserverpb.KV/Put, key and value together that long.
put_request() {
    local key=bench-key value_len=$(($1 - 9))
    ((value_len >= 1 && value_len < 110)) || die "a put of $1 bytes cannot be made here"
    printf '\0'
    big_endian $((2 + ${#key} + 2 + value_len))
    printf '\x0a'
    one_byte "${#key}"
    printf '%s\x12' "$key"
    one_byte "$value_len"
    head -c "$value_len" /dev/zero | tr '\0' v
}

# bench_etcd DEPTH SECONDS: like benchlog's object. h2load is told a count; it is found from the rate
# of a short run before. Every put is one revision: that they all happened is checked.
bench_etcd() {
    local depth=$1 seconds=$2 leader count before after
    leader=$(etcd_leader)
    count=$(h2load_log "$leader" "$depth" $((depth * 40 + 400)) | awk -F'\t' \
        'NR == 1 {first = $1} {last = $1 + $3} END {printf "%d", NR * 1e6 / (last - first)}')
    before=$(etcd_revision)
    h2load_log "$leader" "$depth" $((count * seconds)) >"$LAB_DIR/etcd/times"
    after=$(etcd_revision)
    ((after - before == count * seconds)) || die "etcd made $((after - before)) of $((count * seconds)) puts"
    sort -n -k 3,3 -t $'\t' "$LAB_DIR/etcd/times" | awk -F'\t' '
        $2 != 200 {bad++}
        NR == 1 || $1 < first {first = $1}
        $1 + $3 > last {last = $1 + $3}
        {t[NR] = $3}
        END {if (bad) exit 1
             printf "{\"commits\": %d, \"seconds\": %.3f, \"commits_per_s\": %.1f, \"p50_us\": %d, \"p99_us\": %d, \"max_us\": %d}\n",
                 NR, (last - first) / 1e6, NR * 1e6 / (last - first), t[int(NR / 2) + 1],
                 t[int(NR * 0.99) + 1], t[NR]}'
}

# h2load_log LEADER DEPTH COUNT: start (us), status and duration (us) of every request, by tabs.
h2load_log() {
    rm -f "$LAB_DIR/etcd/log"
    h2load -c 1 -m "$2" -n "$3" -d "$LAB_DIR/etcd/put" -H 'content-type: application/grpc' \
        -H 'te: trailers' --log-file "$LAB_DIR/etcd/log" "$1/etcdserverpb.KV/Put" \
        >"$LAB_DIR/etcd/h2load.out"
    cat "$LAB_DIR/etcd/log"
}

bench_rounds() {
    local rounds=$1 seconds=$2 round depth ours master
    : >"$LAB_DIR/ours"
    : >"$LAB_DIR/theirs"
    for ((round = 1; round <= rounds; round++)); do
        for depth in "${BENCH_DEPTHS[@]}"; do
            master=$(on_pool pool status --json | rows | jq -r .master)
            ours=$(benchlog_at "$master" "$depth" "$seconds") || die "benchlog failed"
            jq -c --argjson d "$depth" '. + {depth: $d}' <<<"$ours" >>"$LAB_DIR/ours"
            [[ -e $LAB_DIR/etcd/put ]] ||
                put_request "$(jq .command_bytes <<<"$ours")" >"$LAB_DIR/etcd/put"
            bench_etcd "$depth" "$seconds" | jq -c --argjson d "$depth" '. + {depth: $d}' >>"$LAB_DIR/theirs"
            say "round $round of $rounds, depth $depth: $(tail -qn 1 "$LAB_DIR/ours" "$LAB_DIR/theirs" |
                jq -r '.commits_per_s | floor' | paste -sd/ | sed 's|/| commits/s, etcd |')"
        done
    done
}

benchlog_at() {
    "$LAB_BUILD/chaos-tests/benchlog" --connect "$(host_address "$1"):7077" --depth "$2" \
        --seconds "$3" --guests "$BENCH_GUESTS"
}

# The median round of each figure; of max the largest.
bench_rows() {
    jq -n --slurpfile ours "$LAB_DIR/ours" --slurpfile theirs "$LAB_DIR/theirs" '
        def median(f): map(f) | sort | .[length / 2 | floor];
        [$ours | map(.depth) | unique[]] | map(. as $d
            | ($ours | map(select(.depth == $d))) as $o
            | ($theirs | map(select(.depth == $d))) as $t
            | {depth: $d,
               commits_per_s: ($o | median(.commits_per_s) | floor),
               p50_ms: ($o | median(.p50_us) / 1000),
               p99_ms: ($o | median(.p99_us) / 1000),
               max_ms: ($o | map(.max_us) | max / 1000),
               etcd_commits_per_s: ($t | median(.commits_per_s) | floor),
               etcd_p50_ms: ($t | median(.p50_us) / 1000),
               etcd_p99_ms: ($t | median(.p99_us) / 1000),
               etcd_max_ms: ($t | map(.max_us) | max / 1000),
               ratio: (($o | median(.commits_per_s)) / ($t | median(.commits_per_s)) * 100 | round / 100)})'
}

bench_table() {
    jq -r '["depth", "commits/s", "p50 ms", "p99 ms", "max ms", "etcd/s", "p50 ms", "p99 ms", "max ms", "ratio"],
        (.[] | [.depth, .commits_per_s, .p50_ms, .p99_ms, .max_ms, .etcd_commits_per_s, .etcd_p50_ms,
                .etcd_p99_ms, .etcd_max_ms, .ratio]) | @tsv' |
        awk -F'\t' '{for (i = 1; i <= NF; i++) printf "%10s", $i; print ""}'
}
