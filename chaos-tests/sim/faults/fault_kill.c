#include "chaos-tests/sim/fault.h"

static bool choose(struct rng *rng, uint64_t arg[FAULT_ARGS])
{
    arg[0] = fault_some_host(rng);
    arg[1] = fault_while_ms(rng, 10, 30000);
    return fault_host(arg[0])->proc != NULL;
}

static void strike(const uint64_t arg[FAULT_ARGS])
{
    if (fault_host(arg[0])->proc != NULL) {
        vhost_kill(fault_host(arg[0]), arg[1]);
    }
}

/* Host; the daemon is back after so long. */
const struct fault fault_kill = {.name = "kill",
                                 .args = "hm",
                                 .every_ms = 15000,
                                 .choose = choose,
                                 .strike = strike};
