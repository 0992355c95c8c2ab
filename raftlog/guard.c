#include "raftlog/guard.h"

#include <assert.h>
#include <string.h>

#include "core/mark.h"
#include "core/mp.h"
#include "core/util.h"

#define FIELDS 9u

/* [pool, name, raft id, incarnation, nonce, told, term, acked, [[raft id, incarnation, nonce],
 * ...]] */
static void encode(const struct guard_record *r, struct buf *out)
{
    mp_put_array(out, FIELDS);
    mp_put_bin(out, r->pool.b, sizeof r->pool.b);
    mp_put_str(out, r->name);
    mp_put_uint(out, r->raft_id);
    mp_put_uint(out, r->incarnation);
    mp_put_uint(out, r->nonce);
    mp_put_bool(out, r->told);
    mp_put_uint(out, r->term);
    mp_put_uint(out, r->acked);
    mp_put_array(out, r->n_peers);
    for (uint32_t i = 0; i < r->n_peers; i++) {
        mp_put_array(out, 3);
        mp_put_uint(out, r->peers[i].raft_id);
        mp_put_uint(out, r->peers[i].incarnation);
        mp_put_uint(out, r->peers[i].nonce);
    }
}

static int decode_peers(struct mp_reader *in, struct guard_record *r)
{
    uint32_t n;
    uint32_t three;
    int rc = mp_get_array(in, &n);
    if (rc != 0 || n > GUARD_PEERS) {
        return ERR_MALFORMED;
    }
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        struct guard_peer *p = &r->peers[i];
        rc = mp_get_array(in, &three);
        rc = rc == 0 && three != 3 ? ERR_MALFORMED : rc;
        rc = rc == 0 ? mp_get_uint(in, &p->raft_id) : rc;
        rc = rc == 0 ? mp_get_uint(in, &p->incarnation) : rc;
        rc = rc == 0 ? mp_get_uint(in, &p->nonce) : rc;
    }
    r->n_peers = n;
    return rc;
}

static int decode(const struct buf *b, struct guard_record *r)
{
    struct mp_reader in;
    uint32_t n;
    mp_reader_init(&in, b->data, b->len);
    int rc = mp_get_array(&in, &n);
    rc = rc == 0 && n != FIELDS ? ERR_MALFORMED : rc;
    rc = rc == 0 ? mp_copy_bin(&in, r->pool.b, sizeof r->pool.b) : rc;
    rc = rc == 0 ? mp_copy_str(&in, r->name, sizeof r->name) : rc;
    rc = rc == 0 ? mp_get_uint(&in, &r->raft_id) : rc;
    rc = rc == 0 ? mp_get_uint(&in, &r->incarnation) : rc;
    rc = rc == 0 ? mp_get_uint(&in, &r->nonce) : rc;
    rc = rc == 0 ? mp_get_bool(&in, &r->told) : rc;
    rc = rc == 0 ? mp_get_uint(&in, &r->term) : rc;
    rc = rc == 0 ? mp_get_uint(&in, &r->acked) : rc;
    rc = rc == 0 ? decode_peers(&in, r) : rc;
    return rc == 0 && (!mp_at_end(&in) || r->raft_id == 0) ? ERR_MALFORMED : rc;
}

int guard_open(struct guard *g, struct disk *disk, struct err *e)
{
    CLEANUP(buf_done) struct buf b = {0};
    *g = (struct guard){0};
    int r = pthread_mutex_init(&g->lock, NULL);
    assert(r == 0);
    int rc = slots_open(&g->slots, disk, "guard", &b, e);
    if (rc == ERR_NOT_FOUND) {
        *e = (struct err){0};
        return 0;
    }
    if (rc == 0 && decode(&b, &g->record) != 0) {
        rc = err_set(e, ERR_CORRUPT, "guard: the record cannot be read");
    }
    g->saved_acked = g->record.acked;
    return rc;
}

void guard_done(struct guard *g)
{
    slots_done(&g->slots);
    buf_done(&g->task_data);
    (void)pthread_mutex_destroy(&g->lock);
}

static int save(struct guard *g, struct err *e)
{
    CLEANUP(buf_done) struct buf b = {0};
    encode(&g->record, &b);
    pthread_mutex_lock(&g->lock);
    g->stale = true; /* What is under way in the background is older than this. */
    int rc = slots_save(&g->slots, b.data, b.len, e);
    pthread_mutex_unlock(&g->lock);
    if (rc == 0) {
        g->saved_acked = g->record.acked;
        g->unsaved = false;
    }
    return rc;
}

/* --- in the background */

static void task_work(struct disk_task *t)
{
    struct guard *g = CONTAINER_OF(t, struct guard, task);
    pthread_mutex_lock(&g->lock);
    if (!g->stale) {
        g->task_code = slots_save(&g->slots, g->task_data.data, g->task_data.len, &g->task_err);
    }
    pthread_mutex_unlock(&g->lock);
}

static void task_done(struct disk_task *t)
{
    struct guard *g = CONTAINER_OF(t, struct guard, task);
    g->busy = false;
    if (!g->stale && g->task_code == 0) {
        g->saved_acked = g->task_acked;
    }
    if (g->saved != NULL) {
        g->saved(g->saved_ctx, g->task_code, &g->task_err);
    }
}

void guard_on_saved(struct guard *g,
                    void (*saved)(void *ctx, int code, const struct err *e),
                    void *ctx)
{
    g->saved = saved;
    g->saved_ctx = ctx;
}

void guard_save_soon(struct guard *g)
{
    if (g->busy || g->record.acked == g->saved_acked) {
        return;
    }
    buf_clear(&g->task_data);
    encode(&g->record, &g->task_data);
    g->busy = true;
    g->stale = false; /* The task before it has come back: nobody else looks. */
    g->task_acked = g->record.acked;
    g->task_code = 0;
    g->task_err = (struct err){0};
    g->task.work = task_work;
    g->task.done = task_done;
    disk_run(g->slots.disk, &g->task);
}

int guard_found(struct guard *g,
                const struct id *pool,
                const char *name,
                uint64_t raft_id,
                uint64_t nonce,
                struct err *e)
{
    if (g->record.raft_id != 0) {
        return err_set(e, ERR_STATE, "this data directory is member %llu already",
                       (unsigned long long)g->record.raft_id);
    }
    struct guard_record before = g->record;
    g->record.pool = *pool;
    g->record.raft_id = raft_id;
    g->record.incarnation = 1;
    g->record.nonce = nonce;
    g->record.told = false;
    (void)str_copy(g->record.name, sizeof g->record.name, name);
    int rc = save(g, e);
    if (rc != 0) {
        g->record = before;
    }
    return rc;
}

int guard_start(struct guard *g, uint64_t nonce, struct err *e)
{
    struct guard_record *r = &g->record;
    if (!r->told && r->incarnation > 0) {
        MARK(start_not_told);
        return 0;
    }
    r->incarnation++;
    r->nonce = nonce;
    r->told = false;
    return save(g, e);
}

int guard_told(struct guard *g, struct err *e)
{
    if (g->record.told || g->record.raft_id == 0) {
        return 0;
    }
    g->record.told = true;
    int rc = save(g, e);
    g->record.told = rc == 0;
    return rc;
}

void guard_acked(struct guard *g, uint64_t term, uint64_t index)
{
    g->record.term = max_u64(g->record.term, term);
    g->record.acked = max_u64(g->record.acked, index);
}

bool guard_is_lowered(const struct guard *g)
{
    bool coming = g->busy && !g->stale && g->task_acked > g->record.acked;
    return !coming && g->saved_acked <= g->record.acked;
}

bool guard_lower(struct guard *g, uint64_t index)
{
    g->record.acked = min_u64(g->record.acked, index);
    return guard_is_lowered(g);
}

int guard_lower_acked(struct guard *g, uint64_t index, struct err *e)
{
    return guard_lower(g, index) ? 0 : save(g, e);
}

static void forget(struct guard_record *r, uint32_t i)
{
    memmove(&r->peers[i], &r->peers[i + 1], (r->n_peers - i - 1) * sizeof r->peers[0]);
    r->n_peers--;
}

int guard_check_peer(struct guard *g,
                     uint64_t raft_id,
                     uint64_t incarnation,
                     uint64_t nonce,
                     struct err *e)
{
    struct guard_record *r = &g->record;
    uint32_t i = 0;
    while (i < r->n_peers && r->peers[i].raft_id != raft_id) {
        i++;
    }
    const struct guard_peer *p = i < r->n_peers ? &r->peers[i] : NULL;
    if (p != NULL && p->incarnation == incarnation && p->nonce == nonce) {
        return g->unsaved ? save(g, e) : 0;
    }
    if (p != NULL && incarnation <= p->incarnation) {
        MARK(old_directory);
        return err_set(
            e, ERR_REFUSED,
            "member %llu is at start number %llu, but start number %llu was seen: its data "
            "directory is an old copy",
            (unsigned long long)raft_id, (unsigned long long)incarnation,
            (unsigned long long)p->incarnation);
    }
    MARK_IF(start_remembered, p != NULL);
    if (p != NULL || r->n_peers == GUARD_PEERS) {
        forget(r, p != NULL ? i : 0);
    }
    r->peers[r->n_peers++] =
        (struct guard_peer){.raft_id = raft_id, .incarnation = incarnation, .nonce = nonce};
    g->unsaved = true;
    return save(g, e);
}
