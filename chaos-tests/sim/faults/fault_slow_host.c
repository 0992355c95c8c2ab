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

static bool choose(struct rng *rng, uint64_t arg[FAULT_ARGS])
{
    arg[0] = fault_some_host(rng);
    arg[1] = rng_between(rng, 500, 40000);
    arg[2] = fault_while_ms(rng, 200, 20000);
    return true;
}

static void strike(const uint64_t arg[FAULT_ARGS])
{
    set(fault_host(arg[0]), 50, (uint32_t)(50 + arg[1] % 1000000));
    lab_after(arg[2] * NS_PER_MS, mend, fault_host(arg[0]), 0);
}

/* Host, the longest that a turn of its loop takes in us, for how long. */
const struct fault fault_slow_host = {.name = "slow_host",
                                      .args = "hnm",
                                      .every_ms = 15000,
                                      .choose = choose,
                                      .strike = strike,
                                      .heal = heal};
