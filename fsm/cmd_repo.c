#include <string.h>

#include "core/util.h"

#include "fsm/apply.h"

bool set_ready_on(struct repo *r, const char *host, bool ready)
{
    uint32_t at = 0;
    while (at < r->ready_on_n && strcmp(r->ready_on[at], host) < 0) {
        at++;
    }
    bool there = at < r->ready_on_n && strcmp(r->ready_on[at], host) == 0;
    if (there == ready || (ready && r->ready_on_n == LIMIT_HOSTS)) {
        return false;
    }
    size_t size = sizeof r->ready_on[0];
    if (ready) {
        memmove(r->ready_on[at + 1], r->ready_on[at], (r->ready_on_n - at) * size);
        (void)str_copy(r->ready_on[at], size, host);
        r->ready_on_n++;
    } else {
        r->ready_on_n--;
        memmove(r->ready_on[at], r->ready_on[at + 1], (r->ready_on_n - at) * size);
        memset(r->ready_on[r->ready_on_n], 0, size);
    }
    return true;
}

static void emit_repo(struct apply *a, const char *kind, const struct repo *r, const char *host)
{
    struct event *ev = emit(a, kind, r->name);
    (void)str_copy(ev->host, sizeof ev->host, host);
    (void)str_copy(ev->detail, sizeof ev->detail, r->detail);
}

void cmd_repo_new(struct apply *a, const void *record)
{
    const struct cmd_repo_new *c = record;
    if (!need_new_name(a, 'S', "repository", c->name)) {
        return;
    }
    if (id_is_none(&c->id) || c->source[0] != '/') {
        reject_field(a, id_is_none(&c->id) ? "id" : "source");
        return;
    }
    if (a->f->sys.repos >= LIMIT_REPOS) {
        struct outcome *o = reject(a, ERR_TOO_BIG, "repositories", "");
        o->a = LIMIT_REPOS;
        return;
    }
    struct repo r;
    schema_init(&schema_repo, &r);
    r.id = c->id;
    r.kind = c->kind;
    (void)str_copy(r.name, sizeof r.name, c->name);
    (void)str_copy(r.source, sizeof r.source, c->source);
    save_repo(a, &r);
    a->f->sys.repos++;
    emit_repo(a, "repo.added", &r, "");
}

void cmd_repo_delete(struct apply *a, const void *record)
{
    const struct cmd_repo_delete *c = record;
    struct repo r;
    struct kv_row row;
    if (!need_repo(a, c->name, &r)) {
        return;
    }
    const struct key used = key_pair('k', r.name, "");
    if (rows_seek_after(a->t, &used, used.n, &row) == 0) {
        char guest[LIMIT_NAME + 1] = "";
        memcpy(guest, row.key + used.n, min_u64(row.key_len - used.n, LIMIT_NAME));
        struct outcome *o = reject(a, ERR_IN_USE, "repository", r.name);
        (void)str_copy(o->detail, sizeof o->detail, guest);
        return;
    }
    if (r.root && a->f->sys.guests > 0) {
        struct outcome *o = reject(a, ERR_IN_USE, "root repository", r.name);
        o->a = a->f->sys.guests;
        return;
    }
    if (r.root) {
        memset(a->f->pool.root, 0, sizeof a->f->pool.root);
        save_pool(a);
    }
    const struct key k = key_name('S', r.name);
    del_row(a, &k);
    a->f->sys.repos--;
    emit_repo(a, "repo.deleted", &r, "");
}

void cmd_repo_init(struct apply *a, const void *record)
{
    const struct cmd_repo_init *c = record;
    struct repo r;
    if (need_repo(a, c->name, &r) && r.state == REPO_NEW) {
        r.state = REPO_READY;
        save_repo(a, &r);
        emit_repo(a, "repo.ready", &r, "");
    }
}

void cmd_repo_root(struct apply *a, const void *record)
{
    const struct cmd_repo_root *c = record;
    struct pool *pool = &a->f->pool;
    struct repo r;
    struct repo before;
    if (!need_repo(a, c->name, &r)) {
        return;
    }
    if (r.state != REPO_READY) {
        (void)reject_state(a, "repository", r.name, "ready", r.state);
        return;
    }
    if (r.root) {
        return;
    }
    const struct key k = key_name('S', pool->root);
    if (pool->root[0] != '\0' && rows_get(a->t, &k, &schema_repo, &before) == 0) {
        before.root = false;
        save_repo(a, &before);
        emit_repo(a, "repo.changed", &before, "");
    }
    r.root = true;
    (void)str_copy(pool->root, sizeof pool->root, r.name);
    save_repo(a, &r);
    save_pool(a);
    emit_repo(a, "repo.root", &r, "");
}

void cmd_repo_report(struct apply *a, const void *record)
{
    const struct cmd_repo_report *c = record;
    struct repo old;
    struct host h;
    if (!need_repo(a, c->name, &old) || !need_host(a, c->host, &h)) {
        return;
    }
    struct repo r = old;
    (void)set_ready_on(&r, h.name, c->ready);
    (void)str_copy(r.detail, sizeof r.detail, c->detail);
    if (!schema_same(&schema_repo, &r, &old)) {
        save_repo(a, &r);
        emit_repo(a, c->ready ? "repo.changed" : "repo.trouble", &r, h.name);
    }
}
