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

static void strike(struct rng *rng)
{
    uint32_t a = fault_host(rng)->m.index;
    uint32_t b = fault_host(rng)->m.index;
    if (a != b) {
        fault_say("flap", lab.hosts[a].m.name, b + 1);
        flip(NULL, (uint64_t)b << 16 | (uint64_t)a << 8 | rng_between(rng, 3, 40));
    }
}

const struct fault fault_flap = {.name = "flap", .every_ms = 30000, .strike = strike};
