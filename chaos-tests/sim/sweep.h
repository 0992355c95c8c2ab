/* The crash sweep: a story again and again, and each time a host dies before another of the calls
 * that it makes across a seam. */

#ifndef CHAOS_SIM_SWEEP_H
#define CHAOS_SIM_SWEEP_H

#include "chaos-tests/sim/options.h"

/* Do it. Returns the status to exit with. */
int sweep(const struct options *s);

#endif
