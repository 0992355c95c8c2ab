/* guest vnc: a port of this machine for VNC viewers, behind which the guest's screen is, through
 * any host of the pool (docs/protocols/console.md). It listens on the loopback alone and goes on
 * until it is interrupted. The guest's password is asked for by the viewer; nothing here sees it.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/os_net.h"
#include "core/util.h"

#include "cli/console.h"
#include "cli/quorate/link.h"
#include "cli/quorate/run.h"

#define VIEWERS_MAX 8
#define CONNECT_MS  1000
#define SLICE_MS    200
/* Not taken by its receiver, at which its sender is read no more. */
#define UP_MAX   ((size_t)16 * 1024)
#define DOWN_MAX ((size_t)256 * 1024)

/* A viewer, and its connection to a daemon. */
struct viewer {
    int fd; /* -1: free. */
    int far;
    struct buf up;   /* From the viewer. */
    struct buf in;   /* Frames, not whole yet. */
    struct buf down; /* For the viewer. */
    bool last;       /* The far end has ended: only what is there goes to the viewer. */
};

struct vnc {
    struct cli *cli;
    struct link *link; /* Only its list of addresses. */
    struct console_hello hello;
    int listener;
    struct viewer viewers[VIEWERS_MAX];
};

static void let_go(struct viewer *v)
{
    (void)close(v->fd);
    if (v->far >= 0) {
        (void)close(v->far);
    }
    buf_done(&v->up);
    buf_done(&v->in);
    buf_done(&v->down);
    *v = (struct viewer){.fd = -1, .far = -1};
}

static int dial(struct vnc *n, int *ret_fd, struct err *e)
{
    int rc = ERR_CLOSED;
    for (size_t i = 0; i < n->link->n && rc != 0; i++) {
        struct addr at;
        rc = addr_parse(n->link->address[i], &at, e);
        rc = rc == 0 ? os_net_connect(&at, CONNECT_MS, ret_fd, e) : rc;
    }
    return rc;
}

static void welcome(struct vnc *n)
{
    struct err e;
    struct viewer *v = n->viewers;
    int fd = accept4(n->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    while (v < n->viewers + VIEWERS_MAX && v->fd >= 0) {
        v++;
    }
    if (fd < 0) {
        return;
    }
    if (v == n->viewers + VIEWERS_MAX) {
        (void)close(fd);
        cli_say(n->cli, "a viewer was sent away: there are %d", VIEWERS_MAX);
        return;
    }
    v->fd = fd;
    if (dial(n, &v->far, &e) != 0) {
        cli_say(n->cli, "%s", e.msg);
        let_go(v);
        return;
    }
    console_put_hello(&v->up, &n->hello);
}

/* Take n bytes off the front. */
static void drop_front(struct buf *b, size_t n)
{
    memmove(b->data, b->data + n, b->len - n);
    b->len -= n;
}

/* False: the connection is over. */
static bool flush(int fd, struct buf *b)
{
    ssize_t n = b->len == 0 ? 0 : send(fd, b->data, b->len, MSG_NOSIGNAL);
    if (n > 0) {
        drop_front(b, (size_t)n);
    }
    return n >= 0 || errno == EAGAIN || errno == EINTR;
}

static bool fill(int fd, struct buf *b)
{
    uint8_t bytes[CONSOLE_FRAME_MAX];
    ssize_t n = recv(fd, bytes, sizeof bytes, 0);
    if (n > 0) {
        buf_put(b, bytes, (size_t)n);
    }
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static void unframe(struct vnc *n, struct viewer *v)
{
    struct console_frame f;
    int len;
    while (!v->last && (len = console_get_frame(v->in.data, v->in.len, &f)) != 0) {
        if (len < 0 || f.kind == CONSOLE_END) {
            cli_say(n->cli, "%.*s", len < 0 ? 0 : (int)f.len, len < 0 ? "" : (const char *)f.data);
            v->last = true;
            return;
        }
        if (f.kind == CONSOLE_DATA) {
            buf_put(&v->down, f.data, f.len);
        }
        drop_front(&v->in, (size_t)len);
    }
}

/* What can be done for one viewer now. */
static void serve(struct vnc *n, struct viewer *v, const struct pollfd p[2])
{
    bool here = true;
    bool there = !v->last;
    if ((p[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
        here = fill(v->fd, &v->up);
    }
    if (there && (p[1].revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
        there = fill(v->far, &v->in);
        unframe(n, v);
    }
    here = here && flush(v->fd, &v->down);
    there = there && flush(v->far, &v->up);
    v->last = v->last || !there;
    if (!here || (v->last && v->down.len == 0)) {
        let_go(v);
    }
}

static void turn(struct vnc *n)
{
    struct pollfd p[1 + 2 * VIEWERS_MAX];
    p[0] = (struct pollfd){.fd = n->listener, .events = POLLIN};
    for (size_t i = 0; i < VIEWERS_MAX; i++) {
        const struct viewer *v = &n->viewers[i];
        short mine = (short)((v->up.len < UP_MAX ? POLLIN : 0) | (v->down.len > 0 ? POLLOUT : 0));
        short its = (short)((v->down.len < DOWN_MAX ? POLLIN : 0) | (v->up.len > 0 ? POLLOUT : 0));
        p[1 + 2 * i] = (struct pollfd){.fd = v->fd, .events = mine};
        p[2 + 2 * i] = (struct pollfd){.fd = v->last ? -1 : v->far, .events = its};
    }
    if (poll(p, ARRAY_LEN(p), SLICE_MS) <= 0) {
        return;
    }
    for (size_t i = 0; i < VIEWERS_MAX; i++) {
        if (n->viewers[i].fd >= 0) {
            serve(n, &n->viewers[i], &p[1 + 2 * i]);
        }
    }
    if (p[0].revents != 0) {
        welcome(n);
    }
}

int run_vnc(struct cli *cli, const struct parsed *p)
{
    const struct args_vnc *a = p->record;
    struct addr at = {.kind = ADDR_V4, .host = "127.0.0.1", .port = (uint16_t)a->port};
    struct link l;
    struct err e = {0};
    struct vnc n = {.cli = cli, .link = &l, .hello = {.flags = CONSOLE_SCREEN}};
    (void)str_copy(n.hello.guest, sizeof n.hello.guest, a->name);
    for (size_t i = 0; i < VIEWERS_MAX; i++) {
        n.viewers[i] = (struct viewer){.fd = -1, .far = -1};
    }
    if (link_init(&l, cli, &e) != 0 || os_net_listen(&at, &n.listener, &e) != 0) {
        return cli_fail(cli, &e);
    }
    (void)fprintf(cli->out, "127.0.0.1:%u\n", os_net_port(n.listener));
    (void)fflush(cli->out);
    while (!cli_interrupted(cli)) {
        turn(&n);
    }
    for (size_t i = 0; i < VIEWERS_MAX; i++) {
        if (n.viewers[i].fd >= 0) {
            let_go(&n.viewers[i]);
        }
    }
    (void)close(n.listener);
    link_done(&l);
    return EXIT_STATUS_OK;
}
