#include "core/err.h"

#include "chaos-tests/sim/fault.h"
#include "hvdriver/sim.h"

static const char *const words[] = {"fails", "hangs", NULL};

static bool choose(struct rng *rng, uint64_t arg[FAULT_ARGS])
{
    arg[0] = fault_some_host(rng);
    arg[1] = rng_below(rng, HV_RESTAMP + 1);
    arg[2] = rng_below(rng, 3) == 0;
    return fault_host(arg[0])->proc != NULL;
}

/* A hang ends when the daemon's own deadline for the request has passed. */
static void strike(const uint64_t arg[FAULT_ARGS])
{
    struct vhost *h = fault_host(arg[0]);
    if (h->proc != NULL && arg[1] <= HV_RESTAMP) {
        vhost_fail_next(h, (enum hv_op)arg[1], arg[2] == 1 ? ERR_TIMEOUT : ERR_HYPERVISOR);
    }
}

static void heal(void)
{
    for (uint32_t i = 0; i < lab.o.hosts; i++) {
        for (int op = 0; op <= HV_RESTAMP && lab.hosts[i].proc != NULL; op++) {
            vhost_fail_next(&lab.hosts[i], (enum hv_op)op, 0);
        }
    }
}

/* Host, kind of the request (enum hv_op), how it ends. */
const struct fault fault_hypervisor = {.name = "hypervisor",
                                       .args = "hnw",
                                       .words = words,
                                       .every_ms = 8000,
                                       .choose = choose,
                                       .strike = strike,
                                       .heal = heal};
