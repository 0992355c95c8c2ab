#include "chaos-tests/sim/fault.h"
#include "chaos-tests/sim/vnet.h"

static void set(uint32_t a, uint32_t b, const struct link *how)
{
    struct link *l = vnet_link(a, b);
    bool cut = l->cut;
    *l = *how;
    l->cut = cut;
}

static const struct link usual = {.delay_min_us = 60, .delay_max_us = 120, .split_ppm = 2000};

static void mend(void *ctx, uint64_t arg)
{
    (void)ctx;
    set((uint32_t)(arg >> 32), (uint32_t)arg, &usual);
}

static void heal(void)
{
    for (uint32_t a = 0; a < lab.o.hosts; a++) {
        for (uint32_t b = 0; b < VNET_HOSTS; b++) {
            if (a != b) {
                set(a, b, &usual);
            }
        }
    }
}

static bool choose(struct rng *rng, uint64_t arg[FAULT_ARGS])
{
    arg[0] = fault_some_host(rng);
    arg[1] = fault_some_host(rng);
    arg[2] = rng_between(rng, 60, 30000);
    arg[3] = arg[2] + rng_between(rng, 0, 200000);
    arg[4] = rng_below(rng, 50000);
    arg[5] = rng_below(rng, 3) == 0 ? rng_between(rng, 20000, 5000000) : 0;
    arg[6] = fault_while_ms(rng, 100, 60000);
    return arg[0] != arg[1];
}

static void strike(const uint64_t arg[FAULT_ARGS])
{
    if (arg[2] > arg[3] || arg[3] > 60000000 || arg[4] > 500000 || arg[0] == arg[1]) {
        return;
    }
    struct link how = {.delay_min_us = (uint32_t)arg[2],
                       .delay_max_us = (uint32_t)arg[3],
                       .loss_ppm = (uint32_t)arg[4],
                       .bytes_per_s = arg[5],
                       .split_ppm = 200000};
    set((uint32_t)arg[0], (uint32_t)arg[1], &how);
    lab_after(arg[6] * NS_PER_MS, mend, NULL, arg[0] << 32 | arg[1]);
}

/* From, to, shortest and longest delay in us, losses in a million, bytes a second (0: no limit),
 * for how long. */
const struct fault fault_slow_link = {.name = "slow_link",
                                      .args = "hhnnnnm",
                                      .every_ms = 10000,
                                      .choose = choose,
                                      .strike = strike,
                                      .heal = heal};
