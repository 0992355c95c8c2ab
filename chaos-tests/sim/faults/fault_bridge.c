#include "chaos-tests/sim/fault.h"
#include "chaos-tests/sim/vnet.h"

enum shape {
    BRIDGE, /* Two sides, and one host that sees both. */
    STAR    /* One host sees all others, and they only it. */
};

static uint64_t number;

/* Clients see every host. */
static void set(uint64_t shape, uint64_t middle, uint64_t side, bool cut)
{
    for (uint32_t a = 0; a < lab.o.hosts; a++) {
        for (uint32_t b = 0; b < lab.o.hosts; b++) {
            bool across = shape == STAR || (side >> a & 1) != (side >> b & 1);
            vnet_link(a, b)->cut = cut && a != b && a != middle && b != middle && across;
        }
    }
}

static void heal(void)
{
    number++;
    set(STAR, 0, 0, false);
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
    arg[0] = rng_below(rng, 2);
    arg[1] = fault_some_host(rng);
    for (uint32_t i = 0; i < lab.o.hosts; i++) {
        arg[2] |= rng_below(rng, 2) << i;
    }
    arg[3] = fault_while_ms(rng, 50, 60000);
    return lab.o.hosts > 2;
}

static void strike(const uint64_t arg[FAULT_ARGS])
{
    set(arg[0], arg[1], arg[2], true);
    lab_after(arg[3] * NS_PER_MS, mend, NULL, ++number);
}

static const char *const words[] = {"bridge", "star", NULL};

/* Shape, the host in the middle, one side of a bridge, for how long. */
const struct fault fault_bridge = {.name = "bridge",
                                   .args = "whsm",
                                   .words = words,
                                   .every_ms = 20000,
                                   .choose = choose,
                                   .strike = strike,
                                   .heal = heal};
