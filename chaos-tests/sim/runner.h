/* One run in a process of its own: what it leaves (memory, descriptors, a crash) ends with it, and
 * what it told until then is there. */

#ifndef CHAOS_SIM_RUNNER_H
#define CHAOS_SIM_RUNNER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/mark.h"

#include "chaos-tests/check/check.h"
#include "chaos-tests/check/scenario.h"
#include "chaos-tests/sim/lab.h"
#include "chaos-tests/sim/plan.h"

#define RUN_HOSTS 8
#define RUN_CRASH "crash" /* The checker that finds it when the code under test ends the run. */

/* Shared with the process of the run. */
struct run {
    struct lab_options o; /* hist, log, dir: not used. */
    /* Written by the run at its end; empty: not wanted. `always`: also if it did not fail. */
    const char *history, *report;
    char again[1024]; /* The command that repeats it, for the report. */
    bool always;

    /* What came of it. */
    bool done, ok;
    char checker[SCENARIO_NAME];
    char failure[LAB_TEXT];
    char faults[512];
    uint64_t failed_ns, now_ns, rest_ns, hash;
    uint64_t asked, acked, refused, unsure, migrations, entries, struck;
    uint64_t judged[CHECKERS];        /* By the rows of `checkers`. */
    uint64_t calls[RUN_HOSTS][SEAMS]; /* Of the first hosts, across their seams. */
    uint64_t marks[MARKS];            /* What the code under test came by. */
    int signal;                       /* That ended it; 0. */
    struct plan_log log;
    /* Of the parent. */
    pid_t pid;
    char dir[64];
};

/* Memory for a run; NULL with errno. */
struct run *run_new(void);
/* Nothing is wanted of it, and nothing came of it: fill in the upper part. */
void run_clear(struct run *r);
void run_free(struct run *r);

/* Begin it: 0, or -1 with errno. */
int run_start(struct run *r);
/* One of these has ended: the number of it. They all must have been started. */
uint32_t run_wait(struct run **runs, uint32_t n);
/* Begin it and wait for its end. */
int run_whole(struct run *r);

#endif
