#include "chaos-tests/sim/fault.h"

static void on(void *ctx, uint64_t boot)
{
    struct vhost *h = ctx;
    if (h->m.boots == boot) {
        vhost_power_on(h);
    }
}

static bool choose(struct rng *rng, uint64_t arg[FAULT_ARGS])
{
    bool room = rng_below(rng, 8) == 0; /* All of them at once. */
    arg[0] = UINT64_C(1) << fault_some_host(rng);
    arg[1] = fault_while_ms(rng, 2000, room ? 30000 : 60000);
    if (room) {
        arg[0] = UINT64_MAX >> (64 - lab.o.hosts);
        arg[2] = fault_while_ms(rng, 0, 5000);
    }
    return room || fault_host((uint64_t)__builtin_ctzll(arg[0]))->m.on;
}

static void strike(const uint64_t arg[FAULT_ARGS])
{
    for (uint32_t i = 0; i < lab.o.hosts; i++) {
        struct vhost *h = &lab.hosts[i];
        if ((arg[0] >> i & 1) != 0 && h->m.on) {
            vhost_power_cut(h);
            lab_after((arg[1] + i * arg[2]) * NS_PER_MS, on, h, h->m.boots);
        }
    }
}

/* Hosts; power is back after so long, and for each host later by that. */
const struct fault fault_power = {.name = "power",
                                  .args = "smm",
                                  .every_ms = 30000,
                                  .choose = choose,
                                  .strike = strike};
