#include <msgpack.h>
#include <string.h>

#include "core/err.h"
#include "core/limits.h"
#include "core/mp.h"
#include "core/rng.h"
#include "core/tests/cm.h"
#include "core/util.h"

static uint64_t edge(struct rng *rng)
{
    static const uint64_t edges[] = {0,          1,         31,         32,          127,
                                     128,        255,       256,        32767,       32768,
                                     65535,      65536,     INT32_MAX,  0x80000000u, UINT32_MAX,
                                     1ull << 32, INT64_MAX, 1ull << 63, UINT64_MAX};
    uint64_t v = rng_below(rng, 2) == 0 ? edges[rng_below(rng, ARRAY_LEN(edges))] : rng_u64(rng);
    return v >> (rng_below(rng, 3) == 0 ? rng_below(rng, 64) : 0);
}

/* One random value of at most `depth` levels. */
static void put_random(struct buf *b, struct rng *rng, unsigned depth)
{
    static char text[70000];
    uint64_t kind = rng_below(rng, depth == 0 ? 6 : 8);
    static const size_t sizes[] = {0, 1, 15, 16, 31, 32, 255, 256, 65535, 65536};
    size_t n = rng_below(rng, 40) == 0 ? sizes[rng_below(rng, ARRAY_LEN(sizes))]
                                       : (size_t)rng_below(rng, 34);
    if (text[0] == '\0') {
        memset(text, 'x', sizeof text);
    }
    switch (kind) {
    case 0: mp_put_nil(b); break;
    case 1: mp_put_bool(b, rng_below(rng, 2) == 0); break;
    case 2: mp_put_uint(b, edge(rng)); break;
    case 3: mp_put_int(b, (int64_t)edge(rng)); break;
    case 4: mp_put_strn(b, text, n); break;
    case 5: mp_put_bin(b, text, n); break;
    default:
        n = rng_below(rng, 20);
        if (kind == 6) {
            mp_put_array(b, n);
        } else {
            mp_put_map(b, n);
        }
        for (size_t i = 0; i < (kind == 6 ? n : 2 * n); i++) {
            put_random(b, rng, rng_below(rng, depth) > 0 ? depth - 1 : 0);
        }
    }
}

/* Write what msgpack-c's unpacker understood, with our writers. */
static void put_object(struct buf *b, const msgpack_object *o)
{
    switch (o->type) {
    case MSGPACK_OBJECT_NIL: mp_put_nil(b); break;
    case MSGPACK_OBJECT_BOOLEAN: mp_put_bool(b, o->via.boolean); break;
    case MSGPACK_OBJECT_POSITIVE_INTEGER: mp_put_uint(b, o->via.u64); break;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER: mp_put_int(b, o->via.i64); break;
    case MSGPACK_OBJECT_STR: mp_put_strn(b, o->via.str.ptr, o->via.str.size); break;
    case MSGPACK_OBJECT_BIN: mp_put_bin(b, o->via.bin.ptr, o->via.bin.size); break;
    case MSGPACK_OBJECT_ARRAY:
        mp_put_array(b, o->via.array.size);
        for (uint32_t i = 0; i < o->via.array.size; i++) {
            put_object(b, &o->via.array.ptr[i]);
        }
        break;
    case MSGPACK_OBJECT_MAP:
        mp_put_map(b, o->via.map.size);
        for (uint32_t i = 0; i < o->via.map.size; i++) {
            put_object(b, &o->via.map.ptr[i].key);
            put_object(b, &o->via.map.ptr[i].val);
        }
        break;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
    case MSGPACK_OBJECT_EXT: fail_msg("a type that we do not write"); break;
    }
}

/* Write what our reader understood. */
static void put_read(struct buf *b, struct mp_reader *r)
{
    bool flag = false;
    uint64_t u = 0;
    int64_t i = 0;
    uint32_t n = 0;
    size_t len = 0;
    const char *s = NULL;
    const uint8_t *data = NULL;
    enum mp_type type = mp_peek(r);
    switch (type) {
    case MP_NIL:
        assert_int_equal(mp_get_nil(r), 0);
        mp_put_nil(b);
        break;
    case MP_BOOL:
        assert_int_equal(mp_get_bool(r, &flag), 0);
        mp_put_bool(b, flag);
        break;
    case MP_UINT:
        assert_int_equal(mp_get_uint(r, &u), 0);
        mp_put_uint(b, u);
        break;
    case MP_INT:
        assert_int_equal(mp_get_int(r, &i), 0);
        assert_true(i < 0);
        mp_put_int(b, i);
        break;
    case MP_STR:
        assert_int_equal(mp_get_str(r, &s, &len), 0);
        mp_put_strn(b, s, len);
        break;
    case MP_BIN:
        assert_int_equal(mp_get_bin(r, &data, &len), 0);
        mp_put_bin(b, data, len);
        break;
    case MP_ARRAY:
    case MP_MAP:
        assert_int_equal(type == MP_ARRAY ? mp_get_array(r, &n) : mp_get_map(r, &n), 0);
        if (type == MP_ARRAY) {
            mp_put_array(b, n);
        } else {
            mp_put_map(b, n);
        }
        for (uint32_t k = 0; k < (type == MP_ARRAY ? n : 2 * n); k++) {
            put_read(b, r);
        }
        break;
    case MP_END:
    case MP_INVALID: fail_msg("a canonical value was refused"); break;
    }
}

static void expect_same(const struct buf *a, const struct buf *b)
{
    assert_int_equal(a->len, b->len);
    assert_memory_equal(a->data, b->data, a->len);
}

static void random_values_are_read_as_msgpack_c_reads_them(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 1);
    for (int i = 0; i < 4000; i++) {
        CLEANUP(buf_done) struct buf b = {0};
        CLEANUP(buf_done) struct buf theirs = {0};
        CLEANUP(buf_done) struct buf ours = {0};
        put_random(&b, &rng, 4);
        assert_true(mp_valid(b.data, b.len));
        msgpack_unpacked u;
        msgpack_unpacked_init(&u);
        size_t off = 0;
        assert_int_equal(msgpack_unpack_next(&u, (const char *)b.data, b.len, &off),
                         MSGPACK_UNPACK_SUCCESS);
        assert_int_equal(off, b.len);
        put_object(&theirs, &u.data);
        msgpack_unpacked_destroy(&u);
        struct mp_reader r;
        mp_reader_init(&r, b.data, b.len);
        put_read(&ours, &r);
        assert_true(mp_at_end(&r));
        expect_same(&b, &theirs);
        expect_same(&b, &ours);
    }
}

/* What we accept is what our own writers would write: no other form of any value. */
static void whatever_is_accepted_is_canonical(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 2);
    unsigned accepted = 0;
    for (int i = 0; i < 200000; i++) {
        uint8_t bytes[12];
        size_t n = 1 + (size_t)rng_below(&rng, sizeof bytes);
        for (size_t k = 0; k < n; k++) {
            bytes[k] =
                rng_below(&rng, 3) == 0 ? (uint8_t)rng_below(&rng, 3) : (uint8_t)rng_u64(&rng);
        }
        if (mp_valid(bytes, n)) {
            CLEANUP(buf_done) struct buf ours = {0};
            struct mp_reader r;
            mp_reader_init(&r, bytes, n);
            put_read(&ours, &r);
            assert_int_equal(ours.len, n);
            assert_memory_equal(ours.data, bytes, n);
            accepted++;
        }
    }
    assert_true(accepted > 1000);
}

static void longer_forms_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
    } cases[] = {
        {"\xcc\x7f", 2},             /* 127 as uint8 */
        {"\xcd\x00\xff", 3},         /* 255 as uint16 */
        {"\xce\x00\x00\xff\xff", 5}, /* 65535 as uint32 */
        {"\xcf\x00\x00\x00\x00\xff\xff\xff\xff", 9},
        {"\xd0\xe0", 2}, /* -32 as int8 */
        {"\xd0\x05", 2}, /* 5 as int8 */
        {"\xd1\xff\x80", 3},
        {"\xd2\xff\xff\x80\x00", 5},
        {"\xd3\xff\xff\xff\xff\x80\x00\x00\x00", 9},
        {"\xd9\x01x", 3}, /* str8 of one byte */
        {"\xda\x00\x01x", 4},
        {"\xc5\x00\x01x", 4}, /* bin16 of one byte */
        {"\xdc\x00\x01\xc0", 4},
        {"\xde\x00\x01\xc0\xc0", 5},
        {"\xca\x00\x00\x00\x00", 5}, /* float */
        {"\xcb\x00\x00\x00\x00\x00\x00\x00\x00", 9},
        {"\xd4\x01\x00", 3}, /* extensions */
        {"\xc7\x01\x01\x00", 4},
        {"\xc1", 1},
        {"\xa1\xff", 2},                 /* not UTF-8 */
        {"\xa1\x00", 2},                 /* NUL */
        {"\xdd\x10\x00\x00\x00", 5},     /* 2^28 elements in five bytes */
        {"\xdf\xff\xff\xff\xff\xc0", 6}, /* 2^32 pairs */
        {"\xc6\xff\xff\xff\xff", 5},     /* 4 GiB */
        {"\x81\xc0", 2},                 /* a pair without its value */
        {"\x91", 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (mp_valid(cases[i].bytes, cases[i].n)) {
            fail_msg("case %zu was accepted", i);
        }
    }
    assert_false(mp_valid("", 0));
    assert_false(mp_valid("\xc0\xc0", 2));
}

static void a_reader_that_fails_stays_where_it_was(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf b = {0};
    mp_put_str(&b, "hello");
    struct mp_reader r;
    uint64_t u = 77;
    int64_t i;
    bool flag;
    uint32_t n;
    const uint8_t *data;
    size_t len;
    char small[5];
    char fits[6];
    mp_reader_init(&r, b.data, b.len);
    assert_int_equal(mp_get_uint(&r, &u), ERR_MALFORMED);
    assert_int_equal(mp_get_int(&r, &i), ERR_MALFORMED);
    assert_int_equal(mp_get_bool(&r, &flag), ERR_MALFORMED);
    assert_int_equal(mp_get_nil(&r), ERR_MALFORMED);
    assert_int_equal(mp_get_array(&r, &n), ERR_MALFORMED);
    assert_int_equal(mp_get_map(&r, &n), ERR_MALFORMED);
    assert_int_equal(mp_get_bin(&r, &data, &len), ERR_MALFORMED);
    assert_int_equal(mp_copy_bin(&r, small, 5), ERR_MALFORMED);
    assert_int_equal(mp_copy_str(&r, small, sizeof small), ERR_TOO_BIG);
    assert_false(mp_match_str(&r, "hell"));
    assert_false(mp_match_str(&r, "hello!"));
    assert_int_equal(u, 77);
    memset(fits, 'z', sizeof fits);
    assert_int_equal(mp_copy_str(&r, fits, sizeof fits), 0);
    assert_string_equal(fits, "hello");
    assert_true(mp_at_end(&r));
    assert_int_equal(mp_peek(&r), MP_END);
    assert_int_equal(mp_skip(&r, NULL, NULL), ERR_MALFORMED);
    mp_reader_init(&r, b.data, b.len);
    assert_true(mp_match_str(&r, "hello"));
    assert_true(mp_at_end(&r));
    mp_reader_init(&r, NULL, 0);
    assert_int_equal(mp_peek(&r), MP_END);
}

static void a_binary_of_another_length_is_refused(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf b = {0};
    uint8_t out[4] = {0};
    struct mp_reader r;
    mp_put_bin(&b, "abcd", 4);
    mp_reader_init(&r, b.data, b.len);
    assert_int_equal(mp_copy_bin(&r, out, 3), ERR_MALFORMED);
    assert_int_equal(mp_copy_bin(&r, out, 4), 0);
    assert_memory_equal(out, "abcd", 4);
}

static void signed_numbers_are_read_from_both_forms(void **state)
{
    (void)state;
    const int64_t values[] = {0, 1, -1, -32, -33, 127, 128, INT64_MAX, INT64_MIN, INT32_MIN};
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        CLEANUP(buf_done) struct buf b = {0};
        struct mp_reader r;
        int64_t v;
        mp_put_int(&b, values[i]);
        mp_reader_init(&r, b.data, b.len);
        assert_int_equal(mp_get_int(&r, &v), 0);
        assert_true(v == values[i]);
    }
    CLEANUP(buf_done) struct buf b = {0};
    struct mp_reader r;
    int64_t v;
    mp_put_uint(&b, UINT64_C(1) << 63);
    mp_reader_init(&r, b.data, b.len);
    assert_int_equal(mp_get_int(&r, &v), ERR_MALFORMED);
}

static void depth_is_bounded(void **state)
{
    (void)state;
    for (size_t depth = LIMIT_MP_DEPTH - 1; depth <= LIMIT_MP_DEPTH + 1; depth++) {
        CLEANUP(buf_done) struct buf b = {0};
        for (size_t i = 0; i < depth; i++) {
            mp_put_array(&b, 1);
        }
        mp_put_nil(&b);
        assert_int_equal(mp_valid(b.data, b.len), depth <= LIMIT_MP_DEPTH);
    }
}

static void a_skip_tells_where_the_value_was(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf b = {0};
    mp_put_map(&b, 1);
    mp_put_str(&b, "k");
    mp_put_array(&b, 2);
    mp_put_uint(&b, 1);
    mp_put_str(&b, "x");
    size_t first = b.len;
    mp_put_nil(&b);
    struct mp_reader r;
    const uint8_t *start;
    size_t len;
    mp_reader_init(&r, b.data, b.len);
    assert_int_equal(mp_skip(&r, &start, &len), 0);
    assert_ptr_equal(start, b.data);
    assert_int_equal(len, first);
    assert_int_equal(mp_get_nil(&r), 0);
    assert_true(mp_at_end(&r));
}

static void text_must_be_utf8(void **state)
{
    (void)state;
    static const char *const good[] = {"",
                                       "a",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xef\xbf\xbf",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf",
                                       "z\xc3\xbcrich"};
    static const char *const bad[] = {"\x80",
                                      "\xbf",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc2",
                                      "\xc2\x41",
                                      "\xe0\x80\x80",
                                      "\xe0\x9f\xbf",
                                      "\xe1\x80",
                                      "\xed\xa0\x80",
                                      "\xed\xbf\xbf",
                                      "\xf0\x80\x80\x80",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "a\xfe",
                                      "abcdefgh\x80",
                                      "abcdefghi\xc3"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_true(utf8_valid(good[i], strlen(good[i])));
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (utf8_valid(bad[i], strlen(bad[i]))) {
            fail_msg("case %zu was accepted", i);
        }
    }
    assert_false(utf8_valid("a\0b", 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_values_are_read_as_msgpack_c_reads_them),
        cmocka_unit_test(whatever_is_accepted_is_canonical),
        cmocka_unit_test(longer_forms_are_refused),
        cmocka_unit_test(a_reader_that_fails_stays_where_it_was),
        cmocka_unit_test(a_binary_of_another_length_is_refused),
        cmocka_unit_test(signed_numbers_are_read_from_both_forms),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(a_skip_tells_where_the_value_was),
        cmocka_unit_test(text_must_be_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
