/* The blocking client. One loop does all waiting: it sends what is queued and reads what comes at
 * the same time, so that neither side waits for the other with both buffers full. */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/addr.h"
#include "core/clock.h"
#include "core/os_net.h"
#include "core/rpc.h"
#include "core/rpc_frame.h"
#include "core/rpc_msg.h"
#include "core/util.h"

#define CHUNK_BYTES ((size_t)64 * 1024)
/* Messages kept for a later call while another is waited for. */
#define KEPT_MAX ((size_t)4 * (size_t)LIMIT_RPC_REPLY)

/* Connections that rpc_wait() looks at. */
#define WAIT_MAX 64

struct rpc_conn {
    int fd;
    bool broken;
    bool dialling; /* On its way to address number `nth` of `to`. */
    uint32_t nth;
    struct addr to;
    uint64_t number; /* Of the last request. */
    struct buf out;  /* Queued. */
    size_t out_at;   /* Bytes of it that are sent. */
    struct frame_reader frames;
    struct buf kept; /* Frames that came while another was waited for. */
    size_t kept_at;
    uint8_t *chunk;
};

static uint64_t now_ms(void)
{
    return os_clock()->mono_ms(os_clock());
}

static struct rpc_conn *conn_new(const struct addr *to, int fd)
{
    struct rpc_conn *c = mem_new(1, sizeof *c);
    c->fd = fd;
    c->to = *to;
    c->chunk = mem_new(CHUNK_BYTES, 1);
    frame_reader_init(&c->frames, LIMIT_RPC_REPLY);
    buf_put(&c->out, RPC_MAGIC, RPC_MAGIC_LEN);
    return c;
}

int rpc_connect(struct rpc_conn **ret, const char *where, uint32_t timeout_ms, struct err *e)
{
    struct addr a;
    int fd;
    if (addr_parse(where, &a, e) != 0) {
        return e->code = ERR_INVALID;
    }
    int rc = os_net_connect(&a, timeout_ms, &fd, e);
    if (rc != 0) {
        return rc;
    }
    *ret = conn_new(&a, fd);
    return 0;
}

int rpc_dial(struct rpc_conn **ret, const char *where, struct err *e)
{
    struct addr a;
    int fd;
    if (addr_parse(where, &a, e) != 0) {
        return e->code = ERR_INVALID;
    }
    int rc = os_net_dial(&a, 0, &fd, e);
    if (rc != 0) {
        return rc;
    }
    *ret = conn_new(&a, fd);
    (*ret)->dialling = true;
    return 0;
}

bool rpc_is_connected(const struct rpc_conn *c)
{
    return !c->dialling;
}

struct rpc_conn *rpc_disconnect(struct rpc_conn *c)
{
    if (c != NULL) {
        (void)close(c->fd);
        buf_done(&c->out);
        buf_done(&c->kept);
        frame_reader_done(&c->frames);
        free(c->chunk);
        free(c);
    }
    return NULL;
}

static int broken(struct rpc_conn *c, struct err *e, const char *what)
{
    c->broken = true;
    return err_set(e, ERR_CLOSED, "%s", what);
}

/* --- on the way */

/* A name may have several addresses, and nobody may listen at the first: the next is tried. */
static int dial_on(struct rpc_conn *c, uint64_t deadline_ms, struct err *e)
{
    uint64_t now = now_ms();
    struct pollfd p = {.fd = c->fd, .events = POLLOUT};
    if (poll(&p, 1, now < deadline_ms ? (int)min_u64(deadline_ms - now, INT32_MAX) : 0) <= 0) {
        return now_ms() >= deadline_ms ? err_set(e, ERR_TIMEOUT, "no connection in time") : 0;
    }
    struct err why = {0};
    struct err none = {0};
    int fd = -1;
    int rc = os_net_dialled(&c->to, c->fd, &why);
    if (rc == 0) {
        c->dialling = false;
        return 0;
    }
    if (os_net_dial(&c->to, ++c->nth, &fd, &none) != 0) {
        c->broken = true;
        *e = why;
        return rc;
    }
    (void)close(c->fd);
    c->fd = fd;
    return 0;
}

/* --- bytes */

/* Send what can be sent at once. A connection that takes no more may still have something to read,
 * such as why, so only reading finds that it is broken. */
static void send_some(struct rpc_conn *c)
{
    while (c->out_at < c->out.len) {
        ssize_t n = send(c->fd, c->out.data + c->out_at, c->out.len - c->out_at, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            return;
        }
        if (n < 0) {
            break;
        }
        c->out_at += (size_t)n;
    }
    buf_clear(&c->out);
    c->out_at = 0;
}

static int read_some(struct rpc_conn *c, struct err *e)
{
    for (;;) {
        ssize_t n = recv(c->fd, c->chunk, CHUNK_BYTES, 0);
        if (n > 0) {
            frame_feed(&c->frames, c->chunk, (size_t)n);
            return 0;
        }
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            return 0;
        }
        return broken(c, e, n == 0 ? "the daemon closed the connection" : strerrordesc_np(errno));
    }
}

/* Wait until something can be done, and do it. */
static int exchange(struct rpc_conn *c, uint64_t deadline_ms, struct err *e)
{
    if (c->dialling) {
        return dial_on(c, deadline_ms, e);
    }
    send_some(c);
    uint64_t now = now_ms();
    int left = now < deadline_ms ? (int)min_u64(deadline_ms - now, INT32_MAX) : 0;
    struct pollfd p = {.fd = c->fd,
                       .events = (short)(POLLIN | (c->out_at < c->out.len ? POLLOUT : 0))};
    int r = poll(&p, 1, left);
    if (r < 0 && errno != EINTR) {
        return broken(c, e, strerrordesc_np(errno));
    }
    if (r <= 0) {
        return r == 0 && now_ms() >= deadline_ms ? err_set(e, ERR_TIMEOUT, "no answer in time") : 0;
    }
    return (p.revents & ~POLLOUT) != 0 ? read_some(c, e) : 0;
}

/* --- messages */

/* The next frame from the socket, decoded. Its body is valid until the next call. */
static int next_from_socket(struct rpc_conn *c,
                            uint64_t deadline_ms,
                            struct rpc_msg *m,
                            const uint8_t **ret_payload,
                            struct err *e)
{
    size_t len;
    int r;
    if (c->broken) {
        return err_set(e, ERR_CLOSED, "the connection is broken");
    }
    while ((r = frame_next(&c->frames, ret_payload, &len)) == 0) {
        int rc = exchange(c, deadline_ms, e);
        if (rc != 0) {
            return rc;
        }
    }
    if (r < 0) {
        return broken(c, e, "the daemon sent an answer over the limit");
    }
    if (rpc_msg_read(*ret_payload, len, m, e) != 0 || m->kind == RPC_REQUEST) {
        return broken(c, e, "the daemon sent what is no answer");
    }
    if (m->kind == RPC_REPLY && m->number == 0) { /* It says why it closes. */
        c->broken = true;
        return err_set(e, m->code == 0 ? ERR_CLOSED : m->code, "%s", m->text);
    }
    return 0;
}

static int keep(struct rpc_conn *c, const struct rpc_msg *m, struct err *e)
{
    if (c->kept.len - c->kept_at > KEPT_MAX) {
        return broken(c, e, "too many notices came that nobody read");
    }
    if (m->kind == RPC_NOTICE) {
        rpc_put_notice(&c->kept, m->method, m->body, m->body_len);
    } else if (m->code != 0) {
        rpc_put_error(&c->kept, m->number, m->code, m->text);
    } else {
        rpc_put_reply(&c->kept, m->number, m->body, m->body_len);
    }
    return 0;
}

/* The first kept message, or the first notice. */
static bool take_kept(struct rpc_conn *c, bool only_notice, struct rpc_message *ret)
{
    struct rpc_msg m;
    struct err e;
    size_t at = c->kept_at;
    while (at < c->kept.len) {
        size_t len = load_u32(c->kept.data + at);
        int rc = rpc_msg_read(c->kept.data + at + FRAME_HEAD, len, &m, &e);
        assert(rc == 0); /* We wrote it. */
        if (!only_notice || m.kind == RPC_NOTICE) {
            ret->number = m.number;
            ret->code = m.code;
            memcpy(ret->text, m.text, sizeof ret->text);
            memcpy(ret->method, m.method, sizeof ret->method);
            buf_clear(&ret->body);
            buf_put(&ret->body, m.body, m.body_len);
            /* Out of the middle only what stands before it moves up. */
            memmove(c->kept.data + c->kept_at + FRAME_HEAD + len, c->kept.data + c->kept_at,
                    at - c->kept_at);
            c->kept_at += FRAME_HEAD + len;
            if (c->kept_at == c->kept.len) {
                buf_clear(&c->kept);
                c->kept_at = 0;
            }
            return true;
        }
        at += FRAME_HEAD + len;
    }
    return false;
}

/* --- the door */

int rpc_send(struct rpc_conn *c,
             const char *method,
             const struct buf *params,
             uint64_t *ret_number,
             struct err *e)
{
    size_t len = params == NULL ? 0 : params->len;
    if (strlen(method) > LIMIT_NAME || len > (size_t)LIMIT_RPC_REQUEST - RPC_OVERHEAD) {
        return err_set(e, ERR_TOO_BIG, "a request of %zu bytes; at most %lu are taken", len,
                       LIMIT_RPC_REQUEST - RPC_OVERHEAD);
    }
    if (c->out_at > CHUNK_BYTES) {
        buf_consume(&c->out, c->out_at);
        c->out_at = 0;
    }
    rpc_put_request(&c->out, ++c->number, method, len == 0 ? NULL : params->data, len);
    *ret_number = c->number;
    return 0;
}

int rpc_receive(struct rpc_conn *c, uint32_t timeout_ms, struct rpc_message *m, struct err *e)
{
    struct rpc_msg in;
    const uint8_t *payload;
    if (take_kept(c, /*only_notice=*/false, m)) {
        return 0;
    }
    int rc = next_from_socket(c, now_ms() + timeout_ms, &in, &payload, e);
    if (rc != 0) {
        return rc;
    }
    m->number = in.number;
    m->code = in.code;
    memcpy(m->text, in.text, sizeof m->text);
    memcpy(m->method, in.method, sizeof m->method);
    buf_clear(&m->body);
    buf_put(&m->body, in.body, in.body_len);
    return 0;
}

void rpc_wait(struct rpc_conn *const *conns, size_t n, uint32_t timeout_ms)
{
    struct pollfd p[WAIT_MAX];
    assert(n <= WAIT_MAX);
    for (size_t i = 0; i < n; i++) {
        bool out = conns[i]->dialling || conns[i]->out_at < conns[i]->out.len;
        p[i] = (struct pollfd){.fd = conns[i]->fd, .events = (short)(POLLIN | (out ? POLLOUT : 0))};
    }
    (void)poll(p, n,
               (int)min_u64(timeout_ms, INT32_MAX)); /* Whatever it says is found out again. */
}

int rpc_call(struct rpc_conn *c,
             const char *method,
             const struct buf *params,
             uint32_t timeout_ms,
             struct buf *result,
             struct err *e)
{
    uint64_t deadline_ms = now_ms() + timeout_ms;
    uint64_t number = 0;
    struct rpc_msg m = {0};
    const uint8_t *payload;
    int rc = rpc_send(c, method, params, &number, e);
    while (rc == 0) {
        rc = next_from_socket(c, deadline_ms, &m, &payload, e);
        if (rc == 0 && m.kind == RPC_REPLY && m.number == number) {
            buf_clear(result);
            buf_put(result, m.body, m.body_len);
            return m.code == 0 ? 0 : err_set(e, m.code, "%s", m.text);
        }
        rc = rc != 0 ? rc : keep(c, &m, e);
    }
    if (rc == ERR_TIMEOUT) {
        c->broken = true; /* The answer may still come, to a request that nobody waits for. */
    }
    return rc;
}

int rpc_next_notice(struct rpc_conn *c,
                    uint32_t timeout_ms,
                    char method[LIMIT_NAME + 1],
                    struct buf *params,
                    struct err *e)
{
    uint64_t deadline_ms = now_ms() + timeout_ms;
    struct rpc_message kept = {.body = *params};
    struct rpc_msg m = {0};
    const uint8_t *payload;
    bool found = take_kept(c, /*only_notice=*/true, &kept);
    *params = kept.body;
    if (found) {
        memcpy(method, kept.method, sizeof kept.method);
        return 0;
    }
    for (;;) {
        int rc = next_from_socket(c, deadline_ms, &m, &payload, e);
        if (rc == 0 && m.kind == RPC_NOTICE) {
            memcpy(method, m.method, sizeof m.method);
            buf_clear(params);
            buf_put(params, m.body, m.body_len);
            return 0;
        }
        rc = rc != 0 ? rc : keep(c, &m, e);
        if (rc != 0) {
            return rc;
        }
    }
}
