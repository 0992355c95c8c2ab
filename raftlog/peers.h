/* Ordered streams between members.
 *
 * A stream runs one way: the sender dials the member's address, once for each channel, and only the
 * dialling side sends frames. So two members that talk hold four connections.
 *
 *     dialler                                     acceptor (the daemon's one port)
 *     RAFTLOG_MAGIC, frame(hello)          ──▶    on_hello() decides
 *                                          ◀──    frame(answer): a code, who it is, whether blank
 *     frame, frame, frame, ...             ──▶    on_frame() each, in order
 *     an empty frame every idle_ms         ──▶    (keeps the silence detector quiet)
 *
 * What holds:
 * 1. Frames of one stream arrive in the order sent, each at most once. Frames sent while the stream
 * is not up, or that were on their way when it broke, are lost: raft repeats itself, and so must
 * any other user.
 * 2. A new connection of a member and channel supersedes the old one at once: nothing of the old
 * one is delivered after on_hello() accepted the new one.
 * 3. Frames sent in one loop turn leave in one write. Bulk has its own connection and its own
 * queue.
 * 4. The end (EOF or reset) of a member's incoming control stream is told at once; of a connection
 *    that merely went silent it is told as such.
 * 5. A path that stops acknowledging for stall_ms is given up and dialled again, each attempt
 * bounded by connect_ms: after a cut heals, traffic flows again within about that time.
 * 6. Every callback fires from the loop, never from inside a call of this header.
 *
 * Both ends say in the handshake who they are (pool, member number, incarnation, and a nonce of
 * this start of the program); whether they want each other is decided by the callbacks' owner. TLS
 * will slide in beneath core/uv_stream.h. */

#ifndef RAFTLOG_PEERS_H
#define RAFTLOG_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/id.h"
#include "core/limits.h"

struct uv_loop_s;
struct peers;

#define PEERS_PROTOCOL 1

enum peers_channel {
    PEERS_CONTROL, /* Raft's messages, notes: frames up to LIMIT_FRAME_CONTROL. */
    PEERS_BULK     /* Snapshot chunks: frames up to LIMIT_FRAME_BULK. */
};
#define PEERS_CHANNELS 2

/* Who this host is. A blank host has no pool and raft_id 0: it accepts, but dials nobody. */
struct peers_self {
    struct id pool;
    uint64_t raft_id;
    uint64_t nonce; /* Of this start of its program; 0: whatever is given. Not on the wire here. */
    uint64_t incarnation;
    char name[LIMIT_NAME + 1];
    char address[LIMIT_ADDRESS + 1]; /* Where the others reach it. */
};

/* What a dialler says. */
struct peers_hello {
    struct peers_self from;
    uint64_t nonce;      /* Of this start of its program. */
    uint64_t serial;     /* Counts its connections: a later one supersedes. */
    uint64_t to_raft_id; /* The member it wants to reach. */
    enum peers_channel channel;
    bool adopt; /* A blank host may become this member of this pool. */
};

/* What an acceptor answers. */
struct peers_answer {
    int code;                    /* 0: accepted. */
    char text[LIMIT_DETAIL + 1]; /* Why not, for a person. */
    struct id pool;
    uint64_t raft_id;
    uint64_t incarnation;
    uint64_t nonce;
    bool blank; /* It belongs to no pool: raft_id is 0. */
};

enum peers_end {
    PEERS_RESET,     /* The other end closed or reset it: its program stopped or died. */
    PEERS_SILENT,    /* Nothing came for silence_ms. */
    PEERS_BROKEN,    /* It sent what it must not (a frame over the limit). */
    PEERS_SUPERSEDED /* A newer connection of the same member took over: no reason for alarm. */
};

struct peers_options {
    struct peers_self self;
    void *ctx;

    /* Somebody wants to send to us. Return 0 to accept or an ERR_* to refuse, with a sentence in
     * `text` (size LIMIT_DETAIL + 1). May call peers_set_self() (a blank host that is adopted) and
     * peers_set() (so as to answer to from.address). The answer is made from `self` as it is after
     * the call. Accepting supersedes the older connection of that member and channel. */
    int (*on_hello)(void *ctx, const struct peers_hello *hello, char *text);

    /* A frame from a member whose hello was accepted; the bytes are borrowed for the call. */
    void (*on_frame)(void *ctx,
                     uint64_t raft_id,
                     enum peers_channel channel,
                     const void *data,
                     size_t len);

    /* A member's incoming stream ended. May be NULL, as all that follow. PEERS_SUPERSEDED is told
     * right after on_hello() accepted the newer one; the member is connected all the same. */
    void (*on_lost)(void *ctx, uint64_t raft_id, enum peers_channel channel, enum peers_end end);

    /* A member we dialled answered. answer->code 0: the stream is up, peers_send() works; else it
     * is closed and tried again later. */
    void (*on_answer)(void *ctx,
                      uint64_t raft_id,
                      enum peers_channel channel,
                      const struct peers_answer *answer);

    /* An outgoing stream that was up broke; it is dialled again. Frames not yet arrived are lost.
     */
    void (*on_down)(void *ctx, uint64_t raft_id, enum peers_channel channel);

    /* A queue that refused a frame has room again. */
    void (*on_room)(void *ctx, uint64_t raft_id, enum peers_channel channel);

    /* Tunables; 0: the default in brackets. */
    uint32_t idle_ms;     /* An idle stream sends an empty frame this often [100]. */
    uint32_t silence_ms;  /* An incoming stream without any byte is given up [1000]. */
    uint32_t stall_ms;    /* An outgoing one without acknowledgement for this long looks dead; it is
                              dialled again if that stays so for 100 ms more [200]. */
    uint32_t connect_ms;  /* An attempt to connect, until TCP is up [200]. */
    uint32_t hello_ms;    /* From TCP being up to the hello or the answer [2000]. */
    uint32_t backoff_ms;  /* Largest delay before a refused or closed one is tried again [500]. */
    uint32_t queue_bytes; /* Unsent bytes of one stream; more are refused [16 MiB]. */
};

struct peers *peers_new(struct uv_loop_s *loop, const struct peers_options *options);

/* Stop: all connections are closed (the others see EOF). `closed` fires from the loop, after which
 * nothing is called any more and the memory is gone. */
void peers_close(struct peers *p, void (*closed)(void *ctx), void *ctx);

/* Who we are has changed. Another pool or raft_id drops every connection of the old identity but
 * the one whose hello is being decided. */
void peers_set_self(struct peers *p, const struct peers_self *self);

struct peers_target {
    uint64_t raft_id;
    char address[LIMIT_ADDRESS + 1]; /* host:port or unix:/path. */
    bool adopt; /* Say so in the hello: it may be blank and is to become this member. */
};

/* The members to be connected to, this host left out. Connections to others are closed; incoming
 * ones of others stay as on_hello() decided (peers_drop() ends them). New ones are dialled at once;
 * a changed address or adopt flag dials again. At most LIMIT_HOSTS; more are ignored. */
void peers_set(struct peers *p, const struct peers_target *targets, uint32_t n);

/* Queue one frame. false: not sent, because the stream is not up, its queue is full (on_room will
 * be told) or the frame is over the channel's limit or empty. The bytes are copied. */
bool peers_send(struct peers *p,
                uint64_t raft_id,
                enum peers_channel channel,
                const void *data,
                size_t len);

/* As peers_send(), for a frame in pieces: a head, and the body that it describes. */
struct peers_bytes {
    const void *data;
    size_t len;
};
bool peers_sendv(struct peers *p,
                 uint64_t raft_id,
                 enum peers_channel channel,
                 const struct peers_bytes *parts,
                 uint32_t n);

/* Send now what was queued, not at the end of the turn. The one call that may call back: a stream
 * that turns out to be broken is told. */
void peers_flush(struct peers *p);

/* Whether the outgoing stream is up, and how many bytes wait in its queue. */
bool peers_is_up(const struct peers *p, uint64_t raft_id, enum peers_channel channel);
size_t peers_queued(const struct peers *p, uint64_t raft_id, enum peers_channel channel);

/* Stop and go on reading a member's incoming stream: back-pressure for whoever writes the chunks to
 * a disk. The frame under way is still delivered. Silence is not counted while stopped. */
void peers_hold(struct peers *p, uint64_t raft_id, enum peers_channel channel, bool hold);

/* An accepted connection whose first bytes are RAFTLOG_MAGIC. Takes the descriptor. */
void peers_accept(struct peers *p, int fd, const void *read_ahead, size_t len);

/* Close a member's incoming streams (it was removed). on_lost is not called. */
void peers_drop(struct peers *p, uint64_t raft_id);

/* From on_answer alone: what it says cannot be. The stream is closed after the call, and tried
 * again later, as one that was refused; on_down is not called. */
void peers_disbelieve(struct peers *p, uint64_t raft_id, enum peers_channel channel);

/* Dial this member now, whatever the delay (it was heard of by other means). */
void peers_poke(struct peers *p, uint64_t raft_id);

#endif
