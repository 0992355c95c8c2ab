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

static void strike(struct rng *rng)
{
    struct vhost *h = fault_host(rng);
    uint32_t max = (uint32_t)fault_while_ms(rng, 2, 2000) * 1000;
    fault_say("slow_disk", h->m.name, max);
    set(h, max / 4, max);
    lab_after(fault_while_ms(rng, 100, 30000) * NS_PER_MS, mend, h, 0);
}

const struct fault fault_slow_disk = {.name = "slow_disk",
                                      .every_ms = 15000,
                                      .strike = strike,
                                      .heal = heal};
