/* Linearizable reads without a log entry.
 *
 *   reader's member          leader                         voters
 *   READ_ASK ticket ───────▶ notes its commit index
 *                            PROBE term, seq ─────────────▶ term and leader are still these?
 *                            a majority of ◀─────────────── PROBE_OK
 *   READ_ANSWER index ◀─────
 *   waits until its machine has applied `index`, answers
 *
 * A voter that says PROBE_OK had not voted in a later term when the probe came, which was after the
 * read was asked; so no later leader existed then, and nothing was committed beyond the noted
 * index. The leader must have committed an entry of its own term, or its commit index may be
 * behind. One round serves all who asked before it began, and nobody who asked later: a retry asks
 * anew. */

#ifndef RAFTLOG_READINDEX_H
#define RAFTLOG_READINDEX_H

#include "raftlog/msg.h"

#define READ_ROUNDS 32u

/* Who waits for a round: this member's own reads (from == its id) or another's. */
struct read_ask {
    struct read_ask *next;
    uint64_t from;
    uint64_t ticket;
};

struct read_round {
    uint64_t seq;
    uint64_t index;
    struct read_ask *asks;
};

struct read_queue {
    struct raftlog_read *first, *last;
};

struct reads {
    struct read_queue fresh;   /* Not asked yet. */
    struct read_queue asked;   /* ticket tells with which question. */
    struct read_queue waiting; /* wait_index is known, not applied yet. */
    struct read_queue done;    /* ticket holds the code, negated. */
    uint32_t n;
    uint64_t ticket;
    uint64_t asked_ms; /* When the last question left. */
    /* Leader: */
    struct read_ask *asks, **asks_end; /* For the next round. */
    uint32_t asks_n;
    struct read_round rounds[READ_ROUNDS];
    uint32_t rounds_n;
    uint64_t seq;
    uint64_t probed_ms;
};

struct node;

void reads_init(struct node *node);
void reads_done(struct node *node);
void reads_tick(struct node *node);
/* Term or leader changed: whatever was asked is asked anew. */
void reads_restart(struct node *node);
void reads_asked(struct node *node, uint64_t from, uint64_t ticket);
void reads_answered(struct node *node, uint64_t from, const struct msg *m);
void reads_probed(struct node *node, uint64_t from, uint64_t term, uint64_t seq);
void reads_probe_ok(struct node *node, uint64_t from, uint64_t term, uint64_t seq);
void reads_flush(struct node *node);
void reads_answer(struct node *node);
bool reads_busy(const struct node *node);
void reads_abandon(struct node *node, int code);

#endif
