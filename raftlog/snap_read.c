/* Reading a snapshot file. Nothing is believed before its checksum was right, and the end of the
 * stream is told only when the checksum over everything was. */

#include <stdlib.h>
#include <string.h>

#include "core/crc32c.h"
#include "core/util.h"

#include "raftlog/snap_impl.h"

struct snap_reader {
    struct disk_file *file;
    char name[DISK_NAME_SIZE];
    uint64_t at; /* Of the next chunk. */
    uint64_t size;
    struct buf chunk;
    size_t used; /* Of its bytes. */
    uint64_t stream_bytes;
    struct hash128 sum;
    bool ended;
};

static int corrupt(const struct snap_reader *r, uint64_t at, struct err *e, const char *what)
{
    return err_set(e, ERR_CORRUPT, "snapshot %s is damaged at offset %llu: %s", r->name,
                   (unsigned long long)at, what);
}

/* Exactly these bytes at r->at. */
static int take(struct snap_reader *r, void *data, size_t len, struct err *e)
{
    size_t got = 0;
    int rc = disk_read(r->file, r->at, data, len, &got, e);
    if (rc == 0 && got != len) {
        rc = corrupt(r, r->at + got, e, "it ends too early");
    }
    r->at += len;
    return rc;
}

static int
read_header(struct snap_reader *r, const struct id *pool, struct snap_meta *m, struct err *e)
{
    uint8_t h[SNAP_HEADER + SNAP_CONF_MAX];
    int rc = take(r, h, SNAP_HEADER, e);
    if (rc != 0) {
        return rc;
    }
    uint32_t conf_len = load_u32(h + SNAP_AT_CONF_LEN);
    uint32_t format = load_u32(h + SNAP_AT_FORMAT);
    if (memcmp(h, SNAP_MAGIC, 8) != 0) {
        return corrupt(r, 0, e, "no magic number");
    }
    if (conf_len > SNAP_CONF_MAX) {
        return corrupt(r, SNAP_AT_CONF_LEN, e, "the configuration is too long");
    }
    size_t more = (conf_len + 7u) & ~7u;
    rc = take(r, h + SNAP_HEADER, more, e);
    if (rc != 0) {
        return rc;
    }
    size_t len = SNAP_HEADER + more;
    if (load_u32(h + SNAP_AT_CRC) !=
        crc32c(crc32c(0, h, SNAP_AT_CRC), h + SNAP_AT_POOL, len - SNAP_AT_POOL)) {
        return corrupt(r, 0, e, "wrong checksum of the header");
    }
    if (format != SNAP_FORMAT) {
        return err_set(e, ERR_VERSION, "snapshot %s has format %u, this program knows %u", r->name,
                       format, SNAP_FORMAT);
    }
    if (memcmp(h + SNAP_AT_POOL, pool->b, sizeof pool->b) != 0) {
        return err_set(e, ERR_REFUSED, "snapshot %s belongs to another pool", r->name);
    }
    m->index = load_u64(h + SNAP_AT_INDEX);
    m->term = load_u64(h + SNAP_AT_TERM);
    m->conf_index = load_u64(h + SNAP_AT_CONF_INDEX);
    m->conf_len = conf_len;
    memcpy(m->conf, h + SNAP_HEADER, conf_len);
    m->file_bytes = r->size;
    r->sum = snap_hash_on((struct hash128){0}, h, len);
    return 0;
}

int snap_open(struct snap_reader **ret,
              struct disk *disk,
              const struct id *pool,
              const char *name,
              struct snap_meta *ret_meta,
              struct err *e)
{
    struct snap_reader *r = mem_new(1, sizeof *r);
    (void)str_copy(r->name, sizeof r->name, name);
    memset(ret_meta, 0, sizeof *ret_meta);
    int rc = disk_open(disk, name, DISK_READ, &r->file, e);
    if (rc == 0) {
        rc = disk_size(r->file, &r->size, e);
    }
    if (rc == 0) {
        rc = read_header(r, pool, ret_meta, e);
    }
    if (rc != 0) {
        snap_close(r);
        return rc;
    }
    *ret = r;
    return 0;
}

static int read_trailer(struct snap_reader *r, struct err *e)
{
    uint8_t t[SNAP_TRAILER];
    uint64_t at = r->at;
    int rc = take(r, t, sizeof t, e);
    if (rc != 0) {
        return rc;
    }
    if (memcmp(t, SNAP_MAGIC_2, 8) != 0 ||
        load_u32(t + SNAP_END_CRC) != crc32c(0, t, SNAP_END_CRC)) {
        return corrupt(r, at, e, "wrong trailer");
    }
    if (load_u64(t + SNAP_END_STREAM) != r->stream_bytes ||
        load_u64(t + SNAP_END_LO) != r->sum.lo || load_u64(t + SNAP_END_HI) != r->sum.hi) {
        return corrupt(r, at, e, "the checksum over everything is wrong");
    }
    for (uint32_t i = SNAP_END_ZERO; i < SNAP_TRAILER; i++) {
        if (t[i] != 0) {
            return corrupt(r, at + i, e, "wrong trailer");
        }
    }
    r->ended = true;
    return r->at == r->size ? 0 : corrupt(r, r->at, e, "there are bytes after its end");
}

static int read_chunk(struct snap_reader *r, struct err *e)
{
    uint64_t at = r->at;
    buf_clear(&r->chunk);
    r->used = 8;
    int rc = take(r, buf_reserve(&r->chunk, 8), 8, e);
    if (rc != 0) {
        return rc;
    }
    uint32_t len = load_u32(r->chunk.data);
    if (len > SNAP_CHUNK_MAX) {
        return corrupt(r, at, e, "a chunk is too long");
    }
    r->chunk.len = 8;
    rc = take(r, buf_reserve(&r->chunk, len), len, e);
    if (rc != 0) {
        return rc;
    }
    r->chunk.len += len;
    const uint8_t *p = r->chunk.data;
    if (load_u32(p + 4) != crc32c(crc32c(0, p, 4), p + 8, len)) {
        return corrupt(r, at, e, "wrong checksum of a chunk");
    }
    if (len == 0) {
        return read_trailer(r, e);
    }
    r->sum = snap_hash_on(r->sum, p, r->chunk.len);
    r->stream_bytes += len;
    return 0;
}

int64_t snap_read(struct snap_reader *r, void *data, size_t len, struct err *e)
{
    while (r->used == r->chunk.len && !r->ended) {
        int rc = read_chunk(r, e);
        if (rc != 0) {
            return rc;
        }
    }
    if (r->ended) {
        return 0;
    }
    size_t n = (size_t)min_u64(len, r->chunk.len - r->used);
    memcpy(data, r->chunk.data + r->used, n);
    r->used += n;
    return (int64_t)n;
}

void snap_close(struct snap_reader *r)
{
    if (r != NULL) {
        disk_close(r->file);
        buf_done(&r->chunk);
        free(r);
    }
}

int snap_verify(struct disk *disk,
                const struct id *pool,
                const char *name,
                struct snap_meta *ret,
                struct err *e)
{
    struct snap_reader *r = NULL;
    int rc = snap_open(&r, disk, pool, name, ret, e);
    while (rc == 0 && !r->ended) {
        rc = read_chunk(r, e);
    }
    if (rc == 0) {
        ret->sum = r->sum;
        snap_close(r);
    } else if (r != NULL) {
        snap_close(r);
    }
    return rc;
}
