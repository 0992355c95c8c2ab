/* Bad days of the RPC server: each client here is broken in its own way, and another one is served
 * as if nothing had happened. */
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/rpc_frame.h"
#include "core/rpc_msg.h"
#include "core/tests/rpc_rig.h"
#include "core/util.h"

/* clang-format off: cmocka.h needs what stands above. */
#include <cmocka.h>
/* clang-format on */

static struct rig rig;

static const struct rpc_server_options quick = {.hello_ms = 200, .stall_ms = 300};

static int setup(void **state)
{
    (void)state;
    rig_start(&rig, &quick, false);
    return 0;
}

/* Whatever happened, the server serves, and stops without leaving anything. */
static int teardown(void **state)
{
    (void)state;
    struct rpc_conn *c;
    struct err e;
    struct buf result = {0};
    int rc = ERR_BUSY; /* Until those that have just hung up are gone. */
    for (int i = 0; i < 5000 && rc == ERR_BUSY; i++) {
        assert_int_equal(rpc_connect(&c, rig.unix_at, 2000, &e), 0);
        rc = rpc_call(c, "echo", NULL, 2000, &result, &e);
        (void)rpc_disconnect(c);
    }
    assert_int_equal(rc, 0);
    buf_done(&result);
    rig_stop(&rig);
    return 0;
}

/* The server says `code` as reply 0, with `part` in the text, and closes. */
static void assert_told(int fd, int code, const char *part)
{
    struct buf b = {0};
    struct rpc_msg m;
    assert_int_equal(rig_read_msg(fd, &b, &m), 0);
    assert_int_equal(m.kind, RPC_REPLY);
    assert_int_equal(m.number, 0);
    assert_int_equal(m.code, code);
    if (strstr(m.text, part) == NULL) {
        assert_string_equal(m.text, part);
    }
    assert_true(rig_ends(fd));
    buf_done(&b);
    (void)close(fd);
}

static void send_payload(int fd, const void *payload, size_t len)
{
    struct buf b = {0};
    size_t place = frame_begin(&b);
    buf_put(&b, payload, len);
    frame_end(&b, place);
    rig_write(fd, b.data, b.len);
    buf_done(&b);
}

static int raw_client(void)
{
    int fd = rig_raw(rig.tcp_at);
    rig_write(fd, RPC_MAGIC, RPC_MAGIC_LEN);
    return fd;
}

static void a_client_that_says_nothing_is_told_and_closed(void **state)
{
    (void)state;
    assert_told(rig_raw(rig.tcp_at), ERR_TIMEOUT, "no hello within 200 ms");
    int fd = rig_raw(rig.unix_at);
    rig_write(fd, "QRCTL", 5); /* Half a hello is none. */
    assert_told(fd, ERR_TIMEOUT, "no hello within 200 ms");
}

static void half_a_frame_keeps_nobody_from_anything(void **state)
{
    (void)state;
    int fds[50];
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = raw_client();
        rig_write(fds[i], "\x00\x00\x08\x00half", 8); /* 512 KiB are announced. */
    }
    struct rpc_conn *c;
    struct err e;
    struct buf result = {0};
    assert_int_equal(rpc_connect(&c, rig.tcp_at, 2000, &e), 0);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(rpc_call(c, "echo", NULL, 2000, &result, &e), 0);
    }
    buf_done(&result);
    (void)rpc_disconnect(c);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        (void)close(fds[i]);
    }
}

static void garbage_instead_of_a_hello_is_refused(void **state)
{
    (void)state;
    int fd = rig_raw(rig.tcp_at);
    rig_write(fd, "GET / HTTP/1.1\r\n\r\n", 18);
    assert_told(fd, ERR_MALFORMED, "no quorate client");
}

static void garbage_for_ever_ends(void **state)
{
    (void)state;
    uint8_t junk[4096];
    int fd = rig_raw(rig.tcp_at);
    memset(junk, 0x5a, sizeof junk);
    uint64_t until = os_clock()->mono_ms(os_clock()) + 5000;
    ssize_t n = 0;
    while (n >= 0 && os_clock()->mono_ms(os_clock()) < until) {
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        if (poll(&p, 1, 100) > 0) {
            n = send(fd, junk, sizeof junk, MSG_NOSIGNAL);
        }
    }
    assert_true(n < 0); /* Closed, although we never stopped. */
    (void)close(fd);
}

static void a_length_over_the_limit_is_told_at_once(void **state)
{
    (void)state;
    int fd = raw_client();
    rig_write(fd, "\xff\xff\xff\xff", 4);
    assert_told(fd, ERR_TOO_BIG, "a request of 4294967295 bytes; at most 524288 are taken");
}

static void what_is_no_request_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *payload;
        size_t len;
        const char *part;
    } bad[] = {
        {"", 0, "not a message"},
        {"\xc0", 1, "not a message"},
        {"\x94\x07\x01\xa1x\x80", 6, "unknown kind of message: 7"},
        {"\x94\x01\x01\xc0\xc0", 5, "only requests"},
        {"\x93\x02\xa1x\x80", 5, "only requests"},
        {"\x94\x00\x01\xa1x\xc0", 6, "malformed request"}, /* Params are no map. */
        {"\x94\x00\x00\xa1x\x80", 6, "malformed request"}, /* Number 0. */
        {"\x94\x00\x01\xa0\x80", 5, "malformed request"},  /* No method. */
        {"\x93\x00\x01\xa1x", 5, "malformed request"},     /* Too few. */
        {"\x94\x00\x01\xa1x\x80\x00", 7, "bytes after the end"},
        {"\x94\x00\xcc\x01\xa1x\x80", 7, "malformed request"},      /* A longer form of 1. */
        {"\x94\x00\x01\xa1x\xdf\xff\xff\xff\xff", 10, "malformed"}, /* A map of 4 billion. */
        {"\x94\x00\x01\xa1\xff\x80", 6, "malformed request"},       /* Not UTF-8. */
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        int fd = raw_client();
        send_payload(fd, bad[i].payload, bad[i].len);
        assert_told(fd, ERR_MALFORMED, bad[i].part);
    }
}

static void deep_nesting_is_refused_and_allowed_depth_is_not(void **state)
{
    (void)state;
    struct buf b = {0};
    for (int depth = LIMIT_MP_DEPTH - 2; depth <= LIMIT_MP_DEPTH; depth += 2) {
        int fd = raw_client();
        buf_clear(&b);
        buf_put(&b,
                "\x94\x00\x01\xa4"
                "echo\x81\xa1k",
                11);
        for (int i = 0; i < depth; i++) {
            buf_put_u8(&b, 0x91);
        }
        buf_put_u8(&b, 0xc0);
        send_payload(fd, b.data, b.len);
        if (depth == LIMIT_MP_DEPTH) {
            assert_told(fd, ERR_MALFORMED, "deeper than");
        } else {
            struct buf in = {0};
            struct rpc_msg m;
            assert_int_equal(rig_read_msg(fd, &in, &m), 0);
            assert_int_equal(m.number, 1);
            assert_int_equal(m.code, 0);
            buf_done(&in);
            (void)close(fd);
        }
    }
    buf_clear(&b); /* Half a megabyte of opening brackets. */
    buf_put(&b, "\x94\x00\x01\xa1x", 5);
    for (size_t i = 0; i < LIMIT_RPC_REQUEST - 5; i++) {
        buf_put_u8(&b, 0x91);
    }
    int fd = raw_client();
    send_payload(fd, b.data, b.len);
    assert_told(fd, ERR_MALFORMED, "malformed request"); /* An array is no map. */
    buf_done(&b);
}

static void a_number_used_twice_is_refused(void **state)
{
    (void)state;
    int fd = raw_client();
    struct buf b = {0};
    struct rpc_msg m;
    send_payload(fd, "\x94\x00\x05\xa4hold\x80", 9);
    assert_true(rig_reaches(&rig.n_held, 1));
    send_payload(fd,
                 "\x94\x00\x05\xa4"
                 "echo\x80",
                 9);
    assert_told(fd, ERR_MALFORMED, "request number 5 after 5");
    assert_true(rig_reaches(&rig.gone, 1)); /* The one under way lost its client. */
    (void)m;
    buf_done(&b);
}

static void an_answer_over_the_limit_becomes_an_error(void **state)
{
    (void)state;
    struct rpc_conn *c;
    struct err e;
    struct buf params = {0};
    struct buf result = {0};
    assert_int_equal(rpc_connect(&c, rig.tcp_at, 2000, &e), 0);
    static const struct {
        uint64_t n;
        int code;
    } sizes[] = {{LIMIT_RPC_REPLY - 1000, 0}, {LIMIT_RPC_REPLY, ERR_TOO_BIG}, {10, 0}};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        buf_clear(&params);
        mp_put_map(&params, 1);
        mp_put_str(&params, "n");
        mp_put_uint(&params, sizes[i].n);
        assert_int_equal(rpc_call(c, "big", &params, 5000, &result, &e), sizes[i].code);
        assert_true(sizes[i].code != 0 || result.len > sizes[i].n);
    }
    assert_int_equal(rpc_call(c, "big", NULL, 5000, &result, &e), 0);
    buf_done(&params);
    buf_done(&result);
    (void)rpc_disconnect(c);
}

static void a_request_over_the_limit_is_not_sent(void **state)
{
    (void)state;
    struct rpc_conn *c;
    struct err e;
    struct buf params = {0};
    uint64_t number;
    uint8_t *bytes = mem_new(LIMIT_RPC_REQUEST, 1);
    mp_put_map(&params, 1);
    mp_put_str(&params, "k");
    mp_put_bin(&params, bytes, LIMIT_RPC_REQUEST);
    assert_int_equal(rpc_connect(&c, rig.tcp_at, 2000, &e), 0);
    assert_int_equal(rpc_send(c, "echo", &params, &number, &e), ERR_TOO_BIG);
    struct buf result = {0};
    assert_int_equal(rpc_call(c, "echo", NULL, 2000, &result, &e), 0); /* It still works. */
    buf_done(&result);
    buf_done(&params);
    free(bytes);
    (void)rpc_disconnect(c);
}

static void a_client_that_never_reads_is_held_back_and_then_closed(void **state)
{
    (void)state;
    int fd = rig_raw(rig.unix_at); /* Its buffers in the kernel are small. */
    rig_write(fd, RPC_MAGIC, RPC_MAGIC_LEN);
    struct buf b = {0};
    uint8_t body[60000];
    memset(body, 1, sizeof body);
    struct buf params = {0};
    mp_put_map(&params, 1);
    mp_put_str(&params, "k");
    mp_put_bin(&params, body, sizeof body);
    /* 300 MB of echo, as long as it is taken; the server must stop taking long before. */
    uint64_t sent = 0;
    bool closed = false;
    for (uint64_t i = 1; i <= 5000 && !closed; i++) {
        buf_clear(&b);
        rpc_put_request(&b, i, "echo", params.data, params.len);
        for (size_t at = 0; at < b.len && !closed;) {
            struct pollfd p = {.fd = fd, .events = POLLOUT};
            ssize_t n =
                poll(&p, 1, 3000) > 0 ? send(fd, b.data + at, b.len - at, MSG_NOSIGNAL) : -1;
            closed = n < 0;
            at += closed ? 0 : (size_t)n;
            sent += closed ? 0 : (uint64_t)n;
        }
    }
    assert_true(closed);
    assert_true(sent < 4000000); /* Two socket buffers, RPC_CHOKE_BYTES, and one chunk. */
    assert_true(rig.served < 60);
    (void)close(fd);
    buf_done(&b);
    buf_done(&params);
}

static void requests_under_way_learn_that_their_client_is_gone(void **state)
{
    (void)state;
    int fd = raw_client();
    struct buf b = {0};
    for (uint64_t i = 1; i <= 100; i++) {
        rpc_put_request(&b, i, "hold", NULL, 0);
    }
    rig_write(fd, b.data, b.len);
    assert_true(rig_reaches(&rig.n_held, 100));
    (void)close(fd);
    assert_true(rig_reaches(&rig.gone, 100));
    buf_done(&b);
    /* rig_stop() answers them after the end of the server: they must still be there. */
}

static void clients_over_the_limit_are_told_and_others_stay(void **state)
{
    (void)state;
    static int fds[LIMIT_RPC_CLIENTS];
    struct buf b = {0};
    struct rpc_msg m;
    rpc_put_request(&b, 1, "echo", NULL, 0);
    struct buf in = {0};
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = rig_raw(rig.unix_at);
        rig_write(fds[i], RPC_MAGIC, RPC_MAGIC_LEN);
        rig_write(fds[i], b.data, b.len);
        assert_int_equal(rig_read_msg(fds[i], &in, &m), 0);
    }
    int more = rig_raw(rig.unix_at);
    rig_write(more, RPC_MAGIC, RPC_MAGIC_LEN);
    assert_told(more, ERR_BUSY, "512 clients are connected");
    buf_clear(&b);
    rpc_put_request(&b, 2, "echo", NULL, 0);
    rig_write(fds[0], b.data, b.len);
    assert_int_equal(rig_read_msg(fds[0], &in, &m), 0);
    assert_int_equal(m.number, 2);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        (void)close(fds[i]);
    }
    buf_done(&in);
    buf_done(&b);
}

static void silent_connections_do_not_keep_others_out(void **state)
{
    (void)state;
    static int fds[300];
    static struct rig patient; /* Its hello takes 5 s: nobody ends for being silent here. */
    rig_start(&patient, NULL, false);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = rig_raw(patient.unix_at);
    }
    struct rpc_conn *c;
    struct err e;
    struct buf result = {0};
    assert_int_equal(rpc_connect(&c, patient.unix_at, 2000, &e), 0);
    assert_int_equal(rpc_call(c, "echo", NULL, 2000, &result, &e), 0);
    assert_true(rig_ends(fds[0])); /* The oldest had to go, the newest not. */
    struct pollfd newest = {.fd = fds[ARRAY_LEN(fds) - 1], .events = POLLIN};
    assert_int_equal(poll(&newest, 1, 0), 0);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        (void)close(fds[i]);
    }
    buf_done(&result);
    (void)rpc_disconnect(c);
    rig_stop(&patient);
}

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN); /* As the daemon does. */
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_client_that_says_nothing_is_told_and_closed),
        T(half_a_frame_keeps_nobody_from_anything),
        T(garbage_instead_of_a_hello_is_refused),
        T(garbage_for_ever_ends),
        T(a_length_over_the_limit_is_told_at_once),
        T(what_is_no_request_is_told),
        T(deep_nesting_is_refused_and_allowed_depth_is_not),
        T(a_number_used_twice_is_refused),
        T(an_answer_over_the_limit_becomes_an_error),
        T(a_request_over_the_limit_is_not_sent),
        T(a_client_that_never_reads_is_held_back_and_then_closed),
        T(requests_under_way_learn_that_their_client_is_gone),
        T(clients_over_the_limit_are_told_and_others_stay),
        T(silent_connections_do_not_keep_others_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
