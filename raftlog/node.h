/* One member of the log: every decision, no I/O.
 *
 * Inputs are calls (each with `now_ms`, a clock that never goes back), outputs go through struct
 * node_io. The node drives the consensus core (core_step.h) and adds what the core does not do:
 * proposals from any member, linearizable reads, the guards of membership changes, the snapshot
 * policy, early elections, giving up leadership.
 *
 * Who calls what, once a turn of the loop:
 *     for each thing that happened: node_receive() / node_persisted() / node_connected() ...
 *     node_tick()  if now >= node_deadline()          after the input was read, never before
 *     node_flush() if node_wants_flush()
 * Inputs and requests never call back into the requester: done(), apply() and note() come only out
 * of node_flush() (so all that was proposed in one turn is one write, and all that was committed in
 * one turn is one apply). save_vote(), append(), trim(), reset(), send(), snapshot_*() and
 * changed() may be called from any input. No function of node_io may call the node back, except
 * that done(), apply() and note() may call node_propose(), node_read(), their cancels,
 * node_applied_request() and node_note().
 *
 * An error from an input other than node_receive() means that this replica cannot go on: stop using
 * the node, say why, restart. */

#ifndef RAFTLOG_NODE_H
#define RAFTLOG_NODE_H

#include "core/buf.h"
#include "core/err.h"
#include "core/id.h"

#include "raftlog/raftlog.h"

struct node;

/* The numbers stand in the log and on the wire. */
enum node_entry_type {
    NODE_COMMAND = 1,
    NODE_BARRIER = 2, /* No content: a new leader's first entry. */
    NODE_CHANGE = 3   /* A configuration, in the core's encoding. */
};

struct node_entry {
    uint64_t index;
    uint64_t term;
    const void *data; /* Borrowed for the call. Any bytes, any length: nothing is padded. */
    uint32_t len;     /* At most LIMIT_ENTRY. */
    enum node_entry_type type;
};

/* What a snapshot file must say of itself beside the machine's stream. */
struct node_snapshot {
    uint64_t index; /* Last entry that is in it, and its term. */
    uint64_t term;
    uint64_t conf_index; /* Of the configuration in force at `index`. */
    const void *conf;    /* That configuration, opaque; at most NODE_CONF_MAX bytes. */
    uint32_t conf_len;
};
#define NODE_CONF_MAX 16384u

enum node_channel {
    NODE_CONTROL, /* Small, first: votes, heartbeats, probes, forwarded proposals, notes. */
    NODE_BULK     /* Snapshot chunks (the facade's own); the node sends nothing on it. */
};

struct node_io {
    void *ctx;

    /* --- disk */

    /* Term and vote, durable before it returns. Not 0: the replica cannot go on. */
    int (*save_vote)(void *ctx, uint64_t term, uint64_t vote, struct err *e);

    /* Cut the log at entries[0].index (nothing to cut as a rule), then append. Content borrowed for
     * the call. Asynchronous; exactly one node_persisted(last index, its term) for each append(),
     * in the order they were asked for, and never from inside the call. */
    void (*append)(void *ctx, const struct node_entry *entries, uint32_t n);

    /* One entry back from the log: only ones reported persisted, not below the last trim(). The
     * payload is appended to *ret_data. Synchronous, and rare (a member far behind, recovery).
     * ERR_NOT_FOUND, ERR_IO, ERR_CORRUPT. ret->data is not set. */
    int (*read)(void *ctx, uint64_t index, struct node_entry *ret, struct buf *ret_data);

    /* Entries below `first` may go (a snapshot that covers them is durable). Lazily. */
    void (*trim)(void *ctx, uint64_t first);

    /* --- network */

    /* One frame to a member; borrowed for the call. May be lost (no connection, queue full). In
     * order per channel and connection. */
    void (*send)(void *ctx, uint64_t to, enum node_channel channel, const void *data, size_t len);

    /* --- the machine (from node_flush() only) */

    /* As raftlog_machine.apply: one transaction. For every entry with a request id that the machine
     * knows, node_applied_request() is called in here. data == NULL: not a command. Not 0: this
     * replica is broken, node_flush() fails with it. */
    int (*apply)(void *ctx, const struct raftlog_entry *entries, uint32_t n, struct err *e);

    /* --- snapshots */

    /* Freeze the machine (its applied index is meta->index now) and write it, in a worker, to a
     * file that carries *meta (copy it). Answer with node_snapshot_taken(job, ...) when it is
     * durable and found by snapshot_send(); a cancelled job may answer or not. One at a time. */
    void (*snapshot_take)(void *ctx, uint64_t job, const struct node_snapshot *meta);
    void (*snapshot_cancel)(void *ctx, uint64_t job);

    /* Begin (or resume) streaming the file of this (index, term) to the member on the bulk channel.
     * Answer with node_snapshot_sent(). Keep the file while it is being sent. Asked at most once
     * per (member, index) until answered. */
    void (*snapshot_send)(void *ctx, uint64_t to, uint64_t index, uint64_t term);

    /* The file of meta->index, which node_snapshot_received() announced, becomes this member's
     * truth: make it the newest snapshot, drop the whole log (the next entry is meta->index + 1)
     * and load the machine. Answer with node_snapshot_restored(); completions of appends asked for
     * earlier may come before that, never after. */
    void (*snapshot_restore)(void *ctx, const struct node_snapshot *meta);

    /* --- telling (from node_flush() only, but changed()) */

    /* Exactly once for each; the struct is the requester's again. ret_index is set. Usually
     * p->done(p, code). */
    void (*proposal_done)(void *ctx, struct raftlog_proposal *p, int code);
    void (*read_done)(void *ctx, struct raftlog_read *r, int code);
    void (*note)(void *ctx, uint64_t from, const void *data, size_t len);

    /* Something in node_status() or node_member() changed (leadership, configuration: connect to
     * the members and drop the others). Only set a flag here. */
    void (*changed)(void *ctx);
    /* node_stop() is through: leadership is handed over, or there was none, or it took too long. */
    void (*stopped)(void *ctx);
};

/* Switch one guard off, and the simulator must find what it prevents. Only in a build for it
 * (RAFTLOG_MUTANTS: the tests of this folder, and those of core/mutant.h). */
enum node_mutant {
    NODE_MUTANT_NONE = 0,
    NODE_MUTANT_NO_SPLIT = 1 << 0,        /* Guard 1: a change is the first entry of its message. */
    NODE_MUTANT_NO_OWN_TERM = 1 << 1,     /* Guard 2: changes after an entry of the own term. */
    NODE_MUTANT_NO_CONF_MATCH = 1 << 2,   /* Guard 3: all have the last one; and voting. */
    NODE_MUTANT_READ_NO_PROBE = 1 << 3,   /* Reads without asking a majority. */
    NODE_MUTANT_STALE_PERSISTED = 1 << 4, /* Completions of overwritten entries are believed. */
    NODE_MUTANT_ACK_ON_APPEND = 1 << 5 /* Proposals are done when they are in the leader's log. */
};

struct node_options {
    uint64_t id;                /* This member's number; never used twice in a pool. */
    const char *address;        /* As the configuration has it. */
    uint32_t election_ms;       /* Default 200. */
    uint32_t heartbeat_ms;      /* Default 30. */
    uint64_t snapshot_entries;  /* Applied entries between snapshots. Default 50,000. */
    uint64_t snapshot_bytes;    /* Or so many bytes of entries. Default 64 MiB. */
    uint64_t snapshot_trailing; /* Entries kept behind a snapshot. Default 10,000. */
    uint64_t cache_bytes;       /* Entries held in memory, beyond those under way. Default 8 MiB. */
    uint32_t install_ms; /* A snapshot transfer that brings no answer is begun again. 30 s. */
    uint64_t seed;       /* Chance. */
    unsigned mutants;    /* enum node_mutant. */
    struct node_io io;   /* Copied. */
};

/* What recovery found on disk. All zero but first_index = 1 for an empty directory. */
struct node_recovered {
    uint64_t term;
    uint64_t vote;
    const struct node_snapshot *snapshot; /* Newest complete one, or NULL. */
    uint64_t first_index; /* Of the log. <= snapshot->index + 1; > it: refuse the directory. */
    const struct node_entry *entries; /* All of the log, in order. */
    uint32_t n;
    uint64_t applied; /* The machine's; >= snapshot->index (load it first). May be past the log. */
};

/* Configuration that founds a pool: the bytes of a NODE_CHANGE entry (index 1, term 1) with this
 * one voter, to be put on disk (with term 1) before node_new(). */
int node_founding_conf(uint64_t id, const char *address, struct buf *ret, struct err *e);

int node_new(struct node **ret,
             const struct node_options *options,
             const struct node_recovered *recovered,
             uint64_t now_ms,
             struct err *e);
/* Everything that waits must have been answered: node_abandon() first. NULL is fine. */
struct node *node_free(struct node *node);
/* Answer whatever waits with this code, at once: for closing. */
void node_abandon(struct node *node, int code);

/* --- time */

/* When node_tick() is due. Never further away than a heartbeat: by the gap between its calls the
 * node sees that its own process was paused, and then does not blame the leader for it. */
uint64_t node_deadline(const struct node *node);
int node_tick(struct node *node, uint64_t now_ms, struct err *e);
bool node_wants_flush(const struct node *node);
/* Submit what was proposed, apply what was committed, answer what is done. */
int node_flush(struct node *node, uint64_t now_ms, struct err *e);

/* --- what happened */

/* A frame from a member. ERR_MALFORMED: close that connection; others: cannot go on. */
int node_receive(struct node *node,
                 uint64_t from,
                 const void *data,
                 size_t len,
                 uint64_t now_ms,
                 struct err *e);
/* The oldest append() that was not reported yet, whose last entry this was, is durable. */
int node_persisted(struct node *node,
                   uint64_t index,
                   uint64_t term,
                   uint64_t now_ms,
                   struct err *e);
/* Both directions of the control stream to this member work / at least one does not. `reset`: the
 * other side's system ended the connection (its process died), it did not just go silent. */
int node_connected(struct node *node, uint64_t member, uint64_t now_ms, struct err *e);
int node_disconnected(struct node *node,
                      uint64_t member,
                      bool reset,
                      uint64_t now_ms,
                      struct err *e);
/* The job of snapshot_take() ended: code 0, the file is durable; else there is none. */
int node_snapshot_taken(struct node *node, uint64_t job, int code, uint64_t now_ms, struct err *e);
/* All bytes of the file are with the other side (code 0), or the transfer broke off. */
int node_snapshot_sent(struct node *node,
                       uint64_t to,
                       uint64_t index,
                       int code,
                       uint64_t now_ms,
                       struct err *e);
/* A snapshot file came in completely and is verified, but is not yet this member's truth. Keep it
 * until snapshot_restore() asks for it, a newer one comes in, or node_snapshot_dropped(). */
int node_snapshot_received(struct node *node,
                           const struct node_snapshot *meta,
                           uint64_t now_ms,
                           struct err *e);
/* That file is given up: not after snapshot_restore() asked for it. */
void node_snapshot_dropped(struct node *node);
int node_snapshot_restored(struct node *node, uint64_t index, uint64_t now_ms, struct err *e);
/* Room is short: nothing new is accepted, leadership goes to another; or there is room again. */
int node_set_disk_full(struct node *node, bool full, uint64_t now_ms, struct err *e);

/* --- requests */

/* As raftlog_propose() and so on say. */
void node_propose(struct node *node, struct raftlog_proposal *p, uint64_t now_ms);
void node_propose_cancel(struct node *node, struct raftlog_proposal *p);
void node_applied_request(struct node *node, const struct id *request, uint64_t index);
void node_read(struct node *node, struct raftlog_read *r, uint64_t now_ms);
void node_read_cancel(struct node *node, struct raftlog_read *r);
int node_member_add(struct node *node,
                    uint64_t id,
                    const char *address,
                    uint64_t now_ms,
                    struct err *e);
int node_member_role(struct node *node,
                     uint64_t id,
                     enum raftlog_role role,
                     uint64_t now_ms,
                     struct err *e);
int node_member_remove(struct node *node, uint64_t id, uint64_t now_ms, struct err *e);
int node_transfer(struct node *node, uint64_t id, uint64_t now_ms, struct err *e);
/* Hand leadership over, take no more proposals; io.stopped() follows, at the latest after two
 * election timeouts. Keep calling tick, receive and flush until then. */
void node_stop(struct node *node, uint64_t now_ms);
/* A note to one member, or all (0). */
void node_note(struct node *node, uint64_t to, const void *data, size_t len);

/* --- looking */

/* Fills what the node knows: raft_id, term, leading, leader, leader_address, indexes, elections,
 * members, disk_full. The rest is the facade's. */
void node_status(const struct node *node, struct raftlog_status *ret);
/* The i-th member of the configuration in force (also of one not yet committed). blank and
 * incarnation are the facade's. */
bool node_member(const struct node *node, uint32_t i, struct raftlog_member *ret);
/* The leader said that this member was taken out of the pool. Never unsaid. */
bool node_removed(const struct node *node);

#endif
