/* Segment files: made ready ahead of their use, used again, dropped. All of it off the loop.
 *
 * A file gets its segment's name only when it is full of zeros, has its header and is synced. One
 * that is dropped loses its name durably before its content is touched; the oldest goes first, and
 * each removal is durable before the next, so that no crash leaves a gap. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mark.h"
#include "core/util.h"

#include "raftlog/wal_impl.h"

/* Zeros are synced in steps of this size, so that the syncs of the log in between wait for little.
 * They are written in smaller ones: the page cache keeps together what was written at once, and
 * each append would have the kernel go through all blocks of its piece, at the write and at the
 * sync. */
#define SYNC_STEP (256ul * 1024u)
#define ZERO_STEP (16ul * 1024u)

#define NEW_NAME "wal-new"

static const uint8_t zeros[ZERO_STEP];

void wal_segment_name(char out[DISK_NAME_SIZE], uint64_t number)
{
    (void)snprintf(out, DISK_NAME_SIZE, WAL_NAME_FORMAT, (unsigned long long)number);
}

static void spare_name(char out[DISK_NAME_SIZE], uint32_t n)
{
    (void)snprintf(out, DISK_NAME_SIZE, "wal-spare-%u", n);
}

static int fill(struct disk_file *f, const struct wal_header *h, struct err *e)
{
    uint64_t size = 0;
    int rc = disk_size(f, &size, e);
    if (rc == 0 && size > h->bytes) {
        rc = disk_truncate(f, h->bytes, e);
    }
    for (uint64_t at = 0; rc == 0 && at < h->bytes; at += ZERO_STEP) {
        rc = disk_write(f, at, zeros, (size_t)min_u64(ZERO_STEP, h->bytes - at), e);
        if (rc == 0 && (at + ZERO_STEP) % SYNC_STEP == 0) {
            rc = disk_sync(f, e);
        }
    }
    uint8_t header[WAL_BLOCK];
    wal_header_encode(h, header);
    if (rc == 0) {
        rc = disk_write(f, 0, header, sizeof header, e);
    }
    return rc == 0 ? disk_sync(f, e) : rc;
}

int wal_make(struct disk *d,
             const struct wal_header *h,
             const char *reuse,
             struct disk_file **ret_file,
             struct err *e)
{
    char name[DISK_NAME_SIZE];
    wal_segment_name(name, h->number);
    const char *from = reuse[0] != '\0' ? reuse : NEW_NAME;
    struct disk_file *f = NULL;
    int rc = disk_open(d, from, reuse[0] != '\0' ? DISK_WRITE : DISK_CREATE, &f, e);
    if (rc == 0) {
        rc = fill(f, h, e);
    }
    if (rc == 0) {
        MARK_IF(segment_reused, reuse[0] != '\0');
        rc = disk_rename(d, from, name, e);
    }
    if (rc == 0) {
        rc = disk_sync_dir(d, e);
    }
    if (rc != 0) {
        struct err ignored; /* The first error is the one that counts. */
        disk_close(f);
        (void)disk_remove(d, from, &ignored);
        return err_wrap(e, "make log segment %s", name);
    }
    *ret_file = f;
    return 0;
}

struct wal_segment *wal_add(struct wal *w, uint64_t number, uint64_t bytes)
{
    if (w->n == w->cap) {
        w->cap = w->cap == 0 ? 8 : w->cap * 2;
        w->segments = mem_grow(w->segments, w->cap, sizeof *w->segments);
    }
    struct wal_segment *s = &w->segments[w->n++];
    *s = (struct wal_segment){.number = number, .bytes = bytes};
    return s;
}

/* --- making */

static void make_work(struct disk_task *task)
{
    struct wal_making *m = CONTAINER_OF(task, struct wal_making, task);
    m->err = (struct err){0};
    (void)wal_make(m->w->o.disk, &m->header, m->reuse, &m->file, &m->err);
}

static void make_done(struct disk_task *task)
{
    struct wal_making *m = CONTAINER_OF(task, struct wal_making, task);
    struct wal *w = m->w;
    m->busy = false;
    if (m->err.code == 0) {
        struct wal_segment *s = wal_add(w, m->header.number, m->header.bytes);
        s->file = m->file;
        m->file = NULL;
    }
    struct err err = m->err;
    if (err.code == 0) {
        wal_prepare(w);
    }
    wal_made(w, &err);
}

void wal_prepare(struct wal *w)
{
    struct wal_making *m = &w->making;
    if (m->busy || w->failed == ERR_IO || w->n - 1 - w->active >= WAL_AHEAD) {
        return;
    }
    m->busy = true;
    m->w = w;
    m->file = NULL;
    m->header = (struct wal_header){
        .pool = w->o.pool, .number = w->segments[w->n - 1].number + 1, .bytes = w->o.segment_bytes};
    m->reuse[0] = '\0';
    if (w->spares > 0 && !w->dropping.busy) { /* Dropping makes names of spares. */
        spare_name(m->reuse, w->spares--);
    }
    m->task = (struct disk_task){.work = make_work, .done = make_done};
    disk_run(w->o.disk, &m->task);
}

/* --- dropping */

static void drop_work(struct disk_task *task)
{
    struct wal_dropping *g = CONTAINER_OF(task, struct wal_dropping, task);
    struct disk *d = g->w->o.disk;
    uint32_t base = g->kept;
    g->kept = 0;
    for (uint32_t i = 0; i < g->n; i++) {
        char name[DISK_NAME_SIZE];
        char spare[DISK_NAME_SIZE];
        wal_segment_name(name, g->numbers[i]);
        int rc;
        if (g->kept < g->keep) {
            spare_name(spare, base + g->kept + 1);
            MARK(segment_kept);
            rc = disk_rename(d, name, spare, &g->err);
            g->kept += rc == 0;
        } else {
            MARK(segment_dropped);
            rc = disk_remove(d, name, &g->err);
        }
        if (rc != 0 || disk_sync_dir(d, &g->err) != 0) {
            return;
        }
    }
}

static void drop_done(struct disk_task *task)
{
    struct wal_dropping *g = CONTAINER_OF(task, struct wal_dropping, task);
    struct wal *w = g->w;
    g->busy = false;
    w->spares += g->kept;
    if (g->err.code == 0) { /* Otherwise the files are found, and dropped, after the next start. */
        wal_drop(w);
    }
}

void wal_drop(struct wal *w)
{
    struct wal_dropping *g = &w->dropping;
    uint32_t n = 0;
    while (n < w->active && n < ARRAY_LEN(g->numbers) && w->segments[n].max_index <= w->trim &&
           w->segments[n].file == NULL) {
        n++;
    }
    if (n == 0 || g->busy || w->failed == ERR_IO) {
        return;
    }
    *g = (struct wal_dropping){.w = w, .busy = true, .n = n, .kept = w->spares};
    g->keep = w->spares < WAL_AHEAD ? WAL_AHEAD - w->spares : 0;
    for (uint32_t i = 0; i < n; i++) {
        g->numbers[i] = w->segments[i].number;
    }
    memmove(w->segments, w->segments + n, (w->n - n) * sizeof *w->segments);
    w->n -= n;
    w->active -= n;
    if (w->first < w->segments[0].min_index) {
        w->first = w->segments[0].min_index;
        wal_places_trim(w);
    }
    g->task = (struct disk_task){.work = drop_work, .done = drop_done};
    disk_run(w->o.disk, &g->task);
}
