/* Client and server together: calls, errors, notices, pipelining, addresses. */
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/os_net.h"
#include "core/tests/rpc_rig.h"
#include "core/util.h"

/* clang-format off: cmocka.h needs what stands above. */
#include <cmocka.h>
/* clang-format on */

static struct rpc_conn *connect_to(const char *at)
{
    struct rpc_conn *c;
    struct err e;
    assert_int_equal(rpc_connect(&c, at, 2000, &e), 0);
    return c;
}

static void put_n(struct buf *b, uint64_t n)
{
    buf_clear(b);
    mp_put_map(b, 1);
    mp_put_str(b, "n");
    mp_put_uint(b, n);
}

static void a_call_is_answered_over_both_kinds_of_socket(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, NULL, false);
    const char *at[] = {r.unix_at, r.tcp_at};
    for (size_t i = 0; i < 2; i++) {
        struct rpc_conn *c = connect_to(at[i]);
        struct buf params = {0};
        struct buf result = {0};
        struct err e = {0};
        put_n(&params, 4711);
        assert_int_equal(rpc_call(c, "echo", &params, 2000, &result, &e), 0);
        assert_int_equal(result.len, params.len);
        assert_memory_equal(result.data, params.data, params.len);
        assert_int_equal(rpc_call(c, "fail", NULL, 2000, &result, &e), ERR_STATE);
        assert_string_equal(e.msg, "no, not now");
        assert_int_equal(rpc_call(c, "nonsense", NULL, 2000, &result, &e), ERR_UNKNOWN);
        assert_int_equal(rpc_call(c, "echo", NULL, 2000, &result, &e), 0);
        assert_int_equal(result.len, 1); /* No params are an empty map. */
        buf_done(&params);
        buf_done(&result);
        c = rpc_disconnect(c);
        assert_null(c);
    }
    rig_stop(&r);
}

static void a_unix_socket_tells_who_asks_and_tcp_does_not(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, NULL, false);
    const struct passwd *pw = getpwuid(getuid());
    const char *want[] = {pw->pw_name, ""};
    const char *at[] = {r.unix_at, r.tcp_at};
    for (size_t i = 0; i < 2; i++) {
        struct rpc_conn *c = connect_to(at[i]);
        struct buf result = {0};
        struct err e;
        char user[LIMIT_NAME + 1];
        struct mp_reader in;
        assert_int_equal(rpc_call(c, "user", NULL, 2000, &result, &e), 0);
        mp_reader_init(&in, result.data, result.len);
        assert_int_equal(mp_copy_str(&in, user, sizeof user), 0);
        assert_string_equal(user, want[i]);
        buf_done(&result);
        (void)rpc_disconnect(c);
    }
    rig_stop(&r);
}

static void answers_of_many_requests_come_in_order(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, NULL, false);
    struct rpc_conn *c = connect_to(r.tcp_at);
    struct buf params = {0};
    struct rpc_message m = {0};
    struct err e;
    uint64_t number;
    enum {
        N = 20000
    };
    for (uint64_t i = 1; i <= N; i++) {
        put_n(&params, i);
        assert_int_equal(rpc_send(c, "echo", &params, &number, &e), 0);
        assert_int_equal(number, i);
    }
    for (uint64_t i = 1; i <= N; i++) {
        put_n(&params, i);
        assert_int_equal(rpc_receive(c, 5000, &m, &e), 0);
        assert_int_equal(m.number, i);
        assert_int_equal(m.code, 0);
        assert_int_equal(m.body.len, params.len);
        assert_memory_equal(m.body.data, params.data, params.len);
    }
    buf_done(&m.body);
    buf_done(&params);
    (void)rpc_disconnect(c);
    rig_stop(&r);
}

static void more_requests_than_the_limit_wait_their_turn(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, NULL, false);
    struct rpc_conn *c = connect_to(r.unix_at);
    struct rpc_conn *second = connect_to(r.unix_at);
    struct buf result = {0};
    struct rpc_message m = {0};
    struct err e;
    uint64_t number;
    enum {
        N = LIMIT_RPC_INFLIGHT_CLIENT + 500
    };
    for (unsigned i = 0; i < N; i++) {
        assert_int_equal(rpc_send(c, "hold", NULL, &number, &e), 0);
    }
    assert_int_equal(rpc_receive(c, 50, &m, &e), ERR_TIMEOUT); /* Sends them. */
    assert_true(rig_reaches(&r.n_held, LIMIT_RPC_INFLIGHT_CLIENT));
    assert_int_equal(rpc_receive(c, 50, &m, &e), ERR_TIMEOUT);
    assert_int_equal(r.n_held, LIMIT_RPC_INFLIGHT_CLIENT); /* And not one more. */
    assert_int_equal(rpc_call(second, "release", NULL, 2000, &result, &e), 0);
    for (unsigned i = 0; i < LIMIT_RPC_INFLIGHT_CLIENT; i++) {
        assert_int_equal(rpc_receive(c, 5000, &m, &e), 0);
    }
    assert_true(rig_reaches(&r.n_held, 500));
    assert_int_equal(rpc_call(second, "release", NULL, 2000, &result, &e), 0);
    for (unsigned i = 0; i < 500; i++) {
        assert_int_equal(rpc_receive(c, 5000, &m, &e), 0);
    }
    assert_int_equal(m.number, N);
    buf_done(&result);
    buf_done(&m.body);
    (void)rpc_disconnect(c);
    (void)rpc_disconnect(second);
    rig_stop(&r);
}

static void notices_wait_for_a_slow_reader_and_all_arrive(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, NULL, false);
    struct rpc_conn *c = connect_to(r.unix_at);
    struct buf params = {0};
    struct rpc_message m = {0};
    struct err e;
    uint64_t number;
    enum {
        N = 20000 /* About 20 MB. */
    };
    put_n(&params, N);
    assert_int_equal(rpc_send(c, "stream", &params, &number, &e), 0);
    for (unsigned i = 0; i < N; i++) {
        assert_int_equal(rpc_receive(c, 5000, &m, &e), 0);
        assert_int_equal(m.number, 0);
        assert_string_equal(m.method, "tick");
    }
    assert_int_equal(rpc_receive(c, 5000, &m, &e), 0);
    assert_int_equal(m.number, number);
    assert_true(r.refusals > 0); /* Else nothing was held back. */
    buf_done(&m.body);
    buf_done(&params);
    (void)rpc_disconnect(c);
    rig_stop(&r);
}

static void notices_during_a_call_are_kept_for_later(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, NULL, false);
    struct rpc_conn *c = connect_to(r.tcp_at);
    struct buf params = {0};
    struct buf result = {0};
    char method[LIMIT_NAME + 1];
    struct err e;
    put_n(&params, 3);
    assert_int_equal(rpc_call(c, "stream", &params, 2000, &result, &e), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rpc_next_notice(c, 0, method, &result, &e), 0);
        assert_string_equal(method, "tick");
        assert_int_equal(result.len, 1003);
    }
    assert_int_equal(rpc_next_notice(c, 10, method, &result, &e), ERR_TIMEOUT);
    uint64_t number;
    assert_int_equal(rpc_send(c, "echo", NULL, &number, &e), 0);
    assert_int_equal(rpc_next_notice(c, 50, method, &result, &e), ERR_TIMEOUT);
    struct rpc_message m = {0};
    assert_int_equal(rpc_receive(c, 0, &m, &e), 0); /* Kept while a notice was waited for. */
    assert_int_equal(m.number, number);
    assert_int_equal(rpc_call(c, "echo", NULL, 2000, &result, &e), 0);
    buf_done(&m.body);
    buf_done(&params);
    buf_done(&result);
    (void)rpc_disconnect(c);
    rig_stop(&r);
}

static void a_call_without_an_answer_times_out(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, NULL, false);
    struct rpc_conn *c = connect_to(r.tcp_at);
    struct buf result = {0};
    struct err e;
    uint64_t before = os_clock()->mono_ms(os_clock());
    assert_int_equal(rpc_call(c, "hold", NULL, 100, &result, &e), ERR_TIMEOUT);
    uint64_t took = os_clock()->mono_ms(os_clock()) - before;
    assert_true(took >= 100 && took < 1000);
    assert_int_equal(rpc_call(c, "echo", NULL, 100, &result, &e), ERR_CLOSED);
    buf_done(&result);
    (void)rpc_disconnect(c);
    assert_true(rig_reaches(&r.gone, 1)); /* The server's request learns that its client left. */
    rig_stop(&r);
}

static void connecting_fails_with_a_reason(void **state)
{
    (void)state;
    struct rpc_conn *c;
    struct err e;
    assert_int_equal(rpc_connect(&c, "127.0.0.1:1", 500, &e), ERR_CLOSED);
    assert_non_null(strstr(e.msg, "127.0.0.1:1"));
    assert_int_equal(rpc_connect(&c, "unix:/nonexistent/sock", 500, &e), ERR_CLOSED);
    assert_int_equal(rpc_connect(&c, "nowhere", 500, &e), ERR_INVALID);
    assert_int_equal(rpc_connect(&c, "unix:relative", 500, &e), ERR_INVALID);
    assert_int_equal(rpc_connect(&c, "no-such-host.invalid:80", 500, &e), ERR_NOT_FOUND);
}

/* Until something comes, or is known never to come. */
static int receive_dialled(struct rpc_conn *c, struct rpc_message *m, struct err *e)
{
    for (int i = 0; i < 200; i++) {
        int rc = rpc_receive(c, 0, m, e);
        if (rc != ERR_TIMEOUT) {
            return rc;
        }
        rpc_wait(&c, 1, 50);
    }
    return ERR_TIMEOUT;
}

static void dialling_does_not_wait_and_the_request_goes_out_later(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, NULL, false);
    char named[64];
    /* A name that has ::1, where nobody listens, before 127.0.0.1 on most machines. */
    (void)snprintf(named, sizeof named, "localhost%s", strrchr(r.tcp_at, ':'));
    const char *at[] = {r.unix_at, r.tcp_at, named};
    for (size_t i = 0; i < ARRAY_LEN(at); i++) {
        struct rpc_conn *c = NULL;
        struct rpc_message m = {0};
        struct buf params = {0};
        struct err e = {0};
        uint64_t number = 0;
        put_n(&params, 4711);
        assert_int_equal(rpc_dial(&c, at[i], &e), 0);
        assert_false(rpc_is_connected(c));
        assert_int_equal(rpc_send(c, "echo", &params, &number, &e), 0);
        assert_int_equal(receive_dialled(c, &m, &e), 0);
        assert_true(rpc_is_connected(c));
        assert_int_equal(m.number, number);
        assert_int_equal(m.body.len, params.len);
        buf_done(&m.body);
        buf_done(&params);
        (void)rpc_disconnect(c);
    }
    rig_stop(&r);
}

static void dialling_where_nobody_listens_says_so(void **state)
{
    (void)state;
    struct rpc_conn *c = NULL;
    struct rpc_message m = {0};
    struct err e = {0};
    assert_int_equal(rpc_dial(&c, "unix:/nonexistent/sock", &e), ERR_CLOSED);
    assert_int_equal(rpc_dial(&c, "nowhere", &e), ERR_INVALID);
    assert_int_equal(rpc_dial(&c, "no-such-host.invalid:80", &e), ERR_NOT_FOUND);
    assert_int_equal(rpc_dial(&c, "127.0.0.1:1", &e), 0);
    assert_int_equal(receive_dialled(c, &m, &e), ERR_CLOSED);
    assert_non_null(strstr(e.msg, "127.0.0.1:1"));
    assert_false(rpc_is_connected(c));
    (void)rpc_disconnect(c);
}

static void a_live_address_is_in_use_and_a_stale_socket_is_replaced(void **state)
{
    (void)state;
    struct rig r;
    struct err e;
    rig_start(&r, NULL, false);
    struct addr a;
    int fd;
    const char *at[] = {r.unix_at, r.tcp_at};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(addr_parse(at[i], &a, &e), 0);
        assert_int_equal(os_net_listen(&a, &fd, &e), ERR_IN_USE);
        assert_non_null(strstr(e.msg, "another process listens on"));
    }
    /* A socket file whose process is gone: bound once, never closed properly. */
    char stale[128];
    (void)snprintf(stale, sizeof stale, "unix:%s/stale", r.dir);
    assert_int_equal(addr_parse(stale, &a, &e), 0);
    assert_int_equal(os_net_listen(&a, &fd, &e), 0);
    (void)close(fd);
    assert_int_equal(access(a.path, F_OK), 0);
    assert_int_equal(os_net_listen(&a, &fd, &e), 0);
    struct stat st;
    assert_int_equal(stat(a.path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0660);
    (void)close(fd);
    (void)unlink(a.path);
    /* What is no socket is never removed. */
    FILE *f = fopen(a.path, "w");
    assert_non_null(f);
    (void)fclose(f);
    assert_int_equal(os_net_listen(&a, &fd, &e), ERR_IN_USE);
    assert_non_null(strstr(e.msg, "no socket"));
    assert_int_equal(access(a.path, F_OK), 0);
    (void)unlink(a.path);
    rig_stop(&r);
}

static void other_protocols_are_handed_over_with_their_bytes(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, NULL, true);
    int fd = rig_raw(r.tcp_at);
    /* In two pieces, so that the first 8 bytes do not come at once. */
    rig_write(fd, "QRPE", 4);
    rig_turns(&r);
    rig_write(fd, "ER1\nand more", 12);
    assert_true(rig_reaches(&r.handed_over, 1));
    char got[16] = {0};
    assert_int_equal(rig_read(fd, got, 8), 0);
    assert_string_equal(got, "and more");
    assert_true(rig_ends(fd));
    (void)close(fd);
    rig_stop(&r);
}

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN); /* As the daemon does. */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_is_answered_over_both_kinds_of_socket),
        cmocka_unit_test(a_unix_socket_tells_who_asks_and_tcp_does_not),
        cmocka_unit_test(answers_of_many_requests_come_in_order),
        cmocka_unit_test(more_requests_than_the_limit_wait_their_turn),
        cmocka_unit_test(notices_wait_for_a_slow_reader_and_all_arrive),
        cmocka_unit_test(notices_during_a_call_are_kept_for_later),
        cmocka_unit_test(a_call_without_an_answer_times_out),
        cmocka_unit_test(connecting_fails_with_a_reason),
        cmocka_unit_test(dialling_does_not_wait_and_the_request_goes_out_later),
        cmocka_unit_test(dialling_where_nobody_listens_says_so),
        cmocka_unit_test(a_live_address_is_in_use_and_a_stale_socket_is_replaced),
        cmocka_unit_test(other_protocols_are_handed_over_with_their_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
