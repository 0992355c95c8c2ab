#include "chaos-tests/sim/fault.h"

static void go_on(void *ctx, uint64_t boot)
{
    struct vhost *h = ctx;
    if (h->m.boots == boot) {
        vhost_freeze(h, false);
    }
}

static bool choose(struct rng *rng, uint64_t arg[FAULT_ARGS])
{
    arg[0] = fault_some_host(rng);
    arg[1] = fault_while_ms(rng, 20, 40000);
    return fault_host(arg[0])->m.on && !fault_host(arg[0])->m.frozen;
}

static void strike(const uint64_t arg[FAULT_ARGS])
{
    struct vhost *h = fault_host(arg[0]);
    if (h->m.on && !h->m.frozen) {
        vhost_freeze(h, true);
        lab_after(arg[1] * NS_PER_MS, go_on, h, h->m.boots);
    }
}

const struct fault fault_freeze = {.name = "freeze",
                                   .args = "hm",
                                   .every_ms = 20000,
                                   .choose = choose,
                                   .strike = strike};
