/* A state in a private directory, and commands as text: for tests of what reads a view. */

#ifndef CLI_TESTS_STATE_H
#define CLI_TESTS_STATE_H

#include "fsm/commands.h"
#include "fsm/fsm.h"

/* An empty state; one at a time. */
struct fsm *state_open(void);
struct fsm *state_close(struct fsm *f); /* And its directory is gone. */

/* "guest_create name=a host=h1 memory_mib=64 disk=/a" as the next entry. Ids are filled in. */
struct outcome state_apply(struct fsm *f, uint64_t wall_ms, const char *line);
/* All of them, a second apart; the test fails at the first that is rejected. */
void state_must(struct fsm *f, const char *const *lines, size_t n);

#endif
