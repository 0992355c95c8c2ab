/* quorate-guard: ends this host's guarded guests when its lease ends, whatever became of the
 * daemon.
 *
 *     quorate-guard PATH [LINGER-MS [WATCHDOG]]
 *
 * It listens on PATH for the daemon, learns each new end of the lease and which processes and
 * domains are guarded, and kills them in time (docs/protocols/leases.md). Nothing it needs for that
 * may depend on anything else of this machine: its memory is locked, nothing is allocated once it
 * serves, it reads and writes no file but the watchdog's device (dog.h), and where it is allowed to
 * it runs before everything else and is spared when memory runs out. It goes on when the daemon
 * dies, and ends by itself when nobody needs it any more.
 *
 * Exit status: 0 no longer needed, 1 it could not serve, 2 wrong usage, 3 another one serves PATH.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "core/err.h"

#include "cli/guard/dog.h"
#include "cli/guard/domain.h"
#include "cli/guard/table.h"

#define EXIT_FAILED 1
#define EXIT_USAGE  2
#define EXIT_SERVED 3

/* Without a daemon and anything guarded it stays for so long: a daemon may be starting. */
#define LINGER_MS 10000u

/* How soon it is known that a domain has ended, or has not. */
#define LOOK_MS 200u

enum {
    FD_LISTEN,
    FD_CLIENT,
    FD_TIMER,
    FD_COPIES
};

struct guard {
    struct guard_table table;
    int listener;
    int client; /* -1: no daemon. */
    int timer;
    uint64_t alone_ms;  /* Without a daemon since then. */
    uint64_t linger_ms; /* LINGER_MS, or as the command line says. */
    bool stuck_told;
    struct dog dog;
    struct domains domains;
    uint64_t look_ms; /* When domains are looked at again: nobody tells of their end. */
    struct pollfd polls[FD_COPIES + GUARD_COPIES];
    struct guard_table_msg table_msg;
};

/* Everything it will ever need. */
static struct guard guard;

static uint64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_BOOTTIME, &t);
    return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

/* --- the daemon */

static void lose_client(struct guard *g)
{
    if (g->client >= 0) {
        (void)close(g->client);
        g->client = -1;
        g->alone_ms = now_ms();
    }
}

/* Never waits: a daemon that does not read is one that hangs, and is let go. */
static void tell(struct guard *g, const void *data, size_t len)
{
    if (g->client >= 0 && send(g->client, data, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        lose_client(g);
    }
}

static void
tell_copy(struct guard *g, enum guard_kind kind, const struct guard_copy *copy, int code)
{
    struct guard_msg m = {.magic = GUARD_MAGIC, .kind = kind, .code = code};
    if (copy != NULL) {
        m.copy = *copy;
    }
    tell(g, &m, sizeof m);
}

static void tell_count(struct guard *g, enum guard_kind kind, uint32_t n)
{
    struct guard_msg m = {.magic = GUARD_MAGIC, .kind = kind, .n = n, .end_ms = g->table.end_ms};
    tell(g, &m, sizeof m);
}

static void tell_table(struct guard *g)
{
    struct guard_table_msg *m = &g->table_msg;
    memset(m, 0, sizeof *m);
    m->head = (struct guard_msg){.magic = GUARD_MAGIC,
                                 .kind = GUARD_TABLE,
                                 .end_ms = g->table.end_ms,
                                 .margin_ms = g->table.margin_ms,
                                 .n = g->table.n};
    for (uint32_t i = 0; i < g->table.n; i++) {
        m->copies[i] = g->table.entries[i].copy;
    }
    tell(g, m, sizeof m->head + g->table.n * sizeof m->copies[0]);
}

/* What stands behind it; nothing is said as long as that is not known. */
static void tell_dog(struct guard *g)
{
    bool good = dog_guarantees(&g->dog);
    struct guard_msg m = {
        .magic = GUARD_MAGIC, .kind = GUARD_DOG, .n = good ? 1 : 0, .code = g->dog.error};
    if (good || g->dog.refused) {
        tell(g, &m, sizeof m);
    }
}

/* The newest daemon is the one that is served: the one before is gone, or hangs. */
static void welcome(struct guard *g)
{
    struct ucred who = {0};
    socklen_t len = sizeof who;
    int fd = accept4(g->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        return;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) != 0 || who.uid != geteuid()) {
        (void)close(fd);
        return;
    }
    lose_client(g);
    g->client = fd;
    tell_table(g);
    tell_dog(g);
}

/* 0, or why it cannot be guarded. */
static int can_guard(const struct guard *g, const struct guard_copy *copy, int pidfd)
{
    if (copy->domain == 0) {
        return pidfd < 0 ? ERR_INVALID : 0;
    }
    if (pidfd >= 0) {
        return ERR_INVALID;
    }
    return g->domains.fd < 0                                                    ? ERR_UNSUPPORTED
           : domain_is_there(&g->domains, (uint32_t)copy->domain, &copy->guest) ? 0
                                                                                : ERR_NOT_FOUND;
}

static void add(struct guard *g, const struct guard_copy *copy, int pidfd)
{
    struct guard_entry *e;
    int rc = can_guard(g, copy, pidfd);
    rc = rc == 0 ? guard_add(&g->table, copy, now_ms(), &e) : rc;
    if (rc == 0) {
        e->handle = pidfd;
    } else if (pidfd >= 0) {
        (void)close(pidfd);
    }
    tell_copy(g, GUARD_ADDED, copy, rc == ERR_EXISTS ? 0 : rc);
}

static void forget(struct guard *g, struct guard_entry *e)
{
    if (e->handle >= 0) {
        (void)close(e->handle);
    }
    guard_remove(&g->table, e);
}

static void obey(struct guard *g, const struct guard_msg *m, int fd)
{
    struct guard_entry *e;
    if (m->kind == GUARD_ADD) {
        add(g, &m->copy, fd);
        return;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    if (m->kind == GUARD_LEASE) {
        guard_renew(&g->table, m->end_ms, m->margin_ms);
        g->stuck_told = false;
    } else if (m->kind == GUARD_DROP) {
        e = guard_find(&g->table, &m->copy.guest, m->copy.epoch);
        if (e != NULL && !e->killed) {
            forget(g, e);
        }
        tell_copy(g, GUARD_DROPPED, &m->copy, 0);
    }
}

/* One message; false: there is none. */
static bool listen_once(struct guard *g)
{
    struct guard_msg m;
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {.iov_base = &m, .iov_len = sizeof m};
    struct msghdr msg = {.msg_iov = &part,
                         .msg_iovlen = 1,
                         .msg_control = control.room,
                         .msg_controllen = sizeof control.room};
    ssize_t n = recvmsg(g->client, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    int fd = -1;
    const struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&msg);
    if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
        c->cmsg_len == CMSG_LEN(sizeof fd)) {
        memcpy(&fd, CMSG_DATA(c), sizeof fd);
    }
    if (n != sizeof m || m.magic != GUARD_MAGIC) {
        if (fd >= 0) {
            (void)close(fd);
        }
        lose_client(g);
        return false;
    }
    obey(g, &m, fd);
    return g->client >= 0;
}

/* --- the copies */

static bool is_gone(const struct guard *g, uint32_t i, bool look)
{
    const struct guard_copy *copy = &g->table.entries[i].copy;
    if (copy->domain == 0) {
        return g->polls[FD_COPIES + i].revents != 0;
    }
    return look && !domain_is_there(&g->domains, (uint32_t)copy->domain, &copy->guest);
}

static void bury(struct guard *g)
{
    uint64_t now = now_ms();
    bool look = now >= g->look_ms;
    g->look_ms = look ? now + LOOK_MS : g->look_ms;
    /* From behind: removing one moves the last into its place. */
    for (uint32_t i = g->table.n; i > 0; i--) {
        struct guard_entry *e = &g->table.entries[i - 1];
        if (is_gone(g, i - 1, look)) {
            const struct guard_copy copy = e->copy;
            forget(g, e);
            tell_copy(g, GUARD_GONE, &copy, 0);
        } else if (look && e->killed && e->copy.domain != 0) {
            domain_end(&g->domains, (uint32_t)e->copy.domain, &e->copy.guest);
        }
    }
}

/* What is quick comes first: processes are killed and domains stand still before the first domain
 * is taken apart. */
static void kill_all(struct guard *g)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < g->table.n; i++) {
        struct guard_entry *e = &g->table.entries[i];
        if (e->killed) {
            continue;
        }
        if (e->copy.domain != 0) {
            domain_stop(&g->domains, (uint32_t)e->copy.domain, &e->copy.guest);
        } else {
            (void)syscall(SYS_pidfd_send_signal, e->handle, SIGKILL, NULL, 0);
        }
        e->killed = true;
        n++;
    }
    g->look_ms = 0; /* They are ended next. */
    tell_count(g, GUARD_KILLED, n);
}

static void check_stuck(struct guard *g)
{
    uint32_t n = guard_stuck(&g->table, now_ms());
    if (n > 0 && !g->stuck_told) {
        g->stuck_told = true;
        tell_count(g, GUARD_STUCK, n);
    }
}

/* --- time */

/* When there is something to do that nobody tells of; 0: nothing. */
static uint64_t next_ms(const struct guard *g)
{
    uint64_t at = guard_kill_at(&g->table);
    if (at == 0 && g->table.n > 0 && !g->stuck_told) {
        at = g->table.end_ms;
    }
    if (at == 0 && g->client < 0 && g->table.n == 0) {
        at = g->alone_ms + g->linger_ms;
    }
    for (uint32_t i = 0; i < g->table.n; i++) {
        if (g->table.entries[i].copy.domain != 0 && (at == 0 || g->look_ms < at)) {
            at = g->look_ms + 1;
        }
    }
    uint64_t dog = dog_next_ms(&g->dog, g->table.end_ms);
    return dog != 0 && (at == 0 || dog < at) ? dog : at;
}

static void set_timer(const struct guard *g)
{
    uint64_t at = next_ms(g);
    struct itimerspec t = {
        .it_value = {.tv_sec = (time_t)(at / 1000), .tv_nsec = (long)(at % 1000) * 1000000}};
    (void)timerfd_settime(g->timer, TFD_TIMER_ABSTIME, &t, NULL);
}

static bool is_needed(const struct guard *g)
{
    return g->client >= 0 || g->table.n > 0 || now_ms() < g->alone_ms + g->linger_ms;
}

static nfds_t watch(struct guard *g)
{
    g->polls[FD_LISTEN] = (struct pollfd){.fd = g->listener, .events = POLLIN};
    g->polls[FD_CLIENT] = (struct pollfd){.fd = g->client, .events = POLLIN};
    g->polls[FD_TIMER] = (struct pollfd){.fd = g->timer, .events = POLLIN};
    for (uint32_t i = 0; i < g->table.n; i++) {
        g->polls[FD_COPIES + i] =
            (struct pollfd){.fd = g->table.entries[i].handle, .events = POLLIN};
    }
    return FD_COPIES + g->table.n;
}

static int serve(struct guard *g)
{
    uint64_t expired;
    while (is_needed(g)) {
        set_timer(g);
        if (poll(g->polls, watch(g), -1) < 0) {
            if (errno != EINTR) {
                return EXIT_FAILED;
            }
            continue;
        }
        /* Time first: nothing a daemon says may hold it up. */
        if (guard_is_due(&g->table, now_ms())) {
            kill_all(g);
        }
        if (g->polls[FD_TIMER].revents != 0) {
            (void)!read(g->timer, &expired, sizeof expired);
        }
        bury(g);
        check_stuck(g);
        if (g->polls[FD_CLIENT].revents != 0) {
            (void)listen_once(g); /* One at a time, for the same reason. */
        }
        if (g->polls[FD_LISTEN].revents != 0) {
            welcome(g);
        }
        if (dog_tick(&g->dog, g->table.end_ms, g->table.n, now_ms())) {
            tell_dog(g);
        }
    }
    return 0;
}

/* --- begin */

static int fail(const char *what)
{
    (void)fprintf(stderr, "quorate-guard: %s: %s\n", what,
                  strerror(errno)); // NOLINT(concurrency-mt-unsafe)
    return EXIT_FAILED;
}

/* One guard per path, also while an old one ends: by a lock that dies with its process. */
static int lock_path(const char *path)
{
    char name[sizeof(((struct sockaddr_un *)0)->sun_path) + 8];
    (void)snprintf(name, sizeof name, "%s.lock", path);
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return fail(name);
    }
    return flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : EXIT_SERVED;
}

static int open_socket(struct guard *g, const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof to.sun_path) {
        errno = ENAMETOOLONG;
        return fail(path);
    }
    int rc = lock_path(path);
    if (rc != 0) {
        return rc;
    }
    (void)strncpy(to.sun_path, path, sizeof to.sun_path - 1);
    (void)unlink(path);
    g->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (g->listener < 0 || bind(g->listener, (const struct sockaddr *)&to, sizeof to) != 0 ||
        listen(g->listener, 4) != 0) {
        return fail(path);
    }
    g->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    return g->timer < 0 ? fail("timerfd") : 0;
}

/* Each of these helps on a bad day and is not needed on a good one, so failing is not the end. */
static void be_robust(void)
{
    const struct sched_param before_all = {.sched_priority = 1};
    (void)mlockall(MCL_CURRENT | MCL_FUTURE);
    (void)sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &before_all);
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)!write(fd, "-1000", 5);
        (void)close(fd);
    }
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGTERM, SIG_IGN); /* It ends when nobody needs it. */
    (void)signal(SIGINT, SIG_IGN);
}

int main(int argc, char **argv)
{
    char *end = NULL;
    guard.client = -1;
    guard.alone_ms = now_ms();
    guard.linger_ms = argc >= 3 ? strtoul(argv[2], &end, 10) : LINGER_MS;
    domains_open(&guard.domains);
    dog_init(&guard.dog, &dog_real_calls, argc == 4 ? argv[3] : "");
    if (argc < 2 || argc > 4 || argv[1][0] == '-' || (end != NULL && *end != '\0')) {
        (void)fprintf(stderr, "usage: quorate-guard SOCKET-PATH [LINGER-MS [WATCHDOG]]\n"
                              "Started by quorated; ends guarded guests when the lease ends.\n");
        return EXIT_USAGE;
    }
    int rc = open_socket(&guard, argv[1]);
    if (rc != 0) {
        return rc;
    }
    (void)setsid();
    be_robust();
    rc = serve(&guard);
    (void)unlink(argv[1]);
    return rc;
}
