#include "core/util.h"

#include "chaos-tests/sim/fault.h"
#include "chaos-tests/sim/vdisk.h"

static void set(struct vhost *h, uint64_t bytes)
{
    h->m.disk_bytes = bytes;
    vdisk_tune(&h->m);
}

static void mend(void *ctx, uint64_t arg)
{
    (void)arg;
    set(ctx, 0);
}

static void heal(void)
{
    for (uint32_t i = 0; i < lab.o.hosts; i++) {
        set(&lab.hosts[i], 0);
    }
}

/* Somebody else took all room but a little; what the log gives back of its own is free. */
static void strike(struct rng *rng)
{
    struct vhost *h = fault_host(rng);
    uint64_t ms = fault_while_ms(rng, 100, 30000);
    fault_say("full_disk", h->m.name, ms);
    set(h, max_u64(vdisk_used(&h->m) + rng_below(rng, 1u << 20), 1u << 20));
    lab_after(ms * NS_PER_MS, mend, h, 0);
}

const struct fault fault_full_disk = {.name = "full_disk",
                                      .every_ms = 40000,
                                      .strike = strike,
                                      .heal = heal};
