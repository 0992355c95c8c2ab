/* Migration between two drivers sim: lines of text over TCP.
 *
 *   source  "quorate-sim 1 <key> <uuid>", then "m <bytes>" for every piece of memory, at last
 *           "end <counter>", with its counter standing still
 *   target  writes its file as ARRIVED, then "complete"
 *
 * The source is DEPARTED only when it has read "complete". A stream that breaks before is a failed
 * migration at the source, which goes on, and the end of a copy that had not arrived. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/util.h"

#include "hvdriver/sim.h"

#define LINE_MAX_BYTES 256u
#define TICK_MS        10u
#define PROGRESS_TICKS 50u /* Half a second. */

struct sim_stream {
    struct sim_copy *copy; /* NULL when stopped. */
    uv_tcp_t listener;     /* Target. */
    uv_tcp_t tcp;
    uv_timer_t tick; /* Source. */
    uv_connect_t connect;
    bool listening;
    bool connected; /* tcp is open. */
    uint32_t handles;
    char key[HV_KEY_SIZE];
    uint64_t total;
    uint64_t sent;
    uint64_t started_ms;
    uint32_t per_tick;
    uint32_t ticks;
    bool said_all;
    char line[LINE_MAX_BYTES];
    size_t len;
    bool trusted;  /* The greeting was right. */
    bool complete; /* Target: it has everything, and what becomes of the stream is all the same. */
};

struct message {
    uv_write_t write;
    char text[LINE_MAX_BYTES];
};

static void handle_closed(uv_handle_t *handle)
{
    struct sim_stream *s = handle->data;
    if (--s->handles == 0) {
        free(s);
    }
}

static void close_handle(uv_handle_t *handle)
{
    if (!uv_is_closing(handle)) {
        uv_close(handle, handle_closed);
    }
}

void sim_stream_stop(struct sim_copy *c)
{
    struct sim_stream *s = c->stream;
    if (s == NULL) {
        return;
    }
    c->stream = NULL;
    s->copy = NULL;
    close_handle((uv_handle_t *)&s->tick);
    if (s->listening) {
        close_handle((uv_handle_t *)&s->listener);
    }
    if (s->connected) {
        close_handle((uv_handle_t *)&s->tcp);
    }
}

/* The stream that the guest came in by may still be open: its source closes it. */
static struct sim_stream *stream_new(struct sim_copy *c)
{
    struct sim_stream *s = mem_new(1, sizeof *s);
    sim_stream_stop(c);
    s->copy = c;
    c->stream = s;
    uv_timer_init(c->hv->loop, &s->tick);
    s->tick.data = s;
    s->handles = 1;
    return s;
}

static void tcp_open(struct sim_stream *s)
{
    uv_tcp_init(s->copy->hv->loop, &s->tcp);
    s->tcp.data = s;
    s->handles++;
    s->connected = true;
}

/* The stream is over; the copy hears of it. */
static void fail(struct sim_stream *s, const char *text)
{
    struct sim_copy *c = s->copy;
    struct err e;
    if (c == NULL) {
        return;
    }
    (void)err_set(&e, ERR_HYPERVISOR, "the migration broke off: %s", text);
    bool source = !s->listening;
    bool complete = s->complete;
    sim_stream_stop(c);
    if (complete) {
        return;
    }
    if (source) {
        sim_migrated(c, &e);
    } else {
        (void)sim_received(c, 0, &e);
    }
}

static void written(uv_write_t *write, int status)
{
    struct sim_stream *s = write->handle->data;
    free(write); /* First member of its message. */
    if (status < 0 && status != UV_ECANCELED) {
        fail(s, uv_strerror(status));
    }
}

static void say(struct sim_stream *s, const char *text)
{
    struct message *m = mem_new(1, sizeof *m);
    size_t len = str_copy(m->text, sizeof m->text, text);
    assert(len < sizeof m->text);
    uv_buf_t buf = uv_buf_init(m->text, (unsigned)len);
    int r = uv_write(&m->write, (uv_stream_t *)&s->tcp, &buf, 1, written);
    if (r < 0) {
        free(m); /* The reader will see the broken stream. */
    }
}

/* ---- both: lines ---- */

static void target_line(struct sim_stream *s, const char *line);
static void source_line(struct sim_stream *s, const char *line);

static void alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
    struct sim_stream *s = handle->data;
    (void)hint;
    *buf = uv_buf_init(s->line + s->len, (unsigned)(sizeof s->line - s->len));
}

static void heard(uv_stream_t *tcp, ssize_t n, const uv_buf_t *buf)
{
    struct sim_stream *s = tcp->data;
    (void)buf;
    if (n == 0) {
        return;
    }
    if (n < 0) {
        fail(s, n == UV_ENOBUFS ? "a line is too long" : uv_strerror((int)n));
        return;
    }
    s->len += (size_t)n;
    char *end;
    while (s->copy != NULL && (end = memchr(s->line, '\n', s->len)) != NULL) {
        char line[LINE_MAX_BYTES];
        size_t used = (size_t)(end - s->line) + 1;
        memcpy(line, s->line, used);
        line[used - 1] = '\0';
        memmove(s->line, s->line + used, s->len - used);
        s->len -= used;
        (s->listening ? target_line : source_line)(s, line);
    }
}

/* ---- target ---- */

static void target_line(struct sim_stream *s, const char *line)
{
    struct sim_copy *c = s->copy;
    char want[LINE_MAX_BYTES];
    char uuid[ID_TEXT_SIZE];
    uint64_t counter;
    (void)snprintf(want, sizeof want, "quorate-sim 1 %s %s", s->key,
                   id_text(&c->base.info.key.uuid, uuid));
    if (!s->trusted) {
        s->trusted = strcmp(line, want) == 0;
        if (!s->trusted) {
            /* Not our source: listen on. */
            s->connected = false;
            uv_close((uv_handle_t *)&s->tcp, handle_closed);
        }
        return;
    }
    if (sscanf(line, "end %" SCNu64, &counter) == 1) { /* NOLINT(cert-err34-c) */
        struct err none = {0};
        if (!s->complete && sim_received(c, counter, &none)) {
            s->complete = true;
            say(s, "complete\n");
        }
    } else if (strncmp(line, "m ", 2) != 0) {
        fail(s, "the stream is malformed");
    }
}

static void accepted(uv_stream_t *listener, int status)
{
    struct sim_stream *s = listener->data;
    if (status < 0 || s->connected) {
        return;
    }
    tcp_open(s);
    s->len = 0;
    if (uv_accept(listener, (uv_stream_t *)&s->tcp) < 0 ||
        uv_read_start((uv_stream_t *)&s->tcp, alloc, heard) < 0) {
        fail(s, "the connection could not be taken");
    }
}

/* Host of "host", "host:port" or "[v6]:port". */
static int parse_address(const char *text, struct sockaddr_storage *ret)
{
    char host[LIMIT_ADDRESS + 1];
    const char *colon = strrchr(text, ':');
    size_t len = colon == NULL ? strlen(text) : (size_t)(colon - text);
    int port = colon == NULL ? 0 : atoi(colon + 1); /* NOLINT(cert-err34-c): 0 if it is none */
    if (len >= sizeof host) {
        return ERR_INVALID;
    }
    (void)snprintf(host, sizeof host, "%.*s", (int)len, text);
    if (uv_ip4_addr(host, port, (struct sockaddr_in *)ret) == 0) {
        return 0;
    }
    if (host[0] == '[' && len > 2 && host[len - 1] == ']') {
        host[len - 1] = '\0';
        return uv_ip6_addr(host + 1, port, (struct sockaddr_in6 *)ret) == 0 ? 0 : ERR_INVALID;
    }
    return ERR_INVALID;
}

int sim_stream_listen(struct sim_copy *c, struct hv_req *req, struct err *e)
{
    struct sockaddr_storage addr = {0};
    if (parse_address(req->address, &addr) != 0) {
        return err_set(e, ERR_INVALID, "\"%s\" is no address to listen on", req->address);
    }
    struct sim_stream *s = stream_new(c);
    s->listening = true;
    uv_tcp_init(c->hv->loop, &s->listener);
    s->listener.data = s;
    s->handles++;
    int len = sizeof addr;
    int r = uv_tcp_bind(&s->listener, (struct sockaddr *)&addr, 0);
    r = r < 0 ? r : uv_listen((uv_stream_t *)&s->listener, 1, accepted);
    r = r < 0 ? r : uv_tcp_getsockname(&s->listener, (struct sockaddr *)&addr, &len);
    if (r < 0) {
        sim_stream_stop(c);
        return err_set(e, ERR_IO, "listen on %s: %s", req->address, uv_strerror(r));
    }
    uint16_t port = addr.ss_family == AF_INET ? ((struct sockaddr_in *)&addr)->sin_port
                                              : ((struct sockaddr_in6 *)&addr)->sin6_port;
    const char *colon = strrchr(req->address, ':');
    size_t n = colon == NULL ? strlen(req->address) : (size_t)(colon - req->address);
    hv_make_key(s->key);
    (void)str_copy(req->ret_secret, sizeof req->ret_secret, s->key);
    (void)snprintf(req->ret_address, sizeof req->ret_address, "%.*s:%u", (int)min_u64(n, 100),
                   req->address, ntohs(port));
    return 0;
}

/* ---- source ---- */

static void tell_progress(struct sim_stream *s)
{
    uint64_t ms = max_u64(sim_now() - s->started_ms, 1);
    uint64_t left = s->total - min_u64(s->sent, s->total);
    struct hv_progress p = {.total_bytes = s->total,
                            .sent_bytes = s->total - left,
                            .remaining_bytes = left,
                            .rate_bytes_per_s = s->sent * 1000 / ms,
                            .passes = 1,
                            .percent = (uint32_t)((s->total - left) * 100 / s->total)};
    hv_tell_progress(s->copy->hv, &s->copy->base.info.key, &p);
}

static void tick(uv_timer_t *timer)
{
    struct sim_stream *s = timer->data;
    struct sim_copy *c = s->copy;
    char text[64];
    s->sent += s->per_tick;
    if (++s->ticks % PROGRESS_TICKS == 0) {
        tell_progress(s);
    }
    if (s->sent < s->total) {
        (void)snprintf(text, sizeof text, "m %u\n", s->per_tick);
        say(s, text);
        return;
    }
    uv_timer_stop(timer);
    tell_progress(s);
    c->counter = sim_copy_counter(c);
    c->since_ms = 0;
    s->said_all = true;
    (void)snprintf(text, sizeof text, "end %" PRIu64 "\n", c->counter);
    say(s, text);
}

static void source_line(struct sim_stream *s, const char *line)
{
    struct sim_copy *c = s->copy;
    if (!s->said_all || strcmp(line, "complete") != 0) {
        fail(s, "the target answered nonsense");
        return;
    }
    struct err none = {0};
    sim_stream_stop(c);
    sim_migrated(c, &none);
}

static void connected(uv_connect_t *connect, int status)
{
    struct sim_stream *s = connect->handle->data;
    if (s->copy == NULL) {
        return;
    }
    if (status < 0 || uv_read_start((uv_stream_t *)&s->tcp, alloc, heard) < 0) {
        fail(s, status < 0 ? uv_strerror(status) : "the connection broke");
        return;
    }
    char text[LINE_MAX_BYTES];
    char uuid[ID_TEXT_SIZE];
    (void)snprintf(text, sizeof text, "quorate-sim 1 %s %s\n", s->key,
                   id_text(&s->copy->base.info.key.uuid, uuid));
    say(s, text);
    s->started_ms = sim_now();
    uv_timer_start(&s->tick, tick, TICK_MS, TICK_MS);
}

int sim_stream_send(struct sim_copy *c, const struct hv_req *req, struct err *e)
{
    struct sockaddr_storage addr = {0};
    if (parse_address(req->address, &addr) != 0 || strlen(req->secret) != HV_KEY_SIZE - 1) {
        return err_set(e, ERR_INVALID, "the target's address \"%s\" or its key is malformed",
                       req->address);
    }
    struct sim_stream *s = stream_new(c);
    uint32_t ms = sim_times(c->hv)->migrate_ms;
    (void)str_copy(s->key, sizeof s->key, req->secret);
    s->total = (uint64_t)c->base.info.memory_mib << 20;
    uint64_t per_tick = s->total / max_u64(ms / TICK_MS, 1);
    if (req->rate_bytes_per_s != 0) {
        per_tick = min_u64(per_tick, req->rate_bytes_per_s * TICK_MS / 1000);
    }
    s->per_tick = (uint32_t)min_u64(max_u64(per_tick, 1), UINT32_MAX);
    tcp_open(s);
    int r = uv_tcp_connect(&s->connect, &s->tcp, (struct sockaddr *)&addr, connected);
    if (r < 0) {
        sim_stream_stop(c);
        return err_set(e, ERR_HYPERVISOR, "connect to %s: %s", req->address, uv_strerror(r));
    }
    return 0;
}
