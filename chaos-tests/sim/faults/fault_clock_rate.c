#include "chaos-tests/sim/fault.h"
#include "chaos-tests/sim/vguard.h"
#include "chaos-tests/sim/vloop.h"

/* Parts in a million: the worst quartz there is, and far beyond what NTP corrects. */
#define RATE_MAX 500

static void set(struct vhost *h, int32_t ppm)
{
    vclock_set_rate(&h->m.clock, ppm);
    vguard_replan(h);
    if (h->proc != NULL) {
        vloop_replan(h->proc); /* Its timers are due at other moments now. */
    }
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
    arg[1] = rng_below(rng, 2 * RATE_MAX + 1) - RATE_MAX;
    return true;
}

static void strike(const uint64_t arg[FAULT_ARGS])
{
    int64_t ppm = (int64_t)arg[1];
    if (ppm >= -RATE_MAX && ppm <= RATE_MAX) {
        set(fault_host(arg[0]), (int32_t)ppm);
    }
}

/* Host, parts in a million. */
const struct fault fault_clock_rate = {.name = "clock_rate",
                                       .args = "hi",
                                       .every_ms = 10000,
                                       .choose = choose,
                                       .strike = strike,
                                       .heal = heal};
