#include "chaos-tests/sim/fault.h"
#include "chaos-tests/sim/vnet.h"

/* Machines of clients stay with the first side. One cut at a time; a new one replaces it. */
static uint64_t number;

static void set(uint64_t side, bool cut)
{
    for (uint32_t a = 0; a < VNET_HOSTS; a++) {
        for (uint32_t b = 0; b < VNET_HOSTS; b++) {
            bool across = (a < 64 && (side >> a & 1) != 0) != (b < 64 && (side >> b & 1) != 0);
            vnet_link(a, b)->cut = cut && across;
        }
    }
}

static void heal(void)
{
    number++;
    set(0, false);
}

static void mend(void *ctx, uint64_t arg)
{
    (void)ctx;
    if (number == arg) {
        heal();
    }
}

static bool choose(struct rng *rng, uint64_t arg[FAULT_ARGS])
{
    for (uint32_t i = 0; i < lab.o.hosts; i++) {
        arg[0] |= rng_below(rng, 2) << i;
    }
    arg[1] = fault_while_ms(rng, 50, 60000);
    return true;
}

static void strike(const uint64_t arg[FAULT_ARGS])
{
    set(arg[0], true);
    lab_after(arg[1] * NS_PER_MS, mend, NULL, ++number);
}

/* The side that is cut off from the others and from the clients; for how long. */
const struct fault fault_cut = {.name = "cut",
                                .args = "sm",
                                .every_ms = 20000,
                                .choose = choose,
                                .strike = strike,
                                .heal = heal};
