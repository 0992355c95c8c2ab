#include "chaos-tests/sim/fault.h"

static void go_on(void *ctx, uint64_t boot)
{
    struct vhost *h = ctx;
    if (h->m.boots == boot) {
        vhost_freeze(h, false);
    }
}

static void strike(struct rng *rng)
{
    struct vhost *h = fault_host(rng);
    uint64_t ms = fault_while_ms(rng, 20, 40000);
    if (h->m.on && !h->m.frozen) {
        fault_say("freeze", h->m.name, ms);
        vhost_freeze(h, true);
        lab_after(ms * NS_PER_MS, go_on, h, h->m.boots);
    }
}

const struct fault fault_freeze = {.name = "freeze", .every_ms = 20000, .strike = strike};
