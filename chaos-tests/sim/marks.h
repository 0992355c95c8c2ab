/* What the code under test came by (core/mark.h), over many runs. */

#ifndef CHAOS_SIM_MARKS_H
#define CHAOS_SIM_MARKS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/mark.h"

const char *mark_name(enum mark m);
/* False: there is none of this name. */
bool mark_find(const char *name, enum mark *ret);

/* A line "mark OFTEN NAME COUNT" each, and one that names those that were never hit. */
void marks_print(const uint64_t counts[MARKS]);

#endif
