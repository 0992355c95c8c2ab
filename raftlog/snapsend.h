/* Bringing one snapshot file to another member, over a channel that keeps order but may break.
 *
 *     sender                               receiver
 *     OFFER index term size sum   ──▶      not wanted: REFUSED
 *                                 ◀──      WANT offset, from here on
 *     CHUNK offset bytes          ──▶
 *     CHUNK ...                   ──▶
 *                                 ◀──      WANT offset, and so far it is here
 *     CHUNK ...                   ──▶      all is here, and was checked:
 *                                 ◀──      DONE        (damaged: WANT 0, from here on; at most
 * twice)
 *
 * The sender never has more than SNAPSEND_WINDOW bytes on the way. After a break it offers again,
 * and the receiver says how much it has. Neither side does I/O: the owner reads and writes the
 * file, sends the frames, and tells how it went. Every frame is checked before it is believed; one
 * that does not fit is ERR_MALFORMED, and the channel should be closed. */

#ifndef RAFTLOG_SNAPSEND_H
#define RAFTLOG_SNAPSEND_H

#include "raftlog/snapstore.h"

/* Bytes of one chunk, on the way at once, and between two answers. */
#define SNAPSEND_CHUNK  (256ul * 1024u)
#define SNAPSEND_WINDOW (4ul * 1024u * 1024u)
#define SNAPSEND_ANSWER (1024ul * 1024u)

/* Times that a file which came in whole but damaged is asked for again. */
#define SNAPSEND_TRIES 2u

/* First byte of every frame, so that the channel may carry others. */
#define SNAPSEND_FIRST_BYTE 0x96 /* An array of six. */

enum snap_msg_kind {
    SNAP_OFFER = 1,
    SNAP_WANT = 2,
    SNAP_CHUNK = 3,
    SNAP_DONE = 4,
    SNAP_REFUSED = 5
};

struct snap_msg {
    enum snap_msg_kind kind;
    uint64_t index; /* Which snapshot. */
    uint64_t term;
    struct snap_offer offer; /* OFFER */
    uint64_t offset;         /* WANT, CHUNK */
    bool rewind;             /* WANT: go on from there, whatever was sent. */
    int code;                /* REFUSED: why. */
    const uint8_t *data;     /* CHUNK: borrowed from the frame. */
    size_t len;
};

void snap_msg_encode(const struct snap_msg *m, struct buf *out);
int snap_msg_decode(const void *data, size_t len, struct snap_msg *ret);

/* --- sender */

struct snapsend {
    struct snap_offer offer;
    bool offered;
    bool wanted;    /* The other side said where to begin. */
    uint64_t sent;  /* Next byte to send. */
    uint64_t there; /* The other side has everything before this. */
    bool ended;
    int code; /* Of the end: 0 done; what it was refused for. */
};

void snapsend_init(struct snapsend *s, const struct snap_offer *offer);
/* The channel broke: offer again when it is back. */
void snapsend_broken(struct snapsend *s);

enum snapsend_step {
    SNAPSEND_WAIT,  /* Nothing to send now. */
    SNAPSEND_OFFER, /* Send the frame in *ret. */
    SNAPSEND_READ   /* Read *ret_len bytes at *ret_offset, send them by snapsend_chunk(). */
};
/* What to send next. Called again until SNAPSEND_WAIT. */
enum snapsend_step
snapsend_next(struct snapsend *s, struct buf *ret, uint64_t *ret_offset, size_t *ret_len);
/* The frame of the chunk that was to be read; it counts as sent. */
void snapsend_chunk(struct snapsend *s, const void *data, size_t len, struct buf *ret);
/* WANT, DONE or REFUSED came in. Those of another snapshot are ignored. */
int snapsend_on(struct snapsend *s, const struct snap_msg *m);

/* --- receiver */

struct snaprecv {
    struct snap_offer offer;
    bool open;
    uint64_t have;
    uint64_t answered;
    uint32_t tries;
};

/* An offer is taken up, `have` bytes of it are here. *ret: the frame to answer with. */
void snaprecv_open(struct snaprecv *r,
                   const struct snap_offer *offer,
                   uint64_t have,
                   struct buf *ret);
/* A chunk came in; write it (m->data at m->offset) before the next call. *ret: the answer, if one
 * is due; *ret_all: all bytes are here, check them now and call snaprecv_checked(). */
int snaprecv_chunk(struct snaprecv *r, const struct snap_msg *m, struct buf *ret, bool *ret_all);
/* The whole was checked (0), or found damaged. *ret: the answer. Returns whether it goes on. */
bool snaprecv_checked(struct snaprecv *r, int code, struct buf *ret);
/* The answer to an offer that is not wanted. */
void snaprecv_refuse(const struct snap_offer *offer, int code, struct buf *ret);

#endif
