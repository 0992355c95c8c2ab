#include "core/tests/rpc_rig.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/os_net.h"
#include "core/rpc_msg.h"
#include "core/util.h"

struct ticker { /* A stream of notices under way. */
    struct rpc_watch watch;
    struct rpc_request *rq;
    struct rig *rig;
    uint64_t left;
};

static void ticker_run(struct ticker *t)
{
    struct buf params = {0};
    uint8_t body[1000];
    memset(body, 7, sizeof body);
    mp_put_bin(&params, body, sizeof body);
    while (t->left > 0 && rpc_notify(t->rq->client, "tick", &params)) {
        t->left--;
    }
    buf_done(&params);
    if (t->left > 0) {
        t->rig->refusals++;
        return;
    }
    rpc_watch_stop(&t->watch);
    rpc_reply(t->rq, NULL);
    free(t);
}

static void ticker_watch(struct rpc_watch *w, bool gone)
{
    struct ticker *t = w->data;
    if (gone) {
        rpc_reply(t->rq, NULL);
        free(t);
    } else {
        ticker_run(t);
    }
}

static void request_gone(struct rpc_request *rq)
{
    struct rig *r = rq->data;
    r->gone++;
}

static uint64_t first_number(struct rpc_request *rq)
{
    uint32_t n;
    uint64_t v = 0;
    struct mp_reader in = rq->params;
    int rc = mp_get_map(&in, &n);
    assert(rc == 0);
    if (n > 0 && mp_match_str(&in, "n")) {
        rc = mp_get_uint(&in, &v);
        assert(rc == 0);
    }
    return v;
}

static void serve_big(struct rpc_request *rq)
{
    size_t n = (size_t)first_number(rq);
    struct buf b = {0};
    void *bytes = mem_new(n, 1);
    mp_put_bin(&b, bytes, n);
    rpc_reply(rq, &b);
    buf_done(&b);
    free(bytes);
}

static void serve_stream(struct rig *r, struct rpc_request *rq)
{
    struct ticker *t = mem_new(1, sizeof *t);
    t->rq = rq;
    t->rig = r;
    t->left = first_number(rq);
    t->watch.fn = ticker_watch;
    t->watch.data = t;
    rpc_watch_start(rq->client, &t->watch);
    ticker_run(t);
}

static void release(struct rig *r)
{
    for (unsigned i = 0; i < r->n_held; i++) {
        rpc_reply(r->held[i], NULL);
    }
    r->n_held = 0;
}

static void serve(void *ctx, struct rpc_request *rq)
{
    struct rig *r = ctx;
    r->served++;
    if (strcmp(rq->method, "echo") == 0) {
        struct buf b = {.data = (uint8_t *)(uintptr_t)rq->params.p,
                        .len = (size_t)(rq->params.end - rq->params.p)};
        rpc_reply(rq, &b);
    } else if (strcmp(rq->method, "fail") == 0) {
        rpc_fail(rq, ERR_STATE, "no, not now");
    } else if (strcmp(rq->method, "user") == 0) {
        struct buf b = {0};
        mp_put_str(&b, rq->user);
        rpc_reply(rq, &b);
        buf_done(&b);
    } else if (strcmp(rq->method, "big") == 0) {
        serve_big(rq);
    } else if (strcmp(rq->method, "stream") == 0) {
        serve_stream(r, rq);
    } else if (strcmp(rq->method, "hold") == 0) {
        assert(r->n_held < ARRAY_LEN(r->held));
        rq->gone = request_gone;
        rq->data = r;
        r->held[r->n_held++] = rq;
    } else if (strcmp(rq->method, "release") == 0) {
        release(r);
        rpc_reply(rq, NULL);
    } else {
        rpc_fail(rq, ERR_UNKNOWN, "no such method");
    }
}

static bool other(void *ctx, int fd, const void *read_ahead, size_t len)
{
    struct rig *r = ctx;
    if (!r->take_others || len < 8 || memcmp(read_ahead, "QRPEER1\n", 8) != 0) {
        return false;
    }
    r->handed_over++;
    rig_write(fd, (const char *)read_ahead + 8, len - 8); /* Say back what came with it. */
    (void)close(fd);
    return true;
}

static void server_closed(void *ctx)
{
    struct rig *r = ctx;
    r->closed = true;
    release(r); /* Answers given after the end go nowhere, and must be given. */
}

static void stop_cb(uv_async_t *h)
{
    struct rig *r = h->data;
    rpc_server_close(r->server, server_closed, r);
    uv_close((uv_handle_t *)h, NULL);
}

static void *run(void *arg)
{
    struct rig *r = arg;
    (void)uv_run(&r->loop, UV_RUN_DEFAULT);
    return NULL;
}

void rig_start(struct rig *r, const struct rpc_server_options *options, bool take_others)
{
    struct err e = {0};
    memset(r, 0, sizeof *r);
    struct rpc_server_options o = {0};
    if (options != NULL) {
        o = *options;
    }
    o.serve = serve;
    o.ctx = r;
    o.other = take_others ? other : NULL;
    r->take_others = take_others;
    (void)str_copy(r->dir, sizeof r->dir, "/tmp/quorate-rpc-XXXXXX");
    bool ok = mkdtemp(r->dir) != NULL && uv_loop_init(&r->loop) == 0;
    assert(ok);
    (void)snprintf(r->unix_at, sizeof r->unix_at, "unix:%s/sock", r->dir);
    r->server = rpc_server_new(&r->loop, &o);
    int rc = rpc_server_listen(r->server, r->unix_at, &e);
    assert(rc == 0);
    rc = rpc_server_listen(r->server, "127.0.0.1:0", &e);
    assert(rc == 0);
    (void)snprintf(r->tcp_at, sizeof r->tcp_at, "127.0.0.1:%u", rpc_server_port(r->server, 1));
    rc = uv_async_init(&r->loop, &r->stop, stop_cb);
    assert(rc == 0);
    r->stop.data = r;
    rc = pthread_create(&r->thread, NULL, run, r);
    assert(rc == 0);
}

void rig_stop(struct rig *r)
{
    (void)uv_async_send(&r->stop);
    (void)pthread_join(r->thread, NULL);
    int rc = uv_loop_close(&r->loop);
    assert(rc == 0 && r->closed); /* Nothing may be left on the loop. */
    rc = rmdir(r->dir);
    assert(rc == 0); /* The socket's file is gone. */
}

int rig_raw(const char *at)
{
    struct addr a;
    struct err e;
    int fd;
    int rc = addr_parse(at, &a, &e);
    assert(rc == 0);
    rc = os_net_connect(&a, 2000, &fd, &e);
    assert(rc == 0);
    return fd;
}

static bool ready(int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events};
    return poll(&p, 1, 5000) > 0;
}

void rig_write(int fd, const void *data, size_t len)
{
    const uint8_t *p = data;
    while (len > 0 && ready(fd, POLLOUT)) {
        ssize_t n = send(fd, p, len, MSG_NOSIGNAL);
        if (n < 0) {
            return;
        }
        p += n;
        len -= (size_t)n;
    }
}

int rig_read(int fd, void *to, size_t len)
{
    uint8_t *p = to;
    while (len > 0) {
        ssize_t n = ready(fd, POLLIN) ? recv(fd, p, len, 0) : -1;
        if (n <= 0) {
            return -1;
        }
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

void rig_turns(struct rig *r)
{
    struct rpc_conn *c;
    struct buf result = {0};
    struct err e;
    int rc = rpc_connect(&c, r->unix_at, 5000, &e);
    assert(rc == 0);
    /* The answer to the second is given in a turn that began after the first one's had ended. */
    for (int i = 0; i < 2; i++) {
        rc = rpc_call(c, "echo", NULL, 5000, &result, &e);
        assert(rc == 0);
    }
    buf_done(&result);
    (void)rpc_disconnect(c);
}

int rig_read_msg(int fd, struct buf *b, struct rpc_msg *m)
{
    uint8_t head[4];
    struct err e;
    if (rig_read(fd, head, sizeof head) != 0) {
        return -1;
    }
    buf_clear(b);
    b->len = load_u32(head);
    size_t len = b->len;
    b->len = 0;
    (void)buf_reserve(b, len);
    b->len = len;
    if (rig_read(fd, b->data, len) != 0) {
        return -1;
    }
    int rc = rpc_msg_read(b->data, b->len, m, &e);
    assert(rc == 0);
    return 0;
}

bool rig_ends(int fd)
{
    char space[4096];
    while (ready(fd, POLLIN)) {
        if (recv(fd, space, sizeof space, 0) <= 0) {
            return true;
        }
    }
    return false;
}

bool rig_reaches(atomic_uint *counter, unsigned n)
{
    uint64_t until = os_clock()->mono_ms(os_clock()) + 5000;
    while (*counter < n && os_clock()->mono_ms(os_clock()) < until) {
        (void)poll(NULL, 0, 1);
    }
    return *counter >= n;
}
