/* The replicated log of one host: entries in, a majority's agreement, entries out to the machine.
 *
 * It keeps everything this host must never forget (log, term and vote, guard record, snapshots) in
 * one data directory, talks to the other members over its own streams, and drives the consensus
 * core (libraft's raft_step(), raftlog/README.md). The state machine is handed in as an interface.
 * Loop thread only; no callback fires from inside the call that asked for it. */

#ifndef RAFTLOG_RAFTLOG_H
#define RAFTLOG_RAFTLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/id.h"
#include "core/limits.h"

struct uv_loop_s;
struct raftlog;

enum raftlog_role {  /* What a member is in the configuration. */
    RAFTLOG_NONE,    /* Not a member (blank, or removed). */
    RAFTLOG_STANDBY, /* Gets the log, does not vote. */
    RAFTLOG_VOTER,
    RAFTLOG_SPARE /* In the configuration, gets no log. */
};

struct raftlog_entry {
    uint64_t index;
    uint64_t term;
    const void *data; /* Borrowed for the call. NULL for an entry that is not a command. */
    size_t len;
};

/* The state machine, as the log sees it. */
struct raftlog_machine {
    void *ctx;
    /* Last index applied. */
    uint64_t (*applied)(void *ctx);
    /* Apply these in order, as one transaction. Not 0: this replica is broken; the log stops
     * applying for good and reports it through `fatal`. */
    int (*apply)(void *ctx, const struct raftlog_entry *entries, uint32_t n, struct err *e);
    /* Freeze the state at applied() for writing; the handle is used by one worker thread. */
    void *(*freeze)(void *ctx, uint64_t *ret_index);
    /* In a worker: stream the frozen state into `write`. */
    int (*stream)(void *handle,
                  int (*write)(void *wctx, const void *data, size_t len, struct err *e),
                  void *wctx,
                  struct err *e);
    void (*unfreeze)(void *ctx, void *handle);
    /* Replace the state by a stream; afterwards applied() is `index`. Loop thread. */
    int (*load)(void *ctx,
                uint64_t index,
                int64_t (*read)(void *rctx, void *data, size_t len, struct err *e),
                void *rctx,
                struct err *e);
};

/* A member of the configuration and what the leader knows of it. */
struct raftlog_member {
    uint64_t raft_id;
    char address[LIMIT_ADDRESS + 1];
    enum raftlog_role role;
    uint64_t match_index; /* Leader only: what it has on disk. */
    uint64_t heard_ms;    /* Leader only: ms since it was last heard; UINT64_MAX never. */
    bool connected;
    bool blank;           /* Leader only: it answers, but has no data directory of this member. */
    uint64_t incarnation; /* As it said when it connected. */
    bool catching_up;     /* Leader only: being brought up to date for promotion. */
};

struct raftlog_status {
    bool blank; /* No pool yet: waits to be initialised or added. */
    struct id pool;
    uint64_t raft_id;
    uint64_t incarnation;
    uint64_t term;
    bool leading;       /* Is leader, and has committed an entry of its own term. */
    uint64_t leader;    /* Raft id of the leader; 0 unknown. */
    uint64_t adrift_ms; /* Since when no leader is in reach, in ms from now; 0: one is. */
    char leader_address[LIMIT_ADDRESS + 1];
    uint64_t commit_index;
    uint64_t applied_index;
    uint64_t last_index;
    uint64_t first_index;    /* Oldest entry still in the log. */
    uint64_t snapshot_index; /* Of the newest snapshot; 0 none. */
    uint64_t log_bytes;      /* On disk. */
    uint64_t elections;      /* Times this host became candidate since start. */
    bool disk_full;
    uint32_t members;
};

struct raftlog_options {
    const char *dir;            /* Data directory; made if missing. */
    const char *name;           /* This host. */
    const char *listen;         /* host:port for the other members (the daemon's one port: accepted
                                   connections are handed over by raftlog_accept()). */
    uint32_t election_ms;       /* Base election timeout, randomised in [T, 2T). Default 200. */
    uint32_t heartbeat_ms;      /* Default 30. */
    uint64_t snapshot_entries;  /* Entries between snapshots. Default 50,000. */
    uint64_t snapshot_trailing; /* Entries kept behind one. Default 10,000. */
    uint64_t segment_bytes;     /* Default 8 MiB. */
    uint64_t cache_bytes;       /* Of entries held in memory. Default 8 MiB. */
    uint64_t ballast_bytes; /* Room kept to be able to say that the disk is full. Default 16 MiB. */
    struct raftlog_machine machine;
    /* Told from the loop: */
    void (*changed)(void *ctx); /* Leadership, membership, connections: look at the status. */
    void (*note)(void *ctx, uint64_t from, const void *data, size_t len); /* See raftlog_note(). */
    void (*fatal)(void *ctx, const struct err *e); /* This replica cannot go on. */
    void *ctx;
};

/* Open the data directory, recover, load the machine from the newest snapshot if it is behind, and
 * begin. A directory that is damaged, of another pool or of another format is never used: it is
 * moved aside (<dir>.refused-1) with a log line that says why, and the host begins blank, to be
 * filled again by its peers under a new member number. *ret_refused tells (its message is the
 * reason). ERR_LOCKED: another daemon has the directory. */
int raftlog_open(struct raftlog **ret,
                 struct uv_loop_s *loop,
                 const struct raftlog_options *options,
                 struct err *ret_refused,
                 struct err *e);

/* Stop: hand leadership over if this host has it, flush, close. `closed` fires from the loop. */
void raftlog_close(struct raftlog *rl, void (*closed)(void *ctx), void *ctx);

/* Found a pool: this blank host becomes member 1, the only voter. */
int raftlog_bootstrap(struct raftlog *rl, const struct id *pool, struct err *e);

void raftlog_status(struct raftlog *rl, struct raftlog_status *ret);
bool raftlog_member(struct raftlog *rl, uint32_t i, struct raftlog_member *ret);

/* --- proposing */

/* Put an entry in the log through whoever leads. Leadership changes are ridden out inside: the
 * entry is sent again (the machine must know its request id) until it is applied *here* or the
 * deadline passes. done(0): committed and applied on this host (ask the machine for the outcome,
 * which it found through the request id that the caller put in the entry). ERR_TIMEOUT: the outcome
 * is not known, also when it was given up early (adrift_ms). ERR_BUSY, ERR_NO_SPACE, ERR_TOO_BIG,
 * ERR_NO_QUORUM (given up early, and never sent): certainly not appended. `data` is copied. */
struct raftlog_proposal {
    const void *data;
    size_t len;
    struct id request;    /* To match it with what is applied. */
    uint32_t deadline_ms; /* From now. */
    uint32_t adrift_ms; /* Give up once no leader was in this host's reach for so long; 0: never. */
    void (*done)(struct raftlog_proposal *p, int code);
    void *user;
    uint64_t ret_index;
    /* private */
    struct raftlog_proposal *next, *prev;
    void *copy;
    uint64_t deadline_at_ms;
    uint64_t sent_term;
    uint64_t ticket;
};
void raftlog_propose(struct raftlog *rl, struct raftlog_proposal *p);
/* The machine calls this for every entry it applied (also a retry's), with its request id. */
void raftlog_applied_request(struct raftlog *rl, const struct id *request, uint64_t index);
/* Forget it: done fires with ERR_CANCELLED, later. The entry may still be applied. */
void raftlog_propose_cancel(struct raftlog *rl, struct raftlog_proposal *p);

/* --- linearizable reads */

/* done(0): the machine of this host has applied everything that was committed anywhere when this
 * was called; read it now. ERR_TIMEOUT, ERR_NO_QUORUM. One probe round serves all who wait. */
struct raftlog_read {
    uint32_t deadline_ms;
    uint32_t adrift_ms; /* As of a proposal; ERR_NO_QUORUM then. */
    void (*done)(struct raftlog_read *r, int code);
    void *user;
    uint64_t ret_index;
    /* private */
    struct raftlog_read *next, *prev;
    uint64_t deadline_at_ms;
    uint64_t ticket;
    uint64_t wait_index;
};
void raftlog_read(struct raftlog *rl, struct raftlog_read *r);
void raftlog_read_cancel(struct raftlog *rl, struct raftlog_read *r);

/* --- membership and leadership (leader only) */

/* Add a member as STANDBY (a blank daemon at that address is told its number and pool first),
 * change a role (a promotion to VOTER waits until it has caught up), or remove one. One change at a
 * time; the three guards of the membership rules hold it back as long as needed. ERR_NOT_LEADER,
 * ERR_BUSY (a change is under way), ERR_NOT_FOUND, ERR_STATE; adding, ERR_REFUSED: the host had
 * this number before and lost what it knew, so it needs a new one. Began: 0; watch the members. */
int raftlog_member_add(struct raftlog *rl, uint64_t raft_id, const char *address, struct err *e);
int raftlog_member_role(struct raftlog *rl,
                        uint64_t raft_id,
                        enum raftlog_role role,
                        struct err *e);
int raftlog_member_remove(struct raftlog *rl, uint64_t raft_id, struct err *e);

/* Hand leadership to this member (0: the best one) without an outage. */
int raftlog_transfer(struct raftlog *rl, uint64_t raft_id, struct err *e);

/* --- streams */

/* The daemon's listener found that an accepted connection (its descriptor, and the bytes already
 * read) speaks the peers' protocol: its first bytes are RAFTLOG_MAGIC. Takes the descriptor. */
#define RAFTLOG_MAGIC     "QRPEER1\n"
#define RAFTLOG_MAGIC_LEN 8
void raftlog_accept(struct raftlog *rl, int fd, const void *read_ahead, size_t len);

/* A small message to one member (or all: 0) outside the log: not kept, not repeated, may be lost.
 * For progress and figures. At most LIMIT_FRAME_CONTROL / 4 bytes. */
void raftlog_note(struct raftlog *rl, uint64_t to, const void *data, size_t len);

#endif
