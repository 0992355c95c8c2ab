/* Until faults are chosen and struck apart. */

#ifndef CHAOS_SIM_FAULTS_SHIM_H
#define CHAOS_SIM_FAULTS_SHIM_H

#include "chaos-tests/sim/fault.h"

#define FAULT_ARGS 6
#define SHIM                            \
    static void shim(struct rng *rng)   \
    {                                   \
        uint64_t arg[FAULT_ARGS] = {0}; \
        if (choose(rng, arg)) {         \
            strike(arg);                \
        }                               \
    }

#endif
