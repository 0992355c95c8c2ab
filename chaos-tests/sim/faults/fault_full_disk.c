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

static bool choose(struct rng *rng, uint64_t arg[FAULT_ARGS])
{
    arg[0] = fault_some_host(rng);
    arg[1] = rng_below(rng, 1u << 20);
    arg[2] = fault_while_ms(rng, 100, 30000);
    return true;
}

/* Somebody else took all room but a little; what the log gives back of its own is free. */
static void strike(const uint64_t arg[FAULT_ARGS])
{
    struct vhost *h = fault_host(arg[0]);
    set(h, max_u64(vdisk_used(&h->m) + min_u64(arg[1], 1u << 30), 1u << 20));
    lab_after(arg[2] * NS_PER_MS, mend, h, 0);
}

/* Host, bytes that are left, for how long. */
const struct fault fault_full_disk = {.name = "full_disk",
                                      .args = "hnm",
                                      .every_ms = 40000,
                                      .choose = choose,
                                      .strike = strike,
                                      .heal = heal};
