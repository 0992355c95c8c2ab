/* msgpack-RPC between clients and daemons, over a unix socket or TCP.
 *
 * Bytes: a connection opens with RPC_MAGIC from the client; then, both ways, frames of a length
 * (u32, little endian) and that many bytes of one canonical msgpack value:
 *
 *   request   [0, number, method, params]        number chosen by the client, each larger than the
 *                                                one before it and than 0; params a map
 *   reply     [1, number, error, result]         error nil or [code, text]
 *   notice    [2, method, params]                from the server: a stream the client asked for
 *
 * rpc_frame.c and rpc_msg.c are the pure part; uv_rpc.c is the server's shell on libuv, os_rpc.c
 * the blocking client of the command line. Limits: core/limits.h. A client that says nothing within
 * RPC_HELLO_MS, sends garbage, or more than it may, is told so (reply number 0) and closed.
 * Back-pressure: reading from a client stops while it has too much under way or unread
 * (RPC_CHOKE_BYTES). A client whose answers pile up beyond RPC_UNSENT_MAX all the same, or who
 * takes none of them for RPC_STALL_MS, is closed. */

#ifndef CORE_RPC_H
#define CORE_RPC_H

#include <stdbool.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/limits.h"
#include "core/mp.h"

#define RPC_MAGIC     "QRCTL01\n"
#define RPC_MAGIC_LEN 8
#define RPC_HELLO_MS  5000

/* Unsent bytes of one client at which no more of its requests are read and notices are refused;
 * when they are down to a quarter, it goes on. */
#define RPC_CHOKE_BYTES ((size_t)1024 * 1024)
/* Unsent bytes of one client at which it is closed: answers to what was under way when it choked.
 */
#define RPC_UNSENT_MAX ((size_t)4 * (size_t)LIMIT_RPC_REPLY)
/* Milliseconds without taking a byte of what waits for it after which a client is closed. */
#define RPC_STALL_MS 30000

struct uv_loop_s;

/* --- server */

struct rpc_server;
struct rpc_client; /* A connected client, as the server sees it. */

/* One request under way. Answer it exactly once, now or later, by rpc_reply or rpc_fail; the
 * request is gone then. If the client goes away first, `client` becomes NULL, `gone` fires (if set)
 * and the answer goes nowhere but must still be given. */
struct rpc_request {
    struct rpc_client *client; /* NULL when it has gone. */
    uint64_t number;
    char method[LIMIT_NAME + 1];
    struct mp_reader params;   /* At the map; its bytes are valid until answered. */
    char user[LIMIT_NAME + 1]; /* Who asks: the local user of a unix socket, else "". */
    void (*gone)(struct rpc_request *rq);
    void *data;
    /* private */
    struct rpc_request *next, *prev;
    struct rpc_server *server;
    struct buf bytes;
};

typedef void (*rpc_serve_fn)(void *ctx, struct rpc_request *rq);

struct rpc_server_options {
    rpc_serve_fn serve;
    void *ctx;
    /* A connection whose first 8 bytes are not RPC_MAGIC is offered here with all that was read of
     * it so far (8 bytes or more); return true to take the descriptor (the peers' protocol shares
     * the port). It is a duplicate of the one that libuv watched, non-blocking. NULL: closed. */
    bool (*other)(void *ctx, int fd, const void *read_ahead, size_t len);
    uint32_t hello_ms; /* 0: RPC_HELLO_MS. */
    uint32_t stall_ms; /* 0: RPC_STALL_MS. */
};

struct rpc_server *rpc_server_new(struct uv_loop_s *loop, const struct rpc_server_options *options);
/* Listen on "unix:/path" (mode 0660; a stale socket of a dead daemon is replaced, a live one is
 * ERR_IN_USE) or "host:port". May be called for several. */
int rpc_server_listen(struct rpc_server *s, const char *where, struct err *e);
/* Port of the listener made by the n-th successful rpc_server_listen(), from 0: for "host:0". */
uint16_t rpc_server_port(const struct rpc_server *s, uint32_t n);
/* Stop listening and close every client, sending what is unsent for half a second at most. `closed`
 * (may be NULL) fires from the loop. Requests under way lose their client and must still be
 * answered, before or after. */
void rpc_server_close(struct rpc_server *s, void (*closed)(void *ctx), void *ctx);

/* `result` is one encoded value; NULL or empty is nil. Its bytes are copied. One over
 * LIMIT_RPC_REPLY is replaced by ERR_TOO_BIG. Neither call fires a callback. */
void rpc_reply(struct rpc_request *rq, const struct buf *result);
void rpc_fail(struct rpc_request *rq, int code, const char *text);

/* A notice to the client. false: not sent, its buffers are full; wait for the watch. `params` is
 * one encoded value, NULL or empty is nil. */
bool rpc_notify(struct rpc_client *client, const char *method, const struct buf *params);
/* Watches a client, one for each stream of notices: fn(w, false) each time its buffers have room
 * again after they were full, and fn(w, true) once when it is gone, after which the watch is
 * stopped. Both from the loop. Stopping is idempotent, also for one never started (zeroed). */
struct rpc_watch {
    void (*fn)(struct rpc_watch *w, bool gone);
    void *data;
    struct rpc_watch *next, *prev;
    struct rpc_client *client;
};
void rpc_watch_start(struct rpc_client *client, struct rpc_watch *w);
void rpc_watch_stop(struct rpc_watch *w);

/* --- blocking client */

struct rpc_conn;

/* Connect to "unix:/path" or "host:port" within the timeout. ERR_CLOSED (refused, unreachable),
 * ERR_TIMEOUT, ERR_INVALID (bad address). */
int rpc_connect(struct rpc_conn **ret, const char *where, uint32_t timeout_ms, struct err *e);
struct rpc_conn *rpc_disconnect(struct rpc_conn *c);

/* Begin to connect, and return at once: for whoever tries several hosts at a time. What is sent
 * meanwhile goes out when the connection is there; that there is none is told by rpc_receive(), or
 * here if it is known at once. Codes as of rpc_connect(). */
int rpc_dial(struct rpc_conn **ret, const char *where, struct err *e);
/* Whether there is, or was, a connection: what was sent may have arrived. */
bool rpc_is_connected(const struct rpc_conn *c);
/* Wait until one of them has something to do, which rpc_receive() with no time then does. To be
 * called after each of them said that nothing is there (ERR_TIMEOUT). Ends early by a signal. */
void rpc_wait(struct rpc_conn *const *conns, size_t n, uint32_t timeout_ms);

/* One call. On success *result holds the encoded result. The server's error comes back as its code
 * and text. ERR_CLOSED or ERR_TIMEOUT when the connection broke: it must be closed then. */
int rpc_call(struct rpc_conn *c,
             const char *method,
             const struct buf *params,
             uint32_t timeout_ms,
             struct buf *result,
             struct err *e);

/* Wait for the next notice, those that came during a call first. ERR_TIMEOUT leaves the connection
 * usable. A reply that comes instead (of rpc_send()) is kept for rpc_receive(). */
int rpc_next_notice(struct rpc_conn *c,
                    uint32_t timeout_ms,
                    char method[LIMIT_NAME + 1],
                    struct buf *params,
                    struct err *e);

/* Many requests at once, and answers as they come. rpc_send() only queues: the bytes go out with
 * the next rpc_receive(), rpc_call() or rpc_next_notice(). */
int rpc_send(struct rpc_conn *c,
             const char *method,
             const struct buf *params,
             uint64_t *ret_number,
             struct err *e);

/* What came: a reply (number > 0) or a notice (number 0). */
struct rpc_message {
    uint64_t number;
    int code;                    /* Reply: 0, or the server's error, */
    char text[ERR_MSG_SIZE];     /* with its text. */
    char method[LIMIT_NAME + 1]; /* Notice. */
    struct buf body;             /* Encoded result or params; buf_done() it. */
};

/* The next message in the order of arrival. ERR_TIMEOUT leaves the connection usable. */
int rpc_receive(struct rpc_conn *c, uint32_t timeout_ms, struct rpc_message *m, struct err *e);

#endif
