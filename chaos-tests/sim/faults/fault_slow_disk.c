#include "chaos-tests/sim/fault.h"
#include "chaos-tests/sim/vdisk.h"

static void set(struct vhost *h, uint32_t min_us, uint32_t max_us)
{
    h->m.disk_min_us = min_us;
    h->m.disk_max_us = max_us;
    vdisk_tune(&h->m);
}

static void mend(void *ctx, uint64_t arg)
{
    (void)arg;
    set(ctx, 100, 600);
}

static void heal(void)
{
    for (uint32_t i = 0; i < lab.o.hosts; i++) {
        set(&lab.hosts[i], 100, 600);
    }
}

static bool choose(struct rng *rng, uint64_t arg[FAULT_ARGS])
{
    arg[0] = fault_some_host(rng);
    arg[1] = fault_while_ms(rng, 2, 2000);
    arg[2] = fault_while_ms(rng, 100, 30000);
    return true;
}

static void strike(const uint64_t arg[FAULT_ARGS])
{
    uint32_t max_us = (uint32_t)(arg[1] % 1000000) * 1000;
    set(fault_host(arg[0]), max_us / 4, max_us);
    lab_after(arg[2] * NS_PER_MS, mend, fault_host(arg[0]), 0);
}

/* Host, the longest that a write takes, for how long. */
const struct fault fault_slow_disk = {.name = "slow_disk",
                                      .args = "hmm",
                                      .every_ms = 15000,
                                      .choose = choose,
                                      .strike = strike,
                                      .heal = heal};
