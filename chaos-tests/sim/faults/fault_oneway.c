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

static bool choose(struct rng *rng, uint64_t arg[FAULT_ARGS])
{
    arg[0] = fault_some_host(rng);
    arg[1] = fault_some_host(rng);
    arg[2] = fault_while_ms(rng, 50, 60000);
    return arg[0] != arg[1];
}

static void strike(const uint64_t arg[FAULT_ARGS])
{
    vnet_link((uint32_t)arg[0], (uint32_t)arg[1])->cut = true;
    lab_after(arg[2] * NS_PER_MS, mend, NULL, arg[0] << 32 | arg[1]);
}

/* From, to, for how long. */
const struct fault fault_oneway = {.name = "oneway",
                                   .args = "hhm",
                                   .every_ms = 15000,
                                   .choose = choose,
                                   .strike = strike,
                                   .heal = heal};
