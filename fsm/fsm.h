/* The deterministic state machine: a pool's state in LMDB, changed only by applying log entries.
 *
 * Applying is a pure function of (state, entry): the same entries give the same rows, byte for
 * byte, on every host and in every build. Nothing here reads a clock, chance, the environment or
 * the network. All calls are made from one thread, but for views given to a worker (see view). */

#ifndef FSM_FSM_H
#define FSM_FSM_H

#include "core/err.h"
#include "core/hash.h"

#include "fsm/commands.h"
#include "fsm/entity.h"

/* Format of the store and of snapshots that this program writes; others are refused. */
#define FSM_FORMAT 2

/* Highest feature level that this program knows. */
#define FSM_FEATURE_LEVEL 1

struct fsm;

struct fsm_options {
    const char *dir;     /* Directory of the store; made if missing. */
    const char *boot_id; /* Of this boot of the machine: a store left by another boot that was not
                            closed is thrown away. */
    size_t map_bytes;    /* Most bytes the store may grow to; 0 is 16 GiB. */
};

/* Open the store. A store that is damaged, of another boot or of another format is emptied (it is
 * a view of snapshot and log, both on disk): fsm_applied() is then 0, and *ret_rebuilt is set. The
 * whole state is hashed and compared with the stored hash here, so that rot is found at start.
 * ERR_IO, ERR_LOCKED (another process has it), ERR_NO_SPACE. */
int fsm_open(struct fsm **ret, const struct fsm_options *options, bool *ret_rebuilt, struct err *e);

/* Close cleanly (synced, marked). NULL is accepted; returns NULL. */
struct fsm *fsm_close(struct fsm *f);

/* Throw all rows away: before a snapshot is loaded. */
int fsm_reset(struct fsm *f, struct err *e);

/* Index of the last entry applied and committed; 0 in an empty store. */
uint64_t fsm_applied(const struct fsm *f);

/* Hash of all rows at fsm_applied(). */
struct hash128 fsm_hash(const struct fsm *f);

/* --- entries */

/* The envelope of a command in the log: [format, number, request, user, host, wall_ms, body]. */
struct entry {
    uint32_t number;           /* Of the command. */
    struct id request;         /* Chosen by the client; a retry carries the same. */
    char user[LIMIT_NAME + 1]; /* Who asked; a certificate's or a local user's name. */
    char host[LIMIT_NAME + 1]; /* Through which host. */
    uint64_t wall_ms;          /* Wall time of the proposer. */
    const uint8_t *body;       /* The record's encoding; borrowed. */
    size_t body_len;
};

void entry_encode(const struct entry *en, struct buf *out);

/* Borrows from the bytes. ERR_MALFORMED, ERR_VERSION. The body is checked when it is applied. */
int entry_decode(const void *data, size_t len, struct entry *ret_entry);

/* --- apply */

/* An entry as it stands in the log. */
struct fsm_input {
    uint64_t index;
    uint64_t term;
    const void *data; /* Borrowed for the call. */
    size_t len;
};

/* What one entry did, for whoever waits on this host. */
struct fsm_applied_entry {
    uint64_t index;
    struct id request;
    bool first; /* False: a retry; the outcome is the first one's. */
    struct outcome outcome;
};

/* `term` is the one under which the entry stands in the log: some commands hold only under the term
 * of the master that proposed them.
 *
 * begin, then apply for each entry in index order, then commit: one LMDB transaction. An entry that
 * cannot be decoded, of an unknown command, or rejected by a precondition is applied as well: its
 * outcome says so. The return is not 0 only when this replica itself is broken (ERR_IO,
 * ERR_NO_SPACE, ERR_CORRUPT, or ERR_DIVERGED at a check entry whose hash differs): the caller must
 * stop applying for good; nothing of this transaction is kept. */
int fsm_begin(struct fsm *f, struct err *e);
int fsm_apply(struct fsm *f,
              const struct fsm_input *in,
              struct fsm_applied_entry *ret,
              struct err *e);
/* An entry that is not a command (a barrier, a membership change): only the index advances. */
int fsm_skip(struct fsm *f, uint64_t index, struct err *e);
int fsm_commit(struct fsm *f, struct err *e);

/* As fsm_commit(), but LMDB's transaction stays open for the begin that follows, so that several
 * share the pages that they write. All that is asked in this process sees the entries at once; a
 * process that dies before fsm_settle() finds the store without them and takes them from the log
 * again. If a later one breaks, those not settled are not kept either. */
int fsm_commit_later(struct fsm *f, struct err *e);

/* Put what was committed later into the store: 0, or as fsm_commit(). For a view that shows it,
 * fsm_view_open() does so itself. */
int fsm_settle(struct fsm *f, struct err *e);

/* Why this replica has given up: 0, or what broke it. From then on it takes nothing, and shows
 * nothing unless that was ERR_DIVERGED. */
int fsm_failure(const struct fsm *f, struct err *e);

/* Entries committed but not settled. */
uint64_t fsm_unsettled(const struct fsm *f);

/* The events of the transaction that was just committed, in order; valid until the next begin. */
const struct event *fsm_new_events(const struct fsm *f, size_t *ret_n);

/* Outcome of a request that is still in the request table: 0 or ERR_NOT_FOUND. */
int fsm_request_outcome(struct fsm *f, const struct id *request, struct outcome *ret);

/* --- reading */

/* A view of the state at one index, unmoved by later commits. Cheap (an LMDB read transaction); do
 * not keep one open longer than a request or a snapshot needs: it pins old pages. A view is used by
 * one thread at a time and may be handed to a worker. */
struct fsm_view;
/* NULL when a thousand are open already, or when the store failed. Nothing is found in one that is
 * NULL. */
struct fsm_view *fsm_view_open(struct fsm *f);
/* A view for this thread and this call: it must be closed before anything is begun, settled or
 * opened, and costs even less. */
struct fsm_view *fsm_look(struct fsm *f);
struct fsm_view *fsm_view_close(struct fsm_view *v); /* NULL is accepted; returns NULL. */
uint64_t fsm_view_index(const struct fsm_view *v);
struct hash128 fsm_view_hash(const struct fsm_view *v);

/* One row: 0, ERR_NOT_FOUND, or ERR_CORRUPT. */
int fsm_get_pool(struct fsm_view *v, struct pool *ret);
int fsm_get_host(struct fsm_view *v, const char *name, struct host *ret);
int fsm_get_guest(struct fsm_view *v, const char *name, struct guest *ret);
int fsm_get_guest_of(struct fsm_view *v, const struct id *uuid, struct guest *ret);
int fsm_get_repo(struct fsm_view *v, const char *name, struct repo *ret);
int fsm_get_op(struct fsm_view *v, uint64_t id, struct op *ret);

/* The next row after `after` in key order ("" or 0 to begin): 0 or ERR_NOT_FOUND at the end. */
int fsm_next_host(struct fsm_view *v, const char *after, struct host *ret);
int fsm_next_guest(struct fsm_view *v, const char *after, struct guest *ret);
int fsm_next_guest_on(struct fsm_view *v, const char *host, const char *after, struct guest *ret);
/* Guests that are PENDING, in order of names. */
int fsm_next_pending(struct fsm_view *v, const char *after, struct guest *ret);
/* Whether the host owns the guest, or it is on its way there. Much cheaper than getting the guest.
 */
bool fsm_guest_concerns(struct fsm_view *v, const char *guest, const char *host);
/* The next guest after *guest ("" to begin) in the group of this name: of those that are to be
 * apart ('a') or with each other ('w'). `guest` has LIMIT_NAME + 1 bytes. False at the end. */
bool fsm_next_of_group(struct fsm_view *v, char group, const char *name, char *guest);
int fsm_next_repo(struct fsm_view *v, const char *after, struct repo *ret);
int fsm_next_op(struct fsm_view *v, uint64_t after, struct op *ret);
/* Operations that have not ended, in order. */
int fsm_next_open_op(struct fsm_view *v, uint64_t after, struct op *ret);

/* The event after number `after`. ERR_COMPACTED when events between were dropped already (resume
 * from fsm_first_event() - 1), ERR_NOT_FOUND when there is none yet. */
int fsm_next_event(struct fsm_view *v, uint64_t after, struct event *ret);
uint64_t fsm_first_event(struct fsm_view *v); /* Oldest kept; 0 when there is none. */
uint64_t fsm_last_event(struct fsm_view *v);  /* Newest; 0 when there is none. */

/* Memory promised on a host: guests that it owns or that are on their way to it. */
uint64_t fsm_reserved_mib(struct fsm_view *v, const char *host);

/* Its virtual CPUs as well. */
void fsm_promised(struct fsm_view *v, const char *host, uint64_t *ret_mib, uint64_t *ret_vcpus);

/* Guests that a host owns; their rows are not read. */
uint32_t fsm_guests_on(struct fsm_view *v, const char *host);

/* Counts, for status lines. */
struct fsm_counts {
    uint64_t hosts, guests, running, repos, ops_open, events, requests;
};
void fsm_count(struct fsm_view *v, struct fsm_counts *ret);

/* Log time: what deadline_ms, since_ms and the like are measured in. It stands still while nothing
 * is proposed, and may lag or lead every host's clock. */
uint64_t fsm_log_time(struct fsm_view *v);

/* How many hosts leases may fence without an operator, and how many that is by the view's log time
 * (pool settings fence_*): those that are fenced by lease, not heard again, and not longer ago than
 * the window. */
struct fence_budget {
    uint32_t limit;
    uint32_t used;
    uint32_t held; /* Hosts that wait for it, or for an operator. */
};
void fsm_fence_budget(struct fsm_view *v, struct fence_budget *ret);

/* --- snapshots */

/* Write every row of the view as a stream (format in fsm/README.md: header, zstd frames of rows,
 * trailer with counts and state hash). `write` gets pieces of at most 1 MiB; not 0 stops and is
 * returned. May run in a worker thread. */
typedef int (*fsm_write_fn)(void *ctx, const void *data, size_t len, struct err *e);
int fsm_snapshot_write(struct fsm_view *v, fsm_write_fn write, void *ctx, struct err *e);

/* Replace the whole state by a stream written so. `read` fills up to len bytes and returns how many
 * (0 at the end) or an ERR_*. Everything is checked (bounds, order, counts, hash) before the new
 * state becomes visible; on failure the old state is untouched. ERR_CORRUPT, ERR_VERSION, ERR_IO.
 */
typedef int64_t (*fsm_read_fn)(void *ctx, void *data, size_t len, struct err *e);
int fsm_snapshot_load(struct fsm *f, fsm_read_fn read, void *ctx, struct err *e);

#endif
