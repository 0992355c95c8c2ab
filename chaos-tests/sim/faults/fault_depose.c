#include "chaos-tests/sim/fault.h"
#include "chaos-tests/sim/vdisk.h"
#include "chaos-tests/sim/vnet.h"

/* The master is alone for as long as it takes to elect another one, while the disks of all are
 * slow: what it was writing is overwritten before the disk is done with it. */
static uint64_t number; /* Of the strike in force. */
static uint32_t alone;
static bool deposing;

static void slow(uint32_t min_us, uint32_t max_us)
{
    for (uint32_t i = 0; i < lab.o.hosts; i++) {
        struct machine *m = &lab.hosts[i].m;
        m->disk_min_us = min_us;
        m->disk_max_us = max_us;
        vdisk_tune(m);
    }
}

static void part(bool cut)
{
    for (uint32_t i = 0; i < lab.o.hosts; i++) {
        vnet_link(alone, i)->cut = vnet_link(i, alone)->cut = cut && i != alone;
    }
}

static void heal(void)
{
    number++;
    if (deposing) {
        deposing = false;
        part(false);
        slow(100, 600);
    }
}

static void mend(void *ctx, uint64_t arg)
{
    (void)ctx;
    if (arg == number) {
        heal();
    }
}

static void join(void *ctx, uint64_t arg)
{
    (void)ctx;
    if (arg == number) {
        part(false);
    }
}

static void cut(void *ctx, uint64_t arg)
{
    struct rng *rng = ctx;
    struct vhost *h = fault_master();
    if (arg == number && faults_active() && h != NULL) {
        alone = h->m.index;
        fault_say("depose_cut", h->m.name, 0);
        part(true);
        lab_after(rng_between(rng, 400, 2000) * NS_PER_MS, join, NULL, number);
    }
}

static void strike(struct rng *rng)
{
    heal();
    deposing = true;
    uint32_t ms = (uint32_t)rng_between(rng, 50, 2000);
    fault_say("depose", "-", ms);
    slow(ms * 250, ms * 1000);
    lab_after(rng_between(rng, 10, 2000) * NS_PER_MS, cut, rng, number);
    lab_after(rng_between(rng, 5000, 15000) * NS_PER_MS, mend, NULL, number);
}

const struct fault fault_depose = {.name = "depose",
                                   .every_ms = 20000,
                                   .strike = strike,
                                   .heal = heal};
