#include "fsm/rows.h"

#include <assert.h>
#include <string.h>

#include "core/util.h"

#include "fsm/fsm.h"

#define SCHEMA_RECORD sys
SCHEMA_DEFINE(sys, SYS_FIELDS)
#undef SCHEMA_RECORD

struct key key_table(char table)
{
    return (struct key){.b = {(uint8_t)table}, .n = 1};
}

static void add(struct key *k, const void *data, size_t len)
{
    assert(k->n + len <= sizeof k->b);
    memcpy(k->b + k->n, data, len);
    k->n += len;
}

static void add_number(struct key *k, uint64_t number)
{
    uint8_t be[8];
    for (int i = 0; i < 8; i++) {
        be[i] = (uint8_t)(number >> (56 - 8 * i));
    }
    add(k, be, sizeof be);
}

struct key key_name(char table, const char *name)
{
    struct key k = key_table(table);
    add(&k, name, strnlen(name, LIMIT_NAME));
    return k;
}

struct key key_number(char table, uint64_t number)
{
    struct key k = key_table(table);
    add_number(&k, number);
    return k;
}

struct key key_numbers(char table, uint64_t a, uint64_t b)
{
    struct key k = key_number(table, a);
    add_number(&k, b);
    return k;
}

struct key key_pair(char table, const char *a, const char *b)
{
    struct key k = key_name(table, a);
    add(&k, "", 1);
    add(&k, b, strnlen(b, LIMIT_NAME));
    return k;
}

struct key key_id(char table, const struct id *id)
{
    struct key k = key_table(table);
    add(&k, id->b, sizeof id->b);
    return k;
}

uint64_t key_last_number(const struct kv_row *row)
{
    uint64_t v = 0;
    for (size_t i = row->key_len < 8 ? 0 : row->key_len - 8; i < row->key_len; i++) {
        v = v << 8 | row->key[i];
    }
    return v;
}

static int decode(struct kv_txn *t, const struct kv_row *row, const struct schema *s, void *ret)
{
    struct err e = {0};
    if (schema_decode_all(s, row->value, row->value_len, ret, &e) != 0) {
        (void)err_wrap(&e, "store: a row of %s", s->name);
        kv_fail(t, ERR_CORRUPT, e.msg);
        return ERR_CORRUPT;
    }
    return 0;
}

int rows_get(struct kv_txn *t, const struct key *k, const struct schema *s, void *ret)
{
    struct kv_row row;
    int rc = kv_get(t, k->b, k->n, &row);
    return rc == 0 ? decode(t, &row, s, ret) : rc;
}

static int in_prefix(const struct key *k, size_t prefix, int rc, const struct kv_row *row)
{
    if (rc == 0 && (row->key_len < prefix || memcmp(row->key, k->b, prefix) != 0)) {
        return ERR_NOT_FOUND;
    }
    return rc;
}

int rows_seek_from(struct kv_txn *t, const struct key *k, size_t prefix, struct kv_row *ret)
{
    return in_prefix(k, prefix, kv_seek(t, k->b, k->n, ret), ret);
}

int rows_seek_after(struct kv_txn *t, const struct key *k, size_t prefix, struct kv_row *ret)
{
    int rc = kv_seek(t, k->b, k->n, ret);
    if (rc == 0 && ret->key_len == k->n && memcmp(ret->key, k->b, k->n) == 0) {
        rc = kv_next(t, ret);
    }
    return in_prefix(k, prefix, rc, ret);
}

int rows_after(struct kv_txn *t, const struct key *k, const struct schema *s, void *ret)
{
    struct kv_row row;
    int rc = rows_seek_after(t, k, 1, &row);
    return rc == 0 ? decode(t, &row, s, ret) : rc;
}

static void add_promised(struct kv_txn *t, char table, const char *host, struct promised *sum)
{
    const struct key k = key_pair(table, host, "");
    struct kv_row row;
    int rc = kv_seek(t, k.b, k.n, &row);
    while (in_prefix(&k, k.n, rc, &row) == 0) {
        if (row.value_len != 8) {
            kv_fail(t, ERR_CORRUPT, "store: a row of an index");
            return;
        }
        sum->memory_mib += load_u32(row.value);
        sum->vcpus += load_u32((const uint8_t *)row.value + 4);
        rc = kv_next(t, &row);
    }
}

struct promised rows_promised(struct kv_txn *t, const char *host)
{
    struct promised sum = {0};
    add_promised(t, 'g', host, &sum);
    add_promised(t, 't', host, &sum);
    return sum;
}

uint64_t rows_reserved_mib(struct kv_txn *t, const char *host)
{
    return rows_promised(t, host).memory_mib;
}

bool rows_concerns(struct kv_txn *t, const char *guest, const char *host)
{
    const struct key owned = key_pair('g', host, guest);
    const struct key coming = key_pair('t', host, guest);
    struct kv_row row;
    return kv_get(t, owned.b, owned.n, &row) == 0 || kv_get(t, coming.b, coming.n, &row) == 0;
}

uint32_t rows_guests_on(struct kv_txn *t, const char *host)
{
    const struct key k = key_pair('g', host, "");
    struct kv_row row;
    uint32_t n = 0;
    int rc = kv_seek(t, k.b, k.n, &row);
    while (in_prefix(&k, k.n, rc, &row) == 0) {
        n++;
        rc = kv_next(t, &row);
    }
    return n;
}

struct fence_budget rows_fence_budget(struct kv_txn *t, const struct pool *pool, uint64_t now_ms)
{
    struct fence_budget b = {.limit = 0};
    struct key k = key_table('H');
    struct host h;
    uint32_t hosts = 0;
    while (rows_after(t, &k, &schema_host, &h) == 0) {
        k = key_name('H', h.name);
        hosts++;
        b.held += h.held ? 1 : 0;
        b.used += h.fenced_ms != 0 && now_ms < h.fenced_ms + pool->fence_window_ms ? 1 : 0;
    }
    b.limit = (uint32_t)max_u64(pool->fence_hosts, (uint64_t)hosts * pool->fence_percent / 100);
    return b;
}

/* Tables of records, and what room the largest needs. */
static const struct schema *schema_of(uint8_t table)
{
    switch (table) {
    case 'C': return &schema_sys;
    case 'P': return &schema_pool;
    case 'H': return &schema_host;
    case 'S': return &schema_repo;
    case 'G': return &schema_guest;
    case 'O': return &schema_op;
    case 'E': return &schema_event;
    case 'R': return &schema_outcome;
    default: return NULL;
    }
}

union any_record {
    struct sys sys;
    struct pool pool;
    struct host host;
    struct repo repo;
    struct guest guest;
    struct op op;
    struct event event;
    struct outcome outcome;
};

int rows_check(const struct kv_row *row, struct err *e)
{
    union any_record record;
    uint8_t table = row->key_len == 0 ? 0 : row->key[0];
    const struct schema *s = schema_of(table);
    if (s == NULL) {
        bool index = table != 0 && strchr("gtawkuodrpf", table) != NULL;
        return index ? 0 : err_set(e, ERR_CORRUPT, "a row of an unknown table");
    }
    struct err why = {0};
    if (schema_decode_all(s, row->value, row->value_len, &record, &why) != 0) {
        return err_set(e, ERR_CORRUPT, "a row of %s: %.200s", s->name, why.msg);
    }
    if (table == 'P' && record.pool.feature_level > FSM_FEATURE_LEVEL) {
        return err_set(e, ERR_VERSION, "the pool's format level is %u, this program knows %d",
                       record.pool.feature_level, FSM_FEATURE_LEVEL);
    }
    return 0;
}
