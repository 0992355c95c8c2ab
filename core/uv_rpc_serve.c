/* Requests of one client: from frames to serve(), answers, notices, and back-pressure.
 *
 * A client is paused (nothing is read from it, and the frames it has already sent are kept) while
 * - LIMIT_RPC_INFLIGHT_CLIENT of its requests are under way, or
 * - LIMIT_RPC_INFLIGHT of all clients' are, or
 * - RPC_CHOKE_BYTES of its answers are unsent, until a quarter of that is left.
 * What ends a pause happens inside rpc_reply() or a write; the client goes on from the loop, in
 * rpc_client_wrote(), for which its stream is poked. */
#include <assert.h>
#include <string.h>

#include "core/rpc_msg.h"
#include "core/util.h"
#include "core/uv_rpc_priv.h"

/* Answered requests kept for reuse, and the size of their buffers beyond which they are not. */
#define KEEP_REQUESTS 512
#define KEEP_BYTES    4096

/* --- requests */

static struct rpc_request *request_new(struct rpc_client *c)
{
    struct rpc_server *s = c->server;
    struct rpc_request *rq = s->free;
    if (rq != NULL) {
        s->free = rq->next;
        s->n_free--;
    } else {
        rq = mem_new(1, sizeof *rq);
    }
    rq->client = c;
    rq->server = s;
    rq->gone = NULL;
    rq->data = NULL;
    rq->next = &c->requests;
    rq->prev = c->requests.prev;
    rq->prev->next = rq;
    c->requests.prev = rq;
    c->under_way++;
    s->under_way++;
    s->refs++;
    return rq;
}

static void request_unlink(struct rpc_request *rq)
{
    rq->prev->next = rq->next;
    rq->next->prev = rq->prev;
    rq->client->under_way--;
    rq->server->under_way--;
    rq->client = NULL;
}

static void request_free(struct rpc_request *rq)
{
    struct rpc_server *s = rq->server;
    if (s->closing || s->n_free >= KEEP_REQUESTS || rq->bytes.cap > KEEP_BYTES) {
        buf_done(&rq->bytes);
        free(rq);
    } else {
        buf_clear(&rq->bytes);
        rq->next = s->free;
        s->free = rq;
        s->n_free++;
    }
    rpc_server_unref(s);
}

void rpc_server_unref(struct rpc_server *s)
{
    if (--s->refs > 0) {
        return;
    }
    while (s->free != NULL) {
        struct rpc_request *rq = s->free;
        s->free = rq->next;
        buf_done(&rq->bytes);
        free(rq);
    }
    free(s);
}

void rpc_client_forget(struct rpc_client *c)
{
    while (c->requests.next != &c->requests) {
        struct rpc_request *rq = c->requests.next;
        assert(rq->client == c);
        request_unlink(rq);
        if (rq->gone != NULL) {
            rq->gone(rq);
        }
    }
    while (c->watches.next != &c->watches) {
        struct rpc_watch *w = c->watches.next;
        rpc_watch_stop(w);
        w->fn(w, /*gone=*/true);
    }
}

/* --- reading */

static bool may_serve(struct rpc_client *c)
{
    if (stream_unsent(c->stream) >= RPC_CHOKE_BYTES) {
        c->full = true;
    }
    return !c->full && c->under_way < LIMIT_RPC_INFLIGHT_CLIENT &&
           c->server->under_way < LIMIT_RPC_INFLIGHT;
}

/* One frame. false: the client has been dropped for it. */
static bool serve_frame(struct rpc_client *c, const uint8_t *payload, size_t len)
{
    struct rpc_msg m;
    struct err e;
    if (rpc_msg_read(payload, len, &m, &e) != 0) {
        rpc_client_drop(c, e.code, e.msg);
        return false;
    }
    if (m.kind != RPC_REQUEST) {
        rpc_client_drop(c, ERR_MALFORMED, "only requests are expected from a client");
        return false;
    }
    if (m.number <= c->last_number) {
        (void)err_set(&e, ERR_MALFORMED,
                      "request number %llu after %llu: each must be larger than the one before",
                      (unsigned long long)m.number, (unsigned long long)c->last_number);
        rpc_client_drop(c, e.code, e.msg);
        return false;
    }
    c->last_number = m.number;
    struct rpc_request *rq = request_new(c);
    rq->number = m.number;
    memcpy(rq->method, m.method, sizeof rq->method);
    memcpy(rq->user, c->user, sizeof rq->user);
    buf_put(&rq->bytes, m.body, m.body_len);
    mp_reader_init(&rq->params, rq->bytes.data, rq->bytes.len);
    c->server->o.serve(c->server->o.ctx, rq);
    return true;
}

static void pause_client(struct rpc_client *c)
{
    frame_pause(&c->frames);
    stream_read_stop(c->stream);
    c->paused = true;
    if (!c->held && c->server->under_way >= LIMIT_RPC_INFLIGHT) {
        c->held = true;
        c->server->held++;
    }
}

/* Serve what has come, until it is used up or the client must wait. */
static void serve_frames(struct rpc_client *c)
{
    const uint8_t *payload;
    size_t len;
    int r = 1;
    while (!c->gone && may_serve(c)) {
        r = frame_next(&c->frames, &payload, &len);
        if (r <= 0 || !serve_frame(c, payload, len)) {
            break;
        }
    }
    if (c->gone) {
        return;
    }
    if (r < 0) {
        struct err e;
        (void)err_set(&e, ERR_TOO_BIG, "a request of %zu bytes; at most %lu are taken", len,
                      LIMIT_RPC_REQUEST);
        rpc_client_drop(c, e.code, e.msg);
    } else if (r > 0) {
        pause_client(c);
    }
}

void rpc_client_bytes(struct rpc_client *c, const uint8_t *data, size_t len)
{
    frame_feed(&c->frames, data, len);
    serve_frames(c);
}

/* --- writing */

static void room(struct rpc_client *c)
{
    struct rpc_watch todo;
    c->full = false;
    if (c->watches.next == &c->watches) {
        return;
    }
    /* Each is called once, also if callbacks stop others or start new ones: the ring is moved to a
     * head of its own, and back one by one. */
    todo.next = c->watches.next;
    todo.prev = c->watches.prev;
    todo.next->prev = todo.prev->next = &todo;
    c->watches.next = c->watches.prev = &c->watches;
    while (todo.next != &todo) {
        struct rpc_watch *w = todo.next;
        rpc_watch_stop(w);
        if (!c->gone) {
            rpc_watch_start(c, w);
        }
        w->fn(w, c->gone);
    }
}

void rpc_client_wrote(struct rpc_client *c)
{
    if (c->full && stream_unsent(c->stream) <= RPC_CHOKE_BYTES / 4) {
        room(c);
    }
    if (c->gone || !c->paused || !may_serve(c)) {
        return;
    }
    c->paused = false;
    if (c->held) {
        c->held = false;
        c->server->held--;
    }
    serve_frames(c);
    if (!c->gone && !c->paused) {
        stream_read_start(c->stream);
    }
}

/* A request has been answered: clients that waited for it may go on. */
static void answered(struct rpc_server *s, struct rpc_client *c)
{
    if (stream_unsent(c->stream) > RPC_UNSENT_MAX) {
        stream_break(c->stream, ERR_BUSY);
    }
    if (c->paused) {
        stream_poke(c->stream);
    }
    if (s->held > 0 && s->under_way < LIMIT_RPC_INFLIGHT) {
        for (struct rpc_client *other = s->open.first; other != NULL; other = other->next) {
            if (other->held) {
                stream_poke(other->stream);
            }
        }
    }
}

static struct rpc_client *request_end(struct rpc_request *rq)
{
    struct rpc_client *c = rq->client;
    if (c != NULL) {
        request_unlink(rq);
    }
    return c;
}

void rpc_reply(struct rpc_request *rq, const struct buf *result)
{
    struct rpc_server *s = rq->server;
    struct rpc_client *c = request_end(rq);
    size_t len = result == NULL ? 0 : result->len;
    if (c != NULL && len > LIMIT_RPC_REPLY - RPC_OVERHEAD) {
        struct err e;
        (void)err_set(&e, ERR_TOO_BIG, "an answer of %zu bytes; at most %lu are sent: ask for less",
                      len, LIMIT_RPC_REPLY - RPC_OVERHEAD);
        rpc_put_error(stream_out(c->stream), rq->number, e.code, e.msg);
        answered(s, c);
    } else if (c != NULL) {
        rpc_put_reply(stream_out(c->stream), rq->number, len == 0 ? NULL : result->data, len);
        answered(s, c);
    }
    request_free(rq);
}

void rpc_fail(struct rpc_request *rq, int code, const char *text)
{
    struct rpc_server *s = rq->server;
    struct rpc_client *c = request_end(rq);
    assert(code < 0);
    if (c != NULL) {
        rpc_put_error(stream_out(c->stream), rq->number, code, text);
        answered(s, c);
    }
    request_free(rq);
}

bool rpc_notify(struct rpc_client *c, const char *method, const struct buf *params)
{
    if (c->full || stream_unsent(c->stream) >= RPC_CHOKE_BYTES) {
        c->full = true;
        stream_poke(c->stream); /* It may have been written since. */
        return false;
    }
    size_t len = params == NULL ? 0 : params->len;
    assert(len <= LIMIT_RPC_REPLY - RPC_OVERHEAD);
    rpc_put_notice(stream_out(c->stream), method, len == 0 ? NULL : params->data, len);
    return true;
}

void rpc_watch_start(struct rpc_client *c, struct rpc_watch *w)
{
    assert(!c->gone);
    w->client = c;
    w->next = &c->watches;
    w->prev = c->watches.prev;
    w->prev->next = w;
    c->watches.prev = w;
}

void rpc_watch_stop(struct rpc_watch *w)
{
    if (w->client != NULL) {
        w->prev->next = w->next;
        w->next->prev = w->prev;
        w->next = w->prev = NULL;
        w->client = NULL;
    }
}
