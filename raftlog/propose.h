/* Proposals: kept here until the machine of this host has applied them.
 *
 *            propose                       sent (to the log if this member leads, else to the
 * leader) caller ───────────▶ unsent ───────────────────────────────▶ sent ──▶ applied here: done
 *                          ▲                                      │
 *                          └── new leader, new connection, refused, restored, no news for long ──┘
 *
 * A proposal may so come into the log more than once, always with the same bytes; the machine knows
 * it by its request id. It is answered with an error other than ERR_TIMEOUT, ERR_CANCELLED or
 * ERR_CLOSED only if each time it was sent was refused: then it is certainly not in the log.
 *
 * What a leader takes for others waits in `forwards` until the next flush. */

#ifndef RAFTLOG_PROPOSE_H
#define RAFTLOG_PROPOSE_H

#include "raftlog/msg.h"

#define PROPOSE_BUCKETS 1024u

struct pending {
    struct pending *next, *prev; /* In its queue. */
    struct pending *chain;       /* In its bucket. */
    struct raftlog_proposal *p;
    uint64_t ticket;
    uint64_t sent_ms;
    uint32_t sends; /* That were not refused. */
    bool finished;  /* Is in `done`, or on the way out of it. */
    uint32_t len;
    int code; /* When it is done. */
    uint8_t data[];
};

struct pending_queue {
    struct pending *first, *last;
};

struct forward {
    struct forward *next;
    uint64_t from;
    uint64_t ticket;
    uint32_t len;
    uint8_t data[];
};

struct propose {
    struct pending_queue unsent, sent, done;
    struct pending *buckets[PROPOSE_BUCKETS]; /* By request id; not those in `done`. */
    uint32_t n;                               /* Not in `done`. */
    uint64_t bytes;
    uint64_t ticket;
    uint64_t hold_until_ms; /* After a refusal nothing is sent for a moment. */
    struct forward *forwards, **forwards_end;
    uint32_t forwards_n;
    uint64_t forwards_bytes;
};

struct node;

void propose_init(struct node *node);
void propose_done(struct node *node); /* Frees what others forwarded; own ones must be answered. */
/* Deadlines, and what was sent long ago without news. */
void propose_tick(struct node *node);
/* Everything sent may be lost: send again. */
void propose_resend(struct node *node);
/* This member does not lead: what others asked of it goes back to them. */
void propose_drop_forwards(struct node *node, int code);
void propose_forwarded(struct node *node, uint64_t from, const struct msg *m);
void propose_refused(struct node *node, uint64_t ticket, int code);
/* Into the log, or to the leader. */
int propose_flush(struct node *node, struct err *e);
/* Call proposal_done() for all that are done. */
void propose_answer(struct node *node);
bool propose_busy(const struct node *node);
/* Answer all with this code. */
void propose_abandon(struct node *node, int code);

#endif
