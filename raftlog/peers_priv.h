/* What the three files of the streams between members share: peers.c (the door, the clock),
 * peers_out.c (the dialling side), peers_in.c (the accepting side).
 *
 * Removed members and connections are only marked `gone`: a callback further up the stack, or a
 * loop over the list, may still stand on them. Their memory goes with the next tick. */

#ifndef RAFTLOG_PEERS_PRIV_H
#define RAFTLOG_PEERS_PRIV_H

#include <uv.h>

#include "core/addr.h"
#include "core/rng.h"
#include "core/rpc_frame.h"
#include "core/uv_stream.h"

#include "raftlog/peers.h"

/* How often time is looked at. A longer gap is our own absence (a stopped process, a long turn) and
 * is counted as this much: what others sent meanwhile lies unread in the sockets. */
#define PEERS_TICK_MS     20
#define PEERS_TICK_MAX_MS 50

enum out_state {
    OUT_WAIT,  /* Until wait_ms is over. */
    OUT_DIAL,  /* TCP is being opened. */
    OUT_HELLO, /* Hello is sent, the answer is awaited. */
    OUT_UP
};

/* One outgoing stream: OUT_WAIT ─▶ OUT_DIAL ─▶ OUT_HELLO ─▶ OUT_UP, and from each back to OUT_WAIT.
 */
struct out {
    struct member *member;
    enum peers_channel channel;
    enum out_state state;
    struct stream *stream; /* NULL in OUT_WAIT. */
    struct frame_reader frames;
    uint32_t age_ms;     /* In this state; OUT_UP: since something was last appended. */
    uint32_t wait_ms;    /* OUT_WAIT: how long. */
    uint32_t failures;   /* In a row. */
    uint32_t stalled_ms; /* For how long it has looked dead. */
    bool full;           /* A frame was refused; on_room is owed. */
    bool disbelieved;    /* See peers_disbelieve(). */
};

struct member {
    struct member *next;
    struct member *next_trash;
    struct peers *peers;
    struct peers_target target;
    struct addr addr;
    bool bad_address; /* Cannot be parsed: never dialled. */
    bool gone;
    bool keep; /* peers_set(): is in the new list. */
    struct out out[PEERS_CHANNELS];
};

struct in {
    struct in *next, *prev;
    struct in *next_trash;
    struct peers *peers;
    struct stream *stream;
    struct frame_reader frames;
    struct buf read_ahead;
    bool begun; /* The read-ahead has been looked at. */
    bool up;    /* Its hello was accepted. */
    bool gone;
    bool hold;
    uint32_t silent_ms;
    struct peers_hello hello; /* up. */
};

struct peers {
    struct peers_options o;
    struct peers_self self;
    uv_loop_t *loop;
    uv_timer_t tick;
    struct stream_group *group;
    struct rng rng;
    uint64_t nonce;
    uint64_t serial;
    uint64_t tick_at_ms;
    struct member *members;
    struct member *trash_members;
    struct in ins; /* Head of the ring, oldest first. */
    struct in *trash_ins;
    uint32_t n_ins;
    uint32_t n_pending;
    const struct in *deciding; /* Whose hello is being decided. */
    bool closing;
    void (*closed)(void *ctx);
    void *closed_ctx;
};

/* peers_out.c */
void peers_out_init(struct out *o, struct member *m, enum peers_channel channel);
void peers_out_done(struct out *o);
void peers_out_tick(struct out *o, uint32_t elapsed_ms);
/* Drop the connection without a callback, and dial at once if `again`. */
void peers_out_restart(struct out *o, bool again);
/* Dial now if it waits. */
void peers_out_poke(struct out *o);
/* Send what is queued and close. */
void peers_out_finish(struct out *o);

/* peers_in.c */
void peers_in_tick(struct in *in, uint32_t elapsed_ms);
/* Close without a callback. */
void peers_in_close(struct in *in);
void peers_in_free(struct in *in);

/* peers.c */
struct member *peers_member(const struct peers *p, uint64_t raft_id);
uint32_t peers_frame_max(enum peers_channel channel);

#endif
