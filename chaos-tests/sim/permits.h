/* What each host would let execute without asking anybody, written into the history: a copy that
 * executes, or that its agent is about to let go on, and takes for the guest's run. One that the
 * guard holds has it until the end of the lease. (agent_decide() and what moves the end of a lease
 * are wrapped.) */

#ifndef CHAOS_SIM_PERMITS_H
#define CHAOS_SIM_PERMITS_H

#include <stdint.h>

struct id;

void permits_begin(void);
void permits_end(void);
/* The copy is no more. */
void permits_gone(uint32_t host, const struct id *guest, uint64_t epoch);

#endif
