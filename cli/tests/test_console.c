/* The bytes of a console: every cut of them is "more is needed", and what they may not be is
 * refused.
 */

#include <string.h>

#include "core/tests/cm.h"
#include "core/util.h"

#include "cli/console.h"

static void a_hello_is_read_as_written_and_not_before_it_is_whole(void **state)
{
    (void)state;
    struct console_hello in = {.guest = "web1", .flags = CONSOLE_FORCE};
    struct console_hello out;
    struct buf b = {0};
    console_put_hello(&b, &in);
    buf_put(&b, "typed", 5);
    for (size_t n = 0; n < b.len - 5; n++) {
        assert_int_equal(console_get_hello(b.data, n, &out), 0);
    }
    assert_int_equal(console_get_hello(b.data, b.len, &out), b.len - 5);
    assert_string_equal(out.guest, "web1");
    assert_int_equal(out.flags, CONSOLE_FORCE);
    b.data[CONSOLE_MAGIC_LEN] = 8;
    assert_int_equal(console_get_hello(b.data, b.len, &out), ERR_MALFORMED);
    b.data[CONSOLE_MAGIC_LEN] = 0;
    b.data[CONSOLE_MAGIC_LEN + 1] = 0;
    assert_int_equal(console_get_hello(b.data, b.len, &out), ERR_MALFORMED);
    b.data[CONSOLE_MAGIC_LEN + 1] = LIMIT_NAME + 1;
    assert_int_equal(console_get_hello(b.data, b.len, &out), ERR_MALFORMED);
    b.data[0] ^= 1;
    assert_int_equal(console_get_hello(b.data, 1, &out), ERR_MALFORMED);
    buf_done(&b);
}

static void frames_carry_any_number_of_bytes(void **state)
{
    (void)state;
    static uint8_t bytes[3 * CONSOLE_FRAME_MAX + 1];
    struct buf b = {0};
    size_t at = 0;
    size_t got = 0;
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 7);
    }
    console_put_frame(&b, CONSOLE_DATA, bytes, sizeof bytes);
    while (at < b.len) {
        struct console_frame f;
        int n = console_get_frame(b.data + at, b.len - at, &f);
        assert_true(n > 0);
        assert_int_equal(console_get_frame(b.data + at, (size_t)n - 1, &f), 0);
        assert_int_equal(f.kind, CONSOLE_DATA);
        assert_memory_equal(f.data, bytes + got, f.len);
        got += f.len;
        at += (size_t)n;
    }
    assert_int_equal(got, sizeof bytes);
    buf_done(&b);
}

static void an_end_says_why(void **state)
{
    (void)state;
    struct err e;
    struct buf b = {0};
    struct console_frame f;
    (void)err_set(&e, ERR_IN_USE, "somebody is there");
    console_put_end(&b, &e);
    assert_int_equal(console_get_frame(b.data, b.len, &f), b.len);
    assert_int_equal(f.kind, CONSOLE_END);
    assert_int_equal(f.code, ERR_IN_USE);
    assert_int_equal(f.len, strlen(e.msg));
    assert_memory_equal(f.data, e.msg, f.len);
    b.data[0] = CONSOLE_END + 1;
    assert_int_equal(console_get_frame(b.data, b.len, &f), ERR_MALFORMED);
    b.data[0] = CONSOLE_END;
    b.data[1] = 1; /* Without room for the code. */
    assert_int_equal(console_get_frame(b.data, b.len, &f), ERR_MALFORMED);
    b.data[0] = CONSOLE_DATA;
    b.data[2] = 0xff;
    assert_int_equal(console_get_frame(b.data, b.len, &f), ERR_MALFORMED);
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hello_is_read_as_written_and_not_before_it_is_whole),
        cmocka_unit_test(frames_carry_any_number_of_bytes),
        cmocka_unit_test(an_end_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
