#include "chaos-tests/sim/fault.h"

static void back(void *ctx, uint64_t arg)
{
    (void)arg;
    vhost_start(ctx);
}

static void strike(struct rng *rng)
{
    struct vhost *h = fault_host(rng);
    uint64_t ms = fault_while_ms(rng, 500, 20000);
    if (h->proc != NULL && h->wanted) {
        fault_say("stop", h->m.name, ms);
        vhost_stop(h);
        lab_after(ms * NS_PER_MS, back, h, 0);
    }
}

const struct fault fault_restart = {.name = "restart", .every_ms = 30000, .strike = strike};
