/* Bytes between two sockets: see relay.h. One write is under way at a time; reading waits for it.
 */
#include "hvdriver/xen/relay.h"

#include <string.h>

#include "core/util.h"

#define CHUNK 65536u

struct relay {
    uv_stream_t *from;
    uv_stream_t *to;
    uint64_t rate;
    void (*ended)(void *ctx, int rc);
    void *ctx;
    uv_write_t write;
    uv_timer_t pace;
    uint64_t bytes;
    uint64_t since_ms;
    bool writing;
    bool over;
    bool freed;
    bool timer_closed;
    char buf[CHUNK];
};

static void read_on(struct relay *r);

static void may_free(struct relay *r)
{
    if (r->freed && !r->writing && r->timer_closed) {
        free(r);
    }
}

static void end(struct relay *r, int rc)
{
    if (r->over || r->freed) {
        return;
    }
    r->over = true;
    (void)uv_read_stop(r->from);
    r->ended(r->ctx, rc);
}

static void pace_due(uv_timer_t *timer)
{
    read_on(timer->data);
}

/* How long the next piece must wait so that the rate is kept, on the whole. */
static uint64_t wait_ms(const struct relay *r)
{
    if (r->rate == 0) {
        return 0;
    }
    uint64_t due = r->since_ms + r->bytes * 1000 / r->rate;
    uint64_t now = uv_now(r->pace.loop);
    return due > now ? due - now : 0;
}

static void written(uv_write_t *write, int status)
{
    struct relay *r = write->data;
    r->writing = false;
    if (r->freed) {
        may_free(r);
    } else if (status < 0) {
        end(r, status);
    } else if (wait_ms(r) > 0) {
        (void)uv_timer_start(&r->pace, pace_due, wait_ms(r), 0);
    } else {
        read_on(r);
    }
}

void relay_put(struct relay *r, const char *bytes, size_t n)
{
    if (bytes != r->buf) {
        memcpy(r->buf, bytes, n);
    }
    uv_buf_t buf = uv_buf_init(r->buf, (unsigned)n);
    (void)uv_read_stop(r->from);
    (void)uv_timer_stop(&r->pace);
    r->bytes += n;
    r->writing = true;
    r->write.data = r;
    int rc = uv_write(&r->write, r->to, &buf, 1, written);
    if (rc != 0) {
        r->writing = false;
        end(r, rc);
    }
}

/* A limited rate is kept by small pieces. */
static void alloc(uv_handle_t *handle, size_t wish, uv_buf_t *ret)
{
    struct relay *r = handle->data;
    (void)wish;
    *ret = uv_buf_init(r->buf, r->rate == 0 ? CHUNK : (unsigned)(min_u64(CHUNK, r->rate / 20 + 1)));
}

static void has_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct relay *r = stream->data;
    if (n < 0) {
        end(r, n == UV_EOF ? 0 : (int)n);
    } else if (n > 0) {
        relay_put(r, buf->base, (size_t)n);
    }
}

static void read_on(struct relay *r)
{
    if (!r->over && !r->freed) {
        r->from->data = r;
        int rc = uv_read_start(r->from, alloc, has_read);
        if (rc != 0) {
            end(r, rc);
        }
    }
}

static void start_reading(uv_timer_t *timer)
{
    read_on(timer->data);
}

struct relay *relay_start(uv_loop_t *loop,
                          uv_stream_t *from,
                          uv_stream_t *to,
                          uint64_t rate,
                          void (*ended)(void *ctx, int rc),
                          void *ctx)
{
    struct relay *r = mem_new(1, sizeof *r);
    r->from = from;
    r->to = to;
    r->rate = rate;
    r->ended = ended;
    r->ctx = ctx;
    uv_timer_init(loop, &r->pace);
    r->pace.data = r;
    r->since_ms = uv_now(loop);
    (void)uv_timer_start(&r->pace, start_reading, 0, 0); /* relay_put() may come first. */
    return r;
}

uint64_t relay_bytes(const struct relay *r)
{
    return r->bytes;
}

static void timer_closed(uv_handle_t *handle)
{
    struct relay *r = handle->data;
    r->timer_closed = true;
    may_free(r);
}

void relay_free(struct relay *r)
{
    if (!r->over) {
        (void)uv_read_stop(r->from);
    }
    r->freed = true;
    uv_close((uv_handle_t *)&r->pace, timer_closed);
}
