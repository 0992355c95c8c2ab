/* The node's inside, for the files that make it up: node.c (life, flush, looking), drive.c (steps
 * of the core and what follows from them), receive.c, clocks.c (time, leaders, elections),
 * propose.c, readindex.c, member.c, install.c. */

#ifndef RAFTLOG_NODE_IMPL_H
#define RAFTLOG_NODE_IMPL_H

#include "core/rng.h"

#include "raftlog/cache.h"
#include "raftlog/core_step.h"
#include "raftlog/install.h"
#include "raftlog/member.h"
#include "raftlog/propose.h"
#include "raftlog/readindex.h"

/* Another member, as far as this one has to do with it. */
struct peer {
    uint64_t id;
    bool connected;
    bool disk_full;
    uint64_t heard_ms;    /* Any message; 0 never. */
    uint64_t told_commit; /* Leader: the commit index it can act on. */
    uint64_t waits_for;   /* Leader: an entry or a read of its own waits for this index. */
    uint64_t behind_ms;   /* Leader: since when it could be told more; 0: it cannot. */
    uint64_t step;        /* Leader: the last step that sent it an append. */
    uint64_t probe_seq;   /* Leader: newest round it confirmed. */
    struct transfer transfer;
};

/* An append() that is not reported durable yet. */
struct write {
    uint64_t index; /* Of its last entry. */
    uint64_t term;
    uint64_t valid; /* As far as it was not cut since. */
};

struct writes {
    struct write *ring;
    uint32_t cap;
    uint32_t first;
    uint32_t n;
};

/* There is one, and its order is for readers. */
#ifdef RAFTLOG_MUTANTS
#define NODE_MUTANT(node, name) (((node)->options.mutants & NODE_MUTANT_##name) != 0)
#else
#define NODE_MUTANT(node, name) false
#endif

struct node { // NOLINT(clang-analyzer-optin.performance.Padding)
    struct node_options options;
    char address[LIMIT_ADDRESS + 1];
    struct rng rng;
    struct core *core;
    struct cache cache;
    struct peer *peers[LIMIT_HOSTS * 2];
    uint32_t peers_n;

    /* clocks.c */
    uint64_t now_ms;
    uint64_t core_ms;    /* The core's clock: see clocks.c. */
    uint64_t timeout_ms; /* core_ms of the last CORE_TIMEOUT. */
    uint64_t leader;     /* Who said so in leader_term. */
    uint64_t leader_term;
    uint64_t leader_ms; /* When it was last heard, by the core's clock. */
    bool suspect;       /* Its process died, as its system told. */
    uint64_t early_ms;  /* When to stand early; 0 not. */
    uint32_t early_tries;
    uint64_t adrift_since_ms; /* No leader is in reach since then; 0: one is. */

    bool started;
    enum core_state state;
    uint64_t term; /* As saved. */
    uint64_t vote;
    uint64_t steps;
    uint64_t commit;
    uint64_t applied;
    uint64_t persisted; /* Last reported to the core. */
    struct writes writes;
    uint64_t uncommitted_bytes;
    uint64_t submitted_ms; /* Leader: when something was put in the log last. */
    bool busy;             /* Leader: and that was soon after the time before. */
    uint64_t push_ms;      /* Leader: when members are to be told of the commit index; 0 not. */
    uint64_t elections;
    uint64_t lead_ms; /* Since when this member leads. */
    bool disk_full;
    bool dirty;
    struct buf frame; /* Scratch for outgoing ones. */
    struct note *notes, **notes_end;
    uint32_t notes_n;

    struct propose propose;
    struct reads reads;
    struct membership membership;
    struct install install;
};

struct note {
    struct note *next;
    uint64_t from;
    size_t len;
    uint8_t data[];
};

/* --- node.c */
struct peer *node_peer(struct node *node, uint64_t id);      /* NULL: unknown. */
struct peer *node_peer_make(struct node *node, uint64_t id); /* NULL: too many. */
void node_changed(struct node *node);
void node_send(struct node *node, uint64_t to, const struct buf *frame);
/* A cleared buffer to encode the next frame in. */
struct buf *node_frame(struct node *node);

/* --- drive.c */
int drive_step(struct node *node, struct core_event *event, struct err *e);
/* After a step: what it changed outside. Also for the update of core_new(). */
int drive_update(struct node *node,
                 const struct core_event *event,
                 const struct core_update *update,
                 struct err *e);
/* Append entries of the caller's making; ERR_NOT_LEADER. Their index is set. */
int drive_submit(struct node *node, struct node_entry *entries, uint32_t n, struct err *e);
/* Tell members of the commit index that they do not know of yet: at once, or, while one entry
 * follows the other, with the next one if that comes soon. */
void drive_push_commit(struct node *node);
/* This member waits for the entry at this index. */
void drive_waits_for(struct node *node, uint64_t member, uint64_t index);
/* An empty append to every member that the last step sent none. */
void drive_heartbeat(struct node *node);
/* Get an entry, from memory or disk; its content is in *hold or the cache until the next call. */
int drive_entry(struct node *node, uint64_t index, struct node_entry *ret, struct buf *hold);
/* Leads, and has committed an entry of its own term. */
bool drive_leading(const struct node *node);

/* --- append.c: outgoing entries, and writes under way */
void append_send(struct node *node, struct peer *peer, const struct core_message *m);
/* One driver-made append to this member: prev is what it has, n entries follow. */
void append_own(struct node *node, struct peer *peer, uint64_t match, uint32_t n);
void append_written(struct node *node, const struct node_entry *entries, uint32_t n);

/* --- receive.c */
int receive_core(struct node *node, struct core_message *m, struct err *e);

/* --- clocks.c */
void clocks_now(struct node *node, uint64_t now_ms);
uint64_t clocks_deadline(const struct node *node);
int clocks_tick(struct node *node, struct err *e);
/* The leader of this term, or 0. */
uint64_t clocks_leader(const struct node *node);
void clocks_heard_leader(struct node *node, uint64_t from, uint64_t term);
/* Whether this member has reason to believe that there is no leader. */
bool clocks_leader_is_gone(const struct node *node);
void clocks_leader_reset(struct node *node);
/* How long no leader has been in reach; 0: one is. */
uint64_t clocks_adrift_ms(const struct node *node);
/* Whether somebody with this much patience has waited long enough for a leader; 0: endless. */
bool clocks_adrift(const struct node *node, uint32_t patience_ms);

#endif
