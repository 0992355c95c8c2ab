/* Consoles between an asker and a guest, both played by the test, through the daemon's own code;
 * the state, the log and the hypervisor are made by hand. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "core/os_net.h"
#include "core/tests/cm.h"

#include "cli/console.h"
#include "cli/quorated/consoles.h"

/* Only this file's consoles ask these. NOLINTBEGIN(readability-identifier-naming) */
#define raftlog_status(rl, ret)     fake_status(rl, ret)
#define fsm_look(f)                 fake_look(f)
#define fsm_view_close(v)           fake_close(v)
#define fsm_get_guest(v, name, ret) fake_guest(v, name, ret)
#define fsm_get_host(v, name, ret)  fake_host(v, name, ret)
#define hv_lookup(hv, key, ret)     fake_copy(hv, key, ret)
/* NOLINTEND(readability-identifier-naming) */

static void fake_status(struct raftlog *rl, struct raftlog_status *ret);
static struct fsm_view *fake_look(struct fsm *f);
static struct fsm_view *fake_close(struct fsm_view *v);
static int fake_guest(struct fsm_view *v, const char *name, struct guest *ret);
static int fake_host(struct fsm_view *v, const char *name, struct host *ret);
static bool fake_copy(struct hv *hv, const struct hv_key *key, struct hv_info *ret);

/* NOLINTNEXTLINE(bugprone-suspicious-include) */
#include "cli/quorated/consoles.c"

static struct {
    struct daemon d; /* Large: one world at a time. */
    struct clock clock;
    uint64_t now;
    char dir[64];
    struct guest guest;
    struct host host;
    struct hv_info copy;
    int console; /* Listens, as the guest's console does. */
    bool closed;
} w;

/* --- the daemon's surroundings */

static uint64_t fake_now(struct clock *clock)
{
    (void)clock;
    return w.now;
}

static void fake_status(struct raftlog *rl, struct raftlog_status *ret)
{
    (void)rl;
    memset(ret, 0, sizeof *ret);
}

static struct fsm_view *fake_look(struct fsm *f)
{
    (void)f;
    return (struct fsm_view *)&w;
}

static struct fsm_view *fake_close(struct fsm_view *v)
{
    (void)v;
    return NULL;
}

static int fake_guest(struct fsm_view *v, const char *name, struct guest *ret)
{
    (void)v;
    *ret = w.guest;
    return strcmp(name, w.guest.name) == 0 ? 0 : ERR_NOT_FOUND;
}

static int fake_host(struct fsm_view *v, const char *name, struct host *ret)
{
    (void)v;
    *ret = w.host;
    return strcmp(name, w.host.name) == 0 ? 0 : ERR_NOT_FOUND;
}

static bool fake_copy(struct hv *hv, const struct hv_key *key, struct hv_info *ret)
{
    (void)hv;
    *ret = w.copy;
    return id_equal(&key->uuid, &w.copy.key.uuid) && key->epoch == w.copy.key.epoch;
}

/* --- the world */

static int setup(void **state)
{
    (void)state;
    struct addr at = {.kind = ADDR_UNIX};
    struct err e;
    memset(&w, 0, sizeof w);
    (void)str_copy(w.dir, sizeof w.dir, "/tmp/qcon.XXXXXX");
    assert_non_null(mkdtemp(w.dir));
    w.now = 1000;
    w.clock.mono_ms = fake_now;
    w.d.clock = &w.clock;
    w.d.opt.name = "h1";
    w.d.opt.driver = "qemu";
    assert_int_equal(uv_loop_init(&w.d.loop), 0);
    (void)str_copy(w.guest.name, sizeof w.guest.name, "web1");
    (void)str_copy(w.guest.host, sizeof w.guest.host, "h1");
    w.guest.state = GUEST_RUNNING;
    w.guest.run_epoch = 7;
    w.guest.uuid.b[0] = 1;
    w.copy.key = (struct hv_key){.uuid = w.guest.uuid, .epoch = 7};
    (void)snprintf(w.copy.console, sizeof w.copy.console, "%s/console", w.dir);
    (void)str_copy(at.path, sizeof at.path, w.copy.console);
    assert_int_equal(os_net_listen(&at, &w.console, &e), 0);
    assert_int_equal(fcntl(w.console, F_SETFL, O_NONBLOCK), 0);
    w.d.consoles = consoles_new(&w.d);
    return 0;
}

static void all_closed(void *ctx)
{
    (void)ctx;
    w.closed = true;
}

static int teardown(void **state)
{
    (void)state;
    consoles_close(w.d.consoles, all_closed, NULL);
    while (uv_loop_close(&w.d.loop) == UV_EBUSY) {
        (void)uv_run(&w.d.loop, UV_RUN_ONCE);
    }
    assert_true(w.closed);
    w.d.consoles = consoles_free(w.d.consoles);
    (void)close(w.console);
    (void)unlink(w.copy.console);
    assert_int_equal(rmdir(w.dir), 0);
    return 0;
}

static void run(void)
{
    for (int i = 0; i < 50; i++) {
        (void)uv_run(&w.d.loop, UV_RUN_NOWAIT);
    }
}

/* An asker: says hello and is this end of the connection. */
static int ask(const char *guest, unsigned flags)
{
    int fd[2];
    struct console_hello h = {.flags = flags};
    struct buf b = {0};
    (void)str_copy(h.guest, sizeof h.guest, guest);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
    console_put_hello(&b, &h);
    consoles_accept(w.d.consoles, fd[1], b.data, b.len);
    buf_done(&b);
    run();
    return fd[0];
}

static int guest_end(void)
{
    int fd = accept4(w.console, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(fd >= 0);
    run();
    return fd;
}

/* All that has come on the connection. */
static void take(int fd, struct buf *to)
{
    uint8_t bytes[65536];
    for (int idle = 0; idle < 3;) {
        ssize_t n = read(fd, bytes, sizeof bytes);
        if (n > 0) {
            buf_put(to, bytes, (size_t)n);
            idle = 0;
        } else {
            idle++;
        }
        run();
    }
}

/* The frames' data in `text`; the code of the end, 1 if there is none. */
static int unframe(const struct buf *b, struct buf *text)
{
    for (size_t at = 0; at < b->len;) {
        struct console_frame f;
        int n = console_get_frame(b->data + at, b->len - at, &f);
        assert_true(n > 0);
        if (f.kind == CONSOLE_END) {
            return f.code;
        }
        buf_put(text, f.data, f.len);
        at += (size_t)n;
    }
    return 1;
}

/* What an asker has been told since, whole: its end's code or 1. */
static int told(int fd, struct buf *text)
{
    struct buf b = {0};
    buf_clear(text);
    take(fd, &b);
    int code = unframe(&b, text);
    buf_done(&b);
    return code;
}

static void expect_end(const char *guest, unsigned flags, int code)
{
    struct buf text = {0};
    int fd = ask(guest, flags);
    assert_int_equal(told(fd, &text), code);
    (void)close(fd);
    buf_done(&text);
}

static bool holds(const struct buf *b, const char *text)
{
    return memmem(b->data, b->len, text, strlen(text)) != NULL;
}

/* --- tests */

static void bytes_go_both_ways_until_the_guest_ends(void **state)
{
    (void)state;
    struct buf text = {0};
    char typed[8] = "";
    int user = ask("web1", 0);
    int guest = guest_end();
    assert_int_equal(write(guest, "login: ", 7), 7);
    assert_int_equal(told(user, &text), 1);
    assert_true(holds(&text, "h1") && holds(&text, "login: "));
    assert_int_equal(write(user, "root\r", 5), 5);
    run();
    assert_int_equal(read(guest, typed, sizeof typed), 5);
    assert_memory_equal(typed, "root\r", 5);
    assert_int_equal(write(guest, "bye", 3), 3);
    (void)close(guest);
    assert_int_equal(told(user, &text), ERR_EOF);
    assert_true(holds(&text, "bye")); /* What it said last is not lost. */
    (void)close(user);
    buf_done(&text);
}

static void one_has_the_console_until_another_takes_it(void **state)
{
    (void)state;
    struct buf text = {0};
    int first = ask("web1", 0);
    int guest = guest_end();
    expect_end("web1", 0, ERR_IN_USE);
    int second = ask("web1", CONSOLE_FORCE);
    assert_int_equal(told(first, &text), ERR_CANCELLED);
    char byte;
    assert_int_equal(read(guest, &byte, 1), 0); /* The guest's end of the first is over, */
    int again = guest_end();                    /* and the second has one of its own. */
    assert_int_equal(write(again, "x", 1), 1);
    assert_int_equal(told(second, &text), 1);
    assert_true(holds(&text, "x"));
    (void)close(first);
    (void)close(second);
    (void)close(guest);
    (void)close(again);
    buf_done(&text);
}

/* The guest writes until nothing is taken for a while; returns how much was. */
static size_t spew(int guest)
{
    static const uint8_t line[4096];
    size_t all = 0;
    for (int idle = 0; idle < 5 && all < ((size_t)64 << 20);) {
        ssize_t n = write(guest, line, sizeof line);
        all += n > 0 ? (size_t)n : 0;
        idle = n > 0 ? 0 : idle + 1;
        run();
    }
    return all;
}

static void who_does_not_read_holds_the_guest_up_for_a_moment_only(void **state)
{
    (void)state;
    struct buf text = {0};
    int user = ask("web1", 0);
    int guest = guest_end();
    size_t kept = spew(guest);
    assert_true(kept < ((size_t)4 << 20)); /* Bounded: then the guest waits, */
    w.now += PATIENCE_MS - 1;
    consoles_tick(w.d.consoles, w.now);
    assert_int_equal(spew(guest), 0);
    w.now += 1;
    consoles_tick(w.d.consoles, w.now);
    assert_true(spew(guest) >= ((size_t)64 << 20)); /* and then no more. */
    assert_int_equal(told(user, &text), 1);
    assert_true(text.len < kept + 4096);
    assert_true(holds(&text, "bytes were not shown]"));
    assert_int_equal(write(guest, "again", 5), 5);
    assert_int_equal(told(user, &text), 1);
    assert_true(holds(&text, "again"));
    (void)close(user);
    (void)close(guest);
    buf_done(&text);
}

static void what_is_typed_at_a_deaf_guest_is_bounded(void **state)
{
    (void)state;
    int user = ask("web1", 0);
    int guest = guest_end();
    size_t typed = spew(user);
    assert_in_range(typed, 1, 4 << 20);
    struct buf b = {0};
    take(guest, &b);
    size_t more = spew(user); /* It goes on when the guest takes it. */
    assert_int_equal(b.len, typed);
    assert_true(more > 0);
    (void)close(user);
    (void)close(guest);
    buf_done(&b);
}

static void what_cannot_be_is_told(void **state)
{
    (void)state;
    expect_end("nobody", 0, ERR_NOT_FOUND);
    w.copy.key.epoch = 6;
    expect_end("web1", 0, ERR_NOT_READY);
    w.copy.key.epoch = 7;
    w.copy.vnc_display = -1;
    expect_end("web1", CONSOLE_SCREEN, ERR_UNSUPPORTED);
    w.copy.console[0] = '\0';
    expect_end("web1", 0, ERR_UNSUPPORTED);
    (void)str_copy(w.guest.host, sizeof w.guest.host, "h2");
    expect_end("web1", CONSOLE_RELAYED, ERR_STALE);
    w.guest.host[0] = '\0';
    w.guest.state = GUEST_PENDING;
    expect_end("web1", 0, ERR_NOT_READY);
    w.guest.state = GUEST_STOPPED;
    expect_end("web1", 0, ERR_STATE);
    (void)snprintf(w.copy.console, sizeof w.copy.console, "%s/console", w.dir);
}

static void who_says_no_hello_is_sent_away(void **state)
{
    (void)state;
    int fd[2];
    struct buf text = {0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
    consoles_accept(w.d.consoles, fd[1], CONSOLE_MAGIC, CONSOLE_MAGIC_LEN);
    w.now += HELLO_MS - 1;
    consoles_tick(w.d.consoles, w.now);
    assert_int_equal(told(fd[0], &text), 1);
    w.now += 1;
    consoles_tick(w.d.consoles, w.now);
    assert_int_equal(told(fd[0], &text), ERR_TIMEOUT);
    (void)close(fd[0]);
    buf_done(&text);
}

static void a_guest_elsewhere_is_reached_through_its_host(void **state)
{
    (void)state;
    struct addr at = {.kind = ADDR_V4, .host = "127.0.0.1"};
    struct err e;
    struct console_hello h;
    struct buf text = {0};
    struct buf hello = {0};
    int other = -1;
    assert_int_equal(os_net_listen(&at, &other, &e), 0);
    assert_int_equal(fcntl(other, F_SETFL, O_NONBLOCK), 0);
    (void)str_copy(w.guest.host, sizeof w.guest.host, "h2");
    (void)str_copy(w.host.name, sizeof w.host.name, "h2");
    (void)snprintf(w.host.address, sizeof w.host.address, "127.0.0.1:%u", os_net_port(other));
    int user = ask("web1", CONSOLE_FORCE);
    int fd = accept4(other, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(fd >= 0);
    take(fd, &hello);
    assert_int_equal(console_get_hello(hello.data, hello.len, &h), hello.len);
    assert_int_equal(h.flags, CONSOLE_FORCE | CONSOLE_RELAYED);
    buf_clear(&text);
    console_put_frame(&text, CONSOLE_DATA, "there", 5);
    assert_int_equal(write(fd, text.data, text.len), text.len);
    assert_int_equal(told(user, &text), 1);
    assert_true(holds(&text, "there"));
    assert_int_equal(write(user, "k", 1), 1);
    buf_clear(&hello);
    take(fd, &hello);
    assert_int_equal(hello.len, 1);
    (void)close(user);
    run();
    char byte;
    assert_int_equal(read(fd, &byte, 1), 0); /* The end goes through as well. */
    (void)close(fd);
    (void)close(other);
    expect_end("web1", 0, ERR_CLOSED); /* It does not answer any more. */
    buf_done(&text);
    buf_done(&hello);
}

int main(void)
{
#define T(NAME) cmocka_unit_test_setup_teardown(NAME, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(bytes_go_both_ways_until_the_guest_ends),
        T(one_has_the_console_until_another_takes_it),
        T(who_does_not_read_holds_the_guest_up_for_a_moment_only),
        T(what_is_typed_at_a_deaf_guest_is_bounded),
        T(what_cannot_be_is_told),
        T(who_says_no_hello_is_sent_away),
        T(a_guest_elsewhere_is_reached_through_its_host),
    };
    (void)signal(SIGPIPE, SIG_IGN); /* As the daemon does. */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
