#include "raftlog/wal_format.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/crc32c.h"
#include "core/util.h"

#include "raftlog/disk.h"

#define HEADER_MAGIC  "QRWALSEG"
#define BATCH_MAGIC   0x3142f5a7u
#define BATCH_MAGIC_2 0xc35ae96du
#define TRAILER_MAGIC 0x96e1b75a2dd3c869ull

/* Pieces with at most this many bits set may become all zero by a flipped bit or two; they are
 * counted as zero by nature. */
#define SPARSE_BITS 2

/* Where things are in a batch header. */
enum {
    AT_MAGIC = 0,
    AT_CRC = 4,
    AT_LEN = 8,
    AT_COUNT = 12,
    AT_SEGMENT = 16,
    AT_OFFSET = 24,
    AT_DURABLE = 28,
    AT_SPARSE = 32,
    AT_MAGIC_2 = 36
};

/* --- the segment's header */

void wal_header_encode(const struct wal_header *h, uint8_t out[WAL_BLOCK])
{
    memset(out, 0, WAL_BLOCK);
    memcpy(out, HEADER_MAGIC, 8); // NOLINT(bugprone-not-null-terminated-result): no text
    store_u32(out + 8, WAL_FORMAT);
    memcpy(out + 16, h->pool.b, 16);
    store_u64(out + 32, h->number);
    store_u64(out + 40, h->bytes);
    store_u32(out + 12, crc32c(crc32c(0, out, 12), out + 16, WAL_BLOCK - 16));
}

int wal_header_decode(const uint8_t in[WAL_BLOCK], struct wal_header *ret, struct err *e)
{
    if (memcmp(in, HEADER_MAGIC, 8) != 0) {
        return err_set(e, ERR_CORRUPT, "the header is damaged at offset 0: no magic number");
    }
    if (load_u32(in + 12) != crc32c(crc32c(0, in, 12), in + 16, WAL_BLOCK - 16)) {
        return err_set(e, ERR_CORRUPT, "the header is damaged at offset 0: wrong checksum");
    }
    uint32_t format = load_u32(in + 8);
    if (format != WAL_FORMAT) {
        return err_set(e, ERR_VERSION, "it has format %u, this program knows %u", format,
                       WAL_FORMAT);
    }
    memcpy(ret->pool.b, in + 16, 16);
    ret->number = load_u64(in + 32);
    ret->bytes = load_u64(in + 40);
    return 0;
}

uint64_t wal_name_parse(const char *name)
{
    char again[DISK_NAME_SIZE];
    if (strncmp(name, "wal-", 4) != 0) {
        return 0;
    }
    /* Anything that is not exactly such a name does not come out the same again. */
    unsigned long long number = strtoull(name + 4, NULL, 10);
    (void)snprintf(again, sizeof again, WAL_NAME_FORMAT, number);
    return strcmp(name, again) == 0 ? number : 0;
}

/* --- writing */

size_t wal_record_size(size_t len)
{
    return WAL_RECORD_HEADER + ((len + 7) & ~(size_t)7);
}

void wal_record_put(struct buf *b, const struct wal_record *r)
{
    size_t size = wal_record_size(r->len);
    assert(r->len <= UINT32_MAX / 2);
    uint8_t *p = buf_reserve(b, size);
    store_u32(p + 4, (uint32_t)r->len);
    store_u32(p + 8, r->type);
    store_u32(p + 12, 0);
    store_u64(p + 16, r->index);
    store_u64(p + 24, r->term);
    if (r->len > 0) {
        memcpy(p + WAL_RECORD_HEADER, r->data, r->len);
    }
    memset(p + WAL_RECORD_HEADER + r->len, 0, size - WAL_RECORD_HEADER - r->len);
    store_u32(p, crc32c(0, p + 4, size - 4));
    b->len += size;
}

void wal_batch_begin(struct buf *b)
{
    assert(b->len == 0);
    memset(buf_reserve(b, WAL_BATCH_HEADER), 0, WAL_BATCH_HEADER);
    b->len = WAL_BATCH_HEADER;
}

static bool at_most_bits(const uint8_t *p, size_t len, int most)
{
    int bits = 0;
    for (size_t i = 0; i < len && bits <= most; i += 8) {
        bits += __builtin_popcountll(load_u64(p + i));
    }
    return bits <= most;
}

bool wal_is_zero(const uint8_t *p, size_t len)
{
    while (len > 0 && ((uintptr_t)p & 7) != 0) {
        if (*p != 0) {
            return false;
        }
        p++;
        len--;
    }
    for (; len >= 8; len -= 8, p += 8) {
        if (load_u64(p) != 0) {
            return false;
        }
    }
    for (; len > 0; len--, p++) {
        if (*p != 0) {
            return false;
        }
    }
    return true;
}

/* How many pieces of the batch (its parts in each sector) have at most `most` bits set. */
static uint32_t count_pieces(const uint8_t *data, uint32_t at, size_t len, int most)
{
    uint32_t n = 0;
    size_t from = 0;
    while (from < len) {
        size_t piece = DISK_SECTOR - (at + from) % DISK_SECTOR;
        if (piece > len - from) {
            piece = len - from;
        }
        n += at_most_bits(data + from, piece, most);
        from += piece;
    }
    return n;
}

void wal_batch_finish(struct buf *b, const struct wal_place *place)
{
    uint32_t count = 0;
    for (size_t at = WAL_BATCH_HEADER; at < b->len; count++) {
        at += wal_record_size(load_u32(b->data + at + 4));
    }
    buf_put_u64(b, TRAILER_MAGIC);
    assert(count > 0 && b->len % 8 == 0 && place->at % 8 == 0 && b->len <= UINT32_MAX / 2);
    uint8_t *p = b->data;
    store_u32(p + AT_MAGIC, BATCH_MAGIC);
    store_u32(p + AT_LEN, (uint32_t)b->len);
    store_u32(p + AT_COUNT, count);
    store_u64(p + AT_SEGMENT, place->segment);
    store_u32(p + AT_OFFSET, place->at);
    store_u32(p + AT_DURABLE, place->durable);
    store_u32(p + AT_MAGIC_2, BATCH_MAGIC_2);
    store_u32(p + AT_SPARSE, 1 + count_pieces(p, place->at, b->len, SPARSE_BITS));
    store_u32(p + AT_CRC, crc32c(0, p + AT_LEN, WAL_BATCH_HEADER - AT_LEN));
}

/* --- reading */

bool wal_batch_peek(const struct wal_bytes *b, uint32_t at, struct wal_batch *ret)
{
    if (at > b->len || b->len - at < WAL_BATCH_HEADER + WAL_RECORD_HEADER + WAL_TRAILER) {
        return false;
    }
    const uint8_t *p = b->data + at;
    if (load_u32(p + AT_MAGIC) != BATCH_MAGIC ||
        load_u32(p + AT_CRC) != crc32c(0, p + AT_LEN, WAL_BATCH_HEADER - AT_LEN)) {
        return false;
    }
    *ret = (struct wal_batch){.at = at,
                              .len = load_u32(p + AT_LEN),
                              .count = load_u32(p + AT_COUNT),
                              .durable = load_u32(p + AT_DURABLE)};
    return load_u64(p + AT_SEGMENT) == b->segment && load_u32(p + AT_OFFSET) == at &&
           load_u32(p + AT_MAGIC_2) == BATCH_MAGIC_2 && ret->len % 8 == 0 &&
           ret->len <= b->len - at &&
           ret->len >= WAL_BATCH_HEADER + WAL_RECORD_HEADER + WAL_TRAILER && ret->durable <= at;
}

/* Whether all records and the trailer are whole; *ret_bad is the first that is not. */
static bool
records_whole(const struct wal_bytes *b, const struct wal_batch *batch, uint32_t *ret_bad)
{
    uint32_t at = batch->at + WAL_BATCH_HEADER;
    uint32_t end = batch->at + batch->len - WAL_TRAILER;
    for (uint32_t i = 0; i < batch->count; i++) {
        *ret_bad = at;
        if (end - at < WAL_RECORD_HEADER) {
            return false;
        }
        const uint8_t *p = b->data + at;
        uint32_t len = load_u32(p + 4);
        if (len > end - at - WAL_RECORD_HEADER) {
            return false;
        }
        size_t size = wal_record_size(len);
        if (size > end - at || load_u32(p) != crc32c(0, p + 4, size - 4)) {
            return false;
        }
        at += (uint32_t)size;
    }
    *ret_bad = at;
    return at == end && load_u64(b->data + end) == TRAILER_MAGIC;
}

/* The header cannot be read: was part of it never written? */
static bool header_missing(const struct wal_bytes *b, uint32_t at)
{
    size_t len = WAL_BATCH_HEADER;
    if (len > b->len - at) {
        len = b->len - at;
    }
    return count_pieces(b->data + at, at, len, 0) > 0;
}

enum wal_found
wal_batch_check(const struct wal_bytes *b, uint32_t at, struct wal_batch *ret, uint32_t *ret_bad)
{
    *ret_bad = at;
    if (at >= b->len) {
        return WAL_FOUND_END;
    }
    size_t piece = DISK_SECTOR - at % DISK_SECTOR;
    if (wal_is_zero(b->data + at, piece < b->len - at ? piece : b->len - at)) {
        return WAL_FOUND_END;
    }
    if (!wal_batch_peek(b, at, ret)) {
        return header_missing(b, at) ? WAL_FOUND_TORN : WAL_FOUND_ROT;
    }
    if (records_whole(b, ret, ret_bad)) {
        return WAL_FOUND_BATCH;
    }
    uint32_t by_nature = load_u32(b->data + at + AT_SPARSE) - 1;
    bool torn = count_pieces(b->data + at, at, ret->len, 0) > by_nature;
    return torn ? WAL_FOUND_TORN : WAL_FOUND_ROT;
}

bool wal_record_next(const struct wal_bytes *b,
                     const struct wal_batch *batch,
                     uint32_t *at,
                     struct wal_record *ret)
{
    uint32_t from = *at == 0 ? batch->at + WAL_BATCH_HEADER : *at;
    if (from >= batch->at + batch->len - WAL_TRAILER) {
        return false;
    }
    const uint8_t *p = b->data + from;
    *ret = (struct wal_record){.index = load_u64(p + 16),
                               .term = load_u64(p + 24),
                               .type = load_u32(p + 8),
                               .data = p + WAL_RECORD_HEADER,
                               .len = load_u32(p + 4)};
    *at = from + (uint32_t)wal_record_size(ret->len);
    return true;
}
