#include "cli/quorated/guard_link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "core/util.h"

/* A guard that was started is looked for so often, and so many times. */
#define LOOK_MS 10u
#define LOOKS   100u

/* Its own default, which must be said when more follows. */
#define GUARD_LINGER "10000"

struct guard_link {
    struct guard_link_options opt;
    uv_timer_t look;
    uv_poll_t *poll;     /* Of the connection; NULL: none. Freed when it is closed. */
    uv_process_t *guard; /* Started here, and not known to have ended. */
    int fd;
    uint32_t looks; /* Left until it is given up. */
    bool connecting;
    bool closing;
    void (*closed)(void *ctx);
    void *closed_ctx;
    struct guard_table_msg in;
};

static void free_handle(uv_handle_t *handle)
{
    free(handle);
}

/* --- the connection */

static void drop_connection(struct guard_link *l)
{
    if (l->poll != NULL) {
        uv_close((uv_handle_t *)l->poll, free_handle);
        l->poll = NULL;
        (void)close(l->fd);
        l->fd = -1;
    }
}

static void lose(struct guard_link *l, int errnum, const char *what)
{
    struct err e = {0};
    (void)err_sys(&e, ERR_IO, errnum, "%s %s", what, l->opt.path);
    drop_connection(l);
    l->connecting = false;
    (void)uv_timer_stop(&l->look);
    if (!l->closing) {
        l->opt.lost(l->opt.ctx, &e);
    }
}

/* Whether a packet of n bytes is one of the guard's. */
static bool is_whole(const struct guard_table_msg *m, size_t n)
{
    size_t copies = m->head.kind == GUARD_TABLE ? m->head.n : 0;
    return n >= sizeof m->head && m->head.magic == GUARD_MAGIC && copies <= GUARD_COPIES &&
           n == sizeof m->head + copies * sizeof m->copies[0];
}

static void readable(uv_poll_t *poll, int status, int events)
{
    struct guard_link *l = poll->data;
    (void)events;
    while (l->poll == poll) {
        ssize_t n = status < 0 ? 0 : recv(l->fd, &l->in, sizeof l->in, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (n <= 0) {
            lose(l, n < 0 ? errno : ECONNRESET, "connection to the guard at");
            return;
        }
        if (!is_whole(&l->in, (size_t)n)) {
            lose(l, EPROTO, "what the guard says at");
            return;
        }
        l->connecting = false;
        l->opt.heard(l->opt.ctx, &l->in.head, l->in.copies);
    }
}

static int connect_now(struct guard_link *l)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (str_copy(to.sun_path, sizeof to.sun_path, l->opt.path) >= sizeof to.sun_path) {
        return ENAMETOOLONG;
    }
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof to) != 0) {
        int errnum = errno;
        if (fd >= 0) {
            (void)close(fd);
        }
        return errnum;
    }
    l->fd = fd;
    l->poll = mem_new(1, sizeof *l->poll);
    l->poll->data = l;
    int r = uv_poll_init(l->opt.loop, l->poll, fd);
    if (r != 0) { /* The loop has no room for it: then it is no handle either. */
        free(l->poll);
        l->poll = NULL;
        (void)close(fd);
        return -r;
    }
    (void)uv_poll_start(l->poll, UV_READABLE, readable);
    return 0;
}

/* --- the process */

static void guard_ended(uv_process_t *process, int64_t status, int signal)
{
    struct guard_link *l = process->data;
    (void)status;
    (void)signal;
    if (l != NULL && l->guard == process) {
        l->guard = NULL;
    }
    uv_close((uv_handle_t *)process, free_handle);
}

/* In a session of its own, so that nothing that ends the daemon ends it. It takes care that there
 * is one guard a path. */
static int start_guard(struct guard_link *l)
{
    uv_stdio_container_t stdio[] = {
        {.flags = UV_IGNORE}, {.flags = UV_IGNORE}, {.flags = UV_INHERIT_FD, .data = {.fd = 2}}};
    bool dog = l->opt.watchdog != NULL && l->opt.watchdog[0] != '\0';
    char *args[] = {(char *)l->opt.program, (char *)l->opt.path, dog ? GUARD_LINGER : NULL,
                    (char *)l->opt.watchdog, NULL};
    uv_process_options_t o = {.exit_cb = guard_ended,
                              .file = l->opt.program,
                              .args = args,
                              .flags = UV_PROCESS_DETACHED,
                              .stdio_count = ARRAY_LEN(stdio),
                              .stdio = stdio};
    uv_process_t *process = mem_new(1, sizeof *process);
    int r = uv_spawn(l->opt.loop, process, &o);
    if (r != 0) {
        uv_close((uv_handle_t *)process, free_handle);
        return -r;
    }
    process->data = l;
    uv_unref((uv_handle_t *)process); /* The daemon's loop does not wait for its end. */
    l->guard = process;
    return 0;
}

static void look(uv_timer_t *timer)
{
    struct guard_link *l = timer->data;
    int errnum = connect_now(l);
    if (errnum == 0) {
        return;
    }
    bool absent = errnum == ENOENT || errnum == ECONNREFUSED;
    if ((!absent && errnum != EAGAIN) || l->looks == 0) {
        lose(l, errnum, "connect to the guard at");
        return;
    }
    l->looks--;
    errnum = absent && l->guard == NULL ? start_guard(l) : 0;
    if (errnum != 0) {
        lose(l, errnum, "start the guard for");
        return;
    }
    (void)uv_timer_start(&l->look, look, LOOK_MS, 0);
}

/* --- what others call */

struct guard_link *guard_link_new(const struct guard_link_options *options)
{
    struct guard_link *l = mem_new(1, sizeof *l);
    l->opt = *options;
    l->fd = -1;
    (void)uv_timer_init(l->opt.loop, &l->look); /* Fails only on bad arguments. */
    l->look.data = l;
    return l;
}

void guard_link_connect(struct guard_link *l)
{
    if (!l->closing && !l->connecting && l->poll == NULL) {
        l->connecting = true;
        l->looks = LOOKS;
        (void)uv_timer_start(&l->look, look, 0, 0);
    }
}

static int send_process(const struct guard_link *l, const struct guard_msg *m, struct err *e)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {0};
    if (m->copy.pid == 0) {
        return err_set(e, ERR_UNSUPPORTED, "a copy without a process");
    }
    int pidfd = (int)syscall(SYS_pidfd_open, (pid_t)m->copy.pid, 0);
    if (pidfd < 0) {
        return err_sys(e, ERR_NOT_FOUND, errno, "process %llu", (unsigned long long)m->copy.pid);
    }
    struct guard_msg out = *m;
    struct iovec part = {.iov_base = &out, .iov_len = sizeof out};
    struct msghdr msg = {.msg_iov = &part,
                         .msg_iovlen = 1,
                         .msg_control = control.room,
                         .msg_controllen = sizeof control.room};
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof pidfd);
    memcpy(CMSG_DATA(c), &pidfd, sizeof pidfd);
    ssize_t n = sendmsg(l->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    int errnum = errno;
    (void)close(pidfd);
    return n < 0 ? err_sys(e, ERR_IO, errnum, "say to the guard at %s", l->opt.path) : 0;
}

static int send_plain(const struct guard_link *l, const struct guard_msg *m, struct err *e)
{
    return send(l->fd, m, sizeof *m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0
               ? err_sys(e, ERR_IO, errno, "say to the guard at %s", l->opt.path)
               : 0;
}

/* A connection that does not take what is said is seen to end by the poll: the guard hangs, or is
 * gone. */
int guard_link_send(struct guard_link *l, const struct guard_msg *m, struct err *e)
{
    if (l->poll == NULL) {
        return err_set(e, ERR_IO, "there is no guard at %s", l->opt.path);
    }
    bool is_process = m->kind == GUARD_ADD && m->copy.domain == 0;
    int rc = is_process ? send_process(l, m, e) : send_plain(l, m, e);
    if (rc == ERR_IO) {
        (void)shutdown(l->fd, SHUT_RDWR);
    }
    return rc;
}

static void look_closed(uv_handle_t *handle)
{
    struct guard_link *l = handle->data;
    void (*closed)(void *) = l->closed;
    void *ctx = l->closed_ctx;
    free(l);
    closed(ctx);
}

void guard_link_close(struct guard_link *l, void (*closed)(void *ctx), void *ctx)
{
    l->closing = true;
    l->closed = closed;
    l->closed_ctx = ctx;
    drop_connection(l);
    if (l->guard != NULL) {
        l->guard->data = NULL;
        uv_close((uv_handle_t *)l->guard, free_handle);
        l->guard = NULL;
    }
    uv_close((uv_handle_t *)&l->look, look_closed);
}
