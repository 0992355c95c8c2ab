/* Connections and calls of a client. */

#include "chaos-tests/sim/vclient.h"

#include <stdio.h>
#include <string.h>

#include "core/rpc.h"
#include "core/rpc_frame.h"
#include "core/util.h"
#include "core/uv_stream.h"

#include "chaos-tests/sim/vloop.h"

#define CONNECT_MS 3000

struct vcall {
    uint64_t number;
    uv_timer_t timer;
    struct vconn *conn;
    vclient_reply reply;
    void *ctx;
    struct vcall *next, **prev;
};

struct vconn {
    struct vclient *client;
    uint32_t host;
    struct stream *stream;
    bool open;
    struct frame_reader frames;
    struct buf unsent; /* Until it is open. */
    struct vcall *calls;
};

static void timer_closed(uv_handle_t *h)
{
    free(h->data);
}

static void call_end(struct vcall *call, int code, const struct rpc_msg *m)
{
    *call->prev = call->next;
    if (call->next != NULL) {
        call->next->prev = call->prev;
    }
    uv_close((uv_handle_t *)&call->timer, timer_closed);
    call->reply(call->ctx, code, m);
}

static void conn_drop(struct vconn *k)
{
    if (k->client->conns[k->host] == k) {
        k->client->conns[k->host] = NULL;
    }
    if (k->stream != NULL) {
        stream_close(k->stream);
        k->stream = NULL;
    }
    while (k->calls != NULL) {
        call_end(k->calls, ERR_CLOSED, NULL);
    }
    frame_reader_done(&k->frames);
    buf_done(&k->unsent);
    free(k);
}

static void on_opened(void *ctx, int code)
{
    struct vconn *k = ctx;
    if (code != 0) {
        conn_drop(k);
        return;
    }
    k->open = true;
    stream_write(k->stream, RPC_MAGIC, RPC_MAGIC_LEN);
    stream_write(k->stream, k->unsent.data, k->unsent.len);
    buf_done(&k->unsent);
}

static void on_reply(struct vconn *k, const struct rpc_msg *m)
{
    for (struct vcall *call = k->calls; call != NULL; call = call->next) {
        if (call->number == m->number) {
            call_end(call, m->code, m);
            return;
        }
    }
}

static void on_read(void *ctx, const uint8_t *data, size_t len)
{
    struct vconn *k = ctx;
    struct vclient *c = k->client;
    const uint8_t *payload;
    size_t n;
    struct err e = {0};
    frame_feed(&k->frames, data, len);
    while (frame_next(&k->frames, &payload, &n) > 0) {
        struct rpc_msg m;
        if (rpc_msg_read(payload, n, &m, &e) != 0) {
            conn_drop(k);
            return;
        }
        if (m.kind == RPC_REPLY) {
            on_reply(k, &m);
        } else if (m.kind == RPC_NOTICE && c->notice != NULL) {
            c->notice(c->ctx, k->host, &m);
        }
    }
}

static void on_end(void *ctx, int code)
{
    (void)code;
    conn_drop(ctx);
}

static const struct stream_handler handler = {.opened = on_opened, .read = on_read, .end = on_end};

static struct vconn *conn_to(struct vclient *c, uint32_t host)
{
    if (c->conns[host] == NULL) {
        struct err e = {0};
        struct addr to;
        char text[32];
        struct vconn *k = mem_new(1, sizeof *k);
        (void)snprintf(text, sizeof text, "10.7.0.%u:7077", host + 1);
        (void)addr_parse(text, &to, &e);
        k->client = c;
        k->host = host;
        frame_reader_init(&k->frames, LIMIT_RPC_REPLY);
        k->stream = stream_connect(c->group, &to, CONNECT_MS, &handler, k);
        c->conns[host] = k;
    }
    return c->conns[host];
}

/* A host that does not answer one call in time is asked over another connection next time. */
static void on_timeout(uv_timer_t *t)
{
    struct vcall *call = t->data;
    struct vconn *k = call->conn;
    call_end(call, ERR_TIMEOUT, NULL);
    if (k->client->conns[k->host] == k) {
        stream_break(k->stream, ERR_TIMEOUT);
    }
}

void vclient_call(struct vclient *c,
                  uint32_t host,
                  const char *method,
                  const struct buf *params,
                  uint32_t timeout_ms,
                  vclient_reply reply,
                  void *ctx)
{
    struct vconn *k = conn_to(c, host);
    struct vcall *call = mem_new(1, sizeof *call);
    call->number = ++c->numbers;
    call->conn = k;
    call->reply = reply;
    call->ctx = ctx;
    call->next = k->calls;
    call->prev = &k->calls;
    if (call->next != NULL) {
        call->next->prev = &call->next;
    }
    k->calls = call;
    (void)uv_timer_init(&c->loop, &call->timer);
    call->timer.data = call;
    (void)uv_timer_start(&call->timer, on_timeout, timeout_ms, 0);
    struct buf *out = k->open ? stream_out(k->stream) : &k->unsent;
    rpc_put_request(out, call->number, method, params == NULL ? NULL : params->data,
                    params == NULL ? 0 : params->len);
}

void vclient_hang_up(struct vclient *c, uint32_t host)
{
    if (c->conns[host] != NULL && c->conns[host]->open) {
        stream_break(c->conns[host]->stream, ERR_CLOSED);
    }
}

void vclient_init(struct vclient *c, uint32_t index, const char *name)
{
    *c = (struct vclient){0};
    machine_init(&c->m, index, name);
    c->proc = proc_new(&c->m, name);
    struct proc *before = proc_enter(c->proc);
    (void)uv_loop_init(&c->loop);
    c->group = stream_group_new(&c->loop);
    proc_leave(before);
    vloop_hold(c->proc, true);
    vloop_begin(c->proc);
}

void vclient_done(struct vclient *c)
{
    proc_kill(c->proc, false);
    machine_done(&c->m);
}
