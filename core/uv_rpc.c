/* Connections of the RPC server: who is let in, for how long, and how it ends.
 *
 * A connection waits (at most LIMIT_RPC_WAITING of them; the oldest goes when one more comes) until
 * its first 8 bytes say what it speaks. RPC clients are then counted against LIMIT_RPC_CLIENTS; the
 * others are handed over. So silent connections cannot keep members of the pool out. */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/rpc_msg.h"
#include "core/util.h"
#include "core/uv_rpc_priv.h"

/* Connections that have not yet said what they speak. */
#define LIMIT_RPC_WAITING 256
/* How long a client that is told why it is closed has to read it. */
#define FINISH_MS 500

static uint64_t now_ms(void)
{
    return os_clock()->mono_ms(os_clock());
}

static void link_add(struct client_link *l, struct rpc_client *c)
{
    c->next = NULL;
    c->prev = l->last;
    if (l->last != NULL) {
        l->last->next = c;
    } else {
        l->first = c;
    }
    l->last = c;
    l->n++;
}

static void link_del(struct client_link *l, struct rpc_client *c)
{
    if (c->prev != NULL) {
        c->prev->next = c->next;
    } else {
        l->first = c->next;
    }
    if (c->next != NULL) {
        c->next->prev = c->prev;
    } else {
        l->last = c->prev;
    }
    l->n--;
}

/* --- the end of a client */

/* Out of all lists; its requests and watches learn of it. The stream is the caller's to end. */
static void client_leave(struct rpc_client *c)
{
    struct rpc_server *s = c->server;
    c->gone = true;
    link_del(c->open ? &s->open : &s->waiting, c);
    if (c->held) {
        c->held = false;
        s->held--;
    }
    rpc_client_forget(c);
    if (s->held > 0 && s->under_way < LIMIT_RPC_INFLIGHT) {
        for (struct rpc_client *other = s->open.first; other != NULL; other = other->next) {
            stream_poke(other->stream);
        }
    }
}

/* The memory goes in the loop's closing phase: callers up the stack still look at `gone`. */
static void client_free_cb(uv_handle_t *h)
{
    struct rpc_client *c = h->data;
    struct rpc_server *s = c->server;
    frame_reader_done(&c->frames);
    free(c);
    free(h);
    rpc_server_unref(s);
}

static void client_free_later(struct rpc_client *c)
{
    uv_idle_t *h = mem_new(1, sizeof *h);
    (void)uv_idle_init(c->server->loop, h); /* Cannot fail. */
    h->data = c;
    c->server->refs++;
    uv_close((uv_handle_t *)h, client_free_cb);
}

void rpc_client_drop(struct rpc_client *c, int code, const char *text)
{
    if (c->gone) {
        return;
    }
    client_leave(c);
    if (code != 0) {
        rpc_put_error(stream_out(c->stream), 0, code, text);
    }
    stream_finish(c->stream, FINISH_MS);
    client_free_later(c);
}

static void client_end(void *ctx, int code)
{
    struct rpc_client *c = ctx;
    (void)code;
    client_leave(c);
    stream_close(c->stream);
    client_free_later(c);
}

/* --- the first bytes */

static void user_name(struct rpc_client *c)
{
    uint32_t uid;
    char space[4096];
    struct passwd pw;
    struct passwd *found = NULL;
    if (!stream_peer_uid(c->stream, &uid)) {
        return;
    }
    if (getpwuid_r(uid, &pw, space, sizeof space, &found) == 0 && found != NULL &&
        strlen(pw.pw_name) < sizeof c->user && utf8_valid(pw.pw_name, strlen(pw.pw_name))) {
        (void)str_copy(c->user, sizeof c->user, pw.pw_name);
    } else {
        (void)snprintf(c->user, sizeof c->user, "uid-%u", uid);
    }
}

static void hand_over(struct rpc_client *c, const uint8_t *data, size_t len)
{
    struct rpc_server *s = c->server;
    if (s->o.other == NULL) {
        rpc_client_drop(c, ERR_MALFORMED, "this is no quorate client: it must begin with QRCTL01");
        return;
    }
    struct buf all = {0};
    buf_put(&all, c->head, sizeof c->head);
    buf_put(&all, data, len);
    client_leave(c);
    int fd = stream_detach(c->stream);
    client_free_later(c);
    if (fd >= 0 && !s->o.other(s->o.ctx, fd, all.data, all.len)) {
        struct stream *st = stream_adopt(s->group, fd, NULL, NULL);
        if (st != NULL) {
            rpc_put_error(stream_out(st), 0, ERR_MALFORMED,
                          "nobody here speaks the protocol that this connection begins with");
            stream_finish(st, FINISH_MS);
        }
    }
    buf_done(&all);
}

static void become_open(struct rpc_client *c)
{
    struct rpc_server *s = c->server;
    if (s->open.n >= LIMIT_RPC_CLIENTS) {
        struct err e;
        (void)err_set(&e, ERR_BUSY, "%d clients are connected, no more are taken; try again later",
                      LIMIT_RPC_CLIENTS);
        rpc_client_drop(c, e.code, e.msg);
        return;
    }
    link_del(&s->waiting, c);
    link_add(&s->open, c);
    c->open = true;
    c->since_ms = now_ms();
    user_name(c);
}

static void client_read(void *ctx, const uint8_t *data, size_t len)
{
    struct rpc_client *c = ctx;
    if (!c->open) {
        size_t take = (size_t)min_u64(sizeof c->head - c->head_len, len);
        memcpy(c->head + c->head_len, data, take);
        c->head_len += (uint32_t)take;
        data += take;
        len -= take;
        if (c->head_len < sizeof c->head) {
            return;
        }
        if (memcmp(c->head, RPC_MAGIC, sizeof c->head) != 0) {
            hand_over(c, data, len);
            return;
        }
        become_open(c);
    }
    if (!c->gone && len > 0) {
        rpc_client_bytes(c, data, len);
    }
}

static void client_wrote(void *ctx)
{
    rpc_client_wrote(ctx);
}

static const struct stream_handler client_handler = {.read = client_read,
                                                     .end = client_end,
                                                     .wrote = client_wrote};

/* --- listening */

static void accepted(void *ctx, struct stream *stream)
{
    struct rpc_listener *l = ctx;
    struct rpc_server *s = l->server;
    if (s->waiting.n >= LIMIT_RPC_WAITING) {
        rpc_client_drop(s->waiting.first, ERR_BUSY, "too many connections have not said hello yet");
    }
    struct rpc_client *c = mem_new(1, sizeof *c);
    c->server = s;
    c->stream = stream;
    c->since_ms = now_ms();
    c->requests.next = c->requests.prev = &c->requests;
    c->watches.next = c->watches.prev = &c->watches;
    frame_reader_init(&c->frames, LIMIT_RPC_REQUEST);
    link_add(&s->waiting, c);
    stream_handle(stream, &client_handler, c);
    stream_read_start(stream);
}

static void tick_waiting(struct rpc_server *s, uint64_t now)
{
    while (s->waiting.first != NULL && now - s->waiting.first->since_ms >= s->o.hello_ms) {
        struct err e;
        (void)err_set(&e, ERR_TIMEOUT, "no hello within %u ms", s->o.hello_ms);
        rpc_client_drop(s->waiting.first, e.code, e.msg);
    }
}

/* Who takes nothing of what waits for it is closed. */
static void tick_open(struct rpc_server *s, uint64_t now)
{
    for (struct rpc_client *c = s->open.first; c != NULL; c = c->next) {
        uint64_t sent = stream_sent(c->stream);
        if (stream_unsent(c->stream) == 0 || sent != c->sent) {
            c->since_ms = now;
            c->sent = sent;
        } else if (now - c->since_ms >= s->o.stall_ms) {
            stream_break(c->stream, ERR_TIMEOUT);
        }
    }
}

static void tick_cb(uv_timer_t *t)
{
    struct rpc_server *s = t->data;
    uint64_t now = now_ms();
    tick_waiting(s, now);
    tick_open(s, now);
}

struct rpc_server *rpc_server_new(struct uv_loop_s *loop, const struct rpc_server_options *options)
{
    struct rpc_server *s = mem_new(1, sizeof *s);
    s->o = *options;
    s->o.hello_ms = s->o.hello_ms == 0 ? RPC_HELLO_MS : s->o.hello_ms;
    s->o.stall_ms = s->o.stall_ms == 0 ? RPC_STALL_MS : s->o.stall_ms;
    s->loop = loop;
    s->group = stream_group_new(loop);
    s->refs = 1;
    s->tick.data = s;
    uint64_t every = max_u64(min_u64(s->o.hello_ms, s->o.stall_ms) / 4, 10);
    (void)uv_timer_init(loop, &s->tick); /* Neither can fail. */
    (void)uv_timer_start(&s->tick, tick_cb, every, every);
    return s;
}

int rpc_server_listen(struct rpc_server *s, const char *where, struct err *e)
{
    struct addr a;
    int fd;
    if (addr_parse(where, &a, e) != 0 || os_net_listen(&a, &fd, e) != 0) {
        return e->code;
    }
    struct rpc_listener *l = mem_new(1, sizeof *l);
    l->server = s;
    l->port = os_net_port(fd);
    os_net_file_note(&a, &l->file);
    l->listener = stream_listen(s->group, fd, accepted, l, e);
    if (l->listener == NULL) {
        os_net_file_remove(&l->file);
        free(l);
        return err_wrap(e, "%s", where);
    }
    struct rpc_listener **last = &s->listeners;
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = l;
    return 0;
}

uint16_t rpc_server_port(const struct rpc_server *s, uint32_t n)
{
    const struct rpc_listener *l = s->listeners;
    while (l != NULL && n-- > 0) {
        l = l->next;
    }
    return l == NULL ? 0 : l->port;
}

static void group_closed(void *ctx)
{
    struct rpc_server *s = ctx;
    if (s->closed != NULL) {
        s->closed(s->closed_ctx);
    }
    rpc_server_unref(s);
}

static void tick_closed(uv_handle_t *h)
{
    struct rpc_server *s = h->data;
    stream_group_close(s->group, group_closed, s);
}

void rpc_server_close(struct rpc_server *s, void (*closed)(void *ctx), void *ctx)
{
    s->closing = true;
    s->closed = closed;
    s->closed_ctx = ctx;
    while (s->listeners != NULL) {
        struct rpc_listener *l = s->listeners;
        s->listeners = l->next;
        os_net_file_remove(&l->file);
        stream_listener_close(l->listener);
        free(l);
    }
    while (s->waiting.first != NULL) {
        rpc_client_drop(s->waiting.first, 0, NULL);
    }
    while (s->open.first != NULL) {
        rpc_client_drop(s->open.first, ERR_CLOSED, "the daemon stops");
    }
    uv_close((uv_handle_t *)&s->tick, tick_closed);
}
