#include "chaos-tests/sim/fault.h"
#include "chaos-tests/sim/vdisk.h"
#include "chaos-tests/sim/vnet.h"

/* The master is alone for as long as it takes to elect another one, while the disks of all are
 * slow: what it was writing is overwritten before the disk is done with it. */
static struct {
    uint64_t number; /* Of the strike in force. */
    uint32_t alone;
    uint64_t alone_ms;
    bool on;
} now;

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
        vnet_link(now.alone, i)->cut = vnet_link(i, now.alone)->cut = cut && i != now.alone;
    }
}

static void heal(void)
{
    now.number++;
    if (now.on) {
        now.on = false;
        part(false);
        slow(100, 600);
    }
}

static void mend(void *ctx, uint64_t number)
{
    (void)ctx;
    if (number == now.number) {
        heal();
    }
}

static void join(void *ctx, uint64_t number)
{
    (void)ctx;
    if (number == now.number) {
        part(false);
    }
}

static void cut(void *ctx, uint64_t number)
{
    struct vhost *h = fault_master();
    (void)ctx;
    if (number == now.number && faults_active() && h != NULL) {
        now.alone = h->m.index;
        part(true);
        lab_after(now.alone_ms * NS_PER_MS, join, NULL, number);
    }
}

static bool choose(struct rng *rng, uint64_t arg[FAULT_ARGS])
{
    arg[0] = rng_between(rng, 50, 2000);
    arg[1] = rng_between(rng, 10, 2000);
    arg[2] = rng_between(rng, 400, 2000);
    arg[3] = rng_between(rng, 5000, 15000);
    return true;
}

static void strike(const uint64_t arg[FAULT_ARGS])
{
    heal();
    now.on = true;
    now.alone_ms = arg[2];
    uint32_t max_us = (uint32_t)(arg[0] % 1000000) * 1000;
    slow(max_us / 4, max_us);
    lab_after(arg[1] * NS_PER_MS, cut, NULL, now.number);
    lab_after(arg[3] * NS_PER_MS, mend, NULL, now.number);
}

/* The longest that a write takes, when the master is cut off, for how long, how long all of it. */
const struct fault fault_depose = {.name = "depose",
                                   .args = "mmmm",
                                   .every_ms = 20000,
                                   .choose = choose,
                                   .strike = strike,
                                   .heal = heal};
