#include "chaos-tests/sim/fault.h"

/* The process may be another one by then: `arg` is its number. */
static void go_on(void *ctx, uint64_t arg)
{
    struct vhost *h = ctx;
    if (h->proc != NULL && h->proc->number == arg) {
        vhost_pause(h, false);
    }
}

static bool choose(struct rng *rng, uint64_t arg[FAULT_ARGS])
{
    arg[0] = fault_some_host(rng);
    arg[1] = fault_while_ms(rng, 20, 20000);
    return fault_host(arg[0])->proc != NULL && !fault_host(arg[0])->proc->paused;
}

static void strike(const uint64_t arg[FAULT_ARGS])
{
    struct vhost *h = fault_host(arg[0]);
    if (h->proc != NULL && !h->proc->paused) {
        vhost_pause(h, true);
        lab_after(arg[1] * NS_PER_MS, go_on, h, h->proc->number);
    }
}

const struct fault fault_pause = {.name = "pause",
                                  .args = "hm",
                                  .every_ms = 15000,
                                  .choose = choose,
                                  .strike = strike};
