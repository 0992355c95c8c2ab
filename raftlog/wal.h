/* The write-ahead log: what a member must never forget of its raft log.
 *
 * Segments (wal_format.h) of fixed size, filled with zeros and synced before they are used, so that
 * an append never waits for the file system to find blocks. Two segments ahead of the one in use
 * are kept ready in the background; those that a snapshot made redundant are used again.
 *
 * An entry whose index is not above the last one replaces it and all after it. Nothing is ever
 * deleted at the end: replaying the records in order gives the log.
 *
 * Recovery forgets nothing that may have been acknowledged. A batch that cannot be read is cut off
 * only when it cannot have been acknowledged:
 *   (a) no later segment was ever written to (a segment gets its first byte only after the one
 *       before it is durable),
 *   (b) no later batch says that everything up to here was durable when it was written,
 *   (c) whole sectors of it were never written, and what was written is not merely wrong,
 *   (d) the caller's highest acknowledged index (the guard's) is still there.
 * Anything else is ERR_CORRUPT, naming file and offset. Since two segments are always there before
 * one is used, a segment file that is missing is always noticed, the last one included.
 *
 * Failures while running: ERR_NO_SPACE leaves everything before it valid and may be tried again;
 * ERR_IO is for good. Loop thread only. */

#ifndef RAFTLOG_WAL_H
#define RAFTLOG_WAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/id.h"

struct disk;
struct wal;

/* Bytes of a segment: the default, and the least (for tests; entries must fit in one). */
#define WAL_SEGMENT_DEFAULT (8ul * 1024u * 1024u)
#define WAL_SEGMENT_MIN     (16ul * 1024u)
#define WAL_SEGMENT_MAX     (256ul * 1024u * 1024u)

struct wal_entry {
    uint64_t index;
    uint64_t term;
    uint32_t type; /* The caller's, 1 to 255. */
    const void *data;
    size_t len;
};

struct wal_options {
    struct disk *disk;
    struct id pool;
    uint64_t segment_bytes; /* Of new segments; a multiple of 4096. */
    bool create;            /* Begin a new, empty log; whatever was there is removed. */
    uint64_t acked;         /* The last entry must not be before this one, or ERR_CORRUPT. */
    /* Recovery tells every entry, in the order in which they were written: one whose index is not
     * above the last replaces that and all after it. */
    void (*entry)(void *ctx, const struct wal_entry *entry);
    /* Recovery found that the log begins anew after this (index, term): forget what was told. */
    void (*restart)(void *ctx, uint64_t index, uint64_t term);
    /* A segment is full and the next is in use. May be NULL. */
    void (*rolled)(void *ctx);
    void *ctx;
};

struct wal_status {
    uint64_t first; /* Index of the oldest entry; last + 1 if there is none. */
    uint64_t last;  /* As appended; may not be durable yet. */
    uint64_t last_term;
    uint64_t durable;   /* The last whose append was completed. */
    uint64_t prev_term; /* Term of the entry before `first` when the log was opened; 0 unknown. */
    uint64_t segments;  /* Files, those kept ready included. */
    uint64_t bytes;
    uint64_t rolls; /* Since open. */
    uint64_t waits; /* Times that appends had to wait for a segment to be made. */
    bool full;      /* The last append failed for want of room. */
    bool failed;    /* ERR_IO: nothing more can be written. */
    bool cut;       /* Recovery cut an unacknowledged tail off: */
    uint64_t cut_segment;
    uint32_t cut_at;
};

/* Recover. Blocking. ERR_CORRUPT, ERR_VERSION, ERR_REFUSED (another pool's), ERR_IO, ERR_NO_SPACE:
 * the message names the file. */
int wal_open(struct wal **ret, const struct wal_options *options, struct err *e);

/* Give the memory back and close the files. Call when wal_idle(), or when the disk below is closed
 * and will complete nothing more. Accepts NULL. */
void wal_free(struct wal *w);

/* Nothing is under way. */
bool wal_idle(const struct wal *w);

/* One append. Embedded by the caller; its memory is lent until done(). */
struct wal_append {
    /* in */
    const struct wal_entry *entries; /* Borrowed for the call. */
    uint32_t n;
    /* From the loop, in the order of the calls: 0: durable; ERR_NO_SPACE: none of the entries
     * counts, and all appends made since failed too: each is kept until wal_retry() or
     * wal_forget(); ERR_IO. */
    void (*done)(struct wal_append *a, int code);
    void *user;
    /* private */
    struct wal_append *next;
    struct buf records;
    size_t placed;
    uint32_t batches;
    uint64_t last, last_term;
    int code;
    bool restart;
};

/* Entries in order, the first at most one after the last. ERR_TOO_BIG (one does not fit in a
 * segment) and ERR_IO (the log has failed): done is not called. */
int wal_append(struct wal *w, struct wal_append *a) __attribute__((warn_unused_result));

/* Why appends are held back: until what they follow is on disk; until a turn's frames are sent. */
enum wal_hold {
    WAL_HOLD_GUARD = 1,
    WAL_HOLD_TURN = 2
};

/* While held for any reason, appends are taken and wait; when no longer, they go out in their
 * order. What was under way goes on. */
void wal_hold(struct wal *w, enum wal_hold why, bool hold);

/* An append that found no room, as it was. ERR_IO: done is not called. */
int wal_retry(struct wal *w, struct wal_append *a) __attribute__((warn_unused_result));
void wal_forget(struct wal_append *a);

/* One entry back, its payload appended to *ret_data (ret->data is not set). Blocking, and slow.
 * ERR_NOT_FOUND: not in the log, or not durable yet. */
int wal_read(struct wal *w,
             uint64_t index,
             struct wal_entry *ret,
             struct buf *ret_data,
             struct err *e);

/* After a snapshot was installed: the log begins anew after (index, term). `a->entries` is not
 * used. The segments before go once it is durable. ERR_IO: done is not called. */
int wal_restart(struct wal *w, struct wal_append *a, uint64_t index, uint64_t term)
    __attribute__((warn_unused_result));

/* Entries up to `index` are not needed any more: drop the segments that hold no other. */
void wal_trim(struct wal *w, uint64_t index);

void wal_get_status(const struct wal *w, struct wal_status *ret);

#endif
