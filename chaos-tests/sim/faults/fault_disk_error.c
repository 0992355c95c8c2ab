#include "core/util.h"

#include "chaos-tests/sim/fault.h"
#include "chaos-tests/sim/vdisk.h"

/* Reads, writes, syncs, and the store's. */
static void set(struct vhost *h, const uint64_t ppm[4])
{
    h->m.read_error_ppm = (uint32_t)ppm[0];
    h->m.write_error_ppm = (uint32_t)ppm[1];
    h->m.sync_error_ppm = (uint32_t)ppm[2];
    h->m.store_error_ppm = (uint32_t)ppm[3];
    vdisk_tune(&h->m);
}

static const uint64_t none[4];

static void mend(void *ctx, uint64_t arg)
{
    (void)arg;
    set(ctx, none);
}

static void heal(void)
{
    for (uint32_t i = 0; i < lab.o.hosts; i++) {
        set(&lab.hosts[i], none);
    }
}

/* Mostly one kind of call fails, now and then or always. */
static bool choose(struct rng *rng, uint64_t arg[FAULT_ARGS])
{
    uint64_t kind = rng_below(rng, 6);
    uint64_t ppm = rng_below(rng, 3) == 0 ? 1000000 : rng_between(rng, 1000, 300000);
    arg[0] = fault_some_host(rng);
    arg[1] = fault_while_ms(rng, 50, 20000);
    for (uint64_t i = 0; i < 4; i++) {
        arg[2 + i] = kind == i || kind == 4 ? ppm : 0;
    }
    arg[4] = kind == 5 ? ppm : arg[4]; /* Syncs are what is most easily got wrong. */
    return true;
}

static void strike(const uint64_t arg[FAULT_ARGS])
{
    struct vhost *h = fault_host(arg[0]);
    lab.disk_faults = true;
    set(h, arg + 2);
    lab_after(arg[1] * NS_PER_MS, mend, h, 0);
}

/* Host, for how long, how often in a million each kind of call fails: read, write, sync, the store.
 */
const struct fault fault_disk_error = {.name = "disk_error",
                                       .args = "hmnnnn",
                                       .every_ms = 20000,
                                       .choose = choose,
                                       .strike = strike,
                                       .heal = heal};
