/* What the commands are written with: the state as the command sees it, and the few ways to change
 * it. A command first checks everything and rejects without having written anything; then it
 * changes rows and tells events. Nothing here returns a failure of the store: the write transaction
 * remembers it (fsm/kv.h), and fsm_apply() ends with it. */

#ifndef FSM_APPLY_H
#define FSM_APPLY_H

#include "fsm/fsm.h"
#include "fsm/rows.h"

/* No wait between restarts is longer. */
#define BACKOFF_MAX_MS 300000u

/* Migrations of an evacuation that fail in a row before it is given up. */
#define EVACUATION_FAILURES 5

/* Operations that ended and are kept. */
#define OPS_KEPT 1000

/* How far one entry may move log time by its own word: a day. */
#define TIME_JUMP_MS 86400000u

/* Rows of requests, of events and of operations that one entry may drop beyond what it adds: few,
 * so that no entry is slow, but more than one, so that a lowered setting is reached. */
#define TRIM_PER_ENTRY 8

/* Entries whose state hash is remembered for check entries. */
#define HASHES_KEPT 16384

struct hash_at {
    uint64_t index;
    struct hash128 hash;
};

struct fsm {
    struct kv *kv;
    struct kv_txn *txn;    /* Between begin and commit, and after fsm_commit_later(). */
    bool begun;            /* Between begin and commit. */
    unsigned looks;        /* Views that share txn. */
    struct err broken;     /* Why this replica stopped applying for good. */
    uint64_t applied;      /* Committed. */
    struct hash128 hash;   /* At applied. */
    struct hash_at stored; /* As the store has them. */
    uint64_t last;         /* Last index in the open transaction. */
    struct sys sys;        /* As of the open transaction, or of the last commit. */
    struct sys stored_sys; /* As its row is. */
    struct pool pool;
    bool has_pool;
    struct event *events; /* Of the open or last transaction. */
    size_t events_n;
    size_t events_cap;
    size_t events_flushed;  /* Those whose rows are written. */
    struct hash_at *hashes; /* HASHES_KEPT slots, by index modulo. */
    void *record;           /* Room for any command. */
    struct buf scratch;
};

struct apply {
    struct fsm *f;
    struct kv_txn *t;
    const struct entry *entry;
    uint64_t index;
    uint64_t term; /* Under which the entry stands in the log. */
    uint64_t now_ms;
    struct outcome *out;
    bool wrote;
};

/* One function a command, in the file of its noun; the record is a struct cmd_<name>. */
#define C(NUMBER, NAME, WHO, TITLE, SUMMARY) void cmd_##NAME(struct apply *a, const void *record);
#include "fsm/commands.def"
#undef C

/* Take everything that is kept in memory from the store again: after it was replaced. */
int fsm_reload(struct fsm *f, struct err *e);

/* --- rejecting */

/* Make the outcome a rejection; the caller may fill in detail, a and b. Nothing may have been
 * written. `code` is an ERR_*. */
struct outcome *reject(struct apply *a, int code, const char *what, const char *name);
void reject_field(struct apply *a, const char *field); /* INVALID, with the field's name. */
/* STATE with a reason (a token of reasons.def) and the state. */
struct outcome *reject_state(struct apply *a,
                             const char *what,
                             const char *name,
                             const char *reason,
                             uint64_t state);

/* Read a row, or reject as NOT_FOUND. */
bool need_host(struct apply *a, const char *name, struct host *ret);
bool need_guest(struct apply *a, const char *name, uint64_t generation, struct guest *ret);
bool need_repo(struct apply *a, const char *name, struct repo *ret);
bool need_op(struct apply *a, uint64_t id, struct op *ret);
bool need_new_name(struct apply *a, char table, const char *what, const char *name);
/* The host still has this member number, or reject as STALE. */
bool is_current(struct apply *a, const struct host *h, uint64_t raft_id);
/* No operation under way, or reject as STATE. */
bool need_idle(struct apply *a, const struct guest *g);

/* --- checks (check.c) */

/* Letters, digits, '.', '_' and '-', the first a letter or digit. */
bool name_ok(const char *name);
/* host:port or [v6]:port, port 1 to 65535. */
bool address_ok(const char *address);
/* "on" or "off" into *v; "" leaves it. False for anything else. */
bool on_off(const char *text, bool *v);
/* Reject a configuration that cannot be. */
bool check_config(struct apply *a, const struct guest_config *c);
/* Whether the host takes this guest, or reject with the reason. */
bool check_place(struct apply *a, const struct guest *g, const char *host);
/* Whether no other guest of its group `apart` is on the host or on its way there, or reject. */
bool check_alone(struct apply *a, const struct guest *g, const char *host);
/* The repository's name in "name:path", or false for an absolute path. */
bool repo_of_path(const char *path, char out[LIMIT_NAME + 1]);

/* A host that has not reported yet, with the next member number (the caller saves the pool). */
struct host make_host(struct apply *a, const char *name, const char *address);

/* --- changing */

void put_row(struct apply *a, const struct key *k, const struct schema *s, const void *record);
void put_bytes(struct apply *a, const struct key *k, const void *value, size_t len);
void del_row(struct apply *a, const struct key *k);

void save_pool(struct apply *a); /* a->f->pool. */
void save_host(struct apply *a, struct host *h);
void save_repo(struct apply *a, const struct repo *r);
/* Counts the generation, sets since_ms when the state moved, keeps indexes and counts. `old` is the
 * row as it is stored, NULL for a new guest. */
void save_guest(struct apply *a, const struct guest *old, struct guest *g);
void drop_guest(struct apply *a, const struct guest *g);
/* The row of a guest that is on no host moves to its new name. */
void move_guest(struct apply *a, const struct guest *old, struct guest *g);
/* What is reserved for the disks of a guest that was renamed; the name of that guest, or false. */
bool dir_is_taken(struct apply *a, const char *dir, char owner[LIMIT_NAME + 1]);
/* As need_new_name(), for a guest: also no directory of another guest's disks. */
bool need_new_guest(struct apply *a, const char *name);
/* Which repositories a guest uses, after its disks changed. */
void index_repos(struct apply *a, const struct guest *old, const struct guest *g);
/* The device of the operation is there, or gone: g's configuration says so. Does not save g. */
void device_changed(struct apply *a, const struct op *o, const struct guest *old, struct guest *g);
/* Whether no guest has it, or reject. */
bool uuid_is_new(struct apply *a, const struct id *uuid);
/* Whether there is room for one guest more in the pool, or reject. */
bool pool_has_room(struct apply *a);

/* Memory promised at the target of a migration. */
void reserve(struct apply *a, const char *host, const struct guest *g);
void unreserve(struct apply *a, const char *host, const struct guest *g);

/* A new operation on the guest: g->op and the outcome name it. Fill it in, then op_begin(). */
struct op op_make(struct apply *a, enum op_kind kind, struct guest *g);
void op_begin(struct apply *a, struct op *o);
void op_save(struct apply *a, const struct op *o);
/* End it; `code` as in the log (without sign). The phase ABORTED stays, any other becomes ENDED. */
void op_end(struct apply *a, struct op *o, enum op_state state, uint32_t code, const char *detail);

/* End the host's evacuation, if there is one. Does not save the host. */
void evacuation_stop(struct apply *a,
                     struct host *h,
                     enum op_state state,
                     uint32_t code,
                     const char *detail);
/* Whether it is an operation of a host or of the pool, which has no guest of its own. */
bool op_is_of_hosts(const struct op *o);
/* End such a one. Does not fail. */
void end_op_of_hosts(struct apply *a,
                     struct op *o,
                     enum op_state state,
                     uint32_t code,
                     const char *detail);
/* A migration ended that may have been part of one. */
void evacuation_count(struct apply *a, const struct op *child);
/* Whether the operation that this migration is to be part of (0: none) is under way and of its
 * source, or of its target when it brings guests back; or reject. */
bool check_parent(struct apply *a, uint64_t parent, const char *src, const char *dst);
/* The guest is on another host now: remember where from, if an evacuation moved it. */
void note_moved(struct apply *a, const struct op *migration, struct guest *g);

/* Next run epoch. */
uint64_t give_epoch(struct apply *a);

/* --- guests and migrations, shared by several nouns */

/* Leave a migrating guest with its source: op ABORTED, memory at the target given back, the guest
 * back to what is wanted. Does not save the guest. */
void abort_migration(struct apply *a,
                     struct op *o,
                     struct guest *g,
                     enum op_state state,
                     uint32_t code,
                     const char *detail);
/* Whether the operation is a migration that has not switched and not ended. */
bool migration_is_open(const struct op *o);
/* The guest of an operation that has not ended; false only when the store is damaged. */
bool guest_of(struct apply *a, const struct op *o, struct guest *ret);
/* Reject as STATE, with the operation's phase and number. */
void reject_phase(struct apply *a, const struct op *o);
/* Put the guest on the host under a new epoch, with an operation of this kind that ends when it
 * runs. Does not save the guest. */
struct start {
    const char *host;
    bool paused;
    enum op_kind kind;
};
void start_guest(struct apply *a, struct guest *g, const struct start *how);
/* Take the guest's host away and make it STOPPED; or SAVED, if there is a saved memory of it. Does
 * not save the row. */
void stop_guest(struct guest *g, enum exit_reason exit);
/* Take its host away and let it wait for the pool to start it, not before `wait_ms` have passed. */
void pend_guest(struct apply *a, struct guest *g, enum exit_reason exit, uint64_t wait_ms);

/* Add a host to, or take it from, those that have a repository; whether that changed anything. */
bool set_ready_on(struct repo *r, const char *host, bool ready);

/* Nothing that h owned runs there any more, or, when not `all`, nothing guarded: by proof. */
void free_guests(struct apply *a, const char *host, bool all);
/* Whether this guest's runs are to be guarded: HA is on for the pool and for it. */
bool is_protected(const struct apply *a, const struct guest *g);

/* --- events (event.c) */

/* Tell an event; the caller may fill in more fields until the next call. */
struct event *emit(struct apply *a, const char *kind, const char *subject);
void emit_guest(struct apply *a, const char *kind, const struct guest *g, const char *detail);
void emit_host(struct apply *a, const char *kind, const struct host *h, const char *detail);
/* Write the rows of the events told so far; drop old ones. */
void events_flush(struct apply *a);

/* --- requests (request.c) */

/* The outcome of this request, if it is kept. */
bool request_find(struct kv_txn *t, const struct id *request, struct outcome *ret);
void request_add(struct apply *a);
void requests_trim(struct apply *a);

/* Move log time by what the entry says. */
void time_tick(struct apply *a);

#endif
