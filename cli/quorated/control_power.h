/* The master's controller of power: a host that is down and has protected guests is powered off by
 * the pool's program, where there is one, and its acknowledgement is the proof that nothing runs
 * there (docs/protocols/leases.md). It delays nothing: the lease runs out meanwhile all the same.
 */

#ifndef CLI_QUORATED_CONTROL_POWER_H
#define CLI_QUORATED_CONTROL_POWER_H

#include "cli/quorated/daemon.h"

struct control_power;

struct control_power *control_power_new(struct daemon *d);
/* What is under way is given up. */
void control_power_rest(struct control_power *c);
/* NULL is accepted; returns NULL. */
struct control_power *control_power_free(struct control_power *c);

/* One host at a time; one that could not be powered off is tried again after a while. */
void control_power(struct control_power *c, struct fsm_view *v, uint64_t now_ms);

#endif
