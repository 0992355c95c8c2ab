/* Make a failing scenario small: fewer decisions first (delta debugging), then fewer hosts,
 * settings at their defaults, and rounder times, again and again until nothing more can go. */

#ifndef CHECK_SHRINK_H
#define CHECK_SHRINK_H

#include <stdbool.h>

#include "chaos-tests/check/scenario.h"

struct shrink {
    /* in */
    /* Runs the scenario and says whether it fails with the same verdict. It must be deterministic;
     * it is never asked twice about the same scenario. */
    bool (*fails)(void *arg, const struct scenario *s);
    void *arg;
    uint32_t most_runs;   /* Stop after so many runs, with the best so far; 0 is 10,000. */
    uint32_t least_hosts; /* Never fewer hosts than so many; 0 is 1. */
    /* Whether the run must be told to stop (time is up); NULL: never. Asked before each run. */
    bool (*stop)(void *arg);

    /* out */
    uint32_t runs;  /* How often `fails` was asked. */
    uint32_t known; /* How often the answer was known already. */
    bool minimal;   /* No single decision can be left out. False when it was stopped. */
};

/* Shrink `s` in place. ERR_INVALID when it does not fail as it is: it is left as it was. */
int shrink_run(struct shrink *k, struct scenario *s, struct err *e);

#endif
