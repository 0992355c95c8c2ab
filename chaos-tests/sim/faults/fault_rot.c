#include "chaos-tests/sim/data.h"
#include "chaos-tests/sim/fault.h"

enum where {
    LOG,     /* The log, its snapshots and records, at rest. */
    STORE,   /* The store, at rest. */
    LIVE_LOG /* The log while the daemon runs; it finds out when it starts the next time. */
};

static void kill_daemon(void *ctx, uint64_t arg)
{
    (void)arg;
    if (faults_active()) {
        vhost_kill(ctx, 20);
    }
}

static bool choose(struct rng *rng, uint64_t arg[FAULT_ARGS])
{
    arg[0] = fault_some_host(rng);
    arg[1] = rng_below(rng, 3);
    arg[2] = fault_while_ms(rng, 20, 10000);
    arg[3] = rng_below(rng, 1000000);
    return data_may_forget(fault_host(arg[0]));
}

static void strike(const uint64_t arg[FAULT_ARGS])
{
    struct vhost *h = fault_host(arg[0]);
    struct rng rng;
    rng_seed(&rng, arg[3]);
    if (!h->m.on || !h->wanted || !data_may_forget(h)) {
        return;
    }
    if (arg[1] != LIVE_LOG) {
        vhost_kill(h, arg[2]);
    } else {
        lab_after(arg[2] * NS_PER_MS, kill_daemon, h, 0);
    }
    if (arg[1] == LIVE_LOG || h->proc == NULL) {
        data_forgets(h);
        data_rot(h, arg[1] == STORE, &rng);
    }
}

static const char *const words[] = {"log", "store", "live", NULL};

/* Host, what rots, for how long its daemon is down (live: when it is killed), and which bits. */
const struct fault fault_rot = {.name = "rot",
                                .args = "hwmr",
                                .words = words,
                                .every_ms = 30000,
                                .choose = choose,
                                .strike = strike};
