/* msgpack-RPC between clients and daemons, over a unix socket or TCP.
 *
 * Bytes: a connection opens with RPC_MAGIC from the client; then, both ways, frames of a length
 * (u32, little endian) and that many bytes of one canonical msgpack value:
 *
 *   request   [0, number, method, params]        number chosen by the client, params a map
 *   reply     [1, number, error, result]         error nil or [code, text]
 *   notice    [2, method, params]                from the server: a stream the client asked for
 *
 * This header is the session logic and its server and client shells on libuv (uv_rpc.c), and the
 * blocking client of the command line (os_rpc.c). Limits: core/limits.h. A client that says nothing
 * within RPC_HELLO_MS, sends garbage, or more than it may, is told so (reply number 0) and closed.
 * Back-pressure: reading from a client stops while it has too much under way or unread. */

#ifndef CORE_RPC_H
#define CORE_RPC_H

#include "core/buf.h"
#include "core/err.h"
#include "core/limits.h"
#include "core/mp.h"

#include <stdbool.h>

#define RPC_MAGIC "QRCTL01\n"
#define RPC_MAGIC_LEN 8
#define RPC_HELLO_MS 5000

struct uv_loop_s;

/* --- server ---------------------------------------------------------------------------------- */

struct rpc_server;
struct rpc_client; /* A connected client, as the server sees it. */

/* One request under way. Answer it exactly once, now or later, by rpc_reply or rpc_fail; the request
 * is gone then. If the client goes away first, `gone` fires (if set) and the answer goes nowhere but
 * must still be given. */
struct rpc_request {
    struct rpc_client *client;
    uint64_t number;
    char method[LIMIT_NAME + 1];
    struct mp_reader params; /* Borrowed until answered. */
    char user[LIMIT_NAME + 1]; /* Who asks: the local user of a unix socket, else "". */
    void (*gone)(struct rpc_request *rq);
    void *data;
    /* private */
    struct rpc_request *next, *prev;
    struct buf bytes;
};

typedef void (*rpc_serve_fn)(void *ctx, struct rpc_request *rq);

struct rpc_server_options {
    rpc_serve_fn serve;
    void *ctx;
    /* A connection whose first 8 bytes are not RPC_MAGIC is offered here with them; return true to
     * take the descriptor (the peers' protocol shares the port). NULL: closed. */
    bool (*other)(void *ctx, int fd, const void *read_ahead, size_t len);
};

struct rpc_server *rpc_server_new(struct uv_loop_s *loop, const struct rpc_server_options *options);
/* Listen on "unix:/path" (mode 0660; a stale socket of a dead daemon is replaced, a live one is
 * ERR_IN_USE) or "host:port". May be called for several. */
int rpc_server_listen(struct rpc_server *s, const char *where, struct err *e);
void rpc_server_close(struct rpc_server *s, void (*closed)(void *ctx), void *ctx);

/* `result` is one encoded value; an empty one is nil. Its bytes are copied. */
void rpc_reply(struct rpc_request *rq, const struct buf *result);
void rpc_fail(struct rpc_request *rq, int code, const char *text);

/* A notice to the client. false: its buffers are full; stop and wait for `drained`. */
bool rpc_notify(struct rpc_client *client, const char *method, const struct buf *params);
/* Called once when the client's buffers have room again, and once when it is gone (gone true). One
 * watcher a stream; cancelled by passing NULL. */
struct rpc_watch {
    void (*fn)(struct rpc_watch *w, bool gone);
    void *data;
    struct rpc_watch *next, *prev;
    struct rpc_client *client;
};
void rpc_watch_start(struct rpc_client *client, struct rpc_watch *w);
void rpc_watch_stop(struct rpc_watch *w);

/* --- blocking client -------------------------------------------------------------------------- */

struct rpc_conn;

/* Connect to "unix:/path" or "host:port" within the timeout. ERR_CLOSED (refused, unreachable),
 * ERR_TIMEOUT, ERR_INVALID (bad address). */
int rpc_connect(struct rpc_conn **ret, const char *where, uint32_t timeout_ms, struct err *e);
struct rpc_conn *rpc_disconnect(struct rpc_conn *c);

/* One call. On success *result holds the encoded result. The server's error comes back as its code
 * and text. ERR_CLOSED or ERR_TIMEOUT when the connection broke: it must be closed then. */
int rpc_call(struct rpc_conn *c,
             const char *method,
             const struct buf *params,
             uint32_t timeout_ms,
             struct buf *result,
             struct err *e);

/* Wait for the next notice. ERR_TIMEOUT leaves the connection usable. */
int rpc_next_notice(struct rpc_conn *c,
                    uint32_t timeout_ms,
                    char method[LIMIT_NAME + 1],
                    struct buf *params,
                    struct err *e);

#endif
