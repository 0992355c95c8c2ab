/* Between the files of the virtual loop's streams. */

#ifndef CHAOS_SIM_VUV_STREAM_H
#define CHAOS_SIM_VUV_STREAM_H

#include "chaos-tests/sim/vloop_impl.h"
#include "chaos-tests/sim/vnet.h"

struct vstream {
    struct vready input;   /* The socket has news. */
    struct vready pending; /* Requests are done, their callbacks are due. */
    uv_stream_t *h;
    struct vloop *loop;
    struct vstream *next, **prev;
    int fd; /* -1: none yet. */
    struct sock *sock;
    struct sock *accepted; /* Waits for uv_accept(). */
    bool reading, listening, shut;
    bool connect_done; /* connect_req's callback is due, with connect_status. */
    int connect_status;
    uv_write_t *write_first, *write_last; /* Through queue[0]. */
    uv_write_t *written;                  /* Done, callbacks due. */
};

static inline struct vstream *vstream_of(const uv_stream_t *h)
{
    return h->u.reserved[0];
}

/* This descriptor's socket is the stream's from now on. */
void vstream_attach(struct vstream *s, int fd);
/* Something may have come up: queue it for the input phase. */
void vstream_look(struct vstream *s);
/* A request is done: its callback runs in the pending phase. */
void vstream_done_later(struct vstream *s);

#endif
