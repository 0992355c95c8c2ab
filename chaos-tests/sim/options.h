/* What quorate-sim was asked for on its command line. */

#ifndef CHAOS_SIM_OPTIONS_H
#define CHAOS_SIM_OPTIONS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/mark.h"

#include "chaos-tests/check/scenario.h"
#include "chaos-tests/sim/lab.h"

/* Exit status of the program. */
#define EXIT_FOUND  1 /* A promise was broken, or a scenario did not end as it expects. */
#define EXIT_OPTION 2
#define EXIT_START  8 /* It could not begin. */

struct options {
    struct lab_options o; /* seed: of the first run. */
    uint64_t seeds;
    uint32_t jobs;
    bool stop;   /* At the first seed that finds something. */
    bool judged; /* A checker that judged nothing in any run is a failure. */
    bool json;
    uint32_t every;     /* Of the calls of a sweep, one in so many. */
    bool marks;         /* Say how often each mark of core/marks.def was hit. */
    enum mark find;     /* No seed after the first that comes by it; MARKS: none. */
    const char *mutant; /* NULL: none. */
    /* Absolute paths; empty: not asked for. */
    char history[PATH_MAX], report[PATH_MAX], save[PATH_MAX], shrink[PATH_MAX];
    bool replays;
    struct scenario scenario; /* If it does. */
};

/* Read the command line. -1: go on; else the status to exit with, and all is said. */
int options_read(struct options *s, int argc, char **argv);
void options_done(struct options *s);

/* The command that repeats the run of this seed, without the program's name. */
void options_again(const struct options *s, uint64_t seed, char *to, size_t size);

#endif
