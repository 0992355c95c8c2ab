/* The hypervisors' truth: which copies of guests exist, and which of them execute.
 *
 * A guest of driver sim is a file, so the truth is what is done to those files (rename and unlink
 * are wrapped), whatever any daemon believes. Two copies of one guest that execute at one moment
 * are a violation, found when the second begins. */

#ifndef CHAOS_SIM_TRUTH_H
#define CHAOS_SIM_TRUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "core/id.h"

void truth_begin(void);
void truth_end(void);

/* The host lost its power: its guests are gone. */
void truth_power_cut(uint32_t host);

/* The machine stands still, and its guests with it, or both go on. */
void truth_freeze(uint32_t host, bool frozen);

/* The copy is killed from outside, whatever its daemon does at the moment. */
void truth_kill(uint32_t host, const struct id *uuid, uint64_t epoch);

/* Whether this copy exists on the host. */
bool truth_exists(uint32_t host, const struct id *uuid, uint64_t epoch);
/* ... and executes. */
bool truth_runs(uint32_t host, const struct id *uuid, uint64_t epoch);
/* Copies that exist, and those of them that execute, on all hosts. */
void truth_count(uint32_t *ret_copies, uint32_t *ret_running);
/* Called when all of a copy was sent elsewhere, and it stands still; NULL: nobody is. */
extern void (*truth_stopped)(void);
/* A migration whose copies both stand still: the source of it, and the target. False: there is
 * none. */
bool truth_handover(uint32_t *ret_src, uint32_t *ret_dst);
/* A random copy that executes on this host; false: none does. */
struct rng;
bool truth_pick(uint32_t host, struct rng *rng, struct id *ret_uuid, uint64_t *ret_epoch);

#endif
