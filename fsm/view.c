/* Reading. */

#include "fsm/view.h"

#include <assert.h>
#include <string.h>

#include "core/mutant.h"
#include "core/util.h"

#include "fsm/apply.h"

/* What is kept in memory is as of the last commit, which is what the view shows, unless applying
 * broke down half-way. */
static struct fsm_view *view_of(struct fsm *f, struct kv_txn *t)
{
    struct fsm_view *v = mem_new(1, sizeof *v);
    v->t = t;
    v->sys = f->sys;
    const struct key sys = key_table('C');
    if (f->broken.code != 0 && rows_get(t, &sys, &schema_sys, &v->sys) != 0) {
        schema_init(&schema_sys, &v->sys);
    }
    v->index = f->applied;
    v->hash = f->hash;
    return v;
}

/* What broke down is back at what is in the store, which may be older than what others were told.
 * Only one that differs from the others is still of use: to find out why. */
struct fsm_view *fsm_view_open(struct fsm *f)
{
    struct err e = {0};
    struct kv_txn *t = NULL;
    bool lost = f->broken.code != 0 && f->broken.code != ERR_DIVERGED;
    bool settled = MUTANT(snapshot_lacks_batch) || fsm_settle(f, &e) == 0;
    if (lost || !settled || kv_read_begin(f->kv, &t, &e) != 0) {
        return NULL;
    }
    return view_of(f, t);
}

struct fsm_view *fsm_look(struct fsm *f)
{
    assert(!f->begun);
    if (f->txn == NULL) {
        return fsm_view_open(f);
    }
    struct fsm_view *v = view_of(f, f->txn);
    v->looks_at = f;
    f->looks++;
    return v;
}

struct fsm_view *fsm_view_close(struct fsm_view *v)
{
    if (v != NULL) {
        if (v->looks_at != NULL) {
            v->looks_at->looks--;
        } else {
            (void)kv_read_end(v->t);
        }
        free(v);
    }
    return NULL;
}

/* One that could not be had shows nothing. */
static const struct fsm_view *of(const struct fsm_view *v)
{
    static const struct fsm_view nothing;
    return v == NULL ? &nothing : v;
}

uint64_t fsm_view_index(const struct fsm_view *v)
{
    return of(v)->index;
}

struct hash128 fsm_view_hash(const struct fsm_view *v)
{
    return of(v)->hash;
}

int fsm_get_pool(struct fsm_view *v, struct pool *ret)
{
    const struct key k = key_table('P');
    return rows_get(of(v)->t, &k, &schema_pool, ret);
}

int fsm_get_host(struct fsm_view *v, const char *name, struct host *ret)
{
    const struct key k = key_name('H', name);
    return rows_get(of(v)->t, &k, &schema_host, ret);
}

int fsm_get_guest(struct fsm_view *v, const char *name, struct guest *ret)
{
    const struct key k = key_name('G', name);
    return rows_get(of(v)->t, &k, &schema_guest, ret);
}

int fsm_get_guest_of(struct fsm_view *v, const struct id *uuid, struct guest *ret)
{
    const struct key k = key_id('u', uuid);
    struct kv_row row;
    int rc = kv_get(of(v)->t, k.b, k.n, &row);
    if (rc != 0) {
        return rc;
    }
    char name[LIMIT_NAME + 1] = "";
    memcpy(name, row.value, min_u64(row.value_len, LIMIT_NAME));
    rc = fsm_get_guest(v, name, ret);
    return rc == ERR_NOT_FOUND ? ERR_CORRUPT : rc; /* An index that points nowhere. */
}

int fsm_get_repo(struct fsm_view *v, const char *name, struct repo *ret)
{
    const struct key k = key_name('S', name);
    return rows_get(of(v)->t, &k, &schema_repo, ret);
}

int fsm_get_op(struct fsm_view *v, uint64_t id, struct op *ret)
{
    const struct key k = key_number('O', id);
    return rows_get(of(v)->t, &k, &schema_op, ret);
}

int fsm_next_host(struct fsm_view *v, const char *after, struct host *ret)
{
    const struct key k = key_name('H', after);
    return rows_after(of(v)->t, &k, &schema_host, ret);
}

int fsm_next_guest(struct fsm_view *v, const char *after, struct guest *ret)
{
    const struct key k = key_name('G', after);
    return rows_after(of(v)->t, &k, &schema_guest, ret);
}

int fsm_next_guest_on(struct fsm_view *v, const char *host, const char *after, struct guest *ret)
{
    const struct key all = key_pair('g', host, "");
    const struct key k = key_pair('g', host, after);
    struct kv_row row;
    int rc = rows_seek_after(of(v)->t, &k, all.n, &row);
    if (rc != 0) {
        return rc;
    }
    char name[LIMIT_NAME + 1] = "";
    memcpy(name, row.key + all.n, min_u64(row.key_len - all.n, LIMIT_NAME));
    rc = fsm_get_guest(v, name, ret);
    return rc == ERR_NOT_FOUND ? ERR_CORRUPT : rc; /* An index that points nowhere. */
}

int fsm_next_pending(struct fsm_view *v, const char *after, struct guest *ret)
{
    const struct key k = key_name('p', after);
    struct kv_row row;
    int rc = rows_seek_after(of(v)->t, &k, 1, &row);
    if (rc != 0) {
        return rc;
    }
    char name[LIMIT_NAME + 1] = "";
    memcpy(name, row.key + 1, min_u64(row.key_len - 1, LIMIT_NAME));
    rc = fsm_get_guest(v, name, ret);
    return rc == ERR_NOT_FOUND ? ERR_CORRUPT : rc;
}

bool fsm_guest_concerns(struct fsm_view *v, const char *guest, const char *host)
{
    return rows_concerns(of(v)->t, guest, host);
}

bool fsm_next_of_group(struct fsm_view *v, char group, const char *name, char *guest)
{
    const struct key all = key_pair(group, name, "");
    const struct key k = key_pair(group, name, guest);
    struct kv_row row;
    if (name[0] == '\0' || rows_seek_after(of(v)->t, &k, all.n, &row) != 0) {
        return false;
    }
    memset(guest, 0, LIMIT_NAME + 1);
    memcpy(guest, row.key + all.n, min_u64(row.key_len - all.n, LIMIT_NAME));
    return true;
}

int fsm_next_repo(struct fsm_view *v, const char *after, struct repo *ret)
{
    const struct key k = key_name('S', after);
    return rows_after(of(v)->t, &k, &schema_repo, ret);
}

int fsm_next_op(struct fsm_view *v, uint64_t after, struct op *ret)
{
    const struct key k = key_number('O', after);
    return rows_after(of(v)->t, &k, &schema_op, ret);
}

int fsm_next_open_op(struct fsm_view *v, uint64_t after, struct op *ret)
{
    const struct key k = key_number('o', after);
    struct kv_row row;
    int rc = rows_seek_after(of(v)->t, &k, 1, &row);
    if (rc != 0) {
        return rc;
    }
    rc = fsm_get_op(v, key_last_number(&row), ret);
    return rc == ERR_NOT_FOUND ? ERR_CORRUPT : rc;
}

int fsm_next_event(struct fsm_view *v, uint64_t after, struct event *ret)
{
    if (after >= of(v)->sys.event_last) {
        return ERR_NOT_FOUND;
    }
    if (after + 1 < of(v)->sys.event_first) {
        return ERR_COMPACTED;
    }
    const struct key k = key_number('E', after + 1);
    int rc = rows_get(of(v)->t, &k, &schema_event, ret);
    return rc == ERR_NOT_FOUND ? ERR_CORRUPT : rc;
}

uint64_t fsm_first_event(struct fsm_view *v)
{
    return of(v)->sys.event_first;
}

uint64_t fsm_last_event(struct fsm_view *v)
{
    return of(v)->sys.event_last;
}

uint64_t fsm_reserved_mib(struct fsm_view *v, const char *host)
{
    return rows_reserved_mib(of(v)->t, host);
}

void fsm_promised(struct fsm_view *v, const char *host, uint64_t *ret_mib, uint64_t *ret_vcpus)
{
    struct promised p = rows_promised(of(v)->t, host);
    *ret_mib = p.memory_mib;
    *ret_vcpus = p.vcpus;
}

uint32_t fsm_guests_on(struct fsm_view *v, const char *host)
{
    return rows_guests_on(of(v)->t, host);
}

uint64_t fsm_log_time(struct fsm_view *v)
{
    return of(v)->sys.now_ms;
}

void fsm_fence_budget(struct fsm_view *v, struct fence_budget *ret)
{
    struct pool pool;
    *ret = (struct fence_budget){.limit = 0};
    if (fsm_get_pool(v, &pool) == 0) {
        *ret = rows_fence_budget(of(v)->t, &pool, fsm_log_time(v));
    }
}

void fsm_count(struct fsm_view *v, struct fsm_counts *ret)
{
    const struct sys *s = &of(v)->sys;
    *ret = (struct fsm_counts){
        .hosts = s->hosts,
        .guests = s->guests,
        .running = s->running,
        .repos = s->repos,
        .ops_open = s->ops_open,
        .events = s->event_first == 0 ? 0 : s->event_last - s->event_first + 1,
        .requests = s->requests,
    };
}
