#include "chaos-tests/sim/fault.h"

static void back(void *ctx, uint64_t arg)
{
    (void)arg;
    vhost_start(ctx);
}

static bool choose(struct rng *rng, uint64_t arg[FAULT_ARGS])
{
    arg[0] = fault_some_host(rng);
    arg[1] = fault_while_ms(rng, 500, 20000);
    return fault_host(arg[0])->proc != NULL && fault_host(arg[0])->wanted;
}

static void strike(const uint64_t arg[FAULT_ARGS])
{
    struct vhost *h = fault_host(arg[0]);
    if (h->proc != NULL && h->wanted) {
        vhost_release(h);
        lab_after(arg[1] * NS_PER_MS, back, h, 0);
    }
}

const struct fault fault_release = {.name = "release",
                                    .args = "hm",
                                    .every_ms = 30000,
                                    .choose = choose,
                                    .strike = strike};
