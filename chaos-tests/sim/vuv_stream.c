/* TCP handles of the virtual loop, on the sockets of vnet.h; libuv's rules for who is told what and
 * when. Unix sockets are not simulated: connecting to one fails. */

#include "chaos-tests/sim/vuv_stream.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "core/util.h"

#include "chaos-tests/sim/vsys.h"

/* Reads of one stream in one turn, as in libuv. */
#define READS_MAX 32

static uv_write_t *next_of(const uv_write_t *w)
{
    return w->queue[0];
}

/* --- when is there something to do */

static bool has_input(const struct vstream *s)
{
    if (s->sock == NULL) {
        return false;
    }
    if (s->listening) {
        return s->accepted == NULL && sock_readable(s->sock);
    }
    if (s->h->connect_req != NULL) {
        return !s->connect_done && sock_connected(s->sock) != 0;
    }
    return (s->reading && sock_readable(s->sock)) ||
           (s->write_first != NULL && sock_writable(s->sock));
}

void vstream_look(struct vstream *s)
{
    if (has_input(s)) {
        vready_add(s->loop, &s->loop->input, &s->input);
    }
}

static void sock_changed(void *ctx)
{
    vstream_look(ctx);
}

void vstream_attach(struct vstream *s, int fd)
{
    s->fd = fd;
    s->sock = vsys_sock(fd);
    sock_watch(s->sock, sock_changed, s);
}

/* --- requests that are done: told in the pending phase */

void vstream_done_later(struct vstream *s)
{
    vready_add(s->loop, &s->loop->pending, &s->pending);
}

static void write_done(struct vstream *s, int error)
{
    uv_write_t *w = s->write_first;
    s->write_first = next_of(w);
    if (s->write_first == NULL) {
        s->write_last = NULL;
    }
    s->h->write_queue_size -= w->bufs[0].len - w->write_index;
    w->error = error;
    w->queue[0] = NULL;
    uv_write_t **end = &s->written;
    while (*end != NULL) {
        end = (uv_write_t **)(void *)&(*end)->queue[0];
    }
    *end = w;
    vstream_done_later(s);
}

static void tell_written(struct vstream *s)
{
    uv_write_t *w = s->written;
    s->written = NULL;
    while (w != NULL) {
        uv_write_t *next = next_of(w);
        s->loop->requests--;
        if (w->cb != NULL) {
            w->cb(w, w->error);
        }
        w = next;
    }
}

static void tell_connected(struct vstream *s)
{
    uv_connect_t *req = s->h->connect_req;
    s->h->connect_req = NULL;
    s->connect_done = false;
    s->loop->requests--;
    if (s->connect_status == 0) {
        vstream_look(s);
    }
    req->cb(req, s->connect_status);
}

static void tell_shut(struct vstream *s)
{
    uv_shutdown_t *req = s->h->shutdown_req;
    s->h->shutdown_req = NULL;
    s->loop->requests--;
    if (req->cb != NULL) {
        req->cb(req, 0);
    }
}

static void run_pending(struct vready *r)
{
    struct vstream *s = CONTAINER_OF(r, struct vstream, pending);
    if (s->connect_done) {
        tell_connected(s);
        return;
    }
    if (s->written != NULL) {
        tell_written(s);
    }
    if (s->h->shutdown_req != NULL && s->write_first == NULL &&
        !uv_is_closing((uv_handle_t *)s->h)) {
        sock_shutdown(s->sock);
        s->shut = true;
        tell_shut(s);
    }
}

/* --- input */

static void do_write(struct vstream *s)
{
    while (s->write_first != NULL) {
        uv_write_t *w = s->write_first;
        size_t left = w->bufs[0].len - w->write_index;
        long n = sock_send(s->sock, w->bufs[0].base + w->write_index, left);
        if (n == -EAGAIN) {
            return;
        }
        if (n < 0) {
            write_done(s, (int)n);
            continue;
        }
        w->write_index += (unsigned)n;
        s->h->write_queue_size -= (size_t)n;
        if (w->write_index == w->bufs[0].len) {
            write_done(s, 0);
        }
    }
}

static void do_read(struct vstream *s)
{
    uv_stream_t *h = s->h;
    for (int i = 0; i < READS_MAX && s->reading && s->sock != NULL && sock_readable(s->sock); i++) {
        uv_buf_t b = uv_buf_init(NULL, 0);
        h->alloc_cb((uv_handle_t *)h, 65536, &b);
        if (b.base == NULL || b.len == 0) {
            h->read_cb(h, UV_ENOBUFS, &b);
            return;
        }
        long n = sock_recv(s->sock, b.base, b.len);
        if (n <= 0) {
            s->reading = false;
            if (h->write_queue_size == 0) {
                vhandle_stop((uv_handle_t *)h);
            }
            h->read_cb(h, n == 0 ? UV_EOF : (ssize_t)n, &b);
            return;
        }
        h->read_cb(h, (ssize_t)n, &b);
        if ((size_t)n < b.len) {
            return;
        }
    }
}

static void do_listen(struct vstream *s)
{
    while (!uv_is_closing((uv_handle_t *)s->h) && s->accepted == NULL) {
        s->accepted = sock_accept(s->sock, s->loop->proc);
        if (s->accepted == NULL) {
            return;
        }
        s->h->connection_cb(s->h, 0);
    }
}

static void run_input(struct vready *r)
{
    struct vstream *s = CONTAINER_OF(r, struct vstream, input);
    if (uv_is_closing((uv_handle_t *)s->h)) {
        return;
    }
    if (s->listening) {
        do_listen(s);
    } else if (s->h->connect_req != NULL) {
        int r_connect = sock_connected(s->sock);
        if (r_connect != 0) { /* libuv calls back from here. */
            s->connect_status = r_connect == 1 ? 0 : r_connect;
            tell_connected(s);
        }
    } else {
        if (s->reading) {
            do_read(s);
        }
        if (!uv_is_closing((uv_handle_t *)s->h) && s->write_first != NULL) {
            do_write(s);
        }
    }
    if (!uv_is_closing((uv_handle_t *)s->h)) {
        vstream_look(s);
    }
}

/* --- handles */

static void stream_init(uv_loop_t *loop, uv_stream_t *h, uv_handle_type type)
{
    vhandle_init(loop, (uv_handle_t *)h, type);
    h->write_queue_size = 0;
    h->alloc_cb = NULL;
    h->read_cb = NULL;
    h->connect_req = NULL;
    h->shutdown_req = NULL;
    h->connection_cb = NULL;
    struct vstream *s = world_new(1, sizeof *s);
    s->h = h;
    s->loop = vloop_of(loop);
    s->fd = -1;
    s->input.run = run_input;
    s->pending.run = run_pending;
    s->next = s->loop->streams;
    s->prev = &s->loop->streams;
    if (s->next != NULL) {
        s->next->prev = &s->next;
    }
    s->loop->streams = s;
    h->u.reserved[0] = s;
}

int uv_tcp_init(uv_loop_t *loop, uv_tcp_t *h)
{
    stream_init(loop, (uv_stream_t *)h, UV_TCP);
    return 0;
}

int uv_pipe_init(uv_loop_t *loop, uv_pipe_t *h, int ipc)
{
    (void)ipc;
    stream_init(loop, (uv_stream_t *)h, UV_NAMED_PIPE);
    return 0;
}

int uv_tcp_open(uv_tcp_t *h, uv_os_sock_t fd)
{
    if (!vsys_is_virtual(fd)) {
        return UV_ENOTSOCK;
    }
    vstream_attach(vstream_of((uv_stream_t *)h), fd);
    return 0;
}

int uv_pipe_open(uv_pipe_t *h, uv_file fd)
{
    (void)h;
    (void)fd;
    return UV_ENOTSUP;
}

int uv_fileno(const uv_handle_t *h, uv_os_fd_t *ret)
{
    const struct vstream *s = vstream_of((const uv_stream_t *)h);
    if (s->fd < 0 || uv_is_closing(h)) {
        return UV_EBADF;
    }
    *ret = s->fd;
    return 0;
}

int uv_tcp_nodelay(uv_tcp_t *h, int on)
{
    (void)h;
    (void)on;
    return 0;
}

int uv_tcp_keepalive(uv_tcp_t *h, int on, unsigned delay)
{
    (void)h;
    (void)on;
    (void)delay;
    return 0;
}

/* --- bytes */

int uv_read_start(uv_stream_t *h, uv_alloc_cb alloc, uv_read_cb read)
{
    struct vstream *s = vstream_of(h);
    if (uv_is_closing((uv_handle_t *)h)) {
        return UV_EINVAL;
    }
    if (s->sock == NULL) {
        return UV_ENOTCONN;
    }
    h->alloc_cb = alloc;
    h->read_cb = read;
    s->reading = true;
    vhandle_start((uv_handle_t *)h);
    vstream_look(s);
    return 0;
}

int uv_read_stop(uv_stream_t *h)
{
    struct vstream *s = vstream_of(h);
    if (s->reading) {
        s->reading = false;
        vhandle_stop((uv_handle_t *)h);
    }
    return 0;
}

int uv_try_write(uv_stream_t *h, const uv_buf_t bufs[], unsigned n)
{
    struct vstream *s = vstream_of(h);
    assert(n == 1);
    if (h->connect_req != NULL || h->write_queue_size != 0) {
        return UV_EAGAIN;
    }
    if (s->sock == NULL || s->shut || h->shutdown_req != NULL) {
        return UV_EPIPE;
    }
    return (int)sock_send(s->sock, bufs[0].base, bufs[0].len);
}

int uv_write(uv_write_t *req, uv_stream_t *h, const uv_buf_t bufs[], unsigned n, uv_write_cb cb)
{
    struct vstream *s = vstream_of(h);
    assert(n == 1);
    if (s->sock == NULL) {
        return UV_EBADF;
    }
    if (s->shut || h->shutdown_req != NULL) {
        return UV_EPIPE;
    }
    bool empty = s->write_first == NULL;
    req->type = UV_WRITE;
    req->handle = h;
    req->cb = cb;
    req->error = 0;
    req->bufs = req->bufsml;
    req->bufsml[0] = bufs[0];
    req->nbufs = n;
    req->write_index = 0;
    req->queue[0] = NULL;
    h->write_queue_size += bufs[0].len;
    s->loop->requests++;
    if (empty) {
        s->write_first = req;
    } else {
        s->write_last->queue[0] = req;
    }
    s->write_last = req;
    if (empty && h->connect_req == NULL) {
        do_write(s);
    }
    return 0;
}

size_t uv_stream_get_write_queue_size(const uv_stream_t *h)
{
    return h->write_queue_size;
}

int uv_shutdown(uv_shutdown_t *req, uv_stream_t *h, uv_shutdown_cb cb)
{
    struct vstream *s = vstream_of(h);
    if (s->sock == NULL || s->shut || h->shutdown_req != NULL || uv_is_closing((uv_handle_t *)h)) {
        return UV_ENOTCONN;
    }
    req->type = UV_SHUTDOWN;
    req->handle = h;
    req->cb = cb;
    h->shutdown_req = req;
    s->loop->requests++;
    if (s->write_first == NULL) {
        vstream_done_later(s);
    }
    return 0;
}

/* --- the end */

static void let_go(struct vstream *s)
{
    if (s->accepted != NULL) {
        sock_unref(s->accepted);
        s->accepted = NULL;
    }
    if (s->sock != NULL) {
        sock_watch(s->sock, NULL, NULL);
        s->sock = NULL;
        (void)vsys_close(s->fd);
        s->fd = -1;
    }
    vready_remove(&s->loop->input, &s->input);
    vready_remove(&s->loop->pending, &s->pending);
}

static void unlink_stream(struct vstream *s)
{
    *s->prev = s->next;
    if (s->next != NULL) {
        s->next->prev = s->prev;
    }
    world_free(s);
}

void vstream_stop(uv_handle_t *h)
{
    struct vstream *s = vstream_of((uv_stream_t *)h);
    (void)uv_read_stop((uv_stream_t *)h);
    vhandle_stop(h);
    let_go(s);
}

int uv_tcp_close_reset(uv_tcp_t *h, uv_close_cb cb)
{
    struct vstream *s = vstream_of((uv_stream_t *)h);
    if (h->shutdown_req != NULL || s->shut) {
        return UV_EINVAL;
    }
    if (s->sock != NULL) {
        sock_linger_none(s->sock);
    }
    uv_close((uv_handle_t *)h, cb);
    return 0;
}

/* Requests that did not come to their end are cancelled, in libuv's order. */
void vstream_finish(uv_handle_t *h)
{
    struct vstream *s = vstream_of((uv_stream_t *)h);
    if (s->h->connect_req != NULL) {
        s->connect_status = UV_ECANCELED;
        tell_connected(s);
    }
    while (s->write_first != NULL) {
        write_done(s, UV_ECANCELED);
    }
    tell_written(s);
    if (s->h->shutdown_req != NULL) {
        uv_shutdown_t *req = s->h->shutdown_req;
        s->h->shutdown_req = NULL;
        s->loop->requests--;
        if (req->cb != NULL) {
            req->cb(req, UV_ECANCELED);
        }
    }
    vready_remove(&s->loop->pending, &s->pending);
    unlink_stream(s);
    h->u.reserved[0] = NULL;
}

/* The process is dead: its memory is not looked at any more. */
void vstream_drop_all(struct vloop *l)
{
    while (l->streams != NULL) {
        struct vstream *s = l->streams;
        if (s->accepted != NULL) {
            sock_unref(s->accepted);
        }
        if (s->sock != NULL) {
            sock_watch(s->sock, NULL, NULL);
        }
        unlink_stream(s);
    }
}
