/* The program quorate-xen: see xen_link.h.
 *
 * One handle watches the process (its pidfd), one its socket. The link is gone when both are closed
 * and the process was waited for. */
#include "hvdriver/xen_link.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "core/clock.h"
#include "core/limits.h"
#include "core/util.h"

#include "hvdriver/xen_wire.h"

#define PROGRAM "quorate-xen"

/* The child finds its socket under this number. */
#define SOCKET_FD 3

#define END_MS 10000u

struct xen_link {
    struct xen_link_options opt;
    struct xen_reader reader;
    uv_pipe_t pipe;
    uv_poll_t process;
    uv_timer_t patience;
    pid_t pid;
    int pidfd;
    int fd; /* Until the loop has it. */
    bool heard;
    bool lost;
    bool dead; /* Waited for. */
    bool closing;
    uint32_t handles;
    void (*closed)(void *ctx);
    void *closed_ctx;
    char buf[16384];
};

struct sent {
    uv_write_t write;
    char *line;
};

/* ---- the process ---- */

/* The path of the program that stands beside this one; its bare name if that cannot be told. */
static void beside(char *to, size_t size)
{
    ssize_t n = readlink("/proc/self/exe", to, size - sizeof PROGRAM);
    to[n < 0 ? 0 : n] = '\0';
    char *name = strrchr(to, '/');
    name = name == NULL ? to : name + 1;
    (void)str_copy(name, sizeof PROGRAM, PROGRAM);
}

static int spawn(struct xen_link *l, int theirs, struct err *e)
{
    char program[LIMIT_PATH + sizeof PROGRAM + 1];
    char log[LIMIT_PATH + 16];
    beside(program, sizeof program);
    if (l->opt.program != NULL) {
        (void)str_copy(program, sizeof program, l->opt.program);
    }
    (void)snprintf(log, sizeof log, "%s/xen.log", l->opt.log_dir);
    char *const args[] = {program, (char *)l->opt.run_dir, (char *)l->opt.log_dir, NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none;
    (void)sigemptyset(&none);
    (void)posix_spawn_file_actions_init(&files);
    (void)posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    (void)posix_spawn_file_actions_addopen(&files, STDERR_FILENO, log,
                                           O_WRONLY | O_CREAT | O_APPEND, 0640);
    (void)posix_spawn_file_actions_adddup2(&files, STDERR_FILENO, STDOUT_FILENO);
    (void)posix_spawn_file_actions_adddup2(&files, theirs, SOCKET_FD);
    (void)posix_spawnattr_init(&attr);
    /* A session of its own: what ends the daemon's group must not end it in the middle of a call.
     */
    (void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID);
    (void)posix_spawnattr_setsigmask(&attr, &none);
    int r = posix_spawn(&l->pid, program, &files, &attr, args, environ);
    (void)posix_spawn_file_actions_destroy(&files);
    (void)posix_spawnattr_destroy(&attr);
    if (r == ENOENT) {
        return err_set(e, ERR_UNSUPPORTED,
                       "driver xen needs the program %s, which is not there: it belongs to a build "
                       "with Xen's libraries (libxen-dev)",
                       program);
    }
    return r == 0 ? 0 : err_sys(e, ERR_IO, r, "start %s", program);
}

static void unref(struct xen_link *l)
{
    if (--l->handles > 0) {
        return;
    }
    void (*closed)(void *ctx) = l->closed;
    void *ctx = l->closed_ctx;
    (void)close(l->pidfd);
    xen_reader_done(&l->reader);
    free(l);
    closed(ctx);
}

static void handle_closed(uv_handle_t *handle)
{
    unref(handle->data);
}

static void has_died(uv_poll_t *process, int status, int events)
{
    struct xen_link *l = process->data;
    (void)status;
    (void)events;
    if (waitpid(l->pid, NULL, WNOHANG) != l->pid) {
        return;
    }
    l->dead = true;
    (void)uv_poll_stop(process);
    if (l->closing) {
        uv_close((uv_handle_t *)&l->patience, handle_closed);
        uv_close((uv_handle_t *)process, handle_closed);
    }
}

int xen_link_start(struct xen_link **ret, const struct xen_link_options *options, struct err *e)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) {
        return err_sys(e, ERR_IO, errno, "socket for " PROGRAM);
    }
    struct xen_link *l = mem_new(1, sizeof *l);
    l->opt = *options;
    l->fd = fds[0];
    /* dup2() onto itself would keep the number closed in the child. */
    int theirs = fcntl(fds[1], F_DUPFD_CLOEXEC, SOCKET_FD + 1);
    (void)close(fds[1]);
    int rc = theirs < 0 ? err_sys(e, ERR_IO, errno, "socket for " PROGRAM) : spawn(l, theirs, e);
    if (theirs >= 0) {
        (void)close(theirs);
    }
    if (rc != 0) {
        (void)close(l->fd);
        free(l);
        return rc;
    }
    l->pidfd = (int)syscall(SYS_pidfd_open, l->pid, 0);
    *ret = l;
    return 0;
}

/* ---- messages ---- */

static void give_up(struct xen_link *l, const struct err *why)
{
    if (!l->lost && !l->closing) {
        l->lost = true;
        (void)uv_read_stop((uv_stream_t *)&l->pipe);
        l->opt.lost(l->opt.ctx, why);
    }
}

static int on_msg(void *ctx, const json_t *msg, struct err *e)
{
    struct xen_link *l = ctx;
    l->heard = true;
    return l->opt.heard(l->opt.ctx, msg, e);
}

static void alloc(uv_handle_t *handle, size_t wish, uv_buf_t *ret)
{
    struct xen_link *l = handle->data;
    (void)wish;
    *ret = uv_buf_init(l->buf, sizeof l->buf);
}

static void has_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct xen_link *l = stream->data;
    struct err e = {0};
    if (n < 0) {
        (void)err_set(&e, ERR_CLOSED, "the program " PROGRAM " has ended: see %s/xen.log",
                      l->opt.log_dir);
    } else if (n > 0 && !l->closing &&
               xen_reader_feed(&l->reader, buf->base, (size_t)n, on_msg, l, &e) != 0) {
        (void)err_wrap(&e, PROGRAM " said");
    }
    if (e.code != 0) {
        give_up(l, &e);
    }
}

void xen_link_listen(struct xen_link *l)
{
    uv_poll_init(l->opt.loop, &l->process, l->pidfd);
    uv_timer_init(l->opt.loop, &l->patience);
    uv_pipe_init(l->opt.loop, &l->pipe, 0);
    l->process.data = l;
    l->patience.data = l;
    l->pipe.data = l;
    l->handles = 3;
    (void)uv_poll_start(&l->process, UV_READABLE, has_died);
    (void)uv_pipe_open(&l->pipe, l->fd);
    (void)uv_read_start((uv_stream_t *)&l->pipe, alloc, has_read);
}

int xen_link_first(struct xen_link *l, uint32_t deadline_ms, struct err *e)
{
    uint64_t end = os_clock()->mono_ms(os_clock()) + deadline_ms;
    int rc = 0;
    while (rc == 0 && !l->heard) {
        uint64_t now = os_clock()->mono_ms(os_clock());
        struct pollfd p = {.fd = l->fd, .events = POLLIN};
        if (now >= end || poll(&p, 1, (int)(end - now)) == 0) {
            rc =
                err_set(e, ERR_TIMEOUT, PROGRAM " does not answer: see %s/xen.log", l->opt.log_dir);
            break;
        }
        ssize_t n = read(l->fd, l->buf, sizeof l->buf);
        if (n > 0) {
            rc = xen_reader_feed(&l->reader, l->buf, (size_t)n, on_msg, l, e);
        } else if (n == 0 || errno != EINTR) {
            rc = err_set(e, ERR_CLOSED, PROGRAM " has ended: see %s/xen.log", l->opt.log_dir);
        }
    }
    if (rc == 0) {
        xen_link_listen(l);
    }
    return rc;
}

static void was_sent(uv_write_t *write, int status)
{
    struct sent *s = CONTAINER_OF(write, struct sent, write);
    (void)status; /* The end of the process is heard by reading. */
    free(s->line);
    free(s);
}

void xen_link_send(struct xen_link *l, json_t *msg)
{
    if (l->lost || l->closing) {
        json_decref(msg);
        return;
    }
    struct sent *s = mem_new(1, sizeof *s);
    size_t len = 0;
    s->line = xen_line(msg, &len);
    uv_buf_t buf = uv_buf_init(s->line, (unsigned)len);
    if (uv_write(&s->write, (uv_stream_t *)&l->pipe, &buf, 1, was_sent) != 0) {
        was_sent(&s->write, UV_ECANCELED);
    }
}

/* ---- the end ---- */

static void out_of_patience(uv_timer_t *timer)
{
    const struct xen_link *l = timer->data;
    (void)kill(l->pid, SIGKILL); /* Not waited for yet, so the number is its own. */
}

void xen_link_close(struct xen_link *l, void (*closed)(void *ctx), void *ctx)
{
    l->closing = true;
    l->closed = closed;
    l->closed_ctx = ctx;
    uv_close((uv_handle_t *)&l->pipe, handle_closed);
    if (l->dead) {
        uv_close((uv_handle_t *)&l->patience, handle_closed);
        uv_close((uv_handle_t *)&l->process, handle_closed);
    } else {
        uv_timer_start(&l->patience, out_of_patience, END_MS, 0);
    }
}

void xen_link_kill(struct xen_link *l)
{
    (void)kill(l->pid, SIGKILL);
    (void)waitpid(l->pid, NULL, 0);
    (void)close(l->fd);
    (void)close(l->pidfd);
    xen_reader_done(&l->reader);
    free(l);
}
