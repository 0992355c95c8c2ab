#include "chaos-tests/sim/fault.h"
#include "chaos-tests/sim/vnet.h"

static void mend(void *ctx, uint64_t arg)
{
    (void)ctx;
    vnet_link((uint32_t)(arg >> 32), (uint32_t)arg)->cut = false;
}

static void heal(void)
{
    for (uint32_t a = 0; a < lab.o.hosts; a++) {
        for (uint32_t b = 0; b < lab.o.hosts; b++) {
            vnet_link(a, b)->cut = false;
        }
    }
}

static void strike(struct rng *rng)
{
    uint32_t a = fault_host(rng)->m.index;
    uint32_t b = fault_host(rng)->m.index;
    if (a != b) {
        fault_say("oneway", lab.hosts[a].m.name, b + 1);
        vnet_link(a, b)->cut = true;
        lab_after(fault_while_ms(rng, 50, 60000) * NS_PER_MS, mend, NULL, (uint64_t)a << 32 | b);
    }
}

const struct fault fault_oneway = {.name = "oneway",
                                   .every_ms = 15000,
                                   .strike = strike,
                                   .heal = heal};
