#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/addr.h"
#include "core/util.h"

/* clang-format off: cmocka.h needs what stands above. */
#include <cmocka.h>
/* clang-format on */

static void good_addresses_are_read_and_written_back(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum addr_kind kind;
        const char *host;
        uint16_t port;
        bool local;
    } good[] = {
        {"127.0.0.1:7480", ADDR_V4, "127.0.0.1", 7480, true},
        {"127.255.0.9:1", ADDR_V4, "127.255.0.9", 1, true},
        {"10.0.0.1:65535", ADDR_V4, "10.0.0.1", 65535, false},
        {"0.0.0.0:0", ADDR_V4, "0.0.0.0", 0, false},
        {"[::1]:80", ADDR_V6, "::1", 80, true},
        {"[::]:80", ADDR_V6, "::", 80, false},
        {"[::ffff:127.0.0.1]:80", ADDR_V6, "::ffff:127.0.0.1", 80, false},
        {"[fe80::1]:80", ADDR_V6, "fe80::1", 80, false},
        {"localhost:80", ADDR_NAME, "localhost", 80, true},
        {"host-1.example.org:80", ADDR_NAME, "host-1.example.org", 80, false},
        {"unix:/run/a.sock", ADDR_UNIX, "", 0, true},
        {"unix:/a:80", ADDR_UNIX, "", 0, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct addr a;
        struct err e;
        char text[ADDR_TEXT_SIZE];
        assert_int_equal(addr_parse(good[i].text, &a, &e), 0);
        assert_int_equal(a.kind, good[i].kind);
        assert_string_equal(a.host, good[i].host);
        assert_int_equal(a.port, good[i].port);
        assert_int_equal(addr_is_local(&a), good[i].local);
        assert_string_equal(addr_text(&a, text), good[i].text);
    }
}

static void bad_addresses_are_refused_with_what_is_right(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        ":80",
        "host",
        "host:",
        "host:65536",
        "host:999999",
        "host:-1",
        "host: 80",
        "host:080",
        "host:8x",
        "1.2.3:80",
        "1.2.3.4.5:80",
        "256.1.1.1:80",
        "::1:80",
        "[::1]",
        "[::1:80",
        "[1.2.3.4]:80",
        "[]:80",
        "a b:80",
        "-a:80",
        "a..b:80",
        "unix:",
        "unix:a",
        "[::1]x:80",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct addr a;
        struct err e = {0};
        assert_int_equal(addr_parse(bad[i], &a, &e), ERR_INVALID);
        assert_true(strlen(e.msg) > 10);
    }
}

static void long_addresses_are_over_the_limit(void **state)
{
    (void)state;
    char text[300];
    struct addr a;
    struct err e;
    memset(text, 'a', sizeof text);
    (void)str_copy(text + 250, 50, ":80");
    assert_int_equal(addr_parse(text, &a, &e), ERR_TOO_BIG);
    memcpy(text, "unix:/", 6);
    text[6 + ADDR_PATH_MAX] = '\0';
    assert_int_equal(addr_parse(text, &a, &e), ERR_TOO_BIG);
    text[5 + ADDR_PATH_MAX] = '\0';
    assert_int_equal(addr_parse(text, &a, &e), 0);
    char back[ADDR_TEXT_SIZE];
    assert_string_equal(addr_text(&a, back), text);
}

static void socket_addresses_come_back_the_same(void **state)
{
    (void)state;
    static const char *const all[] = {"127.0.0.1:7480", "[2001:db8::7]:1", "unix:/run/x"};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct addr a;
        struct addr b;
        struct err e;
        struct sockaddr_storage sa;
        assert_int_equal(addr_parse(all[i], &a, &e), 0);
        assert_true(addr_sockaddr(&a, &sa) > 0);
        assert_true(addr_from_sockaddr((struct sockaddr *)&sa, &b));
        assert_memory_equal(&a, &b, sizeof a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_addresses_are_read_and_written_back),
        cmocka_unit_test(bad_addresses_are_refused_with_what_is_right),
        cmocka_unit_test(long_addresses_are_over_the_limit),
        cmocka_unit_test(socket_addresses_come_back_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
