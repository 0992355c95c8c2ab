#include "chaos-tests/sim/fault.h"

static void on(void *ctx, uint64_t boot)
{
    struct vhost *h = ctx;
    if (h->m.boots == boot) {
        vhost_power_on(h);
    }
}

static void cut(struct vhost *h, uint64_t ms)
{
    if (h->m.on) {
        fault_say("power", h->m.name, ms);
        vhost_power_cut(h);
        lab_after(ms * NS_PER_MS, on, h, h->m.boots);
    }
}

static void strike(struct rng *rng)
{
    if (rng_below(rng, 8) == 0) { /* The whole room. */
        for (uint32_t i = 0; i < lab.o.hosts; i++) {
            cut(&lab.hosts[i], fault_while_ms(rng, 2000, 30000));
        }
        return;
    }
    cut(fault_host(rng), fault_while_ms(rng, 2000, 60000));
}

const struct fault fault_power = {.name = "power", .every_ms = 30000, .strike = strike};
