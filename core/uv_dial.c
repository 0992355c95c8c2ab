/* Connecting and accepting. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/util.h"
#include "core/uv_stream_priv.h"

#define BACKLOG 256

/* --- connecting */

static int open_code(int r)
{
    if (r == UV_ETIMEDOUT) {
        return ERR_TIMEOUT;
    }
    return r == UV_EAI_NONAME || r == UV_EAI_NODATA ? ERR_NOT_FOUND : ERR_CLOSED;
}

static void opened(struct stream *s, int code)
{
    (void)uv_timer_stop(&s->timer);
    s->state = code == 0 ? STREAM_OPEN : STREAM_ENDED;
    if (code == 0) {
        stream_tune(s);
        stream_read_start(s);
    }
    s->handler->opened(s->ctx, code);
}

static void connect_cb(uv_connect_t *req, int status)
{
    struct stream *s = req->data;
    if (s->state == STREAM_CONNECTING) {
        opened(s, status == 0 ? 0 : open_code(status));
    }
}

/* The deadline, or with a timer of 0 the report of an error that was found at once. */
static void connect_timeout(uv_timer_t *t)
{
    struct stream *s = t->data;
    opened(s, s->broken != 0 ? s->broken : ERR_TIMEOUT);
}

static void fail_later(struct stream *s, int r)
{
    s->broken = open_code(r);
    (void)uv_timer_start(&s->timer, connect_timeout, 0, 0); /* Fails only without a callback. */
}

static void connect_to(struct stream *s, const struct sockaddr *sa)
{
    int r = uv_tcp_connect(&s->connect, &s->u.tcp, sa, connect_cb);
    if (r != 0) {
        fail_later(s, r);
    }
}

static void lookup_cb(uv_getaddrinfo_t *req, int status, struct addrinfo *found)
{
    struct stream *s = req->data;
    req->data = NULL;
    if (s->state == STREAM_LOOKUP) {
        s->state = STREAM_CONNECTING;
        if (status == 0) {
            connect_to(s, found->ai_addr);
        } else {
            fail_later(s, status);
        }
    }
    uv_freeaddrinfo(found);
    stream_unref(s);
}

static void lookup(struct stream *s, const struct addr *to)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    char port[8];
    (void)snprintf(port, sizeof port, "%u", to->port);
    s->lookup.data = s;
    int r = uv_getaddrinfo(s->group->loop, &s->lookup, lookup_cb, to->host, port, &hints);
    if (r == 0) {
        s->refs++;
    } else {
        s->lookup.data = NULL;
        fail_later(s, r);
    }
}

struct stream *stream_connect(struct stream_group *g,
                              const struct addr *to,
                              uint32_t timeout_ms,
                              const struct stream_handler *handler,
                              void *ctx)
{
    struct stream *s = stream_make(g, to->kind == ADDR_NAME ? STREAM_LOOKUP : STREAM_CONNECTING);
    s->handler = handler;
    s->ctx = ctx;
    (void)stream_socket(s, to->kind == ADDR_UNIX); /* Cannot fail without a family. */
    (void)uv_timer_start(&s->timer, connect_timeout, timeout_ms, 0);
    struct sockaddr_storage sa;
    if (to->kind == ADDR_UNIX) {
        uv_pipe_connect(&s->connect, &s->u.pipe, to->path, connect_cb);
    } else if (addr_sockaddr(to, &sa) > 0) {
        connect_to(s, (const struct sockaddr *)&sa);
    } else {
        lookup(s, to);
    }
    return s;
}

/* --- accepting */

static void connection_cb(uv_stream_t *h, int status)
{
    struct stream_listener *l = h->data;
    if (status != 0) {
        return; /* Out of descriptors: libuv has closed the newcomer. */
    }
    struct stream *s = stream_make(l->group, STREAM_OPEN);
    (void)stream_socket(s, l->is_unix);
    if (uv_accept(h, &s->u.s) != 0) {
        stream_close(s);
        return;
    }
    stream_tune(s);
    l->accepted(l->ctx, s);
}

static void listener_closed(uv_handle_t *h)
{
    struct stream_listener *l = h->data;
    struct stream_group *g = l->group;
    free(l);
    stream_group_leave(g);
}

struct stream_listener *stream_listen(struct stream_group *g,
                                      int fd,
                                      void (*accepted)(void *ctx, struct stream *s),
                                      void *ctx,
                                      struct err *e)
{
    struct sockaddr_storage sa = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof sa;
    struct stream_listener *l = mem_new(1, sizeof *l);
    l->group = g;
    l->accepted = accepted;
    l->ctx = ctx;
    l->is_unix = getsockname(fd, (struct sockaddr *)&sa, &len) == 0 && sa.ss_family == AF_UNIX;
    stream_group_join(g);
    if (l->is_unix) {
        (void)uv_pipe_init(g->loop, &l->u.pipe, 0); /* Neither can fail without a family. */
    } else {
        (void)uv_tcp_init(g->loop, &l->u.tcp);
    }
    l->u.handle.data = l;
    int r = l->is_unix ? uv_pipe_open(&l->u.pipe, fd) : uv_tcp_open(&l->u.tcp, fd);
    if (r != 0) {
        (void)close(fd);
    } else {
        r = uv_listen(&l->u.s, BACKLOG, connection_cb);
    }
    if (r != 0) {
        (void)err_set(e, ERR_IO, "listen: %s", uv_strerror(r));
        stream_listener_close(l);
        return NULL;
    }
    return l;
}

void stream_listener_close(struct stream_listener *l)
{
    uv_close(&l->u.handle, listener_closed);
}
