/* A fixed day of a small pool: what the crash sweep repeats (sweep.h). */

#ifndef CHAOS_SIM_STORY_H
#define CHAOS_SIM_STORY_H

#include <stdbool.h>

/* By name: NULL if there is none. */
struct story;
const struct story *story_find(const char *name);
const char *story_name(const struct story *s);
/* Its safety phase. A step that is never done ends the run. */
void story_run(const struct story *s);

#endif
