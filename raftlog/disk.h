/* The seam to the disk: one directory that belongs to one process.
 *
 * Two implementations: disk_os.c (POSIX) and tests/simdisk.c (in memory, with a page cache, power
 * cuts and every fault we know). All names are plain file names inside the directory.
 *
 * Three ways to use it:
 *   - blocking calls, for recovery and for the two-slot records (a few hundred bytes, rarely). They
 *     may be called by the loop's thread and by tasks, not twice at once on one file;
 *   - writes of the log: queued by the loop, written and synced by a thread of their own, completed
 *     on the loop in the order they were queued. What was queued while a sync ran shares the next
 *     one (group commit), but a group never spans two files: when the first byte of a write to
 *     another file reaches the disk, all writes before it are durable;
 *   - tasks: work with blocking calls in a background thread, in order. Those that read or write
 *     whole snapshots are `slow` and have a thread of their own, so that nothing short waits for
 *     them.
 *
 * Nothing is durable before a sync; a name is not durable before disk_sync_dir(). After a failed
 * write or sync nobody knows what the disk holds: callers never try the same sync again. */

#ifndef RAFTLOG_DISK_H
#define RAFTLOG_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

struct disk;
struct disk_file;

/* Bytes in a file name, the final NUL included. */
#define DISK_NAME_SIZE 128

/* What a disk writes as one: a power cut leaves each either old or new. */
#define DISK_SECTOR 512u

enum disk_mode {
    DISK_READ,
    DISK_WRITE, /* Read and write; the file exists. */
    DISK_CREATE /* Read and write; made if missing, emptied if not. */
};

/* One write of the log. Embedded by the caller, whose memory (this and the data) is lent until
 * done(). */
struct disk_write {
    /* in */
    struct disk_file *file;
    uint64_t offset;
    const void *data;
    size_t len;
    bool alone;  /* Durable before the next write to the same file begins. */
    bool resume; /* The first write after ERR_NO_SPACE: until one comes, all others fail too. */
    /* From the loop: 0, ERR_NO_SPACE (part of it may be on the disk) or ERR_IO. */
    void (*done)(struct disk_write *w, int code);
    /* private */
    struct disk_write *next;
    int code;
};

struct disk_task {
    /* in */
    void (*work)(struct disk_task *t); /* In the background thread. */
    void (*done)(struct disk_task *t); /* From the loop. */
    bool slow;
    /* private */
    struct disk_task *next;
};

struct disk_ops {
    int (*open)(struct disk *d,
                const char *name,
                enum disk_mode mode,
                struct disk_file **ret,
                struct err *e);
    void (*close)(struct disk_file *f);
    int (*size)(struct disk_file *f, uint64_t *ret, struct err *e);
    int (*read)(struct disk_file *f,
                uint64_t offset,
                void *data,
                size_t len,
                size_t *ret_n,
                struct err *e);
    int (*write)(struct disk_file *f, uint64_t offset, const void *data, size_t len, struct err *e);
    int (*truncate)(struct disk_file *f, uint64_t size, struct err *e);
    int (*allocate)(struct disk_file *f, uint64_t size, struct err *e);
    int (*sync)(struct disk_file *f, struct err *e);
    int (*rename)(struct disk *d, const char *from, const char *to, struct err *e);
    int (*remove)(struct disk *d, const char *name, struct err *e);
    int (*sync_dir)(struct disk *d, struct err *e);
    int (*list)(struct disk *d,
                void (*name)(void *ctx, const char *name),
                void *ctx,
                struct err *e);
    int (*space)(struct disk *d, uint64_t *ret_free, uint64_t *ret_total, struct err *e);
    void (*queue)(struct disk *d, struct disk_write *w);
    void (*run)(struct disk *d, struct disk_task *t);
};

struct disk {
    const struct disk_ops *ops;
};

struct disk_file {
    const struct disk_ops *ops;
};

/* ERR_NOT_FOUND: no such file (DISK_READ, DISK_WRITE). Errors name the file. */
static inline int disk_open(struct disk *d,
                            const char *name,
                            enum disk_mode mode,
                            struct disk_file **ret,
                            struct err *e)
{
    return d->ops->open(d, name, mode, ret, e);
}

/* Accepts NULL. */
static inline void disk_close(struct disk_file *f)
{
    if (f != NULL) {
        f->ops->close(f);
    }
}

static inline int disk_size(struct disk_file *f, uint64_t *ret, struct err *e)
{
    return f->ops->size(f, ret, e);
}

/* Fewer bytes than asked for (*ret_n) only at the end of the file. */
static inline int disk_read(struct disk_file *f,
                            uint64_t offset,
                            void *data,
                            size_t len,
                            size_t *ret_n,
                            struct err *e)
{
    return f->ops->read(f, offset, data, len, ret_n, e);
}

/* All of it or an error: ERR_NO_SPACE, ERR_IO. */
static inline int
disk_write(struct disk_file *f, uint64_t offset, const void *data, size_t len, struct err *e)
{
    return f->ops->write(f, offset, data, len, e);
}

static inline int disk_truncate(struct disk_file *f, uint64_t size, struct err *e)
{
    return f->ops->truncate(f, size, e);
}

/* Give the file this size with every block really reserved. ERR_NO_SPACE. */
static inline int disk_allocate(struct disk_file *f, uint64_t size, struct err *e)
{
    return f->ops->allocate(f, size, e);
}

static inline int disk_sync(struct disk_file *f, struct err *e)
{
    return f->ops->sync(f, e);
}

/* Replaces `to`. */
static inline int disk_rename(struct disk *d, const char *from, const char *to, struct err *e)
{
    return d->ops->rename(d, from, to, e);
}

/* A missing file is no error. */
static inline int disk_remove(struct disk *d, const char *name, struct err *e)
{
    return d->ops->remove(d, name, e);
}

static inline int disk_sync_dir(struct disk *d, struct err *e)
{
    return d->ops->sync_dir(d, e);
}

/* Every file, in no order. The callback must not change the directory. */
static inline int
disk_list(struct disk *d, void (*name)(void *ctx, const char *name), void *ctx, struct err *e)
{
    return d->ops->list(d, name, ctx, e);
}

/* Bytes that this process may still use, and the size of the file system. */
static inline int disk_space(struct disk *d, uint64_t *ret_free, uint64_t *ret_total, struct err *e)
{
    return d->ops->space(d, ret_free, ret_total, e);
}

static inline void disk_queue(struct disk *d, struct disk_write *w)
{
    d->ops->queue(d, w);
}

static inline void disk_run(struct disk *d, struct disk_task *t)
{
    d->ops->run(d, t);
}

/* --- the operating system's (disk_os.c) */

struct uv_loop_s;

/* Take the directory (made if missing, mode 0700) for this process alone and start the threads.
 * ERR_LOCKED: another process, or another open of this one, has it. */
int disk_os_open(struct disk **ret, struct uv_loop_s *loop, const char *dir, struct err *e);

/* Wait for queued writes and tasks to end (their done() is not called any more), release the
 * directory. `closed` fires from the loop; the memory is gone then. */
void disk_os_close(struct disk *base, void (*closed)(void *ctx), void *ctx);

/* Syncs of the log and the writes in them so far, for the bench. */
void disk_os_counts(struct disk *base, uint64_t *ret_syncs, uint64_t *ret_writes);

#endif
