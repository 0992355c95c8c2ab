#include "chaos-tests/sim/fault.h"
#include "chaos-tests/sim/vdisk.h"
#include "chaos-tests/sim/vnet.h"

/* A host is away for about as long as its lease lasts, while disks are slow: its own (it comes back
 * and lags behind what the others say), or those of all (it comes back while its fence is on its
 * way). One host at a time. */
static struct {
    uint64_t number; /* Of the strike in force. */
    uint32_t host;
    bool on, cut;
} now;

enum {
    CUT,
    PAUSE,
    OWN,
    ALL
};

static const char *const words[] = {"cut", "pause", "own", "all", NULL};

static void slow(bool all, uint32_t min_us, uint32_t max_us)
{
    for (uint32_t i = 0; i < lab.o.hosts; i++) {
        struct machine *m = &lab.hosts[i].m;
        if (all || i == now.host) {
            m->disk_min_us = min_us;
            m->disk_max_us = max_us;
            vdisk_tune(m);
        }
    }
}

static void part(bool cut)
{
    for (uint32_t i = 0; i < lab.o.hosts; i++) {
        vnet_link(now.host, i)->cut = vnet_link(i, now.host)->cut = cut && i != now.host;
    }
    now.cut = cut;
}

static void heal(void)
{
    now.number++;
    if (now.cut) {
        part(false);
    }
    if (now.on) {
        slow(/*all=*/true, 100, 600);
    }
    now.on = false;
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

/* The process may be another one by then. */
static void resume(void *ctx, uint64_t number)
{
    struct vhost *h = ctx;
    if (h->proc != NULL && h->proc->number == number) {
        vhost_pause(h, false);
    }
}

static bool choose(struct rng *rng, uint64_t arg[FAULT_ARGS])
{
    arg[0] = fault_some_host(rng);
    arg[1] = rng_below(rng, 2) == 0 ? CUT : PAUSE;
    arg[2] = rng_between(rng, 1500, 7000);
    arg[3] = rng_below(rng, 2) == 0 ? OWN : ALL;
    arg[4] = rng_between(rng, 50, 3000);
    arg[5] = rng_between(rng, 500, 5000);
    return fault_host(arg[0])->proc != NULL;
}

static void strike(const uint64_t arg[FAULT_ARGS])
{
    struct vhost *h = fault_host(arg[0]);
    heal();
    now.host = h->m.index;
    now.on = true;
    uint32_t max_us = (uint32_t)(arg[4] % 1000000) * 1000;
    slow(arg[3] == ALL, max_us / 4, max_us);
    if (arg[1] == CUT) {
        part(true);
        lab_after(arg[2] * NS_PER_MS, join, NULL, now.number);
    } else if (h->proc != NULL) {
        vhost_pause(h, true);
        lab_after(arg[2] * NS_PER_MS, resume, h, h->proc->number);
    }
    lab_after((arg[2] + arg[5]) * NS_PER_MS, mend, NULL, now.number);
}

/* Host, how it is away, for how long, whose disks are slow, the longest that a write takes, for how
 * long after the return. */
const struct fault fault_brink = {.name = "brink",
                                  .args = "hwmwmm",
                                  .words = words,
                                  .every_ms = 20000,
                                  .choose = choose,
                                  .strike = strike,
                                  .heal = heal};
