/* Frames and messages: pure code, every way a stream can be cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/rng.h"
#include "core/rpc_frame.h"
#include "core/rpc_msg.h"
#include "core/util.h"

/* clang-format off: cmocka.h needs what stands above. */
#include <cmocka.h>
/* clang-format on */

/* Frames of these sizes, the n-th filled with n. */
static const size_t sizes[] = {0, 1, 3, 4, 5, 100, 0, 70000, 2, 200000, 0};

static void build(struct buf *b)
{
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        size_t place = frame_begin(b);
        memset(buf_reserve(b, sizes[i] + 1), (int)i, sizes[i]);
        b->len += sizes[i];
        frame_end(b, place);
    }
}

static void check(const uint8_t *p, size_t len, size_t i)
{
    assert_true(i < ARRAY_LEN(sizes));
    assert_int_equal(len, sizes[i]);
    for (size_t k = 0; k < len; k++) {
        assert_int_equal(p[k], i);
    }
}

static void frames_come_out_whole_however_the_stream_is_cut(void **state)
{
    (void)state;
    struct buf b = {0};
    struct rng rng;
    build(&b);
    rng_seed(&rng, 7);
    for (int round = 0; round < 300; round++) {
        struct frame_reader f;
        const uint8_t *p;
        size_t len;
        size_t seen = 0;
        size_t most = (size_t)1 << rng_below(&rng, 19);
        frame_reader_init(&f, 200000);
        for (size_t at = 0; at < b.len;) {
            size_t n = (size_t)min_u64(1 + rng_below(&rng, most), b.len - at);
            uint8_t *piece = mem_new(n, 1); /* Its own memory, so that reading on is seen. */
            memcpy(piece, b.data + at, n);
            frame_feed(&f, piece, n);
            at += n;
            bool freed = false;
            int r;
            while ((r = frame_next(&f, &p, &len)) > 0) {
                check(p, len, seen++);
                if (!freed && rng_below(&rng, 4) == 0) {
                    frame_pause(&f);
                    free(piece);
                    freed = true;
                }
            }
            assert_int_equal(r, 0);
            if (!freed) {
                free(piece);
            }
        }
        assert_int_equal(seen, ARRAY_LEN(sizes));
        frame_reader_done(&f);
    }
    buf_done(&b);
}

static void a_length_over_the_limit_costs_nothing(void **state)
{
    (void)state;
    struct frame_reader f;
    const uint8_t *p;
    size_t len;
    frame_reader_init(&f, 1000);
    frame_feed(&f, "\xe9\x03", 2);
    assert_int_equal(frame_next(&f, &p, &len), 0);
    frame_feed(&f, "\x00\x00zzzz", 6);
    assert_int_equal(frame_next(&f, &p, &len), ERR_TOO_BIG);
    assert_int_equal(len, 1001);
    assert_true(f.part.cap <= 64);
    frame_reader_done(&f);
    frame_reader_init(&f, 0x7fffffff);
    frame_feed(&f,
               "\xff\xff\xff\x7f"
               "abc",
               7); /* Allowed, but memory comes with the bytes. */
    assert_int_equal(frame_next(&f, &p, &len), 0);
    assert_true(f.part.cap <= 64);
    frame_reader_done(&f);
}

static void read_one(const struct buf *b, struct rpc_msg *m)
{
    struct err e;
    assert_int_equal(load_u32(b->data), b->len - FRAME_HEAD);
    assert_int_equal(rpc_msg_read(b->data + FRAME_HEAD, b->len - FRAME_HEAD, m, &e), 0);
}

static void messages_come_back_as_they_went(void **state)
{
    (void)state;
    struct buf b = {0};
    struct rpc_msg m;
    rpc_put_request(&b, UINT64_MAX, "guest.list", "\x81\x01\x02", 3);
    read_one(&b, &m);
    assert_int_equal(m.kind, RPC_REQUEST);
    assert_true(m.number == UINT64_MAX);
    assert_string_equal(m.method, "guest.list");
    assert_int_equal(m.body_len, 3);
    assert_memory_equal(m.body, "\x81\x01\x02", 3);
    buf_clear(&b);
    rpc_put_reply(&b, 7, NULL, 0);
    read_one(&b, &m);
    assert_int_equal(m.kind, RPC_REPLY);
    assert_int_equal(m.number, 7);
    assert_int_equal(m.code, 0);
    assert_int_equal(m.body[0], 0xc0);
    buf_clear(&b);
    rpc_put_error(&b, 8, ERR_NO_QUORUM, "no majority");
    read_one(&b, &m);
    assert_int_equal(m.number, 8);
    assert_int_equal(m.code, ERR_NO_QUORUM);
    assert_string_equal(m.text, "no majority");
    buf_clear(&b);
    rpc_put_notice(&b, "event", "\x01", 1);
    read_one(&b, &m);
    assert_int_equal(m.kind, RPC_NOTICE);
    assert_string_equal(m.method, "event");
    buf_done(&b);
}

static void long_or_broken_texts_stay_utf8(void **state)
{
    (void)state;
    struct buf b = {0};
    struct rpc_msg m;
    char text[2 * ERR_MSG_SIZE + 1] = "";
    for (size_t i = 0; i + 2 <= 2 * ERR_MSG_SIZE; i += 2) {
        memcpy(text + i, "\xc3\xa4", 3);
    }
    rpc_put_error(&b, 1, ERR_STATE, text);
    read_one(&b, &m);
    assert_int_equal(strlen(m.text), ERR_MSG_SIZE - 2); /* The odd byte would split the last. */
    buf_clear(&b);
    rpc_put_error(&b, 1, ERR_STATE, "\xff\xfe");
    read_one(&b, &m);
    assert_string_equal(m.text, err_text(ERR_STATE));
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_come_out_whole_however_the_stream_is_cut),
        cmocka_unit_test(a_length_over_the_limit_costs_nothing),
        cmocka_unit_test(messages_come_back_as_they_went),
        cmocka_unit_test(long_or_broken_texts_stay_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
