#include "chaos-tests/sim/fault.h"
#include "chaos-tests/sim/truth.h"
#include "hvdriver/sim.h"

static const char *const words[] = {"poweroff", "reboot", "panic", "killed", NULL};

static bool can_see(const struct vhost *h)
{
    return h->proc != NULL && !h->proc->paused && !h->m.frozen;
}

static bool choose(struct rng *rng, uint64_t arg[FAULT_ARGS])
{
    arg[0] = fault_some_host(rng);
    arg[1] = rng_below(rng, 4);
    arg[2] = rng_below(rng, 1000000);
    return can_see(fault_host(arg[0]));
}

static void strike(const uint64_t arg[FAULT_ARGS])
{
    struct vhost *h = fault_host(arg[0]);
    struct hv_key key;
    struct rng rng;
    rng_seed(&rng, arg[2]);
    if (can_see(h) && truth_pick(h->m.index, &rng, &key.uuid, &key.epoch)) {
        (void)vhost_guest(h, &key, (uint32_t)arg[1]);
    }
}

/* Host, what becomes of a guest there, which one. */
const struct fault fault_guest = {.name = "guest",
                                  .args = "hwr",
                                  .words = words,
                                  .every_ms = 5000,
                                  .choose = choose,
                                  .strike = strike};
