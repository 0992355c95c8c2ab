/* Writing a snapshot file, start to end. */

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/crc32c.h"
#include "core/util.h"

#include "raftlog/snap_impl.h"

/* Bytes between syncs: a sync of a whole large file at once would hold up those of the log. */
#define SYNC_STEP (4ul * 1024u * 1024u)

struct snap_writer {
    struct disk *disk;
    struct disk_file *file;
    struct snap_meta meta;
    char name[DISK_NAME_SIZE];
    struct buf chunk; /* Its head, and what there is of its bytes. */
    uint64_t at;
    uint64_t synced;
    uint64_t stream_bytes;
    struct hash128 sum;
    bool failed;
};

struct hash128 snap_hash_on(struct hash128 before, const void *data, size_t len)
{
    uint8_t link[40];
    struct hash128 piece = hash_bytes(data, len);
    store_u64(link, before.lo);
    store_u64(link + 8, before.hi);
    store_u64(link + 16, len);
    store_u64(link + 24, piece.lo);
    store_u64(link + 32, piece.hi);
    return hash_bytes(link, sizeof link);
}

static int put(struct snap_writer *w, const void *data, size_t len, struct err *e)
{
    int rc = disk_write(w->file, w->at, data, len, e);
    w->at += len;
    w->failed = w->failed || rc != 0;
    return rc;
}

static int put_header(struct snap_writer *w, const struct id *pool, struct err *e)
{
    const struct snap_meta *m = &w->meta;
    size_t len = SNAP_HEADER + ((m->conf_len + 7u) & ~7u);
    uint8_t *h CLEANUP(cleanup_free) = mem_new(len, 1);
    memcpy(h, SNAP_MAGIC, 8); // NOLINT(bugprone-not-null-terminated-result): no text
    store_u32(h + SNAP_AT_FORMAT, SNAP_FORMAT);
    memcpy(h + SNAP_AT_POOL, pool->b, sizeof pool->b);
    store_u64(h + SNAP_AT_INDEX, m->index);
    store_u64(h + SNAP_AT_TERM, m->term);
    store_u64(h + SNAP_AT_CONF_INDEX, m->conf_index);
    store_u32(h + SNAP_AT_CONF_LEN, m->conf_len);
    memcpy(h + SNAP_HEADER, m->conf, m->conf_len);
    store_u32(h + SNAP_AT_CRC,
              crc32c(crc32c(0, h, SNAP_AT_CRC), h + SNAP_AT_POOL, len - SNAP_AT_POOL));
    w->sum = snap_hash_on((struct hash128){0}, h, len);
    return put(w, h, len, e);
}

int snap_create(struct snap_writer **ret,
                struct disk *disk,
                const struct id *pool,
                const struct snap_meta *meta,
                struct err *e)
{
    assert(meta->conf_len <= SNAP_CONF_MAX);
    struct snap_writer *w = mem_new(1, sizeof *w);
    w->disk = disk;
    w->meta = *meta;
    (void)snprintf(w->name, sizeof w->name, SNAP_OWN_PREFIX "%020llu-%020llu",
                   (unsigned long long)meta->term, (unsigned long long)meta->index);
    int rc = disk_open(disk, w->name, DISK_CREATE, &w->file, e);
    if (rc == 0) {
        rc = put_header(w, pool, e);
    }
    if (rc != 0) {
        snap_abort(w);
        return rc;
    }
    buf_put_u64(&w->chunk, 0); /* The chunk's head. */
    *ret = w;
    return 0;
}

static int put_chunk(struct snap_writer *w, struct err *e)
{
    size_t len = w->chunk.len - 8;
    if (len == 0) {
        return 0;
    }
    store_u32(w->chunk.data, (uint32_t)len);
    store_u32(w->chunk.data + 4, crc32c(crc32c(0, w->chunk.data, 4), w->chunk.data + 8, len));
    w->sum = snap_hash_on(w->sum, w->chunk.data, w->chunk.len);
    w->stream_bytes += len;
    int rc = put(w, w->chunk.data, w->chunk.len, e);
    w->chunk.len = 8;
    if (rc == 0 && w->at - w->synced >= SYNC_STEP) {
        w->synced = w->at;
        rc = disk_sync(w->file, e);
        w->failed = rc != 0;
    }
    return rc;
}

int snap_write(struct snap_writer *w, const void *data, size_t len, struct err *e)
{
    const uint8_t *p = data;
    int rc = 0;
    while (len > 0 && rc == 0) {
        size_t take = (size_t)min_u64(len, SNAP_CHUNK_MAX - (w->chunk.len - 8));
        buf_put(&w->chunk, p, take);
        p += take;
        len -= take;
        if (w->chunk.len - 8 == SNAP_CHUNK_MAX) {
            rc = put_chunk(w, e);
        }
    }
    return rc;
}

static int put_end(struct snap_writer *w, struct err *e)
{
    uint8_t end[8 + SNAP_TRAILER] = {0};
    uint8_t *t = end + 8;
    store_u32(end + 4, crc32c(0, end, 4));
    memcpy(t, SNAP_MAGIC_2, 8); // NOLINT(bugprone-not-null-terminated-result): no text
    store_u64(t + SNAP_END_STREAM, w->stream_bytes);
    store_u64(t + SNAP_END_LO, w->sum.lo);
    store_u64(t + SNAP_END_HI, w->sum.hi);
    store_u32(t + SNAP_END_CRC, crc32c(0, t, SNAP_END_CRC));
    return put(w, end, sizeof end, e);
}

int snap_finish(struct snap_writer *w, struct snap_meta *ret_meta, struct err *e)
{
    char name[DISK_NAME_SIZE];
    assert(!w->failed);
    int rc = put_chunk(w, e);
    if (rc == 0) {
        rc = put_end(w, e);
    }
    if (rc == 0) {
        rc = disk_sync(w->file, e);
    }
    snap_name(name, w->meta.term, w->meta.index);
    if (rc == 0) {
        rc = disk_rename(w->disk, w->name, name, e);
    }
    if (rc == 0) {
        rc = disk_sync_dir(w->disk, e);
    }
    if (rc != 0) {
        snap_abort(w);
        return err_wrap(e, "write snapshot %s", name);
    }
    if (ret_meta != NULL) {
        *ret_meta = w->meta;
        ret_meta->file_bytes = w->at;
        ret_meta->sum = w->sum;
    }
    disk_close(w->file);
    buf_done(&w->chunk);
    free(w);
    return 0;
}

void snap_abort(struct snap_writer *w)
{
    struct err ignored; /* A half-written file has no snapshot's name; the next start removes it. */
    if (w == NULL) {
        return;
    }
    disk_close(w->file);
    (void)disk_remove(w->disk, w->name, &ignored);
    buf_done(&w->chunk);
    free(w);
}
