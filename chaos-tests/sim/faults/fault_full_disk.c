#include "core/util.h"

#include "chaos-tests/sim/fault.h"
#include "chaos-tests/sim/vdisk.h"

#define TAKE_MS 700

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

/* Whoever took the room takes what the log gives back, too. */
static void take_more(void *ctx, uint64_t bytes)
{
    struct vhost *h = ctx;
    if (h->m.disk_bytes != 0) {
        set(h, vdisk_used(&h->m) + bytes);
        lab_after(TAKE_MS * NS_PER_MS, take_more, h, bytes);
    }
}

static bool choose(struct rng *rng, uint64_t arg[FAULT_ARGS])
{
    arg[0] = fault_some_host(rng);
    arg[1] = rng_below(rng, 1u << 20);
    arg[3] = rng_below(rng, 2);
    arg[2] = arg[3] == 0 ? fault_while_ms(rng, 100, 30000) : rng_between(rng, 3000, 60000);
    return true;
}

/* Somebody else took all room but a little; what the log gives back of its own is free, if nobody
 * takes it. */
static void strike(const uint64_t arg[FAULT_ARGS])
{
    struct vhost *h = fault_host(arg[0]);
    bool taken = h->m.disk_bytes != 0;
    uint64_t bytes = min_u64(arg[1], 1u << 30);
    set(h, max_u64(vdisk_used(&h->m) + bytes, 1u << 20));
    if (arg[3] != 0 && !taken) {
        lab_after(TAKE_MS * NS_PER_MS, take_more, h, bytes / 16);
    }
    lab_after(arg[2] * NS_PER_MS, mend, h, 0);
}

/* Host, bytes that are left, for how long, whether what is given back is taken. */
const struct fault fault_full_disk = {.name = "full_disk",
                                      .args = "hnmn",
                                      .every_ms = 40000,
                                      .choose = choose,
                                      .strike = strike,
                                      .heal = heal};
