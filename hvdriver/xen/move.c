/* Migrations: what both ends need. See move.h. */
#include "hvdriver/xen/move.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/addr.h"
#include "core/util.h"

/* Bytes that nobody takes for so long: the other host has vanished without a word. */
#define SILENCE_MS 15000

struct line {
    uv_write_t write;
    struct move *m;
    void (*then)(struct move *m);
    char text[];
};

struct move *move_new(struct dom *d, bool sending)
{
    struct move *m = mem_new(1, sizeof *m);
    m->d = d;
    m->sending = sending;
    m->libxl_fd = -1;
    uv_timer_init(&d->w->loop, &m->limit);
    uv_timer_init(&d->w->loop, &m->tick);
    m->limit.data = m;
    m->tick.data = m;
    m->handles = 2;
    d->move = m;
    return m;
}

/* "host" or "host:port". */
int move_address(const char *text, struct sockaddr_storage *ret)
{
    char full[LIMIT_ADDRESS + 8];
    struct addr a;
    struct err e;
    const char *colon = strrchr(text, ':');
    const char *bracket = strrchr(text, ']');
    bool has_port = colon != NULL && (bracket == NULL || bracket < colon);
    (void)snprintf(full, sizeof full, "%s%s", text, has_port ? "" : ":0");
    if (addr_parse(full, &a, &e) != 0) {
        return e.code;
    }
    bool fine = (a.kind == ADDR_V4 || a.kind == ADDR_V6) && addr_sockaddr(&a, ret) != 0;
    return fine ? 0 : ERR_INVALID;
}

void move_open_tcp(struct move *m)
{
    uv_tcp_init(&m->d->w->loop, &m->tcp);
    m->tcp.data = m;
    m->has_tcp = true;
    m->handles++;
}

int move_bridge(struct move *m, void (*ended)(void *ctx, int rc), struct err *e)
{
    struct worker *w = m->d->w;
    int silence = SILENCE_MS;
    int fds[2];
    uv_os_fd_t tcp = -1;
    if (uv_fileno((uv_handle_t *)&m->tcp, &tcp) == 0) {
        (void)setsockopt(tcp, IPPROTO_TCP, TCP_USER_TIMEOUT, &silence, sizeof silence);
    }
    (void)uv_tcp_nodelay(&m->tcp, 1);
    (void)uv_tcp_keepalive(&m->tcp, 1, SILENCE_MS / 1000);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) {
        return err_sys(e, ERR_IO, errno, "socket for libxl");
    }
    uv_pipe_init(&w->loop, &m->pipe, 0);
    m->pipe.data = m;
    m->has_pipe = true;
    m->handles++;
    (void)uv_pipe_open(&m->pipe, fds[1]);
    m->libxl_fd = fds[0];
    uv_stream_t *pipe = (uv_stream_t *)&m->pipe;
    uv_stream_t *net = (uv_stream_t *)&m->tcp;
    m->relay =
        relay_start(&w->loop, m->sending ? pipe : net, m->sending ? net : pipe, m->rate, ended, m);
    return 0;
}

bool move_is_stream(const char head[MOVE_HEAD])
{
    return memcmp(head, "LibxlFmt", 8) == 0; /* docs/specs/libxl-migration-stream.pandoc */
}

/* ---- lines ---- */

static void alloc(uv_handle_t *handle, size_t wish, uv_buf_t *ret)
{
    struct move *m = handle->data;
    (void)wish;
    *ret = uv_buf_init(m->buf, sizeof m->buf);
}

static void hears(struct move *m, const char *line)
{
    (m->sending ? move_sender_hears : move_receiver_hears)(m, line);
}

static void has_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct move *m = stream->data;
    if (n < 0) {
        (void)uv_read_stop(stream);
        hears(m, NULL);
        return;
    }
    if (!m->sending && m->connected) {
        move_receiver_gets(m, buf->base, (size_t)n);
        return;
    }
    for (ssize_t i = 0; i < n && !m->over && m->has_tcp; i++) {
        if (buf->base[i] == '\n') {
            m->line[m->line_len] = '\0';
            m->line_len = 0;
            hears(m, m->line);
        } else if (m->line_len + 1 < sizeof m->line) {
            m->line[m->line_len++] = buf->base[i];
        }
    }
}

void move_read_lines(struct move *m)
{
    m->line_len = 0;
    m->tcp.data = m;
    (void)uv_read_start((uv_stream_t *)&m->tcp, alloc, has_read);
}

static void was_said(uv_write_t *write, int status)
{
    struct line *line = CONTAINER_OF(write, struct line, write);
    void (*then)(struct move * m) = line->then;
    struct move *m = line->m;
    free(line);
    if (then != NULL && status != UV_ECANCELED) {
        then(m);
    }
}

void move_say(struct move *m, const char *text, void (*then)(struct move *m))
{
    size_t len = strlen(text);
    struct line *line = mem_new(1, sizeof *line + len + 1);
    line->m = m;
    line->then = then;
    memcpy(line->text, text, len);
    uv_buf_t buf = uv_buf_init(line->text, (unsigned)len);
    if (uv_write(&line->write, (uv_stream_t *)&m->tcp, &buf, 1, was_said) != 0) {
        was_said(&line->write, 0);
    }
}

/* ---- the end ---- */

void move_close_libxl(struct move *m)
{
    if (m->libxl_fd >= 0) {
        (void)close(m->libxl_fd);
        m->libxl_fd = -1;
    }
}

void move_may_end(struct move *m)
{
    struct dom *d = m->d;
    if (m->handles > 0 || m->in_libxl) {
        return;
    }
    d->move = NULL;
    move_close_libxl(m);
    free(m);
    dom_settle(d);
}

static void handle_closed(uv_handle_t *handle)
{
    struct move *m = handle->data;
    m->handles--;
    move_may_end(m);
}

static void close_stream(struct move *m, bool *has, uv_handle_t *handle)
{
    if (*has) {
        *has = false;
        handle->data = m;
        uv_close(handle, handle_closed);
    }
}

void move_close_pipe(struct move *m)
{
    close_stream(m, &m->has_pipe, (uv_handle_t *)&m->pipe);
}

void move_take_apart(struct move *m)
{
    m->over = true;
    if (m->saving && m->libxl_fd >= 0) {
        (void)shutdown(m->libxl_fd, SHUT_RDWR); /* libxl fails now; who copies sees the end. */
    }
    if (m->relay != NULL) {
        relay_free(m->relay);
        m->relay = NULL;
    }
    close_stream(m, &m->has_listener, (uv_handle_t *)&m->listener);
    close_stream(m, &m->has_tcp, (uv_handle_t *)&m->tcp);
    close_stream(m, &m->has_pipe, (uv_handle_t *)&m->pipe);
    if (!uv_is_closing((uv_handle_t *)&m->limit)) {
        uv_close((uv_handle_t *)&m->limit, handle_closed);
        uv_close((uv_handle_t *)&m->tick, handle_closed);
    }
}

void move_cancel(struct dom *d, uint64_t id)
{
    struct move *m = d->move;
    if (m == NULL || !m->sending || m->over) {
        answer_ok(d->w, id);
        return;
    }
    m->cancel_id = id;
    move_fail(m, ERR_CANCELLED, "the migration was cancelled");
}

void move_drop(struct dom *d)
{
    struct move *m = d->move;
    if (m == NULL || m->over) {
        return;
    }
    m->dropped = true;
    if (m->sending) {
        move_fail(m, ERR_CANCELLED, "the guest was destroyed");
    } else {
        move_take_apart(m);
    }
}
