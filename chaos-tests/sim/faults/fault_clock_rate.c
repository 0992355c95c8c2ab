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

static void strike(struct rng *rng)
{
    struct vhost *h = fault_host(rng);
    int32_t ppm = (int32_t)rng_below(rng, 2 * RATE_MAX + 1) - RATE_MAX;
    fault_say("clock_rate", h->m.name, (uint64_t)(RATE_MAX + ppm));
    set(h, ppm);
}

const struct fault fault_clock_rate = {.name = "clock_rate",
                                       .every_ms = 10000,
                                       .strike = strike,
                                       .heal = heal};
