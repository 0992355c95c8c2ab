/* How a node comes to be: recovery, founding a pool, being adopted by one.
 *
 * The guard record is written last when a directory becomes a member's, and looked for first when
 * one is opened: without it a log or a vote are those of nobody. A directory that cannot be trusted
 * is renamed, not repaired: what it may have forgotten, its peers still have. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/log.h"
#include "core/mark.h"
#include "core/mutant.h"
#include "core/util.h"

#include "raftlog/rl.h"

#define CONDEMNED   "condemned"
#define ASIDE_MAX   99u
#define SEED_OF(rl) rng_u64(&(rl)->rng)

/* --- the log, read into memory */

struct found_log {
    struct node_entry *entries;
    uint32_t n;
    uint32_t cap;
};

static void found_cut(struct found_log *l, uint64_t index)
{
    while (l->n > 0 && l->entries[l->n - 1].index >= index) {
        void *copy; /* The entry's pointer is const, what it points to is ours. */
        memcpy(&copy, &l->entries[--l->n].data, sizeof copy);
        free(copy);
    }
}

static void found_entry(void *ctx, const struct wal_entry *entry)
{
    struct found_log *l = ctx;
    found_cut(l, entry->index);
    if (l->n == l->cap) {
        l->cap = l->cap == 0 ? 1024 : l->cap * 2;
        l->entries = mem_grow(l->entries, l->cap, sizeof *l->entries);
    }
    void *copy = mem_new(1, entry->len);
    if (entry->len > 0) {
        memcpy(copy, entry->data, entry->len);
    }
    l->entries[l->n++] = (struct node_entry){.index = entry->index,
                                             .term = entry->term,
                                             .data = copy,
                                             .len = (uint32_t)entry->len,
                                             .type = (enum node_entry_type)entry->type};
}

static void found_restart(void *ctx, uint64_t index, uint64_t term)
{
    (void)index;
    (void)term;
    found_cut(ctx, 0);
}

static void found_done(struct found_log *l)
{
    found_cut(l, 0);
    free(l->entries);
}

static int log_open(struct raftlog *rl, bool create, struct found_log *l, struct err *e)
{
    struct wal_options o = {
        .disk = rl->disk,
        .pool = rl->guard.record.pool,
        .segment_bytes = rl->opt.segment_bytes,
        .create = create,
        .acked = create ? 0 : rl->guard.record.acked,
        .entry = found_entry,
        .restart = found_restart,
        .ctx = l,
    };
    return wal_open(&rl->wal, &o, e);
}

/* --- the node */

static int io_apply(void *ctx, const struct raftlog_entry *entries, uint32_t n, struct err *e)
{
    struct raftlog *rl = ctx;
    return rl->opt.machine.apply(rl->opt.machine.ctx, entries, n, e);
}

static void io_proposal_done(void *ctx, struct raftlog_proposal *p, int code)
{
    (void)ctx;
    p->done(p, code);
}

static void io_read_done(void *ctx, struct raftlog_read *r, int code)
{
    (void)ctx;
    r->done(r, code);
}

static void io_note(void *ctx, uint64_t from, const void *data, size_t len)
{
    struct raftlog *rl = ctx;
    rl->opt.note(rl->opt.ctx, from, data, len);
}

static void io_changed(void *ctx)
{
    struct raftlog *rl = ctx;
    rl->changed = true;
}

static int node_begin(struct raftlog *rl, const struct node_recovered *r, struct err *e)
{
    struct node_options o = {
        .id = rl->guard.record.raft_id,
        .address = rl->listen,
        .election_ms = rl->opt.election_ms,
        .heartbeat_ms = rl->opt.heartbeat_ms,
        .snapshot_entries = rl->opt.snapshot_entries,
        .snapshot_trailing = rl->opt.snapshot_trailing,
        .cache_bytes = rl->opt.cache_bytes,
        .seed = SEED_OF(rl),
        .mutants = MUTANT(read_without_proof) ? NODE_MUTANT_READ_NO_PROBE
                   : MUTANT(ack_on_append)    ? NODE_MUTANT_ACK_ON_APPEND
                   : MUTANT(stale_persisted)  ? NODE_MUTANT_STALE_PERSISTED
                                              : NODE_MUTANT_NONE,
        .io = {.ctx = rl,
               .save_vote = rl_save_vote,
               .append = rl_append,
               .read = rl_read,
               .trim = rl_trim,
               .send = rl_send,
               .apply = io_apply,
               .snapshot_take = rl_snapshot_take,
               .snapshot_cancel = rl_snapshot_cancel,
               .snapshot_send = rl_snapshot_send,
               .snapshot_restore = rl_snapshot_restore,
               .proposal_done = io_proposal_done,
               .read_done = io_read_done,
               .note = io_note,
               .changed = io_changed,
               .stopped = rl_stopped},
    };
    guard_on_saved(&rl->guard, rl_guard_saved, rl);
    return node_new(&rl->node, &o, r, rl_now_ms(rl), e);
}

/* --- recovery */

static void see_file(void *ctx, const char *name)
{
    bool *any = ctx;
    *any = *any || strncmp(name, "wal-", 4) == 0 || strncmp(name, "vote-", 5) == 0 ||
           strncmp(name, "snap-", 5) == 0;
}

static int check_condemned(struct raftlog *rl, struct err *e)
{
    char why[LIMIT_DETAIL + 1] = "";
    struct disk_file *f = NULL;
    size_t n = 0;
    int rc = disk_open(rl->disk, CONDEMNED, DISK_READ, &f, e);
    if (rc == ERR_NOT_FOUND) {
        *e = (struct err){0};
        return 0;
    }
    rc = rc == 0 ? disk_read(f, 0, why, sizeof why - 1, &n, e) : rc;
    disk_close(f);
    return rc == 0 ? err_set(e, ERR_REFUSED, "%s", why) : rc;
}

/* The machine must not be behind the snapshot: what is between is in no log. */
static int
load_machine(struct raftlog *rl, const struct snap_meta *m, const char *name, struct err *e)
{
    if (rl->opt.machine.applied(rl->opt.machine.ctx) >= m->index) {
        return 0;
    }
    return rl_snap_load(rl, name, e);
}

/* Whether the log goes on from the snapshot. It does not when the machine stopped between keeping a
 * snapshot that came in and beginning the log anew. */
static bool log_reaches(const struct found_log *l, const struct snap_meta *m)
{
    if (l->n == 0) {
        return false;
    }
    uint64_t first = l->entries[0].index;
    uint64_t last = l->entries[l->n - 1].index;
    if (first == m->index + 1) {
        return true;
    }
    return m->index >= first && m->index <= last && l->entries[m->index - first].term == m->term;
}

struct restart_only {
    struct wal_append wal;
    struct raftlog *rl;
};

static void restarted(struct wal_append *a, int code)
{
    struct restart_only *r = CONTAINER_OF(a, struct restart_only, wal);
    struct err e = {0};
    if (code != 0) {
        (void)err_set(&e, code, "begin the log anew: %s", err_text(code));
        rl_fatal(r->rl, &e);
    }
    free(r);
}

/* Begin the log on disk anew behind this entry; appends made later follow it. */
static int restart_log(struct raftlog *rl, uint64_t index, uint64_t term, struct err *e)
{
    int rc = guard_lower_acked(&rl->guard, index, e);
    if (rc == 0) {
        struct restart_only *r = mem_new(1, sizeof *r);
        r->rl = rl;
        r->wal = (struct wal_append){.done = restarted};
        rc = wal_restart(rl->wal, &r->wal, index, term);
        if (rc != 0) {
            free(r);
            return err_set(e, rc, "begin the log anew: %s", err_text(rc));
        }
    }
    return rc;
}

static int recover_rest(struct raftlog *rl,
                        struct found_log *l,
                        const struct snap_found *found,
                        const struct snap_meta *m,
                        struct err *e)
{
    struct wal_status w;
    wal_get_status(rl->wal, &w);
    if (w.first > (found->any ? m->index : 0) + 1) {
        return err_set(e, ERR_CORRUPT, "the log begins at %llu, and %s",
                       (unsigned long long)w.first,
                       found->damaged > 0 ? found->why.msg : "no snapshot reaches that far");
    }
    rl->snapshot_index = found->any ? m->index : 0;
    int rc = found->any ? load_machine(rl, m, found->name, e) : 0;
    rc = rc == 0 ? guard_start(&rl->guard, rng_u64(&rl->rng) | 1, e) : rc;
    if (rc == 0 && found->any && !log_reaches(l, m)) {
        rc = restart_log(rl, m->index, m->term, e);
        found_cut(l, 0);
        w.first = m->index + 1;
    }
    if (rc != 0) {
        return rc;
    }
    struct node_snapshot snap = {.index = m->index,
                                 .term = m->term,
                                 .conf_index = m->conf_index,
                                 .conf = m->conf,
                                 .conf_len = m->conf_len};
    struct node_recovered r = {
        .term = rl->vote.term,
        .vote = rl->vote.vote,
        .snapshot = found->any ? &snap : NULL,
        .first_index = w.first,
        .entries = l->entries,
        .n = l->n,
        .applied = rl->opt.machine.applied(rl->opt.machine.ctx),
    };
    return node_begin(rl, &r, e);
}

static int recover_member(struct raftlog *rl, struct err *e)
{
    struct found_log l = {0};
    struct snap_found found = {0};
    struct snap_meta *m = mem_new(1, sizeof *m);
    if (strcmp(rl->guard.record.name, rl->name) != 0) {
        free(m);
        return err_set(e, ERR_REFUSED, "it is the directory of host %s", rl->guard.record.name);
    }
    int rc = vote_open(&rl->vote, rl->disk, e);
    rc = rc == ERR_NOT_FOUND ? err_set(e, ERR_CORRUPT, "vote-a and vote-b are missing") : rc;
    rc = rc == 0 ? log_open(rl, /*create=*/false, &l, e) : rc;
    rc = rc == 0 ? snap_newest(rl->disk, &rl->guard.record.pool, &found, m, e) : rc;
    if (rc == 0 && found.damaged > 0) {
        MARK(snapshot_damaged);
        log_line(LOG_WARN, "snapshot_damaged", "file", found.damaged_name, "err", found.why.msg,
                 NULL);
    }
    rc = rc == 0 ? recover_rest(rl, &l, &found, m, e) : rc;
    found_done(&l);
    free(m);
    return rc;
}

static int recover_dir(struct raftlog *rl, struct err *e)
{
    bool any = false;
    int rc = check_condemned(rl, e);
    rc = rc == 0 ? guard_open(&rl->guard, rl->disk, e) : rc;
    rc = rc == 0 ? disk_list(rl->disk, see_file, &any, e) : rc;
    if (rc != 0 || (rl->guard.record.raft_id == 0 && !any)) {
        return rc;
    }
    if (rl->guard.record.raft_id == 0) {
        return err_set(e, ERR_CORRUPT, "guard-a and guard-b are missing");
    }
    return recover_member(rl, e);
}

static void ignore_closed(void *ctx)
{
    (void)ctx;
}

void rl_close_files(struct raftlog *rl)
{
    guard_done(&rl->guard);
    vote_done(&rl->vote);
}

static int set_aside(struct raftlog *rl, struct err *e)
{
    char to[LIMIT_PATH + 32];
    struct stat st;
    for (unsigned i = 1; i <= ASIDE_MAX; i++) {
        (void)snprintf(to, sizeof to, "%s.refused-%u", rl->dir, i);
        if (lstat(to, &st) != 0 && errno == ENOENT) {
            MARK(directory_aside);
            if (rename(rl->dir, to) != 0) {
                return err_sys(e, ERR_IO, errno, "set %s aside", rl->dir);
            }
            return 0;
        }
    }
    return err_set(e, ERR_IO, "%s was refused %u times: look at %s and remove some", rl->dir,
                   ASIDE_MAX, to);
}

static int open_disk(struct raftlog *rl, struct err *e)
{
    int rc = disk_os_open(&rl->disk, rl->loop, rl->dir, e);
    if (rc == 0) {
        rl->ballast = (struct ballast){.disk = rl->disk,
                                       .bytes = rl->opt.ballast_bytes,
                                       .changed = rl_room_changed,
                                       .ctx = rl};
        rc = ballast_open(&rl->ballast, e);
    }
    return rc;
}

int rl_recover(struct raftlog *rl, struct err *ret_refused, struct err *e)
{
    int rc = open_disk(rl, e);
    rc = rc == 0 ? recover_dir(rl, e) : rc;
    if (rc != ERR_CORRUPT && rc != ERR_REFUSED && rc != ERR_VERSION) {
        return rc;
    }
    (void)err_set(ret_refused, rc, "%s: %s", rl->dir, e->msg);
    disk_os_close(rl->disk, ignore_closed, NULL); /* First: the log makes segments ahead. */
    wal_free(rl->wal);
    rl->wal = NULL;
    rl_close_files(rl);
    rl->guard = (struct guard){0};
    rl->vote = (struct vote){0};
    rc = set_aside(rl, e);
    rc = rc == 0 ? open_disk(rl, e) : rc;
    return rc == 0 ? recover_dir(rl, e) : rc;
}

void rl_condemn(struct raftlog *rl, const char *why)
{
    MARK(directory_condemned);
    struct disk_file *f = NULL;
    struct err e = {0};
    int rc = disk_open(rl->disk, CONDEMNED, DISK_CREATE, &f, &e);
    rc = rc == 0 ? disk_write(f, 0, why, strlen(why), &e) : rc;
    rc = rc == 0 ? disk_sync(f, &e) : rc;
    disk_close(f);
    if (rc == 0) {
        (void)disk_sync_dir(rl->disk, &e); /* If it is lost, a peer condemns it again. */
    }
}

/* --- a blank directory becomes a member's */

static int become_member(struct raftlog *rl, struct err *e)
{
    struct node_recovered r = {.term = rl->vote.term, .vote = rl->vote.vote, .first_index = 1};
    int rc = guard_found(&rl->guard, &rl->becoming_pool, rl->name, rl->becoming_id,
                         rng_u64(&rl->rng) | 1, e);
    rc = rc == 0 ? node_begin(rl, &r, e) : rc;
    if (rc == 0) {
        rl_net_self(rl);
        rl_net_members(rl);
        rl_wake(rl);
    }
    return rc;
}

/* What a try that failed left says nothing: without a guard record nobody was told anything. */
static int become_prepare(struct raftlog *rl, uint64_t term, struct err *e)
{
    vote_done(&rl->vote);
    int rc = vote_open(&rl->vote, rl->disk, e);
    if (rc == 0 || rc == ERR_NOT_FOUND || rc == ERR_CORRUPT) {
        *e = (struct err){0};
        rl->vote.term = rl->vote.vote = 0;
        rc = vote_save(&rl->vote, term, 0, e);
    }
    rl->guard.record.pool = rl->becoming_pool; /* In memory only: the log's files carry it. */
    return rc == 0 && rl->wal == NULL ? log_open(rl, /*create=*/true, NULL, e) : rc;
}

int rl_adopt(struct raftlog *rl, const struct id *pool, uint64_t raft_id, struct err *e)
{
    if (rl->founding) {
        return err_set(e, ERR_STATE, "this host is founding a pool of its own");
    }
    if (rl->wal != NULL && !id_equal(pool, &rl->becoming_pool)) {
        return err_set(e, ERR_STATE, "this host has half joined another pool: start it again");
    }
    rl->becoming_pool = *pool;
    rl->becoming_id = raft_id;
    int rc = become_prepare(rl, 0, e);
    return rc == 0 ? become_member(rl, e) : rc; /* Else it will be tried again. */
}

/* The founding configuration is on disk: the member may come to life, finding it there. */
static void founding_done(struct wal_append *a, int code)
{
    struct raftlog *rl = a->user;
    struct err e = {0};
    rl->founding = false;
    if (rl->stopping) {
        return;
    }
    struct node_entry first = {.index = 1,
                               .term = 1,
                               .data = rl->founding_conf.data,
                               .len = (uint32_t)rl->founding_conf.len,
                               .type = NODE_CHANGE};
    struct node_recovered r = {.term = 1, .first_index = 1, .entries = &first, .n = 1};
    int rc = code != 0 ? err_set(&e, code, "found a pool: %s", err_text(code)) : 0;
    rc = rc == 0
             ? guard_found(&rl->guard, &rl->becoming_pool, rl->name, 1, rng_u64(&rl->rng) | 1, &e)
             : rc;
    rc = rc == 0 ? node_begin(rl, &r, &e) : rc;
    buf_done(&rl->founding_conf);
    if (rc != 0) {
        rl_fatal(rl, &e);
        return;
    }
    rl_net_self(rl);
    rl_net_members(rl);
    rl_wake(rl);
}

int raftlog_bootstrap(struct raftlog *rl, const struct id *pool, struct err *e)
{
    if (rl->node != NULL || rl->founding) {
        return err_set(e, ERR_STATE, "this host belongs to a pool already");
    }
    rl->becoming_pool = *pool;
    rl->becoming_id = 1;
    int rc = node_founding_conf(1, rl->listen, &rl->founding_conf, e);
    rc = rc == 0 ? become_prepare(rl, 1, e) : rc;
    if (rc != 0) {
        return rc;
    }
    struct wal_entry entry = {.index = 1,
                              .term = 1,
                              .type = NODE_CHANGE,
                              .data = rl->founding_conf.data,
                              .len = rl->founding_conf.len};
    rl->founding_append =
        (struct wal_append){.entries = &entry, .n = 1, .done = founding_done, .user = rl};
    rc = wal_append(rl->wal, &rl->founding_append);
    rl->founding = rc == 0;
    return rc == 0 ? 0 : err_set(e, rc, "found a pool: %s", err_text(rc));
}
