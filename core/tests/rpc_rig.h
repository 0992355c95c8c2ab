/* A server on a loop in a thread of its own, for tests whose clients block. Methods it serves:
 *   echo {..}   its params            fail {}   ERR_STATE "no, not now"
 *   user {}     who asks              big {n}   n bytes of bin
 *   hold {}     kept until release    release {} answers those kept, then itself
 *   stream {n}  n notices `tick`, as fast as the buffers let, then the answer */

#ifndef CORE_TESTS_RPC_RIG_H
#define CORE_TESTS_RPC_RIG_H

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#include "core/rpc.h"

struct rig {
    uv_loop_t loop;
    uv_async_t stop;
    pthread_t thread;
    struct rpc_server *server;
    char dir[64];
    char unix_at[128]; /* unix:DIR/sock */
    char tcp_at[32];   /* 127.0.0.1:PORT */
    struct rpc_request *held[4096];
    atomic_uint n_held;
    atomic_uint served;
    atomic_uint gone;
    atomic_uint handed_over; /* Connections that `other` took. */
    atomic_uint refusals;    /* Notices refused for lack of room. */
    atomic_bool closed;
    bool take_others;
};

/* Options other than serve, ctx and other come from the caller (may be NULL). */
void rig_start(struct rig *r, const struct rpc_server_options *options, bool take_others);
/* Close the server, wait for it, remove the folder. */
void rig_stop(struct rig *r);

/* A raw socket to the server. */
int rig_raw(const char *at);
/* Wait until the server has read what was written to it before. */
void rig_turns(struct rig *r);
/* Read all of it. 0, or -1 at the end or after 5 s of silence. */
int rig_read(int fd, void *to, size_t len);
/* Read one frame and decode it; the message's body points into `b`. 0, or -1 at the end. */
struct rpc_msg;
int rig_read_msg(int fd, struct buf *b, struct rpc_msg *m);
/* Write all of it; a peer that closed is no error. */
void rig_write(int fd, const void *data, size_t len);
/* Whether the other side ends the connection within 5 s (what comes before is thrown away). */
bool rig_ends(int fd);
/* Wait until the counter is at least n, at most 5 s. */
bool rig_reaches(atomic_uint *counter, unsigned n);

#endif
