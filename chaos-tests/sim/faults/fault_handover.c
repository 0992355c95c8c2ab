#include "chaos-tests/sim/fault.h"
#include "chaos-tests/sim/truth.h"
#include "chaos-tests/sim/vnet.h"

/* A strike waits for the moment at which the source of a migration has just stopped. */
static struct rng *rng;

enum way {
    OUT = 1,
    IN = 2
};

static void cut(uint32_t host, unsigned ways)
{
    for (uint32_t i = 0; i < lab.o.hosts; i++) {
        vnet_link(host, i)->cut = (ways & OUT) != 0 && i != host;
        vnet_link(i, host)->cut = (ways & IN) != 0 && i != host;
    }
}

static void join(void *ctx, uint64_t arg)
{
    (void)ctx;
    cut((uint32_t)arg, 0);
}

static void heal(void)
{
    truth_stopped = NULL;
    for (uint32_t i = 0; i < lab.o.hosts; i++) {
        cut(i, 0);
    }
}

static void power(void *ctx, uint64_t boot)
{
    struct vhost *h = ctx;
    if (h->m.boots == boot) {
        vhost_power_on(h);
    }
}

static void resume(void *ctx, uint64_t arg)
{
    (void)arg;
    vhost_pause(ctx, false);
}

static void hurt(struct vhost *h, uint64_t ms)
{
    switch (rng_below(rng, 6)) {
    case 0:
        vhost_power_cut(h);
        lab_after(ms * NS_PER_MS, power, h, h->m.boots);
        break;
    case 1:
    case 2:
        cut(h->m.index, (unsigned)rng_between(rng, OUT, OUT | IN));
        lab_after(ms * NS_PER_MS, join, NULL, h->m.index);
        break;
    case 3:
        vhost_pause(h, true);
        lab_after(ms * NS_PER_MS, resume, h, 0);
        break;
    default: vhost_kill(h, ms);
    }
}

/* The source mostly, the target, the master, or anybody. */
static void now(void *ctx, uint64_t arg)
{
    uint32_t ends[2]; /* Source, target. */
    uint64_t which = rng_below(rng, 6);
    struct vhost *h = fault_master();
    (void)ctx;
    (void)arg;
    if (!faults_active()) {
        return;
    }
    if (which < 4 && truth_handover(&ends[0], &ends[1])) {
        h = &lab.hosts[ends[which == 0]];
    } else if (which == 5 || h == NULL) {
        h = fault_host(rng);
    }
    uint64_t ms = rng_between(rng, 10, rng_below(rng, 3) == 0 ? 1000 : 30000);
    fault_say("handover", h->m.name, ms);
    hurt(h, ms);
}

static void stopped(void)
{
    truth_stopped = NULL;
    lab_after(rng_below(rng, rng_below(rng, 2) == 0 ? 100 : 2000) * NS_PER_US, now, NULL, 0);
}

static void strike(struct rng *r)
{
    rng = r;
    truth_stopped = stopped;
}

const struct fault fault_handover = {.name = "handover",
                                     .every_ms = 6000,
                                     .strike = strike,
                                     .heal = heal};
