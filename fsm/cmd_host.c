#include <string.h>

#include "core/mark.h"
#include "core/util.h"

#include "fsm/apply.h"

struct host make_host(struct apply *a, const char *name, const char *address)
{
    struct host h;
    schema_init(&schema_host, &h);
    (void)str_copy(h.name, sizeof h.name, name);
    (void)str_copy(h.address, sizeof h.address, address);
    h.raft_id = a->f->pool.next_raft_id++;
    h.since_ms = a->now_ms;
    return h;
}

/* Whether another host has this address. */
static bool address_taken(struct apply *a, const char *address, const char *but)
{
    struct key k = key_table('H');
    struct host h;
    while (rows_after(a->t, &k, &schema_host, &h) == 0) {
        if (strcmp(h.address, address) == 0 && strcmp(h.name, but) != 0) {
            struct outcome *o = reject(a, ERR_EXISTS, "address", "");
            (void)str_copy(o->detail, sizeof o->detail, address);
            (void)str_copy(o->name, sizeof o->name, h.name);
            return true;
        }
        k = key_name('H', h.name);
    }
    return false;
}

void cmd_host_add(struct apply *a, const void *record)
{
    const struct cmd_host_add *c = record;
    if (!need_new_name(a, 'H', "host", c->name)) {
        return;
    }
    if (!address_ok(c->address)) {
        reject_field(a, "address");
        return;
    }
    if (address_taken(a, c->address, "")) {
        return;
    }
    if (a->f->sys.hosts >= LIMIT_HOSTS) {
        struct outcome *o = reject(a, ERR_TOO_BIG, "hosts", "");
        o->a = LIMIT_HOSTS;
        return;
    }
    struct host h = make_host(a, c->name, c->address);
    save_pool(a);
    save_host(a, &h);
    a->f->sys.hosts++;
    a->out->a = h.raft_id;
    emit_host(a, "host.added", &h, "");
}

/* --- removing */

/* First guest that a host owns ('g'), or that is on its way there ('t'); "" for none. */
static void first_guest(struct apply *a, char table, const char *host, char out[LIMIT_NAME + 1])
{
    const struct key k = key_pair(table, host, "");
    struct kv_row row;
    memset(out, 0, LIMIT_NAME + 1);
    if (rows_seek_after(a->t, &k, k.n, &row) == 0 && row.key_len - k.n <= LIMIT_NAME) {
        memcpy(out, row.key + k.n, row.key_len - k.n);
    }
}

static bool refuse_if_used(struct apply *a, const struct host *h)
{
    char guest[LIMIT_NAME + 1];
    first_guest(a, 'g', h->name, guest);
    if (guest[0] == '\0') {
        first_guest(a, 't', h->name, guest);
    }
    if (guest[0] == '\0') {
        return false;
    }
    struct outcome *o = reject(a, ERR_IN_USE, "host", h->name);
    (void)str_copy(o->detail, sizeof o->detail, guest);
    return true;
}

/* Whatever was under way with this guest ends as lost with the host. */
static void lose_guest(struct apply *a, const char *name, const char *host)
{
    const struct key k = key_name('G', name);
    struct guest old;
    struct op o;
    if (rows_get(a->t, &k, &schema_guest, &old) != 0) {
        kv_fail(a->t, ERR_CORRUPT, "store: an index names a guest that is not there");
        return;
    }
    struct guest g = old;
    const struct key op = key_number('O', g.op);
    if (g.op != 0 && rows_get(a->t, &op, &schema_op, &o) == 0) {
        if (migration_is_open(&o)) {
            abort_migration(a, &o, &g, OP_FAILED, -ERR_LOST, host);
        } else {
            op_end(a, &o, OP_FAILED, -ERR_LOST, host);
        }
        g.op = 0;
    }
    if (strcmp(g.host, host) == 0) {
        stop_guest(&g, EXIT_LOST);
    }
    save_guest(a, &old, &g);
    emit_guest(a, strcmp(old.host, host) == 0 ? "guest.stopped" : "guest.changed", &g, "lost");
}

static void lose_guests(struct apply *a, const char *host)
{
    char guest[LIMIT_NAME + 1];
    struct err e;
    for (const char *table = "gt"; *table != '\0'; table++) {
        first_guest(a, *table, host, guest);
        while (guest[0] != '\0' && kv_failure(a->t, &e) == 0) {
            char before[LIMIT_NAME + 1];
            (void)str_copy(before, sizeof before, guest);
            lose_guest(a, guest, host);
            first_guest(a, *table, host, guest);
            if (strcmp(before, guest) == 0) {
                kv_fail(a->t, ERR_CORRUPT, "store: an index names a guest that is elsewhere");
            }
        }
    }
}

static void forget_in_repos(struct apply *a, const char *host)
{
    struct key k = key_table('S');
    struct repo r;
    while (rows_after(a->t, &k, &schema_repo, &r) == 0) {
        k = key_name('S', r.name);
        if (set_ready_on(&r, host, /*ready=*/false)) {
            save_repo(a, &r);
        }
    }
}

void cmd_host_remove(struct apply *a, const void *record)
{
    const struct cmd_host_remove *c = record;
    struct host h;
    if (!need_host(a, c->name, &h)) {
        return;
    }
    if (a->f->sys.hosts <= 1) {
        (void)reject_state(a, "host", h.name, "last", h.state);
        return;
    }
    if (!c->force && refuse_if_used(a, &h)) {
        return;
    }
    evacuation_stop(a, &h, OP_FAILED, -ERR_LOST, h.name);
    lose_guests(a, h.name);
    forget_in_repos(a, h.name);
    if (strcmp(a->f->pool.master, h.name) == 0) {
        memset(a->f->pool.master, 0, sizeof a->f->pool.master);
        save_pool(a);
    }
    const struct key k = key_name('H', h.name);
    del_row(a, &k);
    a->f->sys.hosts--;
    emit_host(a, "host.removed", &h, c->force ? "force" : "");
}

/* --- changing */

void cmd_host_set(struct apply *a, const void *record)
{
    const struct cmd_host_set *c = record;
    struct host old;
    if (!need_host(a, c->name, &old)) {
        return;
    }
    struct host h = old;
    const char *bad = !on_off(c->can_master, &h.can_master)     ? "can_master"
                      : !on_off(c->can_utility, &h.can_utility) ? "can_utility"
                      : !on_off(c->can_run, &h.can_run)         ? "can_run"
                                                                : NULL;
    if (c->address[0] != '\0') {
        bad = bad == NULL && !address_ok(c->address) ? "address" : bad;
        (void)str_copy(h.address, sizeof h.address, c->address);
    }
    if (c->power_target[0] != '\0') {
        memset(h.power_target, 0, sizeof h.power_target);
        (void)str_copy(h.power_target, sizeof h.power_target,
                       strcmp(c->power_target, "none") == 0 ? "" : c->power_target);
    }
    if (bad != NULL) {
        reject_field(a, bad);
        return;
    }
    if (address_taken(a, h.address, h.name)) {
        return;
    }
    if (!schema_same(&schema_host, &h, &old)) {
        save_host(a, &h);
        emit_host(a, "host.changed", &h, "");
    }
}

bool is_current(struct apply *a, const struct host *h, uint64_t raft_id)
{
    if (raft_id == h->raft_id) {
        return true;
    }
    struct outcome *o = reject(a, ERR_STALE, "host", h->name);
    (void)str_copy(o->detail, sizeof o->detail, "raft_id");
    o->a = raft_id;
    o->b = h->raft_id;
    return false;
}

static void set_host_state(struct apply *a, struct host *h, enum host_state state)
{
    if (h->state != state) {
        h->state = state;
        h->since_ms = a->now_ms;
    }
}

/* It is heard again. */
static void set_free(struct host *h)
{
    h->fenced = false;
    h->fenced_ms = 0;
    h->held = false;
}

void cmd_host_report(struct apply *a, const void *record)
{
    const struct cmd_host_report *c = record;
    struct host h;
    if (!need_host(a, c->name, &h) || !is_current(a, &h, c->raft_id)) {
        return;
    }
    if (c->incarnation <= h.incarnation) {
        struct outcome *o = reject(a, ERR_STALE, "host", h.name);
        (void)str_copy(o->detail, sizeof o->detail, "incarnation");
        o->a = c->incarnation;
        o->b = h.incarnation;
        return;
    }
    if (c->feature_level < a->f->pool.feature_level) {
        struct outcome *o = reject_state(a, "host", h.name, "level", h.state);
        o->b = c->feature_level;
        return;
    }
    h.incarnation = c->incarnation;
    h.memory_mib = c->memory_mib;
    h.cpus = c->cpus;
    h.feature_level = c->feature_level;
    (void)str_copy(h.driver, sizeof h.driver, c->driver);
    (void)str_copy(h.migrate_address, sizeof h.migrate_address, c->migrate_address);
    (void)str_copy(h.version, sizeof h.version, c->version);
    MARK_IF(fenced_back, h.fenced);
    set_free(&h);
    set_host_state(a, &h, HOST_UP);
    save_host(a, &h);
    emit_host(a, "host.up", &h, "reported");
}

/* Whether the operation cannot get on because this host is down. Of the others that it has a part
 * in: a switched migration is decided and waits for the target's word; a destruction ends when the
 * host is back, fenced or removed; a shutdown or pause that did not happen by its deadline is taken
 * back. */
static bool waits_for(const struct op *o, const char *host)
{
    bool start = o->kind == OP_START && strcmp(o->dst, host) == 0;
    bool end = strcmp(o->src, host) == 0 || strcmp(o->dst, host) == 0;
    return start || (migration_is_open(o) && end);
}

/* Tell those who wait. A guest that was to start there still is: its host starts it when it is
 * back, unless the guest is freed or destroyed before. */
static void end_waiting(struct apply *a, const char *host)
{
    struct key k = key_number('o', 0);
    struct kv_row row;
    while (rows_seek_after(a->t, &k, 1, &row) == 0) {
        uint64_t id = key_last_number(&row);
        const struct key ok = key_number('O', id);
        struct op o;
        struct guest old;
        k = key_number('o', id);
        if (rows_get(a->t, &ok, &schema_op, &o) != 0) {
            kv_fail(a->t, ERR_CORRUPT, "store: an open operation is not there");
            return;
        }
        if (op_is_of_hosts(&o) || !waits_for(&o, host) || !guest_of(a, &o, &old)) {
            continue;
        }
        struct guest g = old;
        if (o.kind == OP_MIGRATE) {
            MARK(down_migration);
            abort_migration(a, &o, &g, OP_FAILED, -ERR_LOST, host);
        } else {
            op_end(a, &o, OP_FAILED, -ERR_LOST, host);
            g.op = 0;
        }
        save_guest(a, &old, &g);
        emit_guest(a, "guest.changed", &g, "lost");
    }
}

void cmd_host_seen(struct apply *a, const void *record)
{
    const struct cmd_host_seen *c = record;
    struct host h;
    if (!need_host(a, c->name, &h) || !is_current(a, &h, c->raft_id)) {
        return;
    }
    if (c->up && h.state == HOST_UP && h.held) { /* It has a lease again. */
        MARK(held_freed);
        set_free(&h);
    } else if (c->up && h.state == HOST_DOWN) {
        set_free(&h);
        set_host_state(a, &h, HOST_UP);
    } else if (!c->up && h.state == HOST_UP) {
        set_host_state(a, &h, HOST_DOWN);
        evacuation_stop(a, &h, OP_FAILED, -ERR_LOST, h.name);
    } else {
        return; /* A host that is joining is up when it reports, not before. */
    }
    save_host(a, &h);
    emit_host(a, c->up ? "host.up" : "host.down", &h, "");
    if (!c->up) {
        end_waiting(a, h.name);
    }
}

void cmd_host_renew(struct apply *a, const void *record)
{
    const struct cmd_host_renew *c = record;
    struct host h;
    if (!need_host(a, c->name, &h) || !is_current(a, &h, c->old_raft_id)) {
        return;
    }
    h.raft_id = a->f->pool.next_raft_id++;
    MARK(renewed);
    h.incarnation = 0;
    evacuation_stop(a, &h, OP_FAILED, -ERR_LOST, h.name);
    set_host_state(a, &h, HOST_JOINING);
    save_pool(a);
    save_host(a, &h);
    a->out->a = h.raft_id;
    emit_host(a, "host.changed", &h, "renewed");
}
