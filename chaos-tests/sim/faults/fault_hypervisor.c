#include "core/err.h"

#include "chaos-tests/sim/fault.h"
#include "hvdriver/sim.h"

/* A hang ends when the daemon's own deadline for the request has passed. */
static void strike(struct rng *rng)
{
    struct vhost *h = fault_host(rng);
    enum hv_op op = (enum hv_op)rng_below(rng, HV_RESTAMP + 1);
    int code = rng_below(rng, 3) == 0 ? ERR_TIMEOUT : ERR_HYPERVISOR;
    if (h->proc != NULL) {
        fault_say(code == ERR_TIMEOUT ? "hypervisor_hangs" : "hypervisor_fails", h->m.name, op);
        vhost_fail_next(h, op, code);
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

const struct fault fault_hypervisor = {.name = "hypervisor",
                                       .every_ms = 8000,
                                       .strike = strike,
                                       .heal = heal};
