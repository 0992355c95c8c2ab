/* The data directory of a host whose daemon does not run: copied, put back, emptied, rotten. */

#ifndef CHAOS_SIM_DATA_H
#define CHAOS_SIM_DATA_H

#include "chaos-tests/sim/vhost.h"

struct data_copy;

/* What is durable of it now, as a backup would have it. The daemon may run. NULL: there is nothing.
 */
struct data_copy *data_save(const struct vhost *h);
/* The copy takes the place of what is there. */
void data_put(struct vhost *h, const struct data_copy *copy);
struct data_copy *data_free(struct data_copy *copy);

/* Nothing is left, as after an operator's rm -r. */
void data_wipe(struct vhost *h);

/* Flip some bits in one file of the log's disk or (`store`) in the file of the store. */
void data_rot(struct vhost *h, bool store, struct rng *rng);

/* --- who has forgotten
 *
 * A member that lost what it had acknowledged may cost what only it and another one had; so one
 * host at a time forgets, and the next one not before it has it all again. */

/* Whether every other host has heard of the start of this one's present daemon: then they refuse
 * whatever runs on an earlier copy of its data. */
bool data_start_is_known(const struct vhost *h);

/* Whether this host may forget now, and that it does. */
bool data_may_forget(const struct vhost *h);
void data_forgets(const struct vhost *h);
/* A host has forgotten and does not have it again. */
bool data_in_doubt(void);
/* A run begins. */
void data_begin(void);

#endif
