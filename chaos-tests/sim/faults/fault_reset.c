#include "chaos-tests/sim/fault.h"
#include "chaos-tests/sim/vnet.h"

static void strike(struct rng *rng)
{
    uint32_t a = fault_host(rng)->m.index;
    /* A connection to another host, to itself, or to a client. */
    uint32_t b = (uint32_t)rng_below(rng, lab.o.hosts + lab.o.clients);
    b = b < lab.o.hosts ? b : LAB_HOSTS_MAX + b - lab.o.hosts;
    if (vnet_reset_some(a, b, rng)) {
        fault_say("reset", lab.hosts[a].m.name, b + 1);
    }
}

const struct fault fault_reset = {.name = "reset", .every_ms = 5000, .strike = strike};
