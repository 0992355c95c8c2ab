/* One struct for both kinds of socket. It lives until all its parts that libuv knows (socket,
 * timer, a name look-up) have called back for the last time; `refs` counts them. */
#include <assert.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/util.h"
#include "core/uv_stream_priv.h"

/* An idle buffer larger than this gives its memory back. */
#define KEEP_BYTES ((size_t)256 * 1024)
/* TCP asks a silent other end for a sign of life after this. */
#define KEEPALIVE_S 30

/* --- the end of a stream */

void stream_unref(struct stream *s)
{
    if (--s->refs > 0) {
        return;
    }
    struct stream_group *g = s->group;
    buf_done(&s->out);
    buf_done(&s->flight);
    free(s);
    stream_group_leave(g);
}

static void handle_closed(uv_handle_t *h)
{
    stream_unref(h->data);
}

static void close_with(struct stream *s, bool reset)
{
    if (s->state == STREAM_CLOSING) {
        return;
    }
    if (s->state == STREAM_LOOKUP && s->lookup.data != NULL) {
        (void)uv_cancel((uv_req_t *)&s->lookup); /* Else it ends by itself. */
    }
    bool was_open = s->state != STREAM_LOOKUP && s->state != STREAM_FINISHING;
    s->state = STREAM_CLOSING;
    s->handler = NULL;
    stream_unmark(s);
    uv_close((uv_handle_t *)&s->timer, handle_closed);
    if (!reset || s->is_unix || !was_open || uv_tcp_close_reset(&s->u.tcp, handle_closed) != 0) {
        if (!uv_is_closing(&s->u.handle)) {
            uv_close(&s->u.handle, handle_closed);
        }
    }
}

void stream_close(struct stream *s)
{
    close_with(s, false);
}

void stream_reset(struct stream *s)
{
    close_with(s, true);
}

/* Tell the user once that nothing more comes. */
static void end_with(struct stream *s, int code)
{
    if (s->state != STREAM_OPEN) {
        return;
    }
    s->state = STREAM_ENDED;
    (void)uv_read_stop(&s->u.s); /* Always 0. */
    s->reading = false;
    s->handler->end(s->ctx, code);
}

void stream_break(struct stream *s, int code)
{
    assert(code != 0);
    if (s->state == STREAM_OPEN && s->broken == 0) {
        stream_read_stop(s);
        s->broken = code;
        stream_mark(s);
    }
}

static int code_of(int r)
{
    if (r == UV_EOF) {
        return ERR_EOF;
    }
    return r == UV_ETIMEDOUT ? ERR_TIMEOUT : ERR_CLOSED;
}

/* --- finishing */

static void finish_check(struct stream *s)
{
    if (s->eof && s->shut) {
        close_with(s, false);
    }
}

static void shutdown_cb(uv_shutdown_t *req, int status)
{
    struct stream *s = req->data;
    if (s->state != STREAM_FINISHING) {
        return;
    }
    s->shut = true;
    s->eof = s->eof || status != 0;
    finish_check(s);
}

static void finish_timeout(uv_timer_t *t)
{
    close_with(t->data, false);
}

static void write_cb(uv_write_t *req, int status);

/* Give libuv what has been appended. false: the socket is broken, *ret_r says how. */
static bool flush(struct stream *s, int *ret_r)
{
    if (s->writing || s->out.len == 0) {
        return true;
    }
    uv_buf_t b = uv_buf_init((char *)s->out.data, (unsigned)min_u64(s->out.len, 1u << 30));
    int r = uv_try_write(&s->u.s, &b, 1);
    if (r < 0 && r != UV_EAGAIN) {
        *ret_r = r;
        return false;
    }
    size_t done = r > 0 ? (size_t)r : 0;
    s->taken += done;
    if (done == s->out.len) {
        if (s->out.cap > KEEP_BYTES) {
            buf_done(&s->out);
        }
        buf_clear(&s->out);
        return true;
    }
    struct buf swap = s->flight;
    s->flight = s->out;
    s->out = swap;
    buf_clear(&s->out);
    s->flight_at = done;
    b = uv_buf_init((char *)s->flight.data + done, (unsigned)(s->flight.len - done));
    r = uv_write(&s->write, &s->u.s, &b, 1, write_cb);
    if (r != 0) {
        *ret_r = r;
        return false;
    }
    s->writing = true;
    return true;
}

/* All sent: end our side, and wait for the other's end. */
static void finish_go(struct stream *s)
{
    int r;
    if (!flush(s, &r) || (!s->writing && uv_shutdown(&s->shutdown, &s->u.s, shutdown_cb) != 0)) {
        close_with(s, false);
    }
}

static void write_cb(uv_write_t *req, int status)
{
    struct stream *s = req->data;
    s->writing = false;
    if (s->state == STREAM_FINISHING && status != 0) {
        close_with(s, false);
        return;
    }
    if (status != 0) {
        end_with(s, code_of(status));
        return;
    }
    s->taken += s->flight.len - s->flight_at;
    if (s->flight.cap > KEEP_BYTES) {
        buf_done(&s->flight);
    }
    buf_clear(&s->flight);
    if (s->state == STREAM_OPEN) {
        stream_mark(s); /* What was appended meanwhile goes out; `wrote` is called from there. */
    } else if (s->state == STREAM_FINISHING) {
        finish_go(s);
    }
}

void stream_finish(struct stream *s, uint32_t within_ms)
{
    if (s->state != STREAM_OPEN && s->state != STREAM_ENDED) {
        close_with(s, false);
        return;
    }
    stream_unmark(s);
    s->eof = s->state == STREAM_ENDED;
    s->state = STREAM_FINISHING;
    s->handler = NULL;
    (void)uv_timer_start(&s->timer, finish_timeout, within_ms, 0);
    if (!s->eof) {
        stream_read_start(s); /* To throw away what comes. */
    }
    finish_go(s);
}

/* --- life */

void stream_work(struct stream *s)
{
    int r;
    if (s->state != STREAM_OPEN) {
        return;
    }
    if (s->broken != 0) {
        end_with(s, s->broken);
    } else if (!flush(s, &r)) {
        end_with(s, code_of(r));
    } else if (s->handler != NULL && s->handler->wrote != NULL) {
        s->handler->wrote(s->ctx);
    }
}

static void alloc_cb(uv_handle_t *h, size_t suggested, uv_buf_t *ret)
{
    (void)suggested;
    struct stream *s = h->data;
    *ret = uv_buf_init((char *)s->group->chunk, STREAM_CHUNK_BYTES);
}

static void read_cb(uv_stream_t *h, ssize_t n, const uv_buf_t *b)
{
    struct stream *s = h->data;
    if (s->state == STREAM_OPEN && n > 0) {
        s->handler->read(s->ctx, (const uint8_t *)b->base, (size_t)n);
    } else if (s->state == STREAM_OPEN && n < 0) {
        end_with(s, code_of((int)n));
    } else if (s->state == STREAM_FINISHING && n < 0) {
        (void)uv_read_stop(h);
        s->eof = true;
        s->shut = s->shut || n != UV_EOF;
        finish_check(s);
    }
}

void stream_read_start(struct stream *s)
{
    if (!s->reading && (s->state == STREAM_OPEN || s->state == STREAM_FINISHING) &&
        s->broken == 0) {
        int r = uv_read_start(&s->u.s, alloc_cb, read_cb);
        s->reading = r == 0;
        if (r != 0 && s->state == STREAM_OPEN) {
            stream_break(s, code_of(r));
        }
    }
}

void stream_read_stop(struct stream *s)
{
    if (s->reading) {
        (void)uv_read_stop(&s->u.s); /* Always 0. */
        s->reading = false;
    }
}

struct stream *stream_make(struct stream_group *g, enum stream_state state)
{
    struct stream *s = mem_new(1, sizeof *s);
    s->group = g;
    s->state = state;
    s->refs = 2; /* Timer and socket. */
    stream_group_join(g);
    (void)uv_timer_init(g->loop, &s->timer); /* Cannot fail. */
    s->timer.data = s;
    s->write.data = s->connect.data = s->shutdown.data = s;
    return s;
}

int stream_socket(struct stream *s, bool is_unix)
{
    s->is_unix = is_unix;
    int r = is_unix ? uv_pipe_init(s->group->loop, &s->u.pipe, 0)
                    : uv_tcp_init(s->group->loop, &s->u.tcp);
    s->u.handle.data = s;
    return r;
}

/* Failing is harmless: the stream is slower, or later to see that the
 * other end is gone. */
void stream_tune(struct stream *s)
{
    if (!s->is_unix) {
        (void)uv_tcp_nodelay(&s->u.tcp, 1);
        (void)uv_tcp_keepalive(&s->u.tcp, 1, KEEPALIVE_S);
    }
}

static bool fd_is_unix(int fd)
{
    struct sockaddr_storage sa = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof sa;
    return getsockname(fd, (struct sockaddr *)&sa, &len) == 0 && sa.ss_family == AF_UNIX;
}

struct stream *
stream_adopt(struct stream_group *g, int fd, const struct stream_handler *handler, void *ctx)
{
    struct stream *s = stream_make(g, STREAM_OPEN);
    (void)stream_socket(s, fd_is_unix(fd)); /* Cannot fail without a family. */
    int r = s->is_unix ? uv_pipe_open(&s->u.pipe, fd) : uv_tcp_open(&s->u.tcp, fd);
    if (r != 0) {
        (void)close(fd);
        stream_close(s);
        return NULL;
    }
    s->handler = handler;
    s->ctx = ctx;
    stream_tune(s);
    stream_read_start(s);
    return s;
}

void stream_handle(struct stream *s, const struct stream_handler *handler, void *ctx)
{
    s->handler = handler;
    s->ctx = ctx;
}

struct buf *stream_out(struct stream *s)
{
    if (s->state == STREAM_OPEN) {
        stream_mark(s);
    } else { /* Ended: it goes nowhere, and must not pile up. */
        buf_clear(&s->out);
    }
    return &s->out;
}

void stream_write(struct stream *s, const void *data, size_t len)
{
    buf_put(stream_out(s), data, len);
}

void stream_poke(struct stream *s)
{
    if (s->state == STREAM_OPEN) {
        stream_mark(s);
    }
}

static size_t in_flight(const struct stream *s)
{
    return s->writing ? uv_stream_get_write_queue_size(&s->u.s) : 0;
}

size_t stream_unsent(const struct stream *s)
{
    return s->out.len + in_flight(s);
}

uint64_t stream_sent(const struct stream *s)
{
    return s->taken + (s->writing ? s->flight.len - s->flight_at - in_flight(s) : 0);
}

static int stream_fd(const struct stream *s)
{
    uv_os_fd_t fd;
    return uv_fileno(&s->u.handle, &fd) == 0 ? fd : -1;
}

int stream_detach(struct stream *s)
{
    int fd = fcntl(stream_fd(s), F_DUPFD_CLOEXEC, 0);
    stream_close(s);
    return fd;
}

bool stream_peer_uid(const struct stream *s, uint32_t *ret_uid)
{
    struct ucred who;
    socklen_t len = sizeof who;
    if (!s->is_unix || getsockopt(stream_fd(s), SOL_SOCKET, SO_PEERCRED, &who, &len) != 0) {
        return false;
    }
    *ret_uid = who.uid;
    return true;
}

bool stream_peer_ended(const struct stream *s)
{
    struct pollfd p = {.fd = stream_fd(s), .events = POLLRDHUP};
    return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL)) != 0;
}

uint32_t stream_unacked_ms(const struct stream *s)
{
    struct tcp_info info;
    socklen_t len = sizeof info;
    if (s->is_unix || getsockopt(stream_fd(s), IPPROTO_TCP, TCP_INFO, &info, &len) != 0) {
        return 0;
    }
    /* Bytes on their way, or a closed window whose probes nobody answers. A window that is closed
     * but answered for is a slow reader, and alive. */
    return info.tcpi_unacked > 0 || info.tcpi_probes > 1 ? info.tcpi_last_ack_recv : 0;
}
