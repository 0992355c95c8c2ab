#include "chaos-tests/sim/fault.h"
#include "chaos-tests/sim/vnet.h"

/* `arg`: how often it still changes, in the low byte; the two hosts above. */
static void flip(void *ctx, uint64_t arg)
{
    uint32_t left = (uint32_t)arg & 0xff;
    uint32_t a = (uint32_t)(arg >> 8) & 0xff;
    uint32_t b = (uint32_t)(arg >> 16) & 0xff;
    bool cut = left > 0 && left % 2 == 1 && faults_active();
    vnet_link(a, b)->cut = cut;
    vnet_link(b, a)->cut = cut;
    if (left > 0 && faults_active()) {
        lab_after((50 + left * 37 % 400) * NS_PER_MS, flip, ctx, arg - 1);
    }
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
    arg[2] = rng_between(rng, 3, 40);
    return arg[0] != arg[1];
}

static void strike(const uint64_t arg[FAULT_ARGS])
{
    flip(NULL, arg[1] << 16 | arg[0] << 8 | (arg[2] & 0xff));
}

/* Two hosts, how often their link changes. */
const struct fault fault_flap = {.name = "flap",
                                 .args = "hhn",
                                 .every_ms = 30000,
                                 .choose = choose,
                                 .strike = strike,
                                 .heal = heal};
