/* The guard record: who this data directory is, and what it must not fall behind.
 *
 * Raft trusts a member to remember. A directory that was damaged, swapped with another pool's, or
 * restored from yesterday's backup does not, and would vote twice or forget what it acknowledged.
 * So:
 *   - the record says whose the directory is (pool, host, member number);
 *   - it holds the highest log index that this host acknowledged (saved now and then, so a lower
 *     bound): a log that ends before it has lost something;
 *   - it counts the starts of the daemon (the incarnation) that others heard of. Each is told to
 * every member it talks to, and they keep the highest they have seen of each other: a member that
 * comes with a lower one, or with the same one twice, runs on an old copy of its directory, and is
 * refused.
 */

#ifndef RAFTLOG_GUARD_H
#define RAFTLOG_GUARD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"
#include "core/id.h"
#include "core/limits.h"

#include "raftlog/disk.h"
#include "raftlog/slots.h"

/* Members that are remembered; the ones not seen for longest are forgotten first. */
#define GUARD_PEERS (2 * LIMIT_HOSTS)

struct guard_peer {
    uint64_t raft_id;
    uint64_t incarnation;
    uint64_t nonce; /* Of that start. */
};

struct guard_record {
    struct id pool;
    char name[LIMIT_NAME + 1];
    uint64_t raft_id;     /* 0: blank, there is no record. */
    uint64_t incarnation; /* Starts on this directory that somebody heard of, and this one. */
    uint64_t nonce;       /* Of it: an old copy of the directory comes to the same number, not to
                             the same nonce. */
    bool told;            /* Somebody heard of it. */
    uint64_t term;        /* Highest term of an entry that was acknowledged. */
    uint64_t acked;       /* This host told others that it has everything up to here. */
    struct guard_peer peers[GUARD_PEERS]; /* Last seen last. */
    uint32_t n_peers;
};

struct guard {
    struct slots slots;
    struct guard_record record;
    uint64_t saved_acked; /* As on disk. */
    bool unsaved;         /* The record holds a peer's start that is not on disk. */
    /* The save in the background, one at a time. */
    struct disk_task task;
    bool busy;            /* The task is under way. */
    uint64_t task_acked;  /* What it writes. */
    struct buf task_data; /* It, encoded. */
    int task_code;
    struct err task_err;
    void (*saved)(void *ctx, int code, const struct err *e);
    void *saved_ctx;
    pthread_mutex_t lock; /* Over a save, and: */
    bool stale;           /* Something newer was saved: the task must not write. */
};

/* All that blocks on the disk does so for two synced writes. */

/* Read the record. 0 also without one (raft_id 0). ERR_CORRUPT, ERR_VERSION, ERR_IO. Blocking, as
 * are found, start, lower_acked and check_peer. */
int guard_open(struct guard *g, struct disk *disk, struct err *e);
/* The disk below is closed: a save in the background does not come back. */
void guard_done(struct guard *g);

/* This directory now belongs to this member. Only over a blank one: ERR_STATE. */
int guard_found(struct guard *g,
                const struct id *pool,
                const char *name,
                uint64_t raft_id,
                uint64_t nonce,
                struct err *e);

/* The daemon starts: counts the incarnation, unless nobody heard of the one before: so an old copy
 * cannot count past what was seen of the present one before it meets somebody who knows. */
int guard_start(struct guard *g, uint64_t nonce, struct err *e);
/* A member has heard of this start, or is about to; or this host acts alone. Blocking once. */
int guard_told(struct guard *g, struct err *e);

/* This host is about to acknowledge `index`. Memory only; see guard_save_soon(). */
void guard_acked(struct guard *g, uint64_t term, uint64_t index);

/* The log is about to be cut behind `index`: a new leader overwrites a tail that never was
 * committed. The lower index must be durable before the cut is written, so that the shorter log is
 * not mistaken for a loss. In memory it is at once; false: on disk it is not yet, and the cut must
 * wait for guard_is_lowered() after a guard_save_soon(). */
bool guard_lower(struct guard *g, uint64_t index);
/* What is on disk, or may yet get there, is not above the acknowledged index. */
bool guard_is_lowered(const struct guard *g);
/* The same, durable when it returns 0. Blocking. */
int guard_lower_acked(struct guard *g, uint64_t index, struct err *e);

/* Write the acknowledged index down in the background if it is not as on disk. `saved` fires from
 * the loop after each such save, not 0: for good. Called about every second. */
void guard_save_soon(struct guard *g);
void guard_on_saved(struct guard *g,
                    void (*saved)(void *ctx, int code, const struct err *e),
                    void *ctx);

/* A member says who it is. ERR_REFUSED: it runs on an old copy of its directory (the message tells
 * its operator so). What is new is durable when it returns 0. */
int guard_check_peer(struct guard *g,
                     uint64_t raft_id,
                     uint64_t incarnation,
                     uint64_t nonce,
                     struct err *e);

#endif
