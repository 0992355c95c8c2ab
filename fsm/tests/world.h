/* Stores in a private directory, and entries made from words: what the tests of this folder share.
 */

#ifndef FSM_TESTS_WORLD_H
#define FSM_TESTS_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"

#include "fsm/fsm.h"

/* Directory of a fresh store under a private temporary directory, which is deleted at exit. */
const char *world_dir(void);

/* Open a store or fail the test; world_close() closes it. */
struct fsm *world_open(const char *dir);
struct fsm *world_open_new(void);

/* Copy a store's state into another store through a snapshot, or fail the test. */
void world_copy(struct fsm *from, struct fsm *to);

/* A snapshot in memory. */
struct buf world_snapshot(struct fsm *f);
/* Load it; returns the code. */
int world_load(struct fsm *f, const void *data, size_t len, struct err *e);

/* The envelope of an entry around a record. */
void world_entry(struct buf *out, const struct entry *head, const void *record);

/* Apply one entry in a transaction of its own, or fail the test. */
struct fsm_applied_entry world_apply(struct fsm *f, const struct buf *entry);

/* An id made of a number. */
struct id world_id(uint64_t n);

bool world_same(struct fsm *a, struct fsm *b);

#endif
