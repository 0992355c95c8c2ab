#include "chaos-tests/sim/fault.h"
#include "chaos-tests/sim/truth.h"
#include "chaos-tests/sim/vnet.h"

/* A strike waits for the moment at which the source of a migration has just stopped. */
static uint64_t waits[FAULT_ARGS];

enum {
    SOURCE,
    TARGET,
    MASTER,
    HOST,
    POWER,
    DEAF,
    DUMB,
    APART,
    PAUSE,
    KILL
};

static const char *const words[] = {"source", "target", "master", "host", "power", "deaf",
                                    "dumb",   "apart",  "pause",  "kill", NULL};

static void cut(uint32_t host, bool out, bool in)
{
    for (uint32_t i = 0; i < lab.o.hosts; i++) {
        vnet_link(host, i)->cut = out && i != host;
        vnet_link(i, host)->cut = in && i != host;
    }
}

static void join(void *ctx, uint64_t host)
{
    (void)ctx;
    cut((uint32_t)host, false, false);
}

static void heal(void)
{
    truth_stopped = NULL;
    for (uint32_t i = 0; i < lab.o.hosts; i++) {
        cut(i, false, false);
    }
}

static void power(void *ctx, uint64_t boot)
{
    struct vhost *h = ctx;
    if (h->m.boots == boot) {
        vhost_power_on(h);
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

static void hurt(struct vhost *h, uint64_t how, uint64_t ms)
{
    if (how == POWER && h->m.on) {
        vhost_power_cut(h);
        lab_after(ms * NS_PER_MS, power, h, h->m.boots);
    } else if (how == DEAF || how == DUMB || how == APART) {
        cut(h->m.index, how != DEAF, how != DUMB);
        lab_after(ms * NS_PER_MS, join, NULL, h->m.index);
    } else if (how == PAUSE && h->proc != NULL) {
        vhost_pause(h, true);
        lab_after(ms * NS_PER_MS, resume, h, h->proc->number);
    } else if (how == KILL) {
        vhost_kill(h, ms);
    }
}

static void now(void *ctx, uint64_t arg)
{
    uint32_t ends[2]; /* Source, target. */
    struct vhost *h = waits[0] == MASTER ? fault_master() : NULL;
    (void)ctx;
    (void)arg;
    if (!faults_active()) {
        return;
    }
    if (waits[0] <= TARGET && truth_handover(&ends[0], &ends[1])) {
        h = &lab.hosts[ends[waits[0]]];
    }
    hurt(h == NULL ? fault_host(waits[1]) : h, waits[2], waits[3]);
}

static void stopped(void)
{
    truth_stopped = NULL;
    lab_after(waits[4] * NS_PER_US, now, NULL, 0);
}

static bool choose(struct rng *rng, uint64_t arg[FAULT_ARGS])
{
    static const uint8_t whose[] = {SOURCE, SOURCE, SOURCE, TARGET, MASTER, HOST};
    static const uint8_t how[] = {POWER, DEAF, DUMB, APART, PAUSE, KILL, KILL};
    arg[0] = whose[rng_below(rng, sizeof whose)];
    arg[1] = fault_some_host(rng);
    arg[2] = how[rng_below(rng, sizeof how)];
    arg[3] = rng_between(rng, 10, rng_below(rng, 3) == 0 ? 1000 : 30000);
    arg[4] = rng_below(rng, rng_below(rng, 2) == 0 ? 100 : 2000);
    return true;
}

static void strike(const uint64_t arg[FAULT_ARGS])
{
    for (uint32_t i = 0; i < FAULT_ARGS; i++) {
        waits[i] = arg[i];
    }
    truth_stopped = stopped;
}

/* Whose host (of a migration; or the one named next), how it is broken, for how long, how many
 * microseconds after the source has stopped. */
const struct fault fault_handover = {.name = "handover",
                                     .args = "whwmn",
                                     .words = words,
                                     .every_ms = 6000,
                                     .choose = choose,
                                     .strike = strike,
                                     .heal = heal};
