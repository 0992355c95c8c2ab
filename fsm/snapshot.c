/* A state as a stream. All numbers little endian.
 *
 *   header   "QUORSNAP", format u32, 0 u32, index u64, check u64
 *   frame    raw length u32, packed length u32, check u64, packed bytes (one zstd frame)
 *   ...      raw: rows [key length u16, value length u32, key, value], keys ascending over all
 * frames trailer  0 u32, 24 u32, check u64, rows u64, state hash 16 bytes
 *
 * A check is the lower half of XXH3-128 over what stands before it and, in frames, behind it.
 * Frames are independent and at most FRAME_MAX long, packed and unpacked: both sides need memory
 * for one frame only, and a damaged byte is found before its frame is unpacked.
 *
 * Loading goes row by row into the store's second set of rows (fsm/kv.h), which takes the place of
 * the first in one commit after everything was checked; so views that are open stay good, a crash
 * leaves the old state, and memory stays bounded (one transaction for all would hold every page).
 */

#include <assert.h>
#include <inttypes.h>
#include <string.h>
#include <zstd.h>

#include "core/mutant.h"
#include "core/util.h"

#include "fsm/apply.h"
#include "fsm/view.h"

#define FRAME_MAX    ((size_t)1024 * 1024)
#define FRAME_TARGET ((size_t)256 * 1024) /* A frame is closed when it has this much. */
#define HEADER_SIZE  32
#define LENGTHS_SIZE 8
#define CHECK_SIZE   8
#define TRAILER_SIZE 24
#define ROW_HEAD     6
#define ZSTD_LEVEL   1

static const char magic[] = "QUORSNAP";

/* --- writing */

struct writer {
    fsm_write_fn write;
    void *ctx;
    struct buf raw;
    struct buf out;
    uint64_t rows;
};

static int put(struct writer *w, struct err *e)
{
    int rc = w->write(w->ctx, w->out.data, w->out.len, e);
    buf_clear(&w->out);
    return rc;
}

static int write_header(struct writer *w, uint64_t index, struct err *e)
{
    buf_put(&w->out, magic, 8);
    buf_put_u32(&w->out, FSM_FORMAT);
    buf_put_u32(&w->out, 0);
    buf_put_u64(&w->out, index);
    buf_put_u64(&w->out, hash_bytes(w->out.data, w->out.len).lo);
    assert(w->out.len == HEADER_SIZE);
    return put(w, e);
}

/* Send lengths, check and body; the body is in w->out behind LENGTHS_SIZE + CHECK_SIZE bytes. The
 * check is over both lengths and the body, so they are made to touch for it. */
static int write_frame(struct writer *w, size_t raw_len, struct err *e)
{
    uint8_t *p = w->out.data;
    size_t body = w->out.len - LENGTHS_SIZE - CHECK_SIZE;
    store_u32(p + CHECK_SIZE, (uint32_t)raw_len);
    store_u32(p + CHECK_SIZE + 4, (uint32_t)body);
    uint64_t check = hash_bytes(p + CHECK_SIZE, LENGTHS_SIZE + body).lo;
    memmove(p, p + CHECK_SIZE, LENGTHS_SIZE);
    store_u64(p + LENGTHS_SIZE, check);
    return put(w, e);
}

static int flush(struct writer *w, struct err *e)
{
    if (w->raw.len == 0) {
        return 0;
    }
    size_t head = LENGTHS_SIZE + CHECK_SIZE;
    size_t room = ZSTD_compressBound(w->raw.len);
    uint8_t *to = buf_reserve(&w->out, head + room);
    size_t n = ZSTD_compress(to + head, room, w->raw.data, w->raw.len, ZSTD_LEVEL);
    if (ZSTD_isError(n) || n > FRAME_MAX) {
        return err_set(e, ERR_INTERNAL, "pack a snapshot: %s", ZSTD_getErrorName(n));
    }
    w->out.len = head + n;
    size_t raw_len = w->raw.len;
    buf_clear(&w->raw);
    return write_frame(w, raw_len, e);
}

static int write_row(struct writer *w, const struct kv_row *row, struct err *e)
{
    uint8_t head[ROW_HEAD];
    head[0] = (uint8_t)row->key_len;
    head[1] = (uint8_t)(row->key_len >> 8);
    store_u32(head + 2, (uint32_t)row->value_len);
    assert(row->key_len <= UINT16_MAX && row->value_len <= FRAME_TARGET);
    buf_put(&w->raw, head, sizeof head);
    buf_put(&w->raw, row->key, row->key_len);
    buf_put(&w->raw, row->value, row->value_len);
    w->rows++;
    return w->raw.len < FRAME_TARGET ? 0 : flush(w, e);
}

static int write_rows(struct writer *w, struct kv_txn *t, struct err *e)
{
    struct kv_row row;
    int rc = kv_seek(t, "\1", 1, &row); /* LMDB refuses an empty key. */
    while (rc == 0) {
        bool lost = MUTANT(requests_not_in_snapshot) && ((const uint8_t *)row.key)[0] == 'R';
        rc = lost ? 0 : write_row(w, &row, e);
        if (rc != 0) {
            return rc;
        }
        rc = kv_next(t, &row);
    }
    if (rc != ERR_NOT_FOUND) {
        return kv_failure(t, e);
    }
    return flush(w, e);
}

static int write_trailer(struct writer *w, struct hash128 hash, struct err *e)
{
    buf_put_u64(&w->out, 0);
    buf_put_u64(&w->out, 0);
    buf_put_u64(&w->out, w->rows);
    buf_put_u64(&w->out, hash.lo);
    buf_put_u64(&w->out, hash.hi);
    return write_frame(w, 0, e);
}

int fsm_snapshot_write(struct fsm_view *v, fsm_write_fn write, void *ctx, struct err *e)
{
    struct writer w = {.write = write, .ctx = ctx};
    int rc = write_header(&w, fsm_view_index(v), e);
    if (rc == 0) {
        rc = write_rows(&w, v->t, e);
    }
    if (rc == 0) {
        rc = write_trailer(&w, fsm_view_hash(v), e);
    }
    buf_done(&w.raw);
    buf_done(&w.out);
    return rc;
}

/* --- loading */

struct loader {
    fsm_read_fn read;
    void *ctx;
    struct kv_stage *stage;
    struct buf in;  /* Lengths and packed bytes of one frame. */
    struct buf raw; /* The same unpacked. */
    uint64_t index;
    uint64_t rows;
    bool done; /* The trailer was read. */
};

static int corrupt(struct err *e, const char *what)
{
    return err_set(e, ERR_CORRUPT, "snapshot: %s", what);
}

static int read_exactly(struct loader *l, uint8_t *to, size_t len, struct err *e)
{
    while (len > 0) {
        int64_t n = l->read(l->ctx, to, len, e);
        if (n < 0) {
            return (int)n;
        }
        if (n == 0 || (uint64_t)n > len) {
            return corrupt(e, "it ends too early");
        }
        to += n;
        len -= (size_t)n;
    }
    return 0;
}

static int read_header(struct loader *l, struct err *e)
{
    uint8_t head[HEADER_SIZE];
    int rc = read_exactly(l, head, sizeof head, e);
    if (rc != 0) {
        return rc;
    }
    if (memcmp(head, magic, 8) != 0 ||
        load_u64(head + 24) != hash_bytes(head, HEADER_SIZE - CHECK_SIZE).lo) {
        return corrupt(e, "its header is damaged");
    }
    if (load_u32(head + 8) != FSM_FORMAT || load_u32(head + 12) != 0) {
        return err_set(e, ERR_VERSION, "snapshot: format %" PRIu32 ", this program knows %d",
                       load_u32(head + 8), FSM_FORMAT);
    }
    l->index = load_u64(head + 16);
    return 0;
}

/* One frame into l->in; *ret_raw_len is 0 for the trailer. */
static int read_frame(struct loader *l, uint32_t *ret_raw_len, struct err *e)
{
    uint8_t head[LENGTHS_SIZE + CHECK_SIZE];
    int rc = read_exactly(l, head, sizeof head, e);
    if (rc != 0) {
        return rc;
    }
    uint32_t raw_len = load_u32(head);
    uint32_t packed = load_u32(head + 4);
    if (raw_len > FRAME_MAX || packed > FRAME_MAX || packed == 0) {
        return corrupt(e, "a frame is too long");
    }
    buf_clear(&l->in);
    buf_put(&l->in, head, LENGTHS_SIZE);
    rc = read_exactly(l, buf_reserve(&l->in, packed), packed, e);
    if (rc != 0) {
        return rc;
    }
    l->in.len += packed;
    if (hash_bytes(l->in.data, l->in.len).lo != load_u64(head + LENGTHS_SIZE)) {
        return corrupt(e, "a frame is damaged");
    }
    *ret_raw_len = raw_len;
    return 0;
}

static int load_rows(struct loader *l, uint32_t raw_len, struct err *e)
{
    buf_clear(&l->raw);
    uint8_t *p = buf_reserve(&l->raw, raw_len);
    size_t n = ZSTD_decompress(p, raw_len, l->in.data + LENGTHS_SIZE, l->in.len - LENGTHS_SIZE);
    if (ZSTD_isError(n) || n != raw_len) {
        return corrupt(e, "a frame cannot be unpacked");
    }
    while (n > 0) {
        if (n < ROW_HEAD) {
            return corrupt(e, "a row is cut");
        }
        struct kv_row row = {.key_len = (size_t)p[0] | (size_t)p[1] << 8,
                             .value_len = load_u32(p + 2)};
        size_t size = ROW_HEAD + row.key_len + row.value_len;
        if (size > n) {
            return corrupt(e, "a row is cut");
        }
        row.key = p + ROW_HEAD;
        row.value = row.key + row.key_len;
        int rc = rows_check(&row, e);
        if (rc == 0) {
            rc = kv_stage_put(l->stage, &row, e);
        }
        if (rc != 0) {
            return rc;
        }
        l->rows++;
        p += size;
        n -= size;
    }
    return 0;
}

static int check_trailer(struct loader *l, struct err *e)
{
    const uint8_t *p = l->in.data + LENGTHS_SIZE;
    uint8_t more;
    if (l->in.len - LENGTHS_SIZE != TRAILER_SIZE) {
        return corrupt(e, "its trailer is damaged");
    }
    const struct hash128 hash = {.lo = load_u64(p + 8), .hi = load_u64(p + 16)};
    if (load_u64(p) != l->rows || !hash_equal(hash, kv_stage_hash(l->stage))) {
        return corrupt(e, "its rows do not have its hash");
    }
    int64_t n = l->read(l->ctx, &more, 1, e);
    if (n != 0) {
        return n < 0 ? (int)n : corrupt(e, "bytes behind its end");
    }
    l->done = true;
    return 0;
}

static int load(struct loader *l, struct err *e)
{
    int rc = read_header(l, e);
    while (rc == 0 && !l->done) {
        uint32_t raw_len = 0;
        rc = read_frame(l, &raw_len, e);
        if (rc == 0) {
            rc = raw_len == 0 ? check_trailer(l, e) : load_rows(l, raw_len, e);
        }
    }
    return rc;
}

int fsm_snapshot_load(struct fsm *f, fsm_read_fn read, void *ctx, struct err *e)
{
    struct loader l = {.read = read, .ctx = ctx};
    assert(!f->begun);
    int rc = fsm_settle(f, e);
    rc = rc == 0 ? kv_stage_begin(f->kv, &l.stage, e) : rc;
    if (rc != 0) {
        return rc;
    }
    rc = load(&l, e);
    if (rc == 0) {
        rc = kv_stage_commit(l.stage, l.index, e);
    } else {
        kv_stage_abort(l.stage);
    }
    buf_done(&l.in);
    buf_done(&l.raw);
    return rc == 0 ? fsm_reload(f, e) : rc;
}
