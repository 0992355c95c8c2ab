/* What the replicas do, seen from outside of them: every entry that any state machine applies goes
 * through here (fsm_apply and its like are wrapped). Equal entries and equal states at equal
 * indices are checked as they come. */

#ifndef CHAOS_SIM_OBSERVE_H
#define CHAOS_SIM_OBSERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/hash.h"

void observe_begin(void);
void observe_end(void);
/* The highest index that any replica applied. */
uint64_t observe_last(void);

/* The guest's row where the most was applied; false: there is none. */
struct guest;
/* The running host whose state is furthest; NULL: none. */
struct vhost *observe_newest(void);
bool observe_guest(const char *name, struct guest *ret);

/* The process that runs applied this entry (data NULL: one that is no command); and has this state
 * after it. Called by the wrapped functions, and by tests. */
void observe_entry(uint64_t index, const void *data, size_t len);
void observe_state(uint64_t index, struct hash128 hash);

/* The state of the process that runs is at another index than its last entry: it starts, or has
 * loaded a snapshot. */
struct fsm;
void observe_jump(struct fsm *f);

#endif
