/* Opening, the envelope, and applying entry by entry. */

#include "fsm/fsm.h"

#include <assert.h>
#include <inttypes.h>
#include <stdalign.h>
#include <string.h>

#include "core/mark.h"
#include "core/mutant.h"
#include "core/util.h"

#include "fsm/apply.h"

/* Version of the envelope. */
#define ENTRY_FORMAT 1

/* Wall times beyond this (the year 10889) are nonsense; sums with timeouts stay far from overflow.
 */
#define WALL_MAX_MS (UINT64_C(1) << 48)

struct handler {
    uint32_t number;
    void (*apply)(struct apply *a, const void *record);
};

static const struct handler handlers[] = {
#define C(NUMBER, NAME, WHO, TITLE, SUMMARY) {(NUMBER), cmd_##NAME},
#include "fsm/commands.def"
#undef C
};

/* --- open and close */

/* Take what is kept in memory from the store: the pool, the counters, applied and hash. */
static int reload(struct fsm *f, struct err *e)
{
    struct kv_txn *t = NULL;
    int rc = kv_read_begin(f->kv, &t, e);
    if (rc != 0) {
        return rc;
    }
    const struct key pool = key_table('P');
    const struct key sys = key_table('C');
    f->applied = kv_head(t).applied;
    if (MUTANT(apply_twice) && f->applied > 1) {
        f->applied--;
    }
    f->hash = kv_head(t).hash;
    f->stored = (struct hash_at){f->applied, f->hash};
    f->last = f->applied;
    f->events_n = 0;
    f->events_flushed = 0;
    schema_init(&schema_pool, &f->pool);
    schema_init(&schema_sys, &f->sys);
    int found = rows_get(t, &pool, &schema_pool, &f->pool);
    f->has_pool = found == 0;
    if (found != 0) {
        schema_init(&schema_pool, &f->pool);
    }
    if (rows_get(t, &sys, &schema_sys, &f->sys) != 0) {
        schema_init(&schema_sys, &f->sys);
    }
    f->stored_sys = f->sys;
    rc = kv_failure(t, e);
    (void)kv_read_end(t);
    if (rc == 0 && f->pool.feature_level > FSM_FEATURE_LEVEL) {
        rc = err_set(e, ERR_VERSION, "the pool's format level is %u, this program knows %d",
                     f->pool.feature_level, FSM_FEATURE_LEVEL);
    }
    memset(f->hashes, 0, HASHES_KEPT * sizeof *f->hashes);
    f->hashes[f->applied % HASHES_KEPT] = (struct hash_at){f->applied, f->hash};
    return rc;
}

static size_t largest_record(void)
{
    size_t size = 0;
    for (size_t i = 0; i < n_commands; i++) {
        size = commands[i].schema->size > size ? commands[i].schema->size : size;
    }
    return size;
}

int fsm_open(struct fsm **ret, const struct fsm_options *options, bool *ret_rebuilt, struct err *e)
{
    const struct kv_options o = {.dir = options->dir,
                                 .boot_id = options->boot_id,
                                 .format = FSM_FORMAT,
                                 .map_bytes = options->map_bytes};
    struct kv *kv = NULL;
    int rc = kv_open(&kv, &o, ret_rebuilt, e);
    if (rc != 0) {
        return rc;
    }
    struct fsm *f = mem_new(1, sizeof *f);
    f->kv = kv;
    f->record = mem_new(1, largest_record());
    f->hashes = mem_new(HASHES_KEPT, sizeof *f->hashes);
    rc = reload(f, e);
    if (rc == ERR_CORRUPT) {
        *ret_rebuilt = true;
        rc = fsm_reset(f, e);
    }
    if (rc != 0) {
        (void)fsm_close(f);
        return rc;
    }
    *ret = f;
    return 0;
}

struct fsm *fsm_close(struct fsm *f)
{
    if (f != NULL) {
        struct err e = {0};
        if (f->begun) {
            kv_write_abort(f->txn);
        } else {
            (void)fsm_settle(f, &e); /* Else the log has it. */
        }
        (void)kv_close(f->kv);
        buf_done(&f->scratch);
        free(f->events);
        free(f->hashes);
        free(f->record);
        free(f);
    }
    return NULL;
}

int fsm_reset(struct fsm *f, struct err *e)
{
    struct kv_stage *s = NULL;
    struct err lost = {0};
    assert(!f->begun);
    (void)fsm_settle(f, &lost); /* It is thrown away anyhow. */
    int rc = kv_stage_begin(f->kv, &s, e);
    if (rc == 0) {
        rc = kv_stage_commit(s, 0, e);
    }
    return rc == 0 ? fsm_reload(f, e) : rc;
}

int fsm_reload(struct fsm *f, struct err *e)
{
    f->broken = (struct err){0};
    return reload(f, e);
}

uint64_t fsm_applied(const struct fsm *f)
{
    return f->applied;
}

struct hash128 fsm_hash(const struct fsm *f)
{
    return f->hash;
}

/* --- the envelope */

void entry_encode(const struct entry *en, struct buf *out)
{
    mp_put_array(out, 7);
    mp_put_uint(out, ENTRY_FORMAT);
    mp_put_uint(out, en->number);
    mp_put_bin(out, en->request.b, sizeof en->request.b);
    mp_put_str(out, en->user);
    mp_put_str(out, en->host);
    mp_put_uint(out, en->wall_ms);
    mp_put_bin(out, en->body, en->body_len);
}

int entry_decode(const void *data, size_t len, struct entry *ret_entry)
{
    struct entry en = {0};
    struct mp_reader in;
    uint32_t n;
    uint64_t format;
    uint64_t number;
    mp_reader_init(&in, data, len);
    if (len > (size_t)LIMIT_ENTRY || mp_get_array(&in, &n) != 0 || n == 0 ||
        mp_get_uint(&in, &format) != 0) {
        return ERR_MALFORMED;
    }
    if (format != ENTRY_FORMAT) {
        return ERR_VERSION;
    }
    if (n != 7 || mp_get_uint(&in, &number) != 0 || number > UINT32_MAX ||
        mp_copy_bin(&in, en.request.b, sizeof en.request.b) != 0 || id_is_none(&en.request) ||
        mp_copy_str(&in, en.user, sizeof en.user) != 0 ||
        mp_copy_str(&in, en.host, sizeof en.host) != 0 || mp_get_uint(&in, &en.wall_ms) != 0 ||
        en.wall_ms > WALL_MAX_MS || mp_get_bin(&in, &en.body, &en.body_len) != 0 ||
        !mp_at_end(&in)) {
        return ERR_MALFORMED;
    }
    en.number = (uint32_t)number;
    *ret_entry = en;
    return 0;
}

/* --- apply */

/* Give up on this replica for good: nothing of the transaction is kept. */
static int break_down(struct fsm *f, const struct err *why, struct err *e)
{
    if (f->broken.code == 0) {
        f->broken = *why;
    }
    if (f->txn != NULL) {
        kv_write_abort(f->txn);
        f->txn = NULL;
    }
    f->begun = false;
    f->applied = f->stored.index;
    f->hash = f->stored.hash;
    f->events_n = 0;
    f->events_flushed = 0;
    *e = f->broken;
    return e->code;
}

int fsm_begin(struct fsm *f, struct err *e)
{
    assert(!f->begun && f->looks == 0);
    if (f->broken.code != 0) {
        *e = f->broken;
        return e->code;
    }
    f->events_n = 0;
    f->events_flushed = 0;
    f->last = f->applied;
    int rc = f->txn == NULL ? kv_write_begin(f->kv, &f->txn, e) : 0;
    f->begun = rc == 0;
    return rc;
}

static void dispatch(struct apply *a, const struct command *c)
{
    struct fsm *f = a->f;
    const char *field = "";
    int rc = schema_decode_field(c->schema, a->entry->body, a->entry->body_len, f->record, &field);
    if (rc != 0) {
        struct outcome *o = reject(a, rc, "field", c->name);
        (void)str_copy(o->detail, sizeof o->detail, field);
        return;
    }
    if (!f->has_pool && c->number != COMMAND_pool_init) {
        (void)reject(a, ERR_NO_POOL, "pool", "");
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(handlers); i++) {
        if (handlers[i].number == c->number) {
            handlers[i].apply(a, f->record);
        }
    }
}

/* Apply a decoded entry that is not a retry. */
static void apply_new(struct apply *a)
{
    struct fsm *f = a->f;
    const struct command *c = command_by_number(a->entry->number);
    time_tick(a);
    if (c == NULL) {
        struct outcome *o = reject(a, ERR_UNKNOWN, "command", "");
        o->a = a->entry->number;
    } else {
        dispatch(a, c);
    }
    request_add(a);
    requests_trim(a);
    events_flush(a);
    if (memcmp(&f->sys, &f->stored_sys, sizeof f->sys) != 0) {
        const struct key k = key_table('C');
        put_row(a, &k, &schema_sys, &f->sys);
        f->stored_sys = f->sys;
    }
}

/* The entry at this index is done: remember the hash there. */
static int advance(struct fsm *f, uint64_t index, struct err *e)
{
    struct err why = {0};
    if (f->broken.code != 0 || kv_failure(f->txn, &why) != 0) {
        return break_down(f, &why, e);
    }
    f->last = index;
    f->hashes[index % HASHES_KEPT] = (struct hash_at){index, kv_head(f->txn).hash};
    return 0;
}

static int check_index(struct fsm *f, uint64_t index, struct err *e)
{
    if (!f->begun || index <= f->last) {
        struct err why = {0};
        (void)err_set(&why, ERR_INTERNAL, "entry %" PRIu64 " is applied after %" PRIu64, index,
                      f->last);
        return break_down(f, &why, e);
    }
    return 0;
}

int fsm_apply(struct fsm *f,
              const struct fsm_input *in,
              struct fsm_applied_entry *ret,
              struct err *e)
{
    struct entry en;
    int rc = check_index(f, in->index, e);
    if (rc != 0) {
        return rc;
    }
    *ret = (struct fsm_applied_entry){.index = in->index, .first = true};
    schema_init(&schema_outcome, &ret->outcome);
    ret->outcome.index = in->index;
    rc = entry_decode(in->data, in->len, &en);
    if (rc != 0) {
        ret->outcome.code = (uint32_t)-rc;
        (void)str_copy(ret->outcome.what, sizeof ret->outcome.what, "entry");
        return advance(f, in->index, e);
    }
    ret->request = en.request;
    struct outcome first;
    if (!MUTANT(request_twice) && request_find(f->txn, &en.request, &first)) {
        MARK(request_repeated);
        ret->first = false;
        ret->outcome = first;
        return advance(f, in->index, e);
    }
    struct apply a = {.f = f,
                      .t = f->txn,
                      .entry = &en,
                      .index = in->index,
                      .term = in->term,
                      .out = &ret->outcome};
    apply_new(&a);
    return advance(f, in->index, e);
}

int fsm_skip(struct fsm *f, uint64_t index, struct err *e)
{
    int rc = check_index(f, index, e);
    return rc == 0 ? advance(f, index, e) : rc;
}

int fsm_commit_later(struct fsm *f, struct err *e)
{
    struct err why = {0};
    if (!f->begun) {
        (void)err_set(&why, ERR_INTERNAL, "commit without begin");
        return break_down(f, &why, e);
    }
    if (kv_failure(f->txn, &why) != 0) {
        return break_down(f, &why, e);
    }
    f->begun = false;
    f->applied = f->last;
    f->hash = kv_head(f->txn).hash;
    return 0;
}

int fsm_settle(struct fsm *f, struct err *e)
{
    assert(!f->begun && f->looks == 0);
    if (f->txn == NULL) {
        return 0;
    }
    struct err why = {0};
    int rc = kv_write_commit(f->txn, f->applied, &why);
    f->txn = NULL;
    if (rc != 0) {
        return break_down(f, &why, e);
    }
    f->stored = (struct hash_at){f->applied, f->hash};
    return 0;
}

int fsm_failure(const struct fsm *f, struct err *e)
{
    if (f->broken.code != 0) {
        *e = f->broken;
    }
    return f->broken.code;
}

uint64_t fsm_unsettled(const struct fsm *f)
{
    return f->applied - f->stored.index;
}

int fsm_commit(struct fsm *f, struct err *e)
{
    int rc = fsm_commit_later(f, e);
    return rc == 0 ? fsm_settle(f, e) : rc;
}

const struct event *fsm_new_events(const struct fsm *f, size_t *ret_n)
{
    *ret_n = f->begun ? 0 : f->events_n;
    return f->events;
}

int fsm_request_outcome(struct fsm *f, const struct id *request, struct outcome *ret)
{
    struct err e = {0};
    struct kv_txn *t = NULL;
    assert(!f->begun);
    if (f->txn != NULL) {
        return request_find(f->txn, request, ret) ? 0 : ERR_NOT_FOUND;
    }
    int rc = kv_read_begin(f->kv, &t, &e);
    if (rc == 0) {
        rc = request_find(t, request, ret) ? 0 : ERR_NOT_FOUND;
        (void)kv_read_end(t);
    }
    return rc;
}
