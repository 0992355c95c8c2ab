#include "chaos-tests/sim/fault.h"

static void strike(struct rng *rng)
{
    struct vhost *h = fault_host(rng);
    uint64_t ms = fault_while_ms(rng, 10, 30000);
    if (h->proc != NULL) {
        fault_say("kill", h->m.name, ms);
        vhost_kill(h, ms);
    }
}

const struct fault fault_kill = {.name = "kill", .every_ms = 15000, .strike = strike};
