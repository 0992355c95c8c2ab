/* What the two files of the RPC server share: uv_rpc.c (connections), uv_rpc_serve.c (requests). */

#ifndef CORE_UV_RPC_PRIV_H
#define CORE_UV_RPC_PRIV_H

#include <uv.h>

#include "core/os_net.h"
#include "core/rpc.h"
#include "core/rpc_frame.h"
#include "core/uv_stream.h"

struct rpc_listener {
    struct rpc_listener *next;
    struct rpc_server *server;
    struct stream_listener *listener;
    struct os_net_file file;
    uint16_t port;
};

struct client_link {
    struct rpc_client *first, *last;
    uint32_t n;
};

struct rpc_server {
    struct rpc_server_options o;
    uv_loop_t *loop;
    struct stream_group *group;
    uv_timer_t tick;
    struct rpc_listener *listeners;
    struct client_link waiting; /* Have not said who they are; oldest first. */
    struct client_link open;    /* Speak RPC. */
    uint32_t under_way;         /* Requests of clients that are here. */
    uint32_t held;              /* Clients that wait for under_way to fall. */
    uint32_t refs;              /* The server itself, and every unanswered request. */
    uint32_t n_free;
    struct rpc_request *free; /* Requests for reuse, by next. */
    bool closing;
    void (*closed)(void *ctx);
    void *closed_ctx;
};

struct rpc_client {
    struct rpc_client *next, *prev; /* In `waiting` or `open`. */
    struct rpc_server *server;
    struct stream *stream;
    struct frame_reader frames;
    bool open;   /* RPC_MAGIC was seen. */
    bool gone;   /* Given up; memory stays until the callback that found it returns. */
    bool full;   /* A notice was refused, or requests wait, until the unsent bytes are few. */
    bool paused; /* Frames are kept and nothing is read. */
    bool held;   /* Paused because of all clients together. */
    uint8_t head[RPC_MAGIC_LEN];
    uint32_t head_len;
    uint32_t under_way;
    uint64_t last_number;
    uint64_t since_ms; /* Waiting: since it came. Open: since bytes were last taken by it. */
    uint64_t sent;     /* stream_sent() then. */
    char user[LIMIT_NAME + 1];
    struct rpc_request requests; /* Heads of rings. */
    struct rpc_watch watches;
};

/* uv_rpc.c: the client is told why (reply 0; code 0: nothing is said) and closed. Requests under
 * way lose it. Never from inside rpc_reply() and the like: those use stream_break(). */
void rpc_client_drop(struct rpc_client *c, int code, const char *text);

/* uv_rpc_serve.c: bytes of an open client; its buffer was worked on. */
void rpc_client_bytes(struct rpc_client *c, const uint8_t *data, size_t len);
void rpc_client_wrote(struct rpc_client *c);
/* Its requests and watches learn that it is gone. */
void rpc_client_forget(struct rpc_client *c);
void rpc_server_unref(struct rpc_server *s);

#endif
