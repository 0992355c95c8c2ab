/* What the three files of the streams share: uv_group.c, uv_stream.c, uv_dial.c. */

#ifndef CORE_UV_STREAM_PRIV_H
#define CORE_UV_STREAM_PRIV_H

#include <uv.h>

#include "core/uv_stream.h"

#define STREAM_CHUNK_BYTES (64u * 1024u)

struct link {
    struct link *next, *prev;
};

struct stream_group {
    uv_loop_t *loop;
    uv_idle_t idle;
    uv_prepare_t prepare;
    uv_check_t check;
    struct link work; /* Streams with something to do. */
    uint32_t handles; /* Of the three above, while closing. */
    uint32_t members; /* Streams and listeners that have memory. */
    bool polling;     /* Between prepare and check. */
    bool closing;
    void (*closed)(void *ctx);
    void *closed_ctx;
    uint8_t chunk[STREAM_CHUNK_BYTES]; /* Where every read goes first. */
};

enum stream_state {
    STREAM_LOOKUP,
    STREAM_CONNECTING,
    STREAM_OPEN,
    STREAM_ENDED,     /* `end` was called. */
    STREAM_FINISHING, /* The user has let go; bytes are on their way. */
    STREAM_CLOSING    /* libuv is to call back for the last time. */
};

struct stream {
    union {
        uv_handle_t handle;
        uv_stream_t s;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } u;
    uv_timer_t timer; /* Time to connect; time to finish. */
    uv_write_t write;
    uv_connect_t connect;
    uv_shutdown_t shutdown;
    uv_getaddrinfo_t lookup;
    struct link link; /* In the group's list; next == NULL: not in it. */
    struct stream_group *group;
    const struct stream_handler *handler;
    void *ctx;
    enum stream_state state;
    bool is_unix;
    bool socket; /* The handle is a socket by now. */
    bool reading;
    bool writing; /* `flight` is with libuv. */
    bool eof;     /* The other side ended (while finishing). */
    bool shut;    /* Our side is ended (while finishing). */
    int broken;   /* Code for `end`, to be told. */
    uint32_t refs;
    uint64_t taken;    /* Bytes the kernel took, those of `flight` counted when all are. */
    struct buf out;    /* Appended, not yet given to libuv. */
    struct buf flight; /* With libuv. */
    size_t flight_at;  /* Bytes of it that went out before it was given to libuv. */
};

struct stream_listener {
    union {
        uv_handle_t handle;
        uv_stream_t s;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } u;
    struct stream_group *group;
    bool is_unix;
    void (*accepted)(void *ctx, struct stream *s);
    void *ctx;
};

/* uv_group.c: put the stream in its group's list of those with something to do. */
void stream_mark(struct stream *s);
void stream_unmark(struct stream *s);
/* Count a stream or listener of the group, and forget it (which may be what its closing waits for).
 */
void stream_group_join(struct stream_group *g);
void stream_group_leave(struct stream_group *g);

/* uv_stream.c: the turn's work of one stream. */
void stream_work(struct stream *s);
struct stream *stream_make(struct stream_group *g, enum stream_state state);
/* Make the handle a socket of this kind. 0 or a libuv error. */
int stream_socket(struct stream *s, bool is_unix);
/* What every open TCP socket gets. */
void stream_tune(struct stream *s);
/* One part that libuv calls back for is gone. */
void stream_unref(struct stream *s);

#endif
