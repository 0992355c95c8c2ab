/* The bytes of a log segment.
 *
 *   segment   a header block (WAL_BLOCK bytes), then batches, each where the last one ended, then
 *             zeros. A segment is written full of zeros, and synced, before it is used: so a sector
 *             that is still zero where bytes should be was never written.
 *   batch     header, records, trailer; written at once. All lengths are multiples of 8.
 *   record    header, payload, zeros up to 8 bytes. One log entry, or a mark: WAL_OPEN, the first
 *             record of every segment (index and term of the entry before it; the payload says
 *             whether the log begins anew here), and WAL_SEAL, the last one of a full segment.
 *
 * Every number is little endian. A batch header, and the trailer, have many bits set in every eight
 * bytes that could stand alone in a sector, so no flipped bit makes them look unwritten; the header
 * says how many sectors' worth of its batch are (nearly) all zero by nature. */

#ifndef RAFTLOG_WAL_FORMAT_H
#define RAFTLOG_WAL_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/id.h"

#define WAL_FORMAT 1u

#define WAL_BLOCK         4096u
#define WAL_BATCH_HEADER  40u
#define WAL_RECORD_HEADER 32u
#define WAL_TRAILER       8u

/* Types of records beside those of entries, which are below 256. */
#define WAL_OPEN 0x101u
#define WAL_SEAL 0x102u

/* Bytes of an open record, and of a batch with nothing but a seal. */
#define WAL_OPEN_SIZE (WAL_RECORD_HEADER + 8u)
#define WAL_SEAL_SIZE (WAL_BATCH_HEADER + WAL_RECORD_HEADER + WAL_TRAILER)

/* Segments are named wal-0000000000000001. */
#define WAL_NAME_FORMAT "wal-%016llu"

struct wal_header {
    struct id pool;
    uint64_t number;
    uint64_t bytes; /* Of the whole segment. */
};

void wal_header_encode(const struct wal_header *h, uint8_t out[WAL_BLOCK]);

/* ERR_CORRUPT, ERR_VERSION (written by a newer program). */
int wal_header_decode(const uint8_t in[WAL_BLOCK], struct wal_header *ret, struct err *e);

struct wal_record {
    uint64_t index;
    uint64_t term;
    uint32_t type;
    const uint8_t *data;
    size_t len;
};

/* Bytes that a record with this payload takes. */
size_t wal_record_size(size_t len);

void wal_record_put(struct buf *b, const struct wal_record *r);

/* Where a batch goes. */
struct wal_place {
    uint64_t segment;
    uint32_t at; /* Bytes from the start of the segment. */
    uint32_t
        durable; /* Everything in this segment before this was known to be durable; 0: nothing. */
};

/* A batch in `b`: begin, put records, finish. `b` must be empty at the beginning. */
void wal_batch_begin(struct buf *b);
void wal_batch_finish(struct buf *b, const struct wal_place *place);

struct wal_batch {
    uint32_t at;
    uint32_t len;
    uint32_t count;
    uint32_t durable;
};

enum wal_found {
    WAL_FOUND_BATCH,
    WAL_FOUND_END, /* No byte of a batch in this sector: the end, or the first sector is missing. */
    WAL_FOUND_TORN, /* Sectors of it were never written. */
    WAL_FOUND_ROT   /* All of it was written, and is not what was written. */
};

/* The bytes of a segment, whole, in memory. */
struct wal_bytes {
    const uint8_t *data;
    size_t len;
    uint64_t segment;
};

/* Look at what stands at `at` (a multiple of 8). *ret is set for WAL_FOUND_BATCH; *ret_bad, the
 * offset of the damage, for WAL_FOUND_ROT and WAL_FOUND_TORN. */
enum wal_found
wal_batch_check(const struct wal_bytes *b, uint32_t at, struct wal_batch *ret, uint32_t *ret_bad);

/* Only the header: whether a batch was written at `at`, whatever became of its records. */
bool wal_batch_peek(const struct wal_bytes *b, uint32_t at, struct wal_batch *ret);

/* Walk the records of a batch that was checked: start with *at = 0; false at the end. */
bool wal_record_next(const struct wal_bytes *b,
                     const struct wal_batch *batch,
                     uint32_t *at,
                     struct wal_record *ret);

/* Whether the bytes are all zero. */
bool wal_is_zero(const uint8_t *p, size_t len);

/* The number in a segment's name; 0: not a segment's name. */
uint64_t wal_name_parse(const char *name);

#endif
