/* Clients at work: each asks one thing after the other, of random hosts, and asks again under the
 * same request id until it knows what came of it. They remember what they were promised. */

#ifndef CHAOS_SIM_WORKLOAD_H
#define CHAOS_SIM_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chaos-tests/check/history.h"

/* Machines of clients begin here in the network. */
#define WORKLOAD_FIRST 64

void workload_begin(void);
void workload_end(void);

/* The pool is founded on host 0 and the others are added; then `done` is true for
 * workload_formed(). */
void workload_form(void);
bool workload_formed(void);

/* Clients work from now on; and no longer (what is under way is brought to its end). */
void workload_start(void);
void workload_stop(void);
/* It was decided that this client (from 0) asks something now: what, follows from the seed alone.
 * One that waits for an answer, or does not exist, lets it be. */
void workload_decided(uint32_t client, uint64_t seed);
/* All clients have stopped. */
bool workload_idle(void);

/* After healing. */
struct vhost;
/* What differs between the guests that run and those that should, by the state of this host; NULL:
 * nothing. */
const char *workload_unrest(struct vhost *h, char *to, size_t size);
/* When the pool has come to rest: what was promised is compared with what this host has. */
void workload_check(struct vhost *h);

/* Each protected guest that runs by the state of this host must go on. */
void workload_owe(struct vhost *h, void (*must)(enum must_what what, const char *subject));
/* The rows of all guests as this host has them, into the history. */
void workload_record_rows(struct vhost *h);

#endif
