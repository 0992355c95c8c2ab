#!/bin/bash
# Load, and two processes that do nothing but burn a processor each: nobody stands for election. The
# same for as long as you like: ./lab bench soak --minutes N.
# shellcheck source=chaos-tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=chaos-tests/lab/bench.sh
. "$LAB_ROOT/chaos-tests/lab/bench.sh"
# shellcheck source=chaos-tests/lab/soak.sh
. "$LAB_ROOT/chaos-tests/lab/soak.sh"

SECONDS_OF_LOAD=${SECONDS_OF_LOAD:-60}
story_begin 3 sim
bench_guests
soak_run "$SECONDS_OF_LOAD" 2
soak_rows | soak_table
check "nobody stood for election, and the term is the same" soak_was_calm
expect_equal_hashes
figures "$(soak_rows | jq -r '"\(.[0].commits) commits, 0 elections, longest turn \(map(.longest_turn_ms) | max) ms"')"
