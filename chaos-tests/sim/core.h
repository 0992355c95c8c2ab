/* The liveness phase with a chosen core: a majority is healed, the others stay broken, each in a
 * way of its own. Within its bound the core must have a master that all of it follow, do what a
 * client asks, and run every protected guest that has a place. */

#ifndef CHAOS_SIM_CORE_H
#define CHAOS_SIM_CORE_H

#include <stddef.h>
#include <stdint.h>

/* Hosts of this run's core, as bits: now and then all. What is outside is no more than the pool may
 * lose. */
uint64_t core_choose(void);

/* Break what is outside of it, until core_mend(). */
void core_break(uint64_t core);
void core_mend(uint64_t core);

/* What the core still lacks; NULL: nothing. */
const char *core_unrest(uint64_t core, char *to, size_t size);

#endif
