/* The first byte: even takes the rest as a whole stream; odd as the raw rows of one frame, around
 * which a correct stream is made. What is loaded can be read without harm. */

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "core/util.h"

#include "fsm/tests/world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void put_frame(struct buf *out, size_t raw_len, const void *body, size_t len)
{
    CLEANUP(buf_done) struct buf b = {0};
    buf_put_u32(&b, (uint32_t)raw_len);
    buf_put_u32(&b, (uint32_t)len);
    buf_put(&b, body, len);
    buf_put(out, b.data, 8);
    buf_put_u64(out, hash_bytes(b.data, b.len).lo);
    buf_put(out, body, len);
}

/* The rows' own hash, as far as they can be told apart. */
static void put_trailer(struct buf *out, const uint8_t *p, size_t left)
{
    struct hash128 sum = {0};
    uint64_t rows = 0;
    while (left >= 6) {
        size_t k = (size_t)p[0] | (size_t)p[1] << 8;
        size_t v = load_u32(p + 2);
        if (k + v + 6 > left) {
            break;
        }
        hash_add(&sum, hash_row(p + 6, k, p + 6 + k, v));
        rows++;
        p += 6 + k + v;
        left -= 6 + k + v;
    }
    CLEANUP(buf_done) struct buf b = {0};
    buf_put_u64(&b, rows);
    buf_put_u64(&b, sum.lo);
    buf_put_u64(&b, sum.hi);
    put_frame(out, 0, b.data, b.len);
}

static void make_stream(struct buf *out, const uint8_t *rows, size_t len)
{
    buf_put(out, "QUORSNAP", 8);
    buf_put_u32(out, FSM_FORMAT);
    buf_put_u32(out, 0);
    buf_put_u64(out, 7);
    buf_put_u64(out, hash_bytes(out->data, out->len).lo);
    if (len > 0) {
        CLEANUP(buf_done) struct buf packed = {0};
        size_t room = ZSTD_compressBound(len);
        packed.len = ZSTD_compress(buf_reserve(&packed, room), room, rows, len, 1);
        put_frame(out, len, packed.data, packed.len);
    }
    put_trailer(out, rows, len);
}

static void read_all(struct fsm *f)
{
    struct fsm_view *v = fsm_view_open(f);
    struct guest g = {.name = ""};
    struct event ev;
    struct fsm_counts c;
    fsm_count(v, &c);
    (void)fsm_next_guest(v, "", &g);
    (void)fsm_next_guest_on(v, "h", "", &g);
    (void)fsm_next_event(v, fsm_first_event(v), &ev);
    (void)fsm_reserved_mib(v, "h");
    (void)fsm_view_close(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct fsm *f;
    struct err e = {0};
    if (len == 0) {
        return 0;
    }
    if (f == NULL) {
        f = world_open_new();
    }
    CLEANUP(buf_done) struct buf b = {0};
    if (data[0] % 2 == 0) {
        buf_put(&b, data + 1, len - 1);
    } else {
        make_stream(&b, data + 1, len - 1);
    }
    int rc = world_load(f, b.data, b.len, &e);
    if (rc != 0 && rc != ERR_CORRUPT && rc != ERR_VERSION) {
        abort();
    }
    read_all(f);
    return 0;
}
