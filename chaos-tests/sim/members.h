/* An operator who takes hosts out of the pool and adds them again, and changes who votes.
 *
 * What is wanted is set by the fault `members`; the operator looks at the newest state that a
 * running host has, asks for the first thing that is not as wanted, asks until it knows what came
 * of that, and looks again. After healing everything is wanted as it was at first. */

#ifndef CHAOS_SIM_MEMBERS_H
#define CHAOS_SIM_MEMBERS_H

#include "chaos-tests/sim/vhost.h"

void members_begin(void);
void members_end(void);

/* The host is to leave (its guests move away first), or is wanted in again. The last one wanted
 * stays. */
void members_want(const struct vhost *h, bool in);
/* It loses its power, and is removed with the promise that it is off: it stays off until that is
 * known to be done. Nobody promises that of so many that the others could not remove them: false,
 * unless all is as at first. While one is lost nothing else is to be wanted. */
bool members_want_lost(struct vhost *h);
bool members_lost(void);
/* It has been away for long enough. */
void members_want_back(const struct vhost *h);
/* So many may vote at most (odd; 0: as at first). This one may become master. */
void members_want_voters(uint32_t n);
void members_want_master(const struct vhost *h, bool allowed);

/* Everything is wanted as it was at first. */
void members_heal(void);
/* Whether it must not be given power: a promise that it is off may still be carried out. */
bool members_keep_off(const struct vhost *h);
/* Whether somebody was to leave in this run. */
bool members_leave(void);
/* Whether all is as it was at first, as far as can be seen, and nothing is being asked. */
bool members_settled(void);
/* What is not; NULL: nothing. */
const char *members_unrest(char *to, size_t size);

#endif
