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

static void strike(struct rng *rng)
{
    uint64_t side = 0;
    for (uint32_t i = 0; i < lab.o.hosts; i++) {
        side |= rng_below(rng, 2) << i;
    }
    uint64_t ms = fault_while_ms(rng, 50, 60000);
    fault_say("cut", "-", side);
    set(side, true);
    lab_after(ms * NS_PER_MS, mend, NULL, ++number);
}

const struct fault fault_cut = {.name = "cut", .every_ms = 20000, .strike = strike, .heal = heal};
