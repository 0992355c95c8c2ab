/* The store under the state machine: ordered rows in LMDB, and their hash.
 *
 * Guarantees:
 *   1. A commit makes all puts and deletes of its transaction, the applied index and the hash
 *      visible at once, or none of them.
 *   2. The hash is the sum over all rows (core/hash.h); it moves with every put and delete.
 *   3. LMDB runs without fsync: after a crash of the process the page cache holds the last commit;
 *      after a crash of the machine the store is thrown away at the next open (the marker file
 *      tells: see kv.c).
 *   4. One process has a store open; within it, one thread writes and any may hold a read
 *      transaction, which sees the state of its begin, unmoved.
 *
 * A write transaction remembers its first failure: from then on reads find nothing, writes do
 * nothing, and the commit fails with it. So the commands need not check each call. */

#ifndef FSM_KV_H
#define FSM_KV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/hash.h"

struct kv;
struct kv_txn;

struct kv_options {
    const char *dir;     /* Made if missing (its parent must be there). */
    const char *boot_id; /* Of this boot of the machine. */
    uint32_t format;     /* A store of another format is emptied. */
    size_t map_bytes;    /* 0 is 16 GiB. */
};

/* What is stored beside the rows. */
struct kv_head {
    uint64_t applied;
    struct hash128 hash;
};

struct kv_row {
    const uint8_t *key;
    size_t key_len;
    const uint8_t *value;
    size_t value_len;
};

/* Open, empty if need be (*ret_emptied), and hash every row. ERR_IO, ERR_LOCKED, ERR_NO_SPACE. */
int kv_open(struct kv **ret, const struct kv_options *o, bool *ret_emptied, struct err *e);

/* Sync, mark clean, close. NULL is accepted; returns NULL. Read transactions must have ended. */
struct kv *kv_close(struct kv *kv);

/* --- transactions */

int kv_read_begin(struct kv *kv, struct kv_txn **ret, struct err *e);
struct kv_txn *kv_read_end(struct kv_txn *t); /* NULL is accepted; returns NULL. */

int kv_write_begin(struct kv *kv, struct kv_txn **ret, struct err *e);
/* Both end the transaction, whatever they return. */
int kv_write_commit(struct kv_txn *t, uint64_t applied, struct err *e);
void kv_write_abort(struct kv_txn *t);

/* As of the transaction's begin; the hash moves with a write transaction's rows. */
struct kv_head kv_head(const struct kv_txn *t);

/* First failure of a write transaction: 0, or the code with the sentence. */
int kv_failure(const struct kv_txn *t, struct err *e);

/* Make a write transaction fail: what was read from it makes no sense. */
void kv_fail(struct kv_txn *t, int code, const char *what);

/* --- rows */

/* Returned memory is good until the transaction ends or writes. */
int kv_get(struct kv_txn *t, const void *key, size_t len, struct kv_row *ret);

/* The first row whose key is not less than this, and the one after the last returned by either:
 * 0 or ERR_NOT_FOUND (or ERR_CORRUPT, ERR_IO). */
int kv_seek(struct kv_txn *t, const void *key, size_t len, struct kv_row *ret);
int kv_next(struct kv_txn *t, struct kv_row *ret);

void kv_put(struct kv_txn *t, const void *key, size_t key_len, const void *value, size_t value_len);
/* The row may be missing. */
void kv_del(struct kv_txn *t, const void *key, size_t len);

/* --- replacing everything */

/* Rows of a new state are loaded beside the old ones, in transactions of bounded size, and take
 * their place in one commit. Until then the old state stays, also after a crash. */
struct kv_stage;
int kv_stage_begin(struct kv *kv, struct kv_stage **ret, struct err *e);
/* Keys must ascend: ERR_CORRUPT. */
int kv_stage_put(struct kv_stage *s, const struct kv_row *row, struct err *e);
struct hash128 kv_stage_hash(const struct kv_stage *s);
/* Both end the stage, whatever they return. */
int kv_stage_commit(struct kv_stage *s, uint64_t applied, struct err *e);
void kv_stage_abort(struct kv_stage *s); /* NULL is accepted. */

#endif
