/* Inside the facade: the struct behind raftlog.h, shared by its files and by nobody else.
 *
 *   raftlog.c   the door's functions, opening and closing
 *   rl_found.c  recovery, founding a pool, being adopted: how a node comes to be
 *   rl_loop.c   the turn of the loop: what happened, then the tick, then the flush; the timer
 *   rl_disk.c   the node's requests to the log on disk, the guard record, the room on the disk
 *   rl_net.c    who may connect, who is connected, frames in and out
 *   rl_snap.c   snapshots: taking, sending, receiving, restoring */

#ifndef RAFTLOG_RL_H
#define RAFTLOG_RL_H

#include <uv.h>

#include "core/clock.h"
#include "core/rng.h"

#include "raftlog/ballast.h"
#include "raftlog/disk.h"
#include "raftlog/guard.h"
#include "raftlog/node.h"
#include "raftlog/peers.h"
#include "raftlog/raftlog.h"
#include "raftlog/snapsend.h"
#include "raftlog/snapstore.h"
#include "raftlog/vote.h"
#include "raftlog/wal.h"

/* What is known of one other member's connections. */
struct rl_peer {
    uint64_t raft_id;                /* 0: a free slot. */
    char address[LIMIT_ADDRESS + 1]; /* From the configuration, else from its hello. */
    bool in_conf;                    /* In the configuration in force. */
    bool in_up;                      /* Its control stream to us. */
    bool out_up;                     /* Ours to it. */
    bool told_up;                    /* The node knows of both. */
    bool blank;                      /* It answered that it has no data directory of this member. */
    int refusal;                     /* What it refuses us for, and the log was told; 0: nothing. */
    uint64_t incarnation;
    uint64_t heard_ms; /* When its last frame came; 0 never. */
};
#define RL_PEERS (2u * LIMIT_HOSTS)

struct rl_append;   /* One append under way. */
struct rl_snap_out; /* One snapshot on its way to a member. */
struct rl_snap_in;  /* The one that comes in. */

struct raftlog {
    struct raftlog_options opt;
    char *dir;
    char *name;
    char *listen;
    uv_loop_t *loop;
    struct clock *clock;
    struct rng rng;

    struct disk *disk;
    struct guard guard;
    struct vote vote;
    struct wal *wal;
    struct ballast ballast;
    struct rl_append *appends; /* Under way or stalled, oldest first. */
    bool stalled;              /* An append found no room, and none has been written since. */
    bool told_full;            /* What the node knows of it. */
    uint64_t retried_ms;
    uint64_t guard_saved_ms; /* When the acknowledged index was last written down. */
    struct peers *peers;
    struct node *node; /* NULL while blank. */

    /* rl_found.c */
    bool founding;
    struct id becoming_pool;
    uint64_t becoming_id;
    struct buf founding_conf;
    struct wal_append founding_append;

    /* rl_net.c */
    struct rl_peer peer[RL_PEERS];
    uint64_t spent_id;  /* A member that could not be added: its number was used up. */
    uint64_t adding_id; /* A member that is being told its number; 0 none. */
    char adding_address[LIMIT_ADDRESS + 1];
    uint64_t adding_until_ms;

    /* rl_loop.c */
    uv_check_t check;
    uv_prepare_t prepare;
    uv_idle_t idle; /* Keeps one turn from blocking when a tick is due. */
    uv_timer_t timer;
    struct raftlog_proposal *deferred_proposals; /* Answered at the end of this turn. */
    struct raftlog_read *deferred_reads;
    bool changed; /* Tell opt.changed at the end of this turn. */
    bool tick_due;

    /* rl_snap.c */
    struct rl_snap_job *jobs; /* Being taken; cancelled ones too. */
    struct rl_snap_out *outs;
    struct rl_snap_in *in;
    uint64_t snapshot_index; /* Of the newest snapshot on disk. */

    /* raftlog.c */
    bool failed;    /* fatal was told: nothing more is done. */
    bool stopping;  /* raftlog_close() was called. */
    bool close_due; /* Close at the end of this turn. */
    int closing;    /* Parts that still have to close. */
    void (*closed)(void *ctx);
    void *closed_ctx;
};

/* raftlog.c */
/* This replica cannot go on: tell it once, stop the node. */
void rl_fatal(struct raftlog *rl, const struct err *e);
uint64_t rl_now_ms(struct raftlog *rl);
void rl_stopped(void *ctx);
void rl_close_parts(struct raftlog *rl);

/* rl_found.c */
/* Open everything in the directory; an unusable one is set aside first (ret_refused says why). */
int rl_recover(struct raftlog *rl, struct err *ret_refused, struct err *e);
/* This blank host is now this member of this pool: durable when it returns. */
int rl_adopt(struct raftlog *rl, const struct id *pool, uint64_t raft_id, struct err *e);
/* Close the small files, once the disk below is closed. */
void rl_close_files(struct raftlog *rl);
/* Write down that the directory must not be used again: at the next open it is set aside. */
void rl_condemn(struct raftlog *rl, const char *why);

/* rl_loop.c */
void rl_loop_start(struct raftlog *rl);
void rl_loop_stop(struct raftlog *rl, uv_close_cb closed); /* Called once for each handle. */
#define RL_LOOP_HANDLES 4
/* Answer a request that cannot be taken (blank, or stopped) from the loop. */
void rl_defer_proposal(struct raftlog *rl, struct raftlog_proposal *p);
void rl_defer_read(struct raftlog *rl, struct raftlog_read *r);
/* Something was put in: the end of this turn must tick and flush. */
void rl_wake(struct raftlog *rl);

/* rl_disk.c */
int rl_save_vote(void *ctx, uint64_t term, uint64_t vote, struct err *e);
void rl_append(void *ctx, const struct node_entry *entries, uint32_t n);
int rl_read(void *ctx, uint64_t index, struct node_entry *ret, struct buf *ret_data);
void rl_trim(void *ctx, uint64_t first);
/* Now and then: look at the room, write the acknowledged index down. */
void rl_disk_tick(struct raftlog *rl, uint64_t now_ms);
void rl_room_changed(void *ctx, bool low);
/* The guard record was saved in the background. */
void rl_guard_saved(void *ctx, int code, const struct err *e);
/* The log begins anew: what waits for room is not needed any more. */
void rl_forget_stalled(struct raftlog *rl);
/* The disk is closed: nothing completes any more. */
void rl_forget_appends(struct raftlog *rl);

/* rl_net.c */
void rl_net_start(struct raftlog *rl);
/* Who this host is has changed. */
void rl_net_self(struct raftlog *rl);
void rl_send(void *ctx, uint64_t to, enum node_channel channel, const void *data, size_t len);
/* The configuration may have changed: connect to its members. */
void rl_net_members(struct raftlog *rl);
struct rl_peer *rl_peer_find(struct raftlog *rl, uint64_t raft_id);
void rl_adding_tick(struct raftlog *rl, uint64_t now_ms);

/* rl_snap.c */
void rl_snapshot_take(void *ctx, uint64_t job, const struct node_snapshot *meta);
void rl_snapshot_cancel(void *ctx, uint64_t job);
void rl_snapshot_send(void *ctx, uint64_t to, uint64_t index, uint64_t term);
void rl_snapshot_restore(void *ctx, const struct node_snapshot *meta);
void rl_snap_frame(struct raftlog *rl, uint64_t from, const void *data, size_t len);
void rl_snap_down(struct raftlog *rl, uint64_t raft_id);
void rl_snap_room(struct raftlog *rl, uint64_t raft_id);
/* Load the machine from this snapshot file. */
int rl_snap_load(struct raftlog *rl, const char *name, struct err *e);
/* Transfers that make no progress end. */
void rl_snap_tick(struct raftlog *rl, uint64_t now_ms);
void rl_snap_close(struct raftlog *rl);
/* The disk is closed: give back what its tasks held. */
void rl_snap_end(struct raftlog *rl);

#endif
