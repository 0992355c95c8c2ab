/* Entries back from the log: where each stands is kept in memory, 16 bytes an entry. */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/crc32c.h"
#include "core/util.h"

#include "raftlog/wal_impl.h"

void wal_places_restart(struct wal *w, uint64_t index)
{
    w->places.base = index + 1;
    w->places.n = 0;
}

void wal_places_put(struct wal *w, uint64_t index, uint64_t segment, uint32_t at, uint32_t len)
{
    struct wal_places *p = &w->places;
    if (index < p->base) { /* The log is replaced from before its beginning on. */
        wal_places_restart(w, index - 1);
    }
    size_t i = (size_t)(index - p->base);
    assert(i <= p->n);
    if (i == p->cap) {
        p->cap = p->cap == 0 ? 256 : p->cap * 2;
        p->at = mem_grow(p->at, p->cap, sizeof *p->at);
    }
    p->at[i].segment = segment;
    p->at[i].at = at;
    p->at[i].len = len;
    p->n = i + 1;
}

void wal_places_trim(struct wal *w)
{
    struct wal_places *p = &w->places;
    if (w->first <= p->base) {
        return;
    }
    size_t n = (size_t)min_u64(w->first - p->base, p->n);
    memmove(p->at, p->at + n, (p->n - n) * sizeof *p->at);
    p->n -= n;
    p->base += n;
}

void wal_places_done(struct wal *w)
{
    free(w->places.at);
    disk_close(w->read_file);
    w->read_file = NULL;
}

static int open_segment(struct wal *w, uint64_t number, struct err *e)
{
    char name[DISK_NAME_SIZE];
    if (w->read_file != NULL && w->read_segment == number) {
        return 0;
    }
    disk_close(w->read_file);
    w->read_file = NULL;
    w->read_segment = number;
    wal_segment_name(name, number);
    return disk_open(w->o.disk, name, DISK_READ, &w->read_file, e);
}

int wal_read(struct wal *w,
             uint64_t index,
             struct wal_entry *ret,
             struct buf *ret_data,
             struct err *e)
{
    const struct wal_places *p = &w->places;
    if (index < w->first || index < p->base || index - p->base >= p->n || index > w->durable) {
        return err_set(e, ERR_NOT_FOUND, "entry %llu is not in the log", (unsigned long long)index);
    }
    size_t i = (size_t)(index - p->base);
    int rc = open_segment(w, p->at[i].segment, e);
    if (rc != 0) {
        return rc;
    }
    size_t size = wal_record_size(p->at[i].len);
    size_t got = 0;
    uint8_t *record CLEANUP(cleanup_free) = mem_new(size, 1);
    rc = disk_read(w->read_file, p->at[i].at, record, size, &got, e);
    if (rc != 0) {
        return rc;
    }
    if (got != size || load_u32(record) != crc32c(0, record + 4, size - 4) ||
        load_u64(record + 16) != index || load_u32(record + 4) != p->at[i].len) {
        return err_set(
            e, ERR_CORRUPT, "log segment " WAL_NAME_FORMAT " is damaged at offset %u: entry %llu",
            (unsigned long long)p->at[i].segment, p->at[i].at, (unsigned long long)index);
    }
    *ret = (struct wal_entry){.index = index,
                              .term = load_u64(record + 24),
                              .type = load_u32(record + 8),
                              .len = p->at[i].len};
    buf_put(ret_data, record + WAL_RECORD_HEADER, p->at[i].len);
    return 0;
}
