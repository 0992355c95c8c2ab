/* Configurations, changes of them, and handing over leadership.
 *
 * The core changes its configuration when a change is appended, not when it is committed, and its
 * bookkeeping needs three guards, without which changes break safety:
 *   1. A change is the first entry of its message, and what is committed before it is told before
 * it (receive.c sees to that).
 *   2. A change is proposed only after an entry of the own term was committed.
 *   3. A change is proposed only when every voter, and the member it is about, has the last change
 * on its disk. One change at a time. A promotion waits until the member has caught up: it reached
 * what was the end of the log an election timeout ago or less. */

#ifndef RAFTLOG_MEMBER_H
#define RAFTLOG_MEMBER_H

#include "raftlog/msg.h"

#define CHANGES_MAX 64u

struct member_change {
    bool wanted;
    uint64_t id;
    enum raftlog_role role; /* NONE: remove. */
    char address[LIMIT_ADDRESS + 1];
    uint64_t submitted; /* Index of its entry, once proposed. */
    /* Catching up: */
    uint64_t round_index;
    uint64_t round_ms;
    uint64_t match_seen;
    uint64_t progress_ms; /* When it was asked, or match_seen last moved. */
};

struct membership {
    struct conf now; /* In force: the newest in the log. n == 0: none. */
    uint64_t now_index;
    struct conf committed;
    struct buf committed_bytes;
    uint64_t committed_index;
    /* Configuration entries of the log that are not known to be committed, oldest first. */
    uint64_t pending[CHANGES_MAX];
    uint32_t pending_n;
    struct member_change change;
    bool removed;
    /* Handing over: */
    bool handing_over;
    uint64_t heir; /* 0: the best one. */
    uint64_t hand_over_until_ms;
    uint64_t heir_told_ms;
    bool stopping;
    uint64_t stop_until_ms;
};

struct node;

int member_start(struct node *node, const struct node_recovered *recovered, struct err *e);
void member_done(struct node *node);
/* A configuration entry came into the log / the log was cut at `index`. */
int member_appended(struct node *node, const struct node_entry *entry, struct err *e);
int member_truncated(struct node *node, uint64_t index, struct err *e);
/* Tell the core of the configurations that are committed now. */
int member_committed(struct node *node, struct err *e);
int member_restored(struct node *node, const struct node_snapshot *meta, struct err *e);
/* Propose the wanted change when the guards allow it; hand over leadership; stop. */
int member_flush(struct node *node, struct err *e);
void member_tick(struct node *node);
void member_lost_leadership(struct node *node);
/* Whether new entries may be put in the log: not while leadership is being handed over. */
bool member_may_submit(const struct node *node);
bool member_is_voter(const struct node *node, uint64_t id);
/* A member that is in no configuration talks: tell it. */
void member_tell_removed(struct node *node, uint64_t id);
void member_told_removed(struct node *node, uint64_t term, uint64_t conf_index);

#endif
