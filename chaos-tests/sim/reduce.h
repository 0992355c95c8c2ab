/* Make a failing run small: the simulator's end of check/shrink.h. */

#ifndef CHAOS_SIM_REDUCE_H
#define CHAOS_SIM_REDUCE_H

#include "chaos-tests/sim/options.h"
#include "chaos-tests/sim/runner.h"

/* The decisions of a run that is over, as a scenario (empty before; scenario_done()): what was
 * asked for (`o`), and its lines. False: some are missing. */
bool reduce_scenario(const struct lab_options *o, const struct run *r, struct scenario *ret);

/* Write it. False: it could not be, which is said. */
bool reduce_save(const struct scenario *s, const char *path);

/* Shrink what failed in `r` into the file `path`. The status to exit with if it cannot; 0. */
int reduce(const struct options *s, const struct run *r, const char *path);

#endif
