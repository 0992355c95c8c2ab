/* quorate-guard as a process, with real processes to guard. */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/err.h"
#include "core/tests/cm.h"

#include "cli/guard/wire.h"

/* Longer than anything takes that is waited for. */
#define PATIENCE_MS 20000

static char dir[64];
static char path[96];
static pid_t guard_pid;

static uint64_t now(void)
{
    return os_clock()->mono_ms(os_clock());
}

static pid_t begin_guard_with(const char *linger, const char *watchdog)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)execl(GUARD_PROGRAM, GUARD_PROGRAM, path, linger, watchdog, (char *)NULL);
        _exit(127);
    }
    return pid;
}

static pid_t begin_guard(const char *linger)
{
    return begin_guard_with(linger, NULL);
}

static int setup(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof dir, "/tmp/quorate-guard.XXXXXX");
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/guard.sock", dir);
    guard_pid = begin_guard("60000");
    return 0;
}

static int teardown(void **state)
{
    char name[128];
    (void)state;
    (void)kill(guard_pid, SIGKILL);
    (void)waitpid(guard_pid, NULL, 0);
    (void)snprintf(name, sizeof name, "%s.lock", path);
    (void)unlink(name);
    (void)unlink(path);
    return rmdir(dir);
}

static int try_connect(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    (void)strncpy(to.sun_path, path, sizeof to.sun_path - 1);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (connect(fd, (const struct sockaddr *)&to, sizeof to) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

/* A message of this kind; others before it are passed over. */
static struct guard_table_msg hear(int fd, enum guard_kind kind)
{
    static struct guard_table_msg m;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    do {
        memset(&m, 0, sizeof m);
        assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
        assert_true(recv(fd, &m, sizeof m, 0) >= (ssize_t)sizeof m.head);
        assert_int_equal(m.head.magic, GUARD_MAGIC);
    } while (m.head.kind != kind);
    return m;
}

/* As the daemon: connected, and the table heard. */
static int join(struct guard_table_msg *ret)
{
    int fd;
    struct timespec pause = {.tv_nsec = 1000000};
    uint64_t until = now() + PATIENCE_MS;
    while ((fd = try_connect()) < 0 && now() < until) {
        (void)nanosleep(&pause, NULL); /* Until it listens. */
    }
    assert_true(fd >= 0);
    struct guard_table_msg m = hear(fd, GUARD_TABLE);
    if (ret != NULL) {
        *ret = m;
    }
    return fd;
}

static void say(int fd, struct guard_msg m, int pass)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {0};
    m.magic = GUARD_MAGIC;
    struct iovec part = {.iov_base = &m, .iov_len = sizeof m};
    struct msghdr msg = {.msg_iov = &part, .msg_iovlen = 1};
    if (pass >= 0) {
        msg.msg_control = control.room;
        msg.msg_controllen = sizeof control.room;
        control.header = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof pass), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.header), &pass, sizeof pass);
    }
    assert_int_equal(sendmsg(fd, &msg, MSG_NOSIGNAL), sizeof m);
}

static void say_lease(int fd, uint64_t end_ms, uint32_t margin_ms)
{
    say(fd, (struct guard_msg){.kind = GUARD_LEASE, .end_ms = end_ms, .margin_ms = margin_ms}, -1);
}

/* A process that does nothing, for ever. */
static pid_t begin_guest(void)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        for (;;) {
            (void)pause();
        }
    }
    return pid;
}

/* Put it under guard; returns the guard's answer. */
static int guard_it(int fd, pid_t pid, uint64_t epoch)
{
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    assert_true(pidfd >= 0);
    say(fd,
        (struct guard_msg){.kind = GUARD_ADD,
                           .copy = {.guest.b = {1}, .epoch = epoch, .pid = (uint64_t)pid}},
        pidfd);
    (void)close(pidfd);
    struct guard_table_msg m = hear(fd, GUARD_ADDED);
    assert_int_equal(m.head.copy.epoch, epoch);
    return m.head.code;
}

static void must_die(pid_t pid, uint64_t not_before_ms)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_true(now() >= not_before_ms);
}

static bool lives(pid_t pid)
{
    return waitpid(pid, NULL, WNOHANG) == 0;
}

static void end_guest(pid_t pid)
{
    assert_true(lives(pid));
    (void)kill(pid, SIGTERM);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void it_kills_when_the_lease_ends_though_the_daemon_is_gone(void **state)
{
    (void)state;
    int fd = join(NULL);
    pid_t a = begin_guest();
    pid_t b = begin_guest();
    uint64_t end = now() + 600;
    say_lease(fd, end, 300);
    assert_int_equal(guard_it(fd, a, 7), 0);
    (void)close(fd);
    must_die(a, end - 300);
    assert_true(now() < end + PATIENCE_MS);
    end_guest(b); /* Not under guard. */
}

static void a_renewed_lease_keeps_them_alive(void **state)
{
    (void)state;
    int fd = join(NULL);
    pid_t a = begin_guest();
    say_lease(fd, now() + 500, 300);
    assert_int_equal(guard_it(fd, a, 7), 0);
    uint64_t end = now() + 900;
    say_lease(fd, end, 300);
    must_die(a, end - 300);
    assert_int_equal(hear(fd, GUARD_KILLED).head.n, 1);
    assert_int_equal(hear(fd, GUARD_GONE).head.copy.epoch, 7);
    (void)close(fd);
}

static void without_a_lease_it_takes_nothing(void **state)
{
    (void)state;
    int fd = join(NULL);
    pid_t a = begin_guest();
    assert_int_equal(guard_it(fd, a, 7), ERR_STATE);
    say_lease(fd, now() + 200, 300);
    assert_int_equal(guard_it(fd, a, 7), ERR_STATE);
    end_guest(a);
    (void)close(fd);
}

static void a_new_daemon_takes_over_what_the_old_one_had(void **state)
{
    (void)state;
    struct guard_table_msg m;
    int old = join(&m);
    assert_int_equal(m.head.n, 0);
    pid_t a = begin_guest();
    pid_t b = begin_guest();
    uint64_t end = now() + PATIENCE_MS;
    say_lease(old, end, 300);
    assert_int_equal(guard_it(old, a, 7), 0);
    assert_int_equal(guard_it(old, b, 8), 0);
    int fd = join(&m); /* The old one hangs: it is not closed. */
    assert_int_equal(m.head.n, 2);
    assert_int_equal(m.head.end_ms, end);
    assert_int_equal(m.copies[1].epoch, 8);
    assert_int_equal(m.copies[1].pid, (uint64_t)b);
    char byte;
    assert_int_equal(recv(old, &byte, 1, 0), 0); /* It is served no more. */
    say(fd, (struct guard_msg){.kind = GUARD_DROP, .copy = m.copies[0]}, -1);
    assert_int_equal(hear(fd, GUARD_DROPPED).head.copy.epoch, 7);
    end_guest(b);
    assert_int_equal(hear(fd, GUARD_GONE).head.copy.epoch, 8);
    end_guest(a);
    (void)close(fd);
    (void)close(old);
}

static void a_daemon_that_talks_nonsense_is_not_served(void **state)
{
    (void)state;
    int fd = join(NULL);
    struct guard_table_msg m;
    pid_t a = begin_guest();
    say_lease(fd, now() + PATIENCE_MS, 300);
    assert_int_equal(guard_it(fd, a, 7), 0);
    assert_int_equal(send(fd, "nonsense", 8, 0), 8);
    char byte;
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    (void)close(fd);
    fd = join(&m);
    assert_int_equal(m.head.n, 1); /* What it said before holds. */
    end_guest(a);
    (void)close(fd);
}

static void there_is_one_for_a_host(void **state)
{
    (void)state;
    int status;
    int fd = join(NULL);
    pid_t second = begin_guard("60000");
    assert_int_equal(waitpid(second, &status, 0), second);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 3);
    (void)close(fd);
}

static void it_ends_when_nobody_needs_it(void **state)
{
    (void)state;
    int status;
    (void)kill(guard_pid, SIGKILL);
    (void)waitpid(guard_pid, NULL, 0);
    guard_pid = begin_guard("50");
    int fd = join(NULL);
    pid_t a = begin_guest();
    uint64_t end = now() + 700;
    say_lease(fd, end, 100);
    assert_int_equal(guard_it(fd, a, 7), 0);
    (void)close(fd);
    must_die(a, end - 100); /* Longer than it lingers: it had something to guard. */
    assert_int_equal(waitpid(guard_pid, &status, 0), guard_pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(access(path, F_OK), -1);
}

/* The device is no watchdog: the guard says so, to the next daemon as well, and does without. */
static void without_a_watchdog_it_says_so_and_goes_on(void **state)
{
    (void)state;
    (void)kill(guard_pid, SIGKILL);
    assert_int_equal(waitpid(guard_pid, NULL, 0), guard_pid);
    guard_pid = begin_guard_with("60000", "/dev/null");
    int fd = join(NULL);
    pid_t a = begin_guest();
    uint64_t end = now() + 800;
    say_lease(fd, end, 300);
    assert_int_equal(guard_it(fd, a, 7), 0);
    struct guard_table_msg m = hear(fd, GUARD_DOG);
    assert_int_equal(m.head.n, 0);
    assert_int_equal(m.head.code, ENOTSUP);
    int next = join(NULL);
    assert_int_equal(hear(next, GUARD_DOG).head.n, 0);
    must_die(a, end - 300);
    (void)close(fd);
    (void)close(next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_kills_when_the_lease_ends_though_the_daemon_is_gone,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_renewed_lease_keeps_them_alive, setup, teardown),
        cmocka_unit_test_setup_teardown(without_a_lease_it_takes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_new_daemon_takes_over_what_the_old_one_had, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_daemon_that_talks_nonsense_is_not_served, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(there_is_one_for_a_host, setup, teardown),
        cmocka_unit_test_setup_teardown(without_a_watchdog_it_says_so_and_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(it_ends_when_nobody_needs_it, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
