#include "chaos-tests/sim/fault.h"

static bool choose(struct rng *rng, uint64_t arg[FAULT_ARGS])
{
    int64_t max = rng_below(rng, 4) == 0 ? INT64_C(400) * 86400 * 1000 : 5000;
    arg[0] = fault_some_host(rng);
    arg[1] = rng_below(rng, (uint64_t)max * 2) - (uint64_t)max;
    return true;
}

static void strike(const uint64_t arg[FAULT_ARGS])
{
    vclock_jump_wall(&fault_host(arg[0])->m.clock, (int64_t)arg[1]);
}

/* Host, milliseconds. */
const struct fault fault_clock_jump = {.name = "clock_jump",
                                       .args = "hi",
                                       .every_ms = 20000,
                                       .choose = choose,
                                       .strike = strike};
