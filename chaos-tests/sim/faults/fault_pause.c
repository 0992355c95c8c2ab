#include "chaos-tests/sim/fault.h"

/* The process may be another one by then: `arg` is its number. */
static void go_on(void *ctx, uint64_t arg)
{
    struct vhost *h = ctx;
    if (h->proc != NULL && h->proc->number == arg) {
        vhost_pause(h, false);
    }
}

static void strike(struct rng *rng)
{
    struct vhost *h = fault_host(rng);
    uint64_t ms = fault_while_ms(rng, 20, 20000);
    if (h->proc != NULL && !h->proc->paused) {
        fault_say("pause", h->m.name, ms);
        vhost_pause(h, true);
        lab_after(ms * NS_PER_MS, go_on, h, h->proc->number);
    }
}

const struct fault fault_pause = {.name = "pause", .every_ms = 15000, .strike = strike};
