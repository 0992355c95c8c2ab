/* Whether a guest could run anywhere else than where it is: high availability promises that, and a
 * disk which one host has makes it a promise that nobody can keep. Reads a view of the state and
 * nothing else; what was true of it may not be true of the log's end, and --force passes by it. */

#ifndef CLI_QUORATED_REACH_H
#define CLI_QUORATED_REACH_H

#include "fsm/fsm.h"

/* 0 when each disk of this guest is in a repository that two hosts have at hand, or the pool has no
 * second host to go to; else ERR_STATE with the disk, the host and what to do. An absolute path is
 * a path of one host: whether another host has the same file there is not known. */
int reach_check(struct fsm_view *v, const struct guest *g, struct err *e);

/* The same of every guest for which HA is on, for a pool that shall begin to keep the promise. */
int reach_check_all(struct fsm_view *v, struct err *e);

#endif
