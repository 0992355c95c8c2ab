#include "fsm/apply.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "core/util.h"

/* --- rejecting */

struct outcome *reject(struct apply *a, int code, const char *what, const char *name)
{
    assert(!a->wrote && code < 0);
    a->out->code = (uint32_t)-code;
    (void)str_copy(a->out->what, sizeof a->out->what, what);
    (void)str_copy(a->out->name, sizeof a->out->name, name);
    return a->out;
}

void reject_field(struct apply *a, const char *field)
{
    const struct command *c = command_by_number(a->entry->number);
    struct outcome *o = reject(a, ERR_INVALID, "field", c == NULL ? "" : c->name);
    (void)str_copy(o->detail, sizeof o->detail, field);
}

struct outcome *reject_state(struct apply *a,
                             const char *what,
                             const char *name,
                             const char *reason,
                             uint64_t state)
{
    struct outcome *o = reject(a, ERR_STATE, what, name);
    (void)str_copy(o->detail, sizeof o->detail, reason);
    o->a = state;
    return o;
}

static bool need(struct apply *a, const struct key *k, const struct schema *s, void *ret)
{
    return rows_get(a->t, k, s, ret) == 0;
}

bool need_host(struct apply *a, const char *name, struct host *ret)
{
    const struct key k = key_name('H', name);
    if (need(a, &k, &schema_host, ret)) {
        return true;
    }
    (void)reject(a, ERR_NOT_FOUND, "host", name);
    return false;
}

bool need_guest(struct apply *a, const char *name, uint64_t generation, struct guest *ret)
{
    const struct key k = key_name('G', name);
    if (!need(a, &k, &schema_guest, ret)) {
        (void)reject(a, ERR_NOT_FOUND, "guest", name);
        return false;
    }
    if (generation != 0 && generation != ret->generation) {
        struct outcome *o = reject(a, ERR_STALE, "guest", name);
        (void)str_copy(o->detail, sizeof o->detail, "generation");
        o->a = generation;
        o->b = ret->generation;
        return false;
    }
    return true;
}

bool need_repo(struct apply *a, const char *name, struct repo *ret)
{
    const struct key k = key_name('S', name);
    if (need(a, &k, &schema_repo, ret)) {
        return true;
    }
    (void)reject(a, ERR_NOT_FOUND, "repository", name);
    return false;
}

bool need_op(struct apply *a, uint64_t id, struct op *ret)
{
    const struct key k = key_number('O', id);
    if (need(a, &k, &schema_op, ret)) {
        return true;
    }
    struct outcome *o = reject(a, ERR_NOT_FOUND, "operation", "");
    o->a = id;
    return false;
}

bool need_new_name(struct apply *a, char table, const char *what, const char *name)
{
    const struct key k = key_name(table, name);
    struct kv_row row;
    if (!name_ok(name)) {
        reject_field(a, "name");
        return false;
    }
    if (kv_get(a->t, k.b, k.n, &row) == 0) {
        (void)reject(a, ERR_EXISTS, what, name);
        return false;
    }
    return true;
}

bool need_idle(struct apply *a, const struct guest *g)
{
    if (g->op != 0) {
        struct outcome *o = reject_state(a, "guest", g->name, "op", g->state);
        o->b = g->op;
        return false;
    }
    return true;
}

/* --- changing */

void put_bytes(struct apply *a, const struct key *k, const void *value, size_t len)
{
    a->wrote = true;
    kv_put(a->t, k->b, k->n, value, len);
}

void put_row(struct apply *a, const struct key *k, const struct schema *s, const void *record)
{
    struct buf *b = &a->f->scratch;
    buf_clear(b);
    schema_encode(s, record, b);
    put_bytes(a, k, b->data, b->len);
}

void del_row(struct apply *a, const struct key *k)
{
    a->wrote = true;
    kv_del(a->t, k->b, k->n);
}

void save_pool(struct apply *a)
{
    const struct key k = key_table('P');
    a->f->has_pool = true;
    put_row(a, &k, &schema_pool, &a->f->pool);
}

void save_host(struct apply *a, struct host *h)
{
    const struct key k = key_name('H', h->name);
    put_row(a, &k, &schema_host, h);
}

void save_repo(struct apply *a, const struct repo *r)
{
    const struct key k = key_name('S', r->name);
    put_row(a, &k, &schema_repo, r);
}

static bool runs(const struct guest *g)
{
    return g->state == GUEST_RUNNING || g->state == GUEST_MIGRATING;
}

static void put_needs(struct apply *a, char table, const char *host, const struct guest *g)
{
    const struct key k = key_pair(table, host, g->name);
    uint8_t needs[8];
    store_u32(needs, g->config.memory_mib);
    store_u32(needs + 4, g->config.vcpus);
    put_bytes(a, &k, needs, sizeof needs);
}

static void del_needs(struct apply *a, char table, const char *host, const struct guest *g)
{
    const struct key k = key_pair(table, host, g->name);
    del_row(a, &k);
}

void reserve(struct apply *a, const char *host, const struct guest *g)
{
    put_needs(a, 't', host, g);
}

void unreserve(struct apply *a, const char *host, const struct guest *g)
{
    del_needs(a, 't', host, g);
}

static void index_paths(struct apply *a, const struct guest *g, bool there)
{
    char repo[LIMIT_NAME + 1];
    for (uint32_t i = 0; i < g->config.disks_n + 2; i++) {
        const char *path = i < g->config.disks_n    ? g->config.disks[i].path
                           : i == g->config.disks_n ? g->config.kernel
                                                    : g->config.ramdisk;
        if (!repo_of_path(path, repo)) {
            continue;
        }
        const struct key k = key_pair('k', repo, g->name);
        if (there) {
            put_bytes(a, &k, NULL, 0);
        } else {
            del_row(a, &k);
        }
    }
}

void index_repos(struct apply *a, const struct guest *old, const struct guest *g)
{
    index_paths(a, old, /*there=*/false);
    index_paths(a, g, /*there=*/true);
}

/* What refers to a guest for as long as it is there. */
static void index_guest(struct apply *a, const struct guest *g, bool there)
{
    const struct key uuid = key_id('u', &g->uuid);
    if (there) {
        put_bytes(a, &uuid, g->name, strlen(g->name));
    } else {
        del_row(a, &uuid);
    }
    if (g->dir[0] != '\0') {
        const struct key dir = key_name('f', g->dir);
        if (there) {
            put_bytes(a, &dir, g->name, strlen(g->name));
        } else {
            del_row(a, &dir);
        }
    }
    index_paths(a, g, there);
}

/* Guests that wait for a place are found without looking at all. */
static void index_pending(struct apply *a, const struct guest *old, const struct guest *g)
{
    bool was = old->state == GUEST_PENDING;
    bool is = g->state == GUEST_PENDING;
    const struct key k = key_name('p', was ? old->name : g->name);
    if (is && !was) {
        put_bytes(a, &k, NULL, 0);
    } else if (was && !is) {
        del_row(a, &k);
    }
}

static void index_group(struct apply *a, char table, const char *group, const char *guest, bool in)
{
    const struct key k = key_pair(table, group, guest);
    if (group[0] != '\0' && in) {
        put_bytes(a, &k, NULL, 0);
    } else if (group[0] != '\0') {
        del_row(a, &k);
    }
}

static void index_groups(struct apply *a, const struct guest *old, const struct guest *g)
{
    if (strcmp(old->apart, g->apart) != 0) {
        index_group(a, 'a', old->apart, g->name, /*in=*/false);
        index_group(a, 'a', g->apart, g->name, /*in=*/true);
    }
    if (strcmp(old->together, g->together) != 0) {
        index_group(a, 'w', old->together, g->name, /*in=*/false);
        index_group(a, 'w', g->together, g->name, /*in=*/true);
    }
}

void save_guest(struct apply *a, const struct guest *old, struct guest *g)
{
    static const struct guest none;
    struct sys *sys = &a->f->sys;
    if (old == NULL) {
        old = &none;
        sys->guests++;
        index_guest(a, g, /*there=*/true);
    }
    g->generation = old->generation + 1;
    if (g->state != old->state || old == &none) {
        g->since_ms = a->now_ms;
    }
    sys->running += runs(g) ? 1 : 0;
    sys->running -= runs(old) ? 1 : 0;
    index_groups(a, old, g);
    if (strcmp(g->host, old->host) != 0 && old->host[0] != '\0') {
        del_needs(a, 'g', old->host, old);
    }
    if (g->host[0] != '\0') {
        put_needs(a, 'g', g->host, g);
    }
    index_pending(a, old, g);
    const struct key k = key_name('G', g->name);
    put_row(a, &k, &schema_guest, g);
}

void drop_guest(struct apply *a, const struct guest *g)
{
    static const struct guest none;
    assert(g->host[0] == '\0');
    index_pending(a, g, &none);
    const struct key k = key_name('G', g->name);
    index_guest(a, g, /*there=*/false);
    index_group(a, 'a', g->apart, g->name, /*in=*/false);
    index_group(a, 'w', g->together, g->name, /*in=*/false);
    del_row(a, &k);
    a->f->sys.guests--;
}

void move_guest(struct apply *a, const struct guest *old, struct guest *g)
{
    static const struct guest none;
    assert(g->state == old->state && g->op == 0);
    drop_guest(a, old);
    a->f->sys.guests++;
    g->generation = old->generation + 1;
    index_guest(a, g, /*there=*/true);
    index_groups(a, &none, g);
    const struct key k = key_name('G', g->name);
    put_row(a, &k, &schema_guest, g);
}

bool dir_is_taken(struct apply *a, const char *dir, char owner[LIMIT_NAME + 1])
{
    const struct key k = key_name('f', dir);
    struct kv_row row;
    if (kv_get(a->t, k.b, k.n, &row) != 0) {
        return false;
    }
    memset(owner, 0, LIMIT_NAME + 1);
    memcpy(owner, row.value, min_u64(row.value_len, LIMIT_NAME));
    return true;
}

uint64_t give_epoch(struct apply *a)
{
    uint64_t epoch = a->f->pool.next_epoch++;
    save_pool(a);
    return epoch;
}

/* --- operations */

struct op op_make(struct apply *a, enum op_kind kind, struct guest *g)
{
    struct op o;
    schema_init(&schema_op, &o);
    o.id = a->index;
    o.kind = kind;
    o.phase = OP_PHASE_WORK;
    o.created_ms = a->now_ms;
    o.deadline_ms = a->now_ms + (kind == OP_MIGRATE ? a->f->pool.migrate_timeout_ms
                                                    : a->f->pool.start_timeout_ms);
    o.request = a->entry->request;
    (void)str_copy(o.subject, sizeof o.subject, g->name);
    (void)str_copy(o.user, sizeof o.user, a->entry->user);
    (void)str_copy(o.src, sizeof o.src, g->host);
    o.src_epoch = g->run_epoch;
    g->op = o.id;
    a->out->op = o.id;
    return o;
}

void op_save(struct apply *a, const struct op *o)
{
    const struct key k = key_number('O', o->id);
    put_row(a, &k, &schema_op, o);
}

static void emit_op(struct apply *a, const char *kind, const struct op *o)
{
    struct event *ev = emit(a, kind, o->subject);
    ev->op = o->id;
    ev->code = o->code;
    (void)str_copy(ev->host, sizeof ev->host, o->dst[0] != '\0' ? o->dst : o->src);
    (void)str_copy(ev->detail, sizeof ev->detail, enum_op_kind.names[o->kind]);
}

void op_begin(struct apply *a, struct op *o)
{
    const struct key open = key_number('o', o->id);
    op_save(a, o);
    put_bytes(a, &open, NULL, 0);
    a->f->sys.ops_open++;
    emit_op(a, "op.begun", o);
}

static void drop_old_ops(struct apply *a)
{
    struct sys *sys = &a->f->sys;
    for (int i = 0; i < TRIM_PER_ENTRY && sys->ops_ended > OPS_KEPT; i++) {
        const struct key first = key_table('d');
        struct kv_row row;
        if (rows_seek_after(a->t, &first, 1, &row) != 0) {
            return;
        }
        struct key ended = {.n = row.key_len};
        memcpy(ended.b, row.key, row.key_len);
        const struct key op = key_number('O', key_last_number(&row));
        del_row(a, &ended);
        del_row(a, &op);
        sys->ops_ended--;
    }
}

void op_end(struct apply *a, struct op *o, enum op_state state, uint32_t code, const char *detail)
{
    const struct key open = key_number('o', o->id);
    const struct key ended = key_numbers('d', a->index, o->id);
    assert(o->state == OP_RUNNING);
    o->state = state;
    o->phase = o->phase == OP_PHASE_ABORTED ? OP_PHASE_ABORTED : OP_PHASE_ENDED;
    o->code = code;
    o->ended_ms = a->now_ms;
    memset(o->key, 0, sizeof o->key);
    (void)str_copy(o->detail, sizeof o->detail, detail);
    op_save(a, o);
    del_row(a, &open);
    put_bytes(a, &ended, NULL, 0);
    a->f->sys.ops_open--;
    a->f->sys.ops_ended++;
    emit_op(a, "op.ended", o);
    evacuation_count(a, o);
    drop_old_ops(a);
}

/* --- guests and migrations */

bool migration_is_open(const struct op *o)
{
    return o->kind == OP_MIGRATE && o->state == OP_RUNNING &&
           (o->phase == OP_PHASE_PREPARE || o->phase == OP_PHASE_TRANSFER);
}

void abort_migration(struct apply *a,
                     struct op *o,
                     struct guest *g,
                     enum op_state state,
                     uint32_t code,
                     const char *detail)
{
    assert(migration_is_open(o) && g->op == o->id);
    unreserve(a, o->dst, g);
    o->phase = OP_PHASE_ABORTED;
    op_end(a, o, state, code, detail);
    g->op = 0;
    g->state = g->want == WANT_PAUSED ? GUEST_PAUSED : GUEST_RUNNING;
}

void stop_guest(struct guest *g, enum exit_reason exit)
{
    g->state = g->saved[0] != '\0' ? GUEST_SAVED : GUEST_STOPPED;
    g->want = WANT_OFF;
    g->stop = STOP_NONE;
    g->exit = exit;
    g->op = 0;
    g->changed = false;
    g->guarded = false;
    g->not_before_ms = 0;
    memset(g->last_host, 0, sizeof g->last_host);
    memset(g->host, 0, sizeof g->host);
}

void pend_guest(struct apply *a, struct guest *g, enum exit_reason exit, uint64_t wait_ms)
{
    uint32_t want = g->want;
    char host[LIMIT_NAME + 1];
    (void)str_copy(host, sizeof host, g->host);
    stop_guest(g, exit);
    g->state = GUEST_PENDING;
    g->want = want;
    g->not_before_ms = wait_ms == 0 ? 0 : a->now_ms + wait_ms;
    (void)str_copy(g->last_host, sizeof g->last_host, host);
}

bool is_protected(const struct apply *a, const struct guest *g)
{
    return a->f->pool.ha && g->ha;
}
