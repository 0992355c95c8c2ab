#include "chaos-tests/sim/fault.h"
#include "chaos-tests/sim/vnet.h"

static void set(uint32_t a, uint32_t b, uint64_t ppm, uint64_t us)
{
    vnet_link(a, b)->spike_ppm = (uint32_t)ppm;
    vnet_link(a, b)->spike_us = (uint32_t)us;
}

static void mend(void *ctx, uint64_t arg)
{
    (void)ctx;
    set((uint32_t)(arg >> 32), (uint32_t)arg, 0, 0);
}

static void heal(void)
{
    for (uint32_t a = 0; a < lab.o.hosts; a++) {
        for (uint32_t b = 0; b < lab.o.hosts; b++) {
            set(a, b, 0, 0);
        }
    }
}

static bool choose(struct rng *rng, uint64_t arg[FAULT_ARGS])
{
    arg[0] = fault_some_host(rng);
    arg[1] = fault_some_host(rng);
    arg[2] = rng_between(rng, 1000, 300000);
    arg[3] = rng_between(rng, 1, 3000);
    arg[4] = fault_while_ms(rng, 100, 60000);
    return arg[0] != arg[1];
}

static void strike(const uint64_t arg[FAULT_ARGS])
{
    if (arg[0] != arg[1] && arg[3] <= 1000000) {
        set((uint32_t)arg[0], (uint32_t)arg[1], arg[2], arg[3] * 1000);
        lab_after(arg[4] * NS_PER_MS, mend, NULL, arg[0] << 32 | arg[1]);
    }
}

/* From, to, how many of a million segments are late, by at most how much, for how long. */
const struct fault fault_spikes = {.name = "spikes",
                                   .args = "hhnmm",
                                   .every_ms = 10000,
                                   .choose = choose,
                                   .strike = strike,
                                   .heal = heal};
