#include "chaos-tests/sim/fault.h"

static void strike(struct rng *rng)
{
    struct vhost *h = fault_host(rng);
    int64_t max = rng_below(rng, 4) == 0 ? INT64_C(400) * 86400 * 1000 : 5000;
    int64_t ms = (int64_t)rng_below(rng, (uint64_t)max * 2) - max;
    fault_say("clock_jump", h->m.name, (uint64_t)(ms < 0 ? -ms : ms));
    vclock_jump_wall(&h->m.clock, ms);
}

const struct fault fault_clock_jump = {.name = "clock_jump", .every_ms = 20000, .strike = strike};
