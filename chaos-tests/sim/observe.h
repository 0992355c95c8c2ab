/* What the replicas do, seen from outside of them: every entry that any state machine applies goes
 * through here (fsm_apply and its like are wrapped). Equal entries and equal states at equal
 * indices are checked as they come. */

#ifndef CHAOS_SIM_OBSERVE_H
#define CHAOS_SIM_OBSERVE_H

#include <stdint.h>

void observe_begin(void);
void observe_end(void);
/* The highest index that any replica applied. */
uint64_t observe_last(void);

#endif
