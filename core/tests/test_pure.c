/* Errors, buffers, ids, chance, hashes, small things. */

#include <errno.h>
#include <string.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/hash.h"
#include "core/id.h"
#include "core/rng.h"
#include "core/tests/cm.h"
#include "core/util.h"

/* --- err */

static void codes_are_what_is_on_the_wire(void **state)
{
    (void)state;
    static const struct {
        int code;
        int number;
    } fixed[] = {{ERR_INVALID, -1},    {ERR_NOT_FOUND, -3}, {ERR_STATE, -5},  {ERR_NO_ROOM, -6},
                 {ERR_MALFORMED, -9},  {ERR_TIMEOUT, -14},  {ERR_STALE, -27}, {ERR_DIVERGED, -28},
                 {ERR_COMPACTED, -30}, {ERR_CRASHED, -36}};
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
        assert_int_equal(fixed[i].code, fixed[i].number);
    }
    bool seen[100] = {false};
    const int all[] = {
#define E(NAME, NUMBER, EXIT, RETRY, TEXT) NUMBER,
#include "core/err.def"
#undef E
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        assert_in_range(all[i], 1, 99);
        assert_false(seen[all[i]]);
        seen[all[i]] = true;
        assert_true(err_is_known(-all[i]));
        assert_in_range(err_exit_status(-all[i]), 0, 8);
        assert_true(err_text(-all[i])[0] != '\0');
    }
}

static void names_and_properties_of_codes(void **state)
{
    (void)state;
    assert_string_equal(err_name(ERR_NOT_FOUND), "NOT_FOUND");
    assert_string_equal(err_name(0), "OK");
    assert_string_equal(err_name(-9999), "UNKNOWN_CODE");
    assert_string_equal(err_text(-9999), "unknown error");
    assert_true(err_may_retry(ERR_NOT_LEADER));
    assert_false(err_may_retry(ERR_STATE));
    assert_false(err_may_retry(12345));
    assert_int_equal(err_exit_status(ERR_NOT_FOUND), 3);
    assert_int_equal(err_exit_status(12345), 8);
    assert_false(err_is_known(1));
    assert_true(err_is_known(0));
}

static void messages_are_set_wrapped_and_cut(void **state)
{
    (void)state;
    struct err e = {0};
    assert_int_equal(err_set(&e, ERR_IO, "disk %d", 7), ERR_IO);
    assert_string_equal(e.msg, "disk 7");
    assert_int_equal(err_wrap(&e, "start %s", "web1"), ERR_IO);
    assert_string_equal(e.msg, "start web1: disk 7");
    assert_int_equal(err_set(&e, ERR_STATE, "again: %s", e.msg), ERR_STATE);
    assert_string_equal(e.msg, "again: start web1: disk 7");
    char big[1000];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    (void)err_set(&e, ERR_IO, "%s", big);
    assert_int_equal(strlen(e.msg), ERR_MSG_SIZE - 1);
    (void)err_set(&e, ERR_IO, "the fact");
    (void)err_wrap(&e, "%s", big); /* The fact at the end is worth more than the prefix. */
    assert_non_null(strstr(e.msg, ": the fact"));
    assert_true(strlen(e.msg) < ERR_MSG_SIZE);
    for (int i = 0; i < 50; i++) {
        (void)err_wrap(&e, "%s", big);
        assert_true(strlen(e.msg) < ERR_MSG_SIZE);
    }
}

static void system_errors_that_mean_more_keep_their_meaning(void **state)
{
    (void)state;
    struct err e = {0};
    assert_int_equal(err_sys(&e, ERR_IO, ENOENT, "open %s", "f"), ERR_IO);
    assert_string_equal(e.msg, "open f: No such file or directory");
    assert_int_equal(err_sys(&e, ERR_IO, ENOSPC, "write"), ERR_NO_SPACE);
    assert_int_equal(err_sys(&e, ERR_IO, EDQUOT, "write"), ERR_NO_SPACE);
    assert_int_equal(err_sys(&e, ERR_IO, ENOMEM, "map"), ERR_NO_MEMORY);
    assert_int_equal(e.code, ERR_NO_MEMORY);
}

/* --- buf */

static void a_buffer_grows_and_keeps_its_bytes(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf b = {0};
    struct rng rng;
    rng_seed(&rng, 1);
    uint8_t shadow[20000];
    size_t n = 0;
    while (n + 300 < sizeof shadow) {
        uint8_t piece[300];
        size_t len = (size_t)rng_below(&rng, sizeof piece);
        for (size_t i = 0; i < len; i++) {
            piece[i] = (uint8_t)rng_u64(&rng);
        }
        buf_put(&b, piece, len);
        memcpy(shadow + n, piece, len);
        n += len;
        assert_int_equal(b.len, n);
        assert_true(b.cap >= b.len);
    }
    assert_memory_equal(b.data, shadow, n);
    buf_consume(&b, 1234);
    assert_int_equal(b.len, n - 1234);
    assert_memory_equal(b.data, shadow + 1234, b.len);
    buf_consume(&b, b.len);
    assert_int_equal(b.len, 0);
}

static void buffer_parts(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf b = {0};
    buf_put_u8(&b, 0xab);
    buf_put_u32(&b, 0x01020304);
    buf_put_u64(&b, 0x05060708090a0b0cull);
    assert_int_equal(b.len, 13);
    assert_memory_equal(b.data, "\xab\x04\x03\x02\x01\x0c\x0b\x0a\x09\x08\x07\x06\x05", 13);
    assert_int_equal(load_u32(b.data + 1), 0x01020304);
    assert_true(load_u64(b.data + 5) == 0x05060708090a0b0cull);
    buf_clear(&b);
    buf_printf(&b, "%s-%d", "abc", 5);
    buf_printf(&b, "%s", "");
    assert_int_equal(b.len, 5);
    assert_memory_equal(b.data, "abc-5", 5);
    buf_put(&b, NULL, 0);
    uint8_t *p = buf_take(&b);
    assert_memory_equal(p, "abc-5", 5);
    free(p);
    assert_null(b.data);
    assert_int_equal(b.len + b.cap, 0);
    buf_done(&b);
    buf_done(&b);
}

/* --- id */

static void ids_are_read_in_every_form_and_written_in_one(void **state)
{
    (void)state;
    struct id id;
    char text[ID_TEXT_SIZE];
    assert_int_equal(id_parse("00112233-4455-6677-8899-AABBCCDDEEFF", &id), 0);
    assert_string_equal(id_text(&id, text), "00112233-4455-6677-8899-aabbccddeeff");
    assert_int_equal(id_parse("00112233445566778899aabbccddeeff", &id), 0);
    assert_string_equal(id_text(&id, text), "00112233-4455-6677-8899-aabbccddeeff");
    static const char *const bad[] = {"",
                                      "0",
                                      "00112233-4455-6677-8899-aabbccddeef",
                                      "00112233-4455-6677-8899-aabbccddeefg",
                                      "00112233-4455-6677-8899-aabbccddeeff0",
                                      "0011223344556677-8899-aabb-ccddeeff-",
                                      "00112233445566778899aabbccddeefg",
                                      "001122334455-6677-8899-aabbccddeeff",
                                      "00112233+4455+6677+8899+aabbccddeeff"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(id_parse(bad[i], &id), ERR_INVALID);
    }
}

static void new_ids_are_of_version_4_and_differ(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 5);
    struct id before = {{0}};
    assert_true(id_is_none(&before));
    for (int i = 0; i < 1000; i++) {
        struct id id = id_new(&rng);
        struct id back;
        char text[ID_TEXT_SIZE];
        assert_int_equal(id.b[6] & 0xf0, 0x40);
        assert_int_equal(id.b[8] & 0xc0, 0x80);
        assert_false(id_equal(&id, &before));
        assert_false(id_is_none(&id));
        assert_int_equal(id_parse(id_text(&id, text), &back), 0);
        assert_true(id_equal(&id, &back));
        before = id;
    }
}

/* --- rng */

static void chance_is_the_same_for_the_same_seed(void **state)
{
    (void)state;
    struct rng a;
    struct rng b;
    rng_seed(&a, 1);
    rng_seed(&b, 1);
    for (int i = 0; i < 100; i++) {
        assert_true(rng_u64(&a) == rng_u64(&b));
    }
    rng_seed(&b, 2);
    assert_true(rng_u64(&a) != rng_u64(&b));
    /* xoshiro256** seeded by splitmix64 with 0, from the authors' reference code. */
    rng_seed(&a, 0);
    assert_true(rng_u64(&a) == 0x99ec5f36cb75f2b4ull);
    assert_true(rng_u64(&a) == 0xbf6e1f784956452aull);
}

static void a_bound_is_kept_and_reached_evenly(void **state)
{
    (void)state;
    struct rng rng;
    unsigned hits[7] = {0};
    rng_seed(&rng, 3);
    for (int i = 0; i < 70000; i++) {
        hits[rng_below(&rng, 7)]++;
    }
    for (size_t i = 0; i < 7; i++) {
        assert_in_range(hits[i], 9500, 10500);
    }
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(rng_below(&rng, 1), 0);
        assert_true(rng_below(&rng, UINT64_MAX) < UINT64_MAX);
        assert_true(rng_below(&rng, (UINT64_C(1) << 63) + 1) <= UINT64_C(1) << 63);
    }
}

/* --- hash */

static void the_sum_does_not_depend_on_the_order(void **state)
{
    (void)state;
    struct rng rng;
    struct hash128 rows[64];
    struct hash128 up = {0};
    struct hash128 down = {0};
    rng_seed(&rng, 4);
    for (size_t i = 0; i < 64; i++) {
        uint64_t v = rng_u64(&rng);
        rows[i] = hash_row("key", 3, &v, sizeof v);
        hash_add(&up, rows[i]);
    }
    for (size_t i = 64; i-- > 0;) {
        hash_add(&down, rows[i]);
    }
    assert_true(hash_equal(up, down));
    for (size_t i = 0; i < 64; i++) {
        hash_sub(&up, rows[(i * 37) % 64]);
    }
    const struct hash128 none = {0};
    assert_true(hash_equal(up, none));
}

static void carries_and_borrows_pass_the_middle(void **state)
{
    (void)state;
    struct hash128 sum = {.lo = UINT64_MAX, .hi = 1};
    const struct hash128 one = {.lo = 1, .hi = 0};
    hash_add(&sum, one);
    assert_true(sum.lo == 0 && sum.hi == 2);
    hash_sub(&sum, one);
    assert_true(sum.lo == UINT64_MAX && sum.hi == 1);
    const struct hash128 big = {.lo = 5, .hi = UINT64_MAX};
    hash_add(&sum, big);
    assert_true(sum.lo == 4 && sum.hi == 1);
    hash_sub(&sum, big);
    assert_true(sum.lo == UINT64_MAX && sum.hi == 1);
}

static void rows_are_framed(void **state)
{
    (void)state;
    assert_false(hash_equal(hash_row("ab", 2, "c", 1), hash_row("a", 1, "bc", 2)));
    assert_false(hash_equal(hash_row("ab", 2, "", 0), hash_row("", 0, "ab", 2)));
    assert_false(hash_equal(hash_row("a", 1, "b", 1), hash_row("b", 1, "a", 1)));
    assert_true(hash_equal(hash_row("a", 1, NULL, 0), hash_row("a", 1, "", 0)));
    char text[HASH_TEXT_SIZE];
    /* XXH3-128 of nothing, from its specification: the hash is the same in every build. */
    assert_string_equal(hash_text(hash_bytes("", 0), text), "99aa06d3014798d86001c324468d497f");
}

/* --- util */

static void a_copy_is_cut_zero_filled_and_tells(void **state)
{
    (void)state;
    char to[8];
    memset(to, 'z', sizeof to);
    assert_int_equal(str_copy(to, sizeof to, "abc"), 3);
    assert_memory_equal(to, "abc\0\0\0\0\0", 8);
    assert_int_equal(str_copy(to, sizeof to, "0123456789"), 10);
    assert_string_equal(to, "0123456");
    assert_int_equal(str_copy(to, sizeof to, "1234567"), 7);
    assert_string_equal(to, "1234567");
    assert_int_equal(min_u64(1, 2) + max_u64(1, 2), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_are_what_is_on_the_wire),
        cmocka_unit_test(names_and_properties_of_codes),
        cmocka_unit_test(messages_are_set_wrapped_and_cut),
        cmocka_unit_test(system_errors_that_mean_more_keep_their_meaning),
        cmocka_unit_test(a_buffer_grows_and_keeps_its_bytes),
        cmocka_unit_test(buffer_parts),
        cmocka_unit_test(ids_are_read_in_every_form_and_written_in_one),
        cmocka_unit_test(new_ids_are_of_version_4_and_differ),
        cmocka_unit_test(chance_is_the_same_for_the_same_seed),
        cmocka_unit_test(a_bound_is_kept_and_reached_evenly),
        cmocka_unit_test(the_sum_does_not_depend_on_the_order),
        cmocka_unit_test(carries_and_borrows_pass_the_middle),
        cmocka_unit_test(rows_are_framed),
        cmocka_unit_test(a_copy_is_cut_zero_filled_and_tells),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
