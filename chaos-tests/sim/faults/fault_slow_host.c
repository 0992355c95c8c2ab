#include "chaos-tests/sim/fault.h"

static void set(struct vhost *h, uint32_t min_us, uint32_t max_us)
{
    h->m.turn_min_us = min_us;
    h->m.turn_max_us = max_us;
}

static void mend(void *ctx, uint64_t arg)
{
    (void)arg;
    set(ctx, 5, 30);
}

static void heal(void)
{
    for (uint32_t i = 0; i < lab.o.hosts; i++) {
        set(&lab.hosts[i], 5, 30);
    }
}

static void strike(struct rng *rng)
{
    struct vhost *h = fault_host(rng);
    uint32_t max = (uint32_t)rng_between(rng, 500, 40000);
    fault_say("slow_host", h->m.name, max);
    set(h, 50, max);
    lab_after(fault_while_ms(rng, 200, 20000) * NS_PER_MS, mend, h, 0);
}

const struct fault fault_slow_host = {.name = "slow_host",
                                      .every_ms = 15000,
                                      .strike = strike,
                                      .heal = heal};
