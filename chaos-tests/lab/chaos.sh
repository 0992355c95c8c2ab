# ./lab chaos: the simulator (chaos-tests/sim), a whole pool in one process on virtual time.
# shellcheck shell=bash

verb_chaos() {
    install_missing build >&2
    build_release quorate-sim >&2
    exec "$LAB_ROOT/build/chaos-tests/quorate-sim" "$@"
}
