/* LMDB, which kv.c, kv_stage.c and kv_room.c alone know. Databases: "rows0" and "rows1", of which
 * one is current (the other is empty but while a snapshot is loaded), and "meta". The files around
 * it are kv_dir.c's.
 *
 * Not WRITEMAP: a stray pointer of ours would change the file silently. NOTLS: a view may be handed
 * to another thread. */

#include "fsm/kv.h"

#include <assert.h>
#include <string.h>

#include "core/buf.h"
#include "core/mutant.h"
#include "core/util.h"

#include "fsm/kv_check.h"
#include "fsm/kv_impl.h"

/* Read transactions at once: clients that page through lists, the snapshot worker, the agent. */
#define MAX_READERS 1024

static const char key_head[] = "head";
static const char key_format[] = "format";

static int lmdb_code(int r)
{
    switch (r) {
    case 0: return 0;
    case MDB_NOTFOUND: return ERR_NOT_FOUND;
    case MDB_MAP_FULL: return ERR_NO_SPACE;
    case MDB_PAGE_NOTFOUND:
    case MDB_CORRUPTED:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE: return ERR_CORRUPT;
    case MDB_READERS_FULL: return ERR_BUSY;
    default: return ERR_IO;
    }
}

int kv_lmdb_err(struct err *e, int r, const char *what)
{
    if (r > 0) { /* LMDB's own codes are negative, those of the system positive. */
        return err_sys(e, ERR_IO, r, "store: %s", what);
    }
    return err_set(e, lmdb_code(r), "store: %s: %s", what, mdb_strerror(r));
}

MDB_val kv_val(const void *data, size_t len)
{
    const union {
        const void *in;
        void *out; /* LMDB does not write to it. */
    } p = {data};
    return (MDB_val){.mv_size = len, .mv_data = p.out};
}

/* --- meta */

static int get_meta(struct kv *kv, MDB_txn *txn, const char *name, void *out, size_t len)
{
    MDB_val k = kv_val(name, strlen(name));
    MDB_val v;
    int r = mdb_get(txn, kv->meta, &k, &v);
    if (r == 0 && v.mv_size != len) {
        r = MDB_CORRUPTED;
    }
    if (r == 0) {
        memcpy(out, v.mv_data, len);
    }
    return r;
}

static int put_meta(struct kv *kv, MDB_txn *txn, const char *name, const void *data, size_t len)
{
    MDB_val k = kv_val(name, strlen(name));
    MDB_val v = kv_val(data, len);
    return mdb_put(txn, kv->meta, &k, &v, 0);
}

/* The head's layout: applied index u64, hash 16 bytes, which rows are current u64, check u64. */
#define HEAD_SIZE 40

static int get_head(struct kv *kv, MDB_txn *txn, struct kv_head *ret, unsigned *ret_current)
{
    uint8_t b[HEAD_SIZE];
    int r = get_meta(kv, txn, key_head, b, sizeof b);
    if (r == 0 && (load_u64(b + 24) > 1 || load_u64(b + 32) != hash_bytes(b, 32).lo)) {
        r = MDB_CORRUPTED;
    }
    if (r == 0) {
        ret->applied = load_u64(b);
        ret->hash = (struct hash128){.lo = load_u64(b + 8), .hi = load_u64(b + 16)};
        *ret_current = (unsigned)load_u64(b + 24);
    }
    return r;
}

int kv_put_head(struct kv *kv, MDB_txn *txn, const struct kv_head *head, unsigned current)
{
    uint8_t b[HEAD_SIZE];
    store_u64(b, head->applied);
    store_u64(b + 8, head->hash.lo);
    store_u64(b + 16, head->hash.hi);
    store_u64(b + 24, current);
    store_u64(b + 32, hash_bytes(b, 32).lo);
    return put_meta(kv, txn, key_head, b, sizeof b);
}

/* --- open */

static void close_env(struct kv *kv)
{
    if (kv->env != NULL) {
        mdb_env_close(kv->env);
        kv->env = NULL;
    }
}

static int open_env(struct kv *kv, const struct kv_options *o, struct err *e)
{
    size_t map = o->map_bytes == 0 ? (size_t)16 << 30 : o->map_bytes;
    int r = mdb_env_create(&kv->env);
    r = r == 0 ? mdb_env_set_mapsize(kv->env, map) : r;
    r = r == 0 ? mdb_env_set_maxdbs(kv->env, 4) : r;
    r = r == 0 ? mdb_env_set_maxreaders(kv->env, MAX_READERS) : r;
    unsigned flags = MDB_NOSUBDIR | MDB_NOSYNC | MDB_NOTLS;
    r = r == 0 ? mdb_env_open(kv->env, kv->dir.file, flags, 0600) : r;
    if (r == 0) {
        kv->room = 0;
        kv_room_keep(kv);
    }
    return r == 0 ? 0 : kv_lmdb_err(e, r, "open");
}

/* Open the databases; in a fresh store, make them. */
static int open_dbs(struct kv *kv, uint32_t format, struct err *e)
{
    MDB_txn *txn = NULL;
    int r = mdb_txn_begin(kv->env, NULL, 0, &txn);
    if (r != 0) {
        return kv_lmdb_err(e, r, "begin");
    }
    r = mdb_dbi_open(txn, "rows0", MDB_CREATE, &kv->rows[0]);
    r = r == 0 ? mdb_dbi_open(txn, "rows1", MDB_CREATE, &kv->rows[1]) : r;
    r = r == 0 ? mdb_dbi_open(txn, "meta", MDB_CREATE, &kv->meta) : r;
    uint8_t have[4];
    if (r == 0) {
        r = get_meta(kv, txn, key_format, have, sizeof have);
        if (r == MDB_NOTFOUND) {
            const struct kv_head none = {0};
            store_u32(have, format);
            r = put_meta(kv, txn, key_format, have, sizeof have);
            r = r == 0 ? kv_put_head(kv, txn, &none, 0) : r;
        } else if (r == 0 && load_u32(have) != format) {
            mdb_txn_abort(txn);
            return err_set(e, ERR_VERSION, "store: format %u", load_u32(have));
        }
    }
    if (r != 0) {
        mdb_txn_abort(txn);
        return kv_lmdb_err(e, r, "open databases");
    }
    r = mdb_txn_commit(txn);
    return r == 0 ? 0 : kv_lmdb_err(e, r, "commit");
}

static int hash_rows(MDB_txn *txn, MDB_dbi rows, struct hash128 *ret, struct err *e)
{
    MDB_cursor *cursor = NULL;
    int r = mdb_cursor_open(txn, rows, &cursor);
    struct hash128 sum = {0};
    while (r == 0) {
        MDB_val k;
        MDB_val v;
        r = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
        if (r == 0) {
            hash_add(&sum, hash_row(k.mv_data, k.mv_size, v.mv_data, v.mv_size));
        }
    }
    if (cursor != NULL) {
        mdb_cursor_close(cursor);
    }
    *ret = sum;
    return r == MDB_NOTFOUND ? 0 : kv_lmdb_err(e, r, "read");
}

/* Compare all rows with the stored hash, and drop what an interrupted load left behind. */
static int verify(struct kv *kv, struct err *e)
{
    MDB_txn *txn = NULL;
    int r = mdb_txn_begin(kv->env, NULL, 0, &txn);
    if (r != 0) {
        return kv_lmdb_err(e, r, "begin");
    }
    struct kv_head head = {0};
    unsigned current = 0;
    struct hash128 sum = {0};
    r = get_head(kv, txn, &head, &current);
    int rc = r == 0              ? hash_rows(txn, kv->rows[current], &sum, e)
             : r == MDB_NOTFOUND ? err_set(e, ERR_CORRUPT, "store: no head")
                                 : kv_lmdb_err(e, r, "read meta");
    if (rc == 0 && !hash_equal(sum, head.hash)) {
        rc = err_set(e, ERR_CORRUPT, "store: the rows do not have the stored hash");
    }
    if (rc != 0) {
        mdb_txn_abort(txn);
        return rc;
    }
    r = mdb_drop(txn, kv->rows[1 - current], 0);
    if (r != 0) {
        mdb_txn_abort(txn);
        return kv_lmdb_err(e, r, "drop");
    }
    r = mdb_txn_commit(txn);
    return r == 0 ? 0 : kv_lmdb_err(e, r, "commit");
}

static int open_and_verify(struct kv *kv, const struct kv_options *o, struct err *e)
{
    int rc = kv_check_file(kv->dir.file, e);
    rc = rc == 0 ? open_env(kv, o, e) : rc;
    rc = rc == 0 ? open_dbs(kv, o->format, e) : rc;
    rc = rc == 0 ? verify(kv, e) : rc;
    if (rc != 0) {
        close_env(kv);
    }
    return rc;
}

static int open_files(struct kv *kv, const struct kv_options *o, bool *ret_emptied, struct err *e)
{
    int rc = kv_dir_open(&kv->dir, o->dir, o->boot_id, ret_emptied, e);
    if (rc == 0) {
        rc = open_and_verify(kv, o, e);
    }
    if (rc == ERR_CORRUPT || rc == ERR_VERSION) {
        *ret_emptied = true;
        rc = kv_dir_empty(&kv->dir, e);
        if (rc == 0) {
            rc = open_and_verify(kv, o, e);
        }
    }
    return rc;
}

static void free_kv(struct kv *kv)
{
    close_env(kv);
    kv_dir_close(&kv->dir);
    free(kv);
}

int kv_open(struct kv **ret, const struct kv_options *o, bool *ret_emptied, struct err *e)
{
    struct kv *kv = mem_new(1, sizeof *kv);
    int rc = open_files(kv, o, ret_emptied, e);
    if (rc != 0) {
        free_kv(kv);
        return rc;
    }
    *ret = kv;
    return 0;
}

struct kv *kv_close(struct kv *kv)
{
    if (kv != NULL) {
        struct err e = {0};
        if (mdb_env_sync(kv->env, 1) == 0) {
            close_env(kv);
            (void)kv_dir_mark_clean(&kv->dir, &e); /* Else the next boot starts empty. */
        }
        free_kv(kv);
    }
    return NULL;
}

/* --- transactions */

static int begin(struct kv *kv, bool write, struct kv_txn **ret, struct err *e)
{
    struct kv_txn *t = mem_new(1, sizeof *t);
    unsigned current = 0;
    t->kv = kv;
    t->write = write;
    int r = mdb_txn_begin(kv->env, NULL, write ? 0 : MDB_RDONLY, &t->txn);
    if (r != 0) {
        free(t);
        return kv_lmdb_err(e, r, "begin");
    }
    r = get_head(kv, t->txn, &t->head, &current);
    if (r != 0) {
        mdb_txn_abort(t->txn);
        free(t);
        return r == MDB_NOTFOUND ? err_set(e, ERR_CORRUPT, "store: no head")
                                 : kv_lmdb_err(e, r, "begin");
    }
    t->rows = kv->rows[current];
    *ret = t;
    return 0;
}

int kv_read_begin(struct kv *kv, struct kv_txn **ret, struct err *e)
{
    return begin(kv, false, ret, e);
}

static void close_cursor(struct kv_txn *t)
{
    if (t->cursor != NULL) {
        mdb_cursor_close(t->cursor);
        t->cursor = NULL;
    }
    if (t->writer != NULL) {
        mdb_cursor_close(t->writer);
        t->writer = NULL;
    }
}

struct kv_txn *kv_read_end(struct kv_txn *t)
{
    if (t != NULL) {
        assert(!t->write);
        close_cursor(t);
        mdb_txn_abort(t->txn);
        free(t);
    }
    return NULL;
}

int kv_write_begin(struct kv *kv, struct kv_txn **ret, struct err *e)
{
    return begin(kv, true, ret, e);
}

int kv_write_commit(struct kv_txn *t, uint64_t applied, struct err *e)
{
    assert(t->write);
    int rc = kv_failure(t, e);
    if (rc == 0) {
        t->head.applied = applied;
        int r = kv_put_head(t->kv, t->txn, &t->head, t->rows == t->kv->rows[0] ? 0 : 1);
        rc = r == 0 ? 0 : kv_lmdb_err(e, r, "write");
    }
    if (rc != 0) {
        kv_write_abort(t);
        return rc;
    }
    close_cursor(t);
    int r = mdb_txn_commit(t->txn);
    if (r == 0) {
        kv_room_keep(t->kv);
    }
    free(t);
    return r == 0 ? 0 : kv_lmdb_err(e, r, "commit");
}

void kv_write_abort(struct kv_txn *t)
{
    assert(t->write);
    close_cursor(t);
    mdb_txn_abort(t->txn);
    free(t);
}

struct kv_head kv_head(const struct kv_txn *t)
{
    return t->head;
}

int kv_failure(const struct kv_txn *t, struct err *e)
{
    if (t->failure.code != 0) {
        *e = t->failure;
    }
    return t->failure.code;
}

void kv_fail(struct kv_txn *t, int code, const char *what)
{
    if (t->failure.code == 0) {
        (void)err_set(&t->failure, code, "%s", what);
    }
}

/* Remember what LMDB said; what is simply not there is no failure. */
static int noted(struct kv_txn *t, int r, const char *what)
{
    if (r == MDB_NOTFOUND) {
        return ERR_NOT_FOUND;
    }
    if (r != 0 && t->failure.code == 0) {
        (void)kv_lmdb_err(&t->failure, r, what);
    }
    return lmdb_code(r);
}

/* --- rows */

static void set_row(struct kv_row *row, MDB_val k, MDB_val v)
{
    *row = (struct kv_row){
        .key = k.mv_data, .key_len = k.mv_size, .value = v.mv_data, .value_len = v.mv_size};
}

int kv_get(struct kv_txn *t, const void *key, size_t len, struct kv_row *ret)
{
    if (t == NULL || t->failure.code != 0) {
        return ERR_NOT_FOUND;
    }
    MDB_val k = kv_val(key, len);
    MDB_val v;
    int rc = noted(t, mdb_get(t->txn, t->rows, &k, &v), "read");
    if (rc == 0) {
        set_row(ret, k, v);
    }
    return rc;
}

static int cursor_get(struct kv_txn *t, MDB_val *k, MDB_cursor_op op, struct kv_row *ret)
{
    MDB_val v;
    int rc = noted(t, mdb_cursor_get(t->cursor, k, &v, op), "read");
    if (rc == 0) {
        set_row(ret, *k, v);
    }
    return rc;
}

int kv_seek(struct kv_txn *t, const void *key, size_t len, struct kv_row *ret)
{
    if (t == NULL || t->failure.code != 0) {
        return ERR_NOT_FOUND;
    }
    if (t->cursor == NULL) {
        int rc = noted(t, mdb_cursor_open(t->txn, t->rows, &t->cursor), "read");
        if (rc != 0) {
            return rc;
        }
    }
    MDB_val k = kv_val(key, len);
    return cursor_get(t, &k, MDB_SET_RANGE, ret);
}

int kv_next(struct kv_txn *t, struct kv_row *ret)
{
    if (t->failure.code != 0 || t->cursor == NULL) {
        return ERR_NOT_FOUND;
    }
    MDB_val k;
    return cursor_get(t, &k, MDB_NEXT, ret);
}

static bool open_writer(struct kv_txn *t)
{
    return t->failure.code == 0 &&
           (t->writer != NULL ||
            noted(t, mdb_cursor_open(t->txn, t->rows, &t->writer), "write") == 0);
}

/* A row that is there is found by the attempt to insert it, which leaves the cursor on it. */
void kv_put(struct kv_txn *t, const void *key, size_t key_len, const void *value, size_t value_len)
{
    assert(t->write);
    if (!open_writer(t)) {
        return;
    }
    MDB_val k = kv_val(key, key_len);
    MDB_val v = kv_val(value, value_len);
    int r = mdb_cursor_put(t->writer, &k, &v, MDB_NOOVERWRITE);
    if (r == MDB_KEYEXIST) {
        hash_sub(&t->head.hash, hash_row(key, key_len, v.mv_data, v.mv_size));
        k = kv_val(key, key_len);
        v = kv_val(value, value_len);
        r = mdb_cursor_put(t->writer, &k, &v, MDB_CURRENT);
    }
    if (noted(t, r, "write") == 0) {
        hash_add(&t->head.hash, hash_row(key, key_len, value, value_len));
    }
}

void kv_del(struct kv_txn *t, const void *key, size_t len)
{
    assert(t->write);
    MDB_val k = kv_val(key, len);
    MDB_val v;
    if (!open_writer(t) || noted(t, mdb_cursor_get(t->writer, &k, &v, MDB_SET), "read") != 0) {
        return;
    }
    struct hash128 row = hash_row(key, len, v.mv_data, v.mv_size);
    if (noted(t, mdb_cursor_del(t->writer, 0), "delete") == 0 && !MUTANT(hash_ignores_deletes)) {
        hash_sub(&t->head.hash, row);
    }
}
