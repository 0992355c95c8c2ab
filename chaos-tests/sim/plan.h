/* The decisions of a run: what is broken and when, what clients ask.
 *
 * A run draws them from its seed and writes each down as it makes it, as a line of a scenario
 * (chaos-tests/check/scenario.h). The same lines carried out at the same times are the same run: so
 * a run can be repeated with a decision less, or with others.
 *
 *     at 12500ms power h2 3s
 *     at 12731ms ask c1 4711    # guest_create g1-00001267
 *
 * An action is a fault (faults.def) with its arguments, or `ask` with a client and the seed of what
 * it asks. */

#ifndef CHAOS_SIM_PLAN_H
#define CHAOS_SIM_PLAN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

struct scenario;
struct vevent;

/* The lines, where another process can read them although this one has died. */
#define PLAN_BYTES (8u << 20)
struct plan_log {
    atomic_size_t len; /* What is before it is whole lines. */
    bool full;         /* Lines are missing. */
    char text[PLAN_BYTES];
};

/* Begin a run. `replay`: its decisions are those, borrowed; NULL: they are drawn. `log` may be
 * NULL. */
void plan_begin(const struct scenario *replay, struct plan_log *log);
/* Whether decisions are drawn in this run. */
bool plan_draws(void);
/* From now on they are carried out (those of earlier times now). */
void plan_start(void);
/* No more of them. */
void plan_stop(void);

/* An event at which something will be decided: at a whole microsecond, not before `at_ns`. */
void plan_set(struct vevent *ev, uint64_t at_ns);
/* This was decided now. `comment` may be NULL. */
void plan_note(const char *words, const char *comment);

/* Whether each line of a scenario can be carried out: ERR_INVALID with the number of the line. */
int plan_check(const struct scenario *s, struct err *e);

#endif
