#include "chaos-tests/sim/fault.h"
#include "chaos-tests/sim/truth.h"
#include "hvdriver/sim.h"

static void strike(struct rng *rng)
{
    struct vhost *h = fault_host(rng);
    struct hv_key key;
    uint64_t what = rng_below(rng, 4);
    if (h->proc == NULL || h->proc->paused || h->m.frozen ||
        !truth_pick(h->m.index, rng, &key.uuid, &key.epoch)) {
        return;
    }
    static const char *const names[] = {"guest_poweroff", "guest_reboot", "guest_panic",
                                        "guest_killed"};
    fault_say(names[what], h->m.name, key.epoch);
    vhost_guest(h, &key, (uint32_t)what);
}

const struct fault fault_guest = {.name = "guest", .every_ms = 5000, .strike = strike};
