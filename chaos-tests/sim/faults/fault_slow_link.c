#include "chaos-tests/sim/fault.h"
#include "chaos-tests/sim/vnet.h"

static void set(uint32_t a, uint32_t b, const struct link *how)
{
    struct link *l = vnet_link(a, b);
    bool cut = l->cut;
    *l = *how;
    l->cut = cut;
}

static const struct link usual = {.delay_min_us = 60, .delay_max_us = 120, .split_ppm = 2000};

static void mend(void *ctx, uint64_t arg)
{
    (void)ctx;
    set((uint32_t)(arg >> 32), (uint32_t)arg, &usual);
}

static void heal(void)
{
    for (uint32_t a = 0; a < lab.o.hosts; a++) {
        for (uint32_t b = 0; b < VNET_HOSTS; b++) {
            if (a != b) {
                set(a, b, &usual);
            }
        }
    }
}

static void strike(struct rng *rng)
{
    uint32_t a = fault_host(rng)->m.index;
    uint32_t b = fault_host(rng)->m.index;
    if (a == b) {
        return;
    }
    uint32_t min = (uint32_t)rng_between(rng, 60, 30000);
    struct link how = {.delay_min_us = min,
                       .delay_max_us = min + (uint32_t)rng_between(rng, 0, 200000),
                       .loss_ppm = (uint32_t)rng_below(rng, 50000),
                       .bytes_per_s = rng_below(rng, 3) == 0 ? rng_between(rng, 20000, 5000000) : 0,
                       .split_ppm = 200000};
    fault_say("slow_link", lab.hosts[a].m.name, b + 1);
    set(a, b, &how);
    lab_after(fault_while_ms(rng, 100, 60000) * NS_PER_MS, mend, NULL, (uint64_t)a << 32 | b);
}

const struct fault fault_slow_link = {.name = "slow_link",
                                      .every_ms = 10000,
                                      .strike = strike,
                                      .heal = heal};
