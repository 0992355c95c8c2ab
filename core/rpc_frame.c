#include "core/rpc_frame.h"

#include <assert.h>
#include <string.h>

#include "core/err.h"
#include "core/util.h"

/* A frame that grew `part` beyond this gives its memory back. */
#define KEEP_BYTES ((size_t)64 * 1024)

void frame_reader_init(struct frame_reader *f, uint32_t max)
{
    memset(f, 0, sizeof *f);
    f->max = max;
}

void frame_reader_done(struct frame_reader *f)
{
    buf_done(&f->part);
    buf_done(&f->rest);
    f->p = NULL;
    f->n = 0;
}

void frame_feed(struct frame_reader *f, const void *data, size_t len)
{
    assert(f->n == 0);
    buf_clear(&f->rest);
    f->p = data;
    f->n = len;
}

/* Move bytes from the feed to `part` until it has `want`; whether it has. */
static bool fill_part(struct frame_reader *f, size_t want)
{
    if (f->part.len < want) {
        size_t take = (size_t)min_u64(want - f->part.len, f->n);
        buf_put(&f->part, f->p, take);
        f->p += take;
        f->n -= take;
    }
    return f->part.len >= want;
}

static void drop_part(struct frame_reader *f)
{
    if (f->part.cap > KEEP_BYTES) {
        buf_done(&f->part);
    }
    buf_clear(&f->part);
    f->part_done = false;
}

int frame_next(struct frame_reader *f, const uint8_t **ret_payload, size_t *ret_len)
{
    if (f->part_done) {
        drop_part(f);
    }
    bool direct = f->part.len == 0 && f->n >= FRAME_HEAD;
    if (!direct && (f->n == 0 || !fill_part(f, FRAME_HEAD))) {
        return 0;
    }
    uint32_t len = load_u32(direct ? f->p : f->part.data);
    *ret_len = len;
    if (len > f->max) {
        return ERR_TOO_BIG;
    }
    if (direct && f->n - FRAME_HEAD >= len) {
        *ret_payload = f->p + FRAME_HEAD;
        f->p += FRAME_HEAD + len;
        f->n -= FRAME_HEAD + len;
        return 1;
    }
    if (!fill_part(f, FRAME_HEAD + (size_t)len)) {
        return 0;
    }
    *ret_payload = f->part.data + FRAME_HEAD;
    f->part_done = true;
    return 1;
}

void frame_pause(struct frame_reader *f)
{
    if (f->n > 0 && f->rest.len == 0) { /* Else it lies in `rest` already. */
        buf_put(&f->rest, f->p, f->n);
        f->p = f->rest.data;
    }
}

size_t frame_begin(struct buf *b)
{
    size_t place = b->len;
    buf_put_u32(b, 0);
    return place;
}

void frame_end(struct buf *b, size_t place)
{
    assert(b->len >= place + FRAME_HEAD && b->len - place - FRAME_HEAD <= UINT32_MAX);
    store_u32(b->data + place, (uint32_t)(b->len - place - FRAME_HEAD));
}
