/* What a broken, hostile or merely late dialler may send: raw connections to one host. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/os_net.h"

#include "raftlog/peers_msg.h"
#include "raftlog/raftlog.h"
#include "raftlog/tests/peers_rig.h"

/* clang-format off: cmocka.h needs what stands above. */
#include <cmocka.h>
/* clang-format on */

static int raw_hello(const struct peers_hello *h, const void *more, size_t more_len)
{
    struct addr a;
    struct err e;
    int fd;
    struct buf b = {0};
    assert_int_equal(addr_parse(hosts[1].self.address, &a, &e), 0);
    assert_int_equal(os_net_connect(&a, 1000, &fd, &e), 0);
    buf_put(&b, RAFTLOG_MAGIC, RAFTLOG_MAGIC_LEN);
    peers_put_hello(&b, h);
    buf_put(&b, more, more_len);
    assert_int_equal(send(fd, b.data, b.len, MSG_NOSIGNAL), b.len);
    buf_done(&b);
    return fd;
}

/* The answer, with the loop running meanwhile. */
static void raw_answer(int fd, struct peers_answer *a)
{
    uint8_t bytes[PEERS_HELLO_MAX];
    ssize_t n = -1;
    struct err e;
    WAIT_FOR((n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 4);
    assert_int_equal(peers_read_answer(bytes + 4, (size_t)n - 4, a, &e), 0);
}

static bool raw_ended(int fd)
{
    uint8_t b;
    ssize_t n = recv(fd, &b, 1, MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno != EAGAIN);
}

static struct peers_hello hello_of(uint64_t from, uint64_t nonce, uint64_t serial)
{
    struct peers_hello h;
    memset(&h, 0, sizeof h);
    h.from = hosts[from].self;
    h.nonce = nonce;
    h.serial = serial;
    h.to_raft_id = 1;
    h.channel = PEERS_CONTROL;
    return h;
}

static void put_frame(struct buf *b, uint64_t number)
{
    buf_put_u32(b, 16);
    buf_put_u64(b, number);
    buf_put_u64(b, now_ns());
}

static void nothing_of_a_superseded_connection_is_delivered(void **state)
{
    (void)state;
    host_stop(&hosts[2]);
    peers_set(hosts[1].peers, NULL, 0);
    struct peers_answer a;
    struct peers_hello h = hello_of(2, 77, 1);
    struct buf f = {0};
    put_frame(&f, 1000001);
    int old = raw_hello(&h, f.data, f.len);
    raw_answer(old, &a);
    assert_int_equal(a.code, 0);
    WAIT_FOR(hosts[1].last[2] == 1000001);
    uint32_t superseded = hosts[1].lost[2][PEERS_SUPERSEDED];
    h.serial = 2;
    int fresh = raw_hello(&h, NULL, 0);
    raw_answer(fresh, &a);
    assert_int_equal(a.code, 0);
    assert_int_equal(hosts[1].lost[2][PEERS_SUPERSEDED], superseded + 1);
    buf_clear(&f);
    put_frame(&f, 2000000);
    (void)send(old, f.data, f.len, MSG_NOSIGNAL);
    buf_clear(&f);
    put_frame(&f, 1000002);
    assert_int_equal(send(fresh, f.data, f.len, MSG_NOSIGNAL), f.len);
    WAIT_FOR(hosts[1].last[2] == 1000002);
    WAIT_FOR(raw_ended(old));
    assert_int_equal(hosts[1].last[2], 1000002);
    /* And an older attempt that arrives late does not supersede. */
    h.serial = 1;
    int late = raw_hello(&h, NULL, 0);
    raw_answer(late, &a);
    assert_int_equal(a.code, ERR_STALE);
    assert_false(raw_ended(fresh));
    /* One that is already closed again does not either, although its number is higher. */
    h.serial = 9;
    uint32_t hellos = hosts[1].hellos;
    (void)close(raw_hello(&h, NULL, 0));
    run_for_ms(50);
    assert_int_equal(hosts[1].hellos, hellos);
    assert_false(raw_ended(fresh));
    /* The end of the one that stands is told as a reset. */
    (void)close(fresh);
    WAIT_FOR(hosts[1].lost[2][PEERS_RESET] > 0);
    (void)close(old);
    (void)close(late);
    buf_done(&f);
}

static void silence_is_told_apart_from_a_reset(void **state)
{
    (void)state;
    host_stop(&hosts[2]);
    memset(hosts[1].lost, 0, sizeof hosts[1].lost);
    struct peers_answer a;
    struct peers_hello h = hello_of(2, 78, 1);
    int fd = raw_hello(&h, NULL, 0);
    raw_answer(fd, &a);
    uint64_t begin_ns = now_ns();
    WAIT_FOR(hosts[1].lost[2][PEERS_SILENT] == 1);
    assert_true(now_ns() - begin_ns > 900000000);
    assert_int_equal(hosts[1].lost[2][PEERS_RESET], 0);
    (void)close(fd);
}

static void bad_hellos_and_frames_are_refused(void **state)
{
    (void)state;
    struct peers_answer a;
    host_stop(&hosts[2]);
    /* A frame over the limit of its channel, not a byte of which is kept. */
    struct peers_hello h = hello_of(2, 79, 1);
    uint8_t head[4];
    store_u32(head, LIMIT_FRAME_CONTROL + 1);
    int fd = raw_hello(&h, head, sizeof head);
    WAIT_FOR(hosts[1].lost[2][PEERS_BROKEN] == 1);
    WAIT_FOR(raw_ended(fd));
    (void)close(fd);
    /* A hello that claims 4 GiB. */
    struct addr at;
    struct err e;
    assert_int_equal(addr_parse(hosts[1].self.address, &at, &e), 0);
    assert_int_equal(os_net_connect(&at, 1000, &fd, &e), 0);
    assert_int_equal(send(fd, RAFTLOG_MAGIC "\xff\xff\xff\xff", 12, MSG_NOSIGNAL), 12);
    raw_answer(fd, &a);
    assert_int_equal(a.code, ERR_TOO_BIG);
    WAIT_FOR(raw_ended(fd));
    (void)close(fd);
    /* Garbage as a hello. */
    assert_int_equal(os_net_connect(&at, 1000, &fd, &e), 0);
    assert_int_equal(send(fd, RAFTLOG_MAGIC "\x02\x00\x00\x00zz", 14, MSG_NOSIGNAL), 14);
    raw_answer(fd, &a);
    assert_int_equal(a.code, ERR_MALFORMED);
    (void)close(fd);
    /* Another version, told by the first number. */
    assert_int_equal(os_net_connect(&at, 1000, &fd, &e), 0);
    assert_int_equal(send(fd, RAFTLOG_MAGIC "\x02\x00\x00\x00\x91\x07", 14, MSG_NOSIGNAL), 14);
    raw_answer(fd, &a);
    assert_int_equal(a.code, ERR_VERSION);
    assert_non_null(strstr(a.text, "version 7"));
    (void)close(fd);
    /* Ourselves: the nonce is the one we say ourselves. */
    h = hello_of(2, 80, 1);
    fd = raw_hello(&h, NULL, 0);
    raw_answer(fd, &a);
    assert_int_equal(a.code, 0);
    (void)close(fd);
    h = hello_of(2, a.nonce, 1);
    fd = raw_hello(&h, NULL, 0);
    raw_answer(fd, &a);
    assert_int_equal(a.code, ERR_INVALID);
    assert_non_null(strstr(a.text, "dialled itself"));
    (void)close(fd);
}

static void silent_strangers_do_not_keep_members_out(void **state)
{
    (void)state;
    enum {
        N = 100
    };
    int fds[N];
    struct addr at;
    struct err e;
    assert_int_equal(addr_parse(hosts[1].self.address, &at, &e), 0);
    for (int i = 0; i < N; i++) {
        assert_int_equal(os_net_connect(&at, 1000, &fds[i], &e), 0);
        assert_int_equal(send(fds[i], RAFTLOG_MAGIC, 8, MSG_NOSIGNAL), 8);
        (void)uv_run(&loop, UV_RUN_NOWAIT);
    }
    struct peers_answer a;
    struct peers_hello h = hello_of(2, 80, 1u << 30);
    int fd = raw_hello(&h, NULL, 0);
    raw_answer(fd, &a);
    assert_int_equal(a.code, 0);
    int open = 0;
    WAIT_FOR(raw_ended(fds[0]));
    for (int i = 0; i < N; i++) {
        open += !raw_ended(fds[i]);
        (void)close(fds[i]);
    }
    assert_true(open <= 64);
    (void)close(fd);
}

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN); /* As the daemon does. */
#define T(name) cmocka_unit_test_setup_teardown(name, hosts_up, hosts_down)
    const struct CMUnitTest tests[] = {
        T(nothing_of_a_superseded_connection_is_delivered),
        T(silence_is_told_apart_from_a_reset),
        T(bad_hellos_and_frames_are_refused),
        T(silent_strangers_do_not_keep_members_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
