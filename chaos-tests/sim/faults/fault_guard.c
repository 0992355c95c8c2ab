#include "chaos-tests/sim/fault.h"
#include "chaos-tests/sim/vguard.h"

enum what {
    KILLED,
    PAUSED,
    BOTH /* The daemon is killed with it. */
};

static void go_on(void *ctx, uint64_t boot)
{
    struct vhost *h = ctx;
    if (h->m.boots == boot) {
        vguard_pause(h, false);
    }
}

static void heal(void)
{
    for (uint32_t i = 0; i < lab.o.hosts; i++) {
        vguard_pause(&lab.hosts[i], false);
    }
}

static bool choose(struct rng *rng, uint64_t arg[FAULT_ARGS])
{
    arg[0] = fault_some_host(rng);
    arg[1] = rng_below(rng, 3);
    arg[2] = fault_while_ms(rng, 20, 20000);
    return fault_host(arg[0])->m.on;
}

static void strike(const uint64_t arg[FAULT_ARGS])
{
    struct vhost *h = fault_host(arg[0]);
    if (!h->m.on) {
        return;
    }
    if (arg[1] == PAUSED) {
        vguard_pause(h, true);
        lab_after(arg[2] * NS_PER_MS, go_on, h, h->m.boots);
        return;
    }
    vguard_kill(h);
    if (arg[1] == BOTH) {
        vhost_kill(h, arg[2]);
    }
}

static const char *const words[] = {"killed", "paused", "both", NULL};

/* Host, what happens to its guard, how long that or the daemon's absence lasts. */
const struct fault fault_guard = {.name = "guard",
                                  .args = "hwm",
                                  .words = words,
                                  .every_ms = 15000,
                                  .choose = choose,
                                  .strike = strike,
                                  .heal = heal};
