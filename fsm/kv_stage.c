/* Replacing all rows by those of a snapshot: they are written beside the current ones, in as many
 * transactions as it takes, and become current in one. */

#include <assert.h>
#include <string.h>

#include "core/util.h"

#include "fsm/kv_impl.h"

/* Bytes of rows after which the loading of a snapshot commits, so that LMDB's dirty pages stay few.
 */
#define STAGE_BYTES ((size_t)8 * 1024 * 1024)

struct kv_stage {
    struct kv *kv;
    MDB_txn *txn;
    MDB_dbi rows;
    unsigned which; /* rows[which] is filled. */
    size_t bytes;   /* Since the last commit. */
    struct hash128 hash;
};

static int stage_open(struct kv_stage *s, struct err *e)
{
    int r = mdb_txn_begin(s->kv->env, NULL, 0, &s->txn);
    return r == 0 ? 0 : kv_lmdb_err(e, r, "begin");
}

/* End the transaction; the stage is left without one. */
static int stage_close(struct kv_stage *s, bool commit, struct err *e)
{
    int r = 0;
    if (s->txn != NULL && commit) {
        r = mdb_txn_commit(s->txn);
    } else if (s->txn != NULL) {
        mdb_txn_abort(s->txn);
    }
    s->txn = NULL;
    return r == 0 ? 0 : kv_lmdb_err(e, r, "commit");
}

int kv_stage_begin(struct kv *kv, struct kv_stage **ret, struct err *e)
{
    struct kv_txn *t = NULL;
    int rc = kv_read_begin(kv, &t, e);
    if (rc != 0) {
        return rc;
    }
    struct kv_stage *s = mem_new(1, sizeof *s);
    s->kv = kv;
    assert(t != NULL);
    s->which = t->rows == kv->rows[0] ? 1 : 0;
    s->rows = kv->rows[s->which];
    (void)kv_read_end(t);
    rc = stage_open(s, e);
    if (rc == 0) {
        int r = mdb_drop(s->txn, s->rows, 0); /* What a load that failed left. */
        rc = r == 0 ? 0 : kv_lmdb_err(e, r, "drop");
    }
    if (rc != 0) {
        kv_stage_abort(s);
        return rc;
    }
    *ret = s;
    return 0;
}

int kv_stage_put(struct kv_stage *s, const struct kv_row *row, struct err *e)
{
    MDB_val k = kv_val(row->key, row->key_len);
    MDB_val v = kv_val(row->value, row->value_len);
    int r = mdb_put(s->txn, s->rows, &k, &v, MDB_APPEND);
    if (r == MDB_KEYEXIST || r == MDB_BAD_VALSIZE) {
        return err_set(e, ERR_CORRUPT, "store: keys do not ascend, or one is too long");
    }
    if (r != 0) {
        return kv_lmdb_err(e, r, "write");
    }
    hash_add(&s->hash, hash_row(row->key, row->key_len, row->value, row->value_len));
    s->bytes += row->key_len + row->value_len;
    if (s->bytes < STAGE_BYTES) {
        return 0;
    }
    s->bytes = 0;
    int rc = stage_close(s, /*commit=*/true, e);
    return rc == 0 ? stage_open(s, e) : rc;
}

struct hash128 kv_stage_hash(const struct kv_stage *s)
{
    return s->hash;
}

int kv_stage_commit(struct kv_stage *s, uint64_t applied, struct err *e)
{
    const struct kv_head head = {.applied = applied, .hash = s->hash};
    int r = kv_put_head(s->kv, s->txn, &head, s->which);
    if (r == 0) {
        r = mdb_drop(s->txn, s->kv->rows[1 - s->which], 0);
    }
    int rc = r == 0 ? 0 : kv_lmdb_err(e, r, "write");
    int closed = stage_close(s, rc == 0, e);
    free(s);
    return rc == 0 ? closed : rc;
}

void kv_stage_abort(struct kv_stage *s)
{
    if (s != NULL) {
        struct err e = {0};
        (void)stage_close(s, /*commit=*/false, &e);
        free(s);
    }
}
