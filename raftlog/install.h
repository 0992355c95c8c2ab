/* Snapshots: when to take one, giving them to members behind, taking them from the leader.
 *
 * The core's InstallSnapshot becomes an offer on the control stream; the file goes over the bulk
 * stream. The core repeats the offer at every heartbeat; the transfer is begun once per member and
 * index, and again after it broke off, or when the member is not the better for it after a while:
 * it may have lost the file. To begin again costs little, the receiver says what it has. While a
 * transfer runs, offers name *its* snapshot, also when there is a newer one. The receiver hands an
 * offer to its core when it has the complete file: the offer, not the file, says that the leader of
 * this term has all of it in its log. */

#ifndef RAFTLOG_INSTALL_H
#define RAFTLOG_INSTALL_H

#include "raftlog/msg.h"

/* A snapshot's description that owns its configuration. */
struct snapshot_meta {
    struct node_snapshot s;
    struct buf conf;
};

/* To one member. */
struct transfer {
    bool active;
    uint64_t broke_ms; /* When the last one ended without success; 0 never. */
    uint64_t sent_ms;  /* When all bytes were there. */
    uint32_t sends;    /* Of this snapshot, that arrived and were of no use so far. */
    struct snapshot_meta meta;
};

struct install {
    struct snapshot_meta newest; /* s.index == 0: none. */
    uint64_t job;
    bool taking;
    uint64_t retry_ms; /* After a failure. */
    struct snapshot_meta taking_meta;
    uint64_t bytes_since; /* Of entries applied since the newest one. */
    bool restoring;
    struct snapshot_meta received; /* A complete file that waits for its offer. */
    struct snapshot_meta restoring_meta;
};

struct node;
struct peer;

void meta_set(struct snapshot_meta *m, const struct node_snapshot *s);
void meta_clear(struct snapshot_meta *m);

void install_start(struct node *node, const struct node_recovered *recovered);
void install_done(struct node *node);
/* The core wants this member to have a snapshot. */
void install_offer(struct node *node, struct peer *peer, uint64_t term);
int install_offered(struct node *node, const struct core_message *m, struct err *e);
/* The core accepted an offer. */
int install_begin(struct node *node, const struct node_snapshot *meta);
/* Take a snapshot if it is time. */
void install_flush(struct node *node);

#endif
