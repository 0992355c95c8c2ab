#include "chaos-tests/sim/fault.h"
#include "chaos-tests/sim/vnet.h"

static bool choose(struct rng *rng, uint64_t arg[FAULT_ARGS])
{
    arg[0] = fault_some_host(rng);
    arg[1] = rng_below(rng, lab.o.hosts + lab.o.clients) + 1;
    arg[2] = rng_below(rng, 1000000);
    return true;
}

/* As of fault reset: behind the hosts come the clients. */
static void strike(const uint64_t arg[FAULT_ARGS])
{
    struct rng rng;
    rng_seed(&rng, arg[2]);
    if (arg[1] >= 1 && arg[1] <= lab.o.hosts + lab.o.clients) {
        uint64_t to = arg[1] <= lab.o.hosts ? arg[1] - 1 : LAB_HOSTS_MAX + arg[1] - 1 - lab.o.hosts;
        (void)vnet_forget_some((uint32_t)arg[0], (uint32_t)to, &rng);
    }
}

/* Host, to whom, which connection. */
const struct fault fault_forget = {.name = "forget",
                                   .args = "hnr",
                                   .every_ms = 8000,
                                   .choose = choose,
                                   .strike = strike};
