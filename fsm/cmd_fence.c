/* Proofs that a host let go of what it had (docs/protocols/leases.md).
 *
 * By its lease: nothing *guarded* runs there; by an operator's word: nothing at all. What is freed
 * by that runs nowhere: a protected guest that was wanted waits for another place (PENDING), any
 * other is STOPPED. Runs that are not freed stay as they are: nobody knows. */

#include <string.h>

#include "core/mark.h"
#include "core/mutant.h"
#include "core/util.h"

#include "fsm/apply.h"

/* The next guest after `after` that the host owns ('g'), or that is on its way there ('t'). */
static bool
next_guest(struct apply *a, char table, const char *host, const char *after, struct guest *ret)
{
    const struct key k = key_pair(table, host, after);
    struct kv_row row;
    char name[LIMIT_NAME + 1] = "";
    size_t prefix = k.n - strlen(after);
    if (rows_seek_after(a->t, &k, prefix, &row) != 0 || row.key_len - prefix > LIMIT_NAME) {
        return false;
    }
    memcpy(name, row.key + prefix, row.key_len - prefix);
    const struct key g = key_name('G', name);
    if (rows_get(a->t, &g, &schema_guest, ret) != 0) {
        kv_fail(a->t, ERR_CORRUPT, "store: an index names a guest that is not there");
        return false;
    }
    return true;
}

/* What was under way with it ends: as done, where its end was what was asked for. */
static void end_open_op(struct apply *a, struct guest *g, const char *host)
{
    const struct key k = key_number('O', g->op);
    struct op o;
    if (g->op == 0) {
        return;
    }
    if (rows_get(a->t, &k, &schema_op, &o) != 0) {
        kv_fail(a->t, ERR_CORRUPT, "store: a guest's operation is not there");
        return;
    }
    bool wished = o.kind == OP_SHUTDOWN || o.kind == OP_DESTROY;
    if (migration_is_open(&o)) {
        MARK(fenced_migration);
        abort_migration(a, &o, g, OP_FAILED, -ERR_LOST, host);
    } else {
        op_end(a, &o, wished ? OP_DONE : OP_FAILED, wished ? 0 : -ERR_LOST, wished ? "" : host);
    }
    g->op = 0;
}

static void free_guest(struct apply *a, const struct guest *old)
{
    struct guest g = *old;
    end_open_op(a, &g, old->host);
    if (g.want != WANT_OFF && is_protected(a, &g)) {
        MARK(freed_pending);
        pend_guest(a, &g, EXIT_LOST, g.restart_delay_ms);
    } else {
        MARK(freed_stopped);
        stop_guest(&g, EXIT_LOST);
    }
    save_guest(a, old, &g);
    struct event *ev;
    emit_guest(a, g.state == GUEST_PENDING ? "guest.pending" : "guest.stopped", &g, "lost");
    ev = &a->f->events[a->f->events_n - 1];
    (void)str_copy(ev->host, sizeof ev->host, old->host);
}

void free_guests(struct apply *a, const char *host, bool all)
{
    struct guest g;
    char after[LIMIT_NAME + 1] = "";
    while (next_guest(a, 'g', host, after, &g)) {
        (void)str_copy(after, sizeof after, g.name);
        if (all || g.guarded) {
            free_guest(a, &g);
        }
    }
    /* Copies that have never run: their guests stay where they are. */
    after[0] = '\0';
    while (next_guest(a, 't', host, after, &g)) {
        (void)str_copy(after, sizeof after, g.name);
        struct guest freed = g;
        end_open_op(a, &freed, host);
        save_guest(a, &g, &freed);
        emit_guest(a, "guest.changed", &freed, "aborted");
    }
}

/* The host is down, with the proof that stands in the event. */
static void fence(struct apply *a, struct host *h, bool all, bool counts, const char *detail)
{
    if (h->state != HOST_DOWN) {
        h->state = HOST_DOWN;
        h->since_ms = a->now_ms;
    }
    h->fenced = true;
    h->fenced_ms = counts ? a->now_ms : 0;
    h->held = false;
    evacuation_stop(a, h, OP_FAILED, -ERR_LOST, h->name);
    save_host(a, h);
    emit_host(a, "host.fenced", h, detail);
    free_guests(a, h->name, all);
}

void cmd_host_fence(struct apply *a, const void *record)
{
    const struct cmd_host_fence *c = record;
    struct host h;
    if (need_host(a, c->name, &h)) {
        fence(a, &h, /*all=*/true, /*counts=*/false, c->reason);
    }
}

static bool is_under(struct apply *a, uint64_t term, const char *what, const char *name)
{
    if (term == a->term || MUTANT(fence_any_term)) {
        return true;
    }
    MARK(fence_old_term);
    struct outcome *o = reject(a, ERR_STALE, what, name);
    (void)str_copy(o->detail, sizeof o->detail, "term");
    o->a = term;
    o->b = a->term;
    return false;
}

/* Its lease is over, and so many are that it may be us: its guests wait where they are, until time
 * or hosts that are heard again leave room in the budget, or an operator declares it off. */
static void hold(struct apply *a, struct host *h, const struct fence_budget *b)
{
    if (h->held) {
        struct outcome *o = reject_state(a, "host", h->name, "budget", h->state);
        o->b = b->used;
        return;
    }
    MARK(fence_held);
    h->held = true;
    save_host(a, h);
    emit_host(a, "host.held", h, "fence budget");
    (void)str_copy(a->out->detail, sizeof a->out->detail, "held");
}

/* Whether a run or the target of one depends on the lease of this host. */
static bool has_guarded(struct apply *a, const char *host)
{
    for (const char *index = "gt"; *index != '\0'; index++) {
        struct guest g;
        char after[LIMIT_NAME + 1] = "";
        while (next_guest(a, *index, host, after, &g)) {
            if (g.guarded) {
                return true;
            }
            (void)str_copy(after, sizeof after, g.name);
        }
    }
    return false;
}

/* A host may be fenced again before it was seen: what it did not guard stayed where it was, and may
 * have become guarded since. */
void cmd_host_lease_over(struct apply *a, const void *record)
{
    const struct cmd_host_lease_over *c = record;
    struct host h;
    if (!need_host(a, c->name, &h) || !is_under(a, c->term, "host", h.name)) {
        return;
    }
    if (h.fenced && !has_guarded(a, h.name)) {
        (void)reject_state(a, "host", h.name, "fenced", h.state);
        return;
    }
    const struct fence_budget b = rows_fence_budget(a->t, &a->f->pool, a->now_ms);
    if (h.fenced || b.used < b.limit) { /* Once more is not one more. */
        MARK(fenced_lease);
        fence(a, &h, /*all=*/false, /*counts=*/true, "lease");
    } else {
        hold(a, &h, &b);
    }
}

/* The host's present daemon says it, or reject as STALE. */
static bool is_of_daemon(struct apply *a, const struct host *h, uint64_t incarnation)
{
    if (incarnation == h->incarnation) {
        return true;
    }
    MARK(word_of_old_daemon);
    struct outcome *o = reject(a, ERR_STALE, "host", h->name);
    (void)str_copy(o->detail, sizeof o->detail, "incarnation");
    o->a = incarnation;
    o->b = h->incarnation;
    return false;
}

void cmd_host_guarantee(struct apply *a, const void *record)
{
    const struct cmd_host_guarantee *c = record;
    struct host h;
    if (!need_host(a, c->name, &h) || !is_current(a, &h, c->raft_id) ||
        !is_of_daemon(a, &h, c->incarnation)) {
        return;
    }
    if (h.guarantee != c->guarantee) {
        h.guarantee = c->guarantee;
        save_host(a, &h);
        emit_host(a, "host.guarantee", &h, enum_guarantee.names[h.guarantee]);
    }
}

/* Off, says its power controller: nothing runs there. The host must be silent since before that,
 * and no later daemon may have reported: it lives then, whatever was said. */
void cmd_host_power(struct apply *a, const void *record)
{
    const struct cmd_host_power *c = record;
    struct host h;
    if (!need_host(a, c->name, &h) || !is_current(a, &h, c->raft_id) ||
        !is_of_daemon(a, &h, c->incarnation)) {
        return;
    }
    if (!c->off) {
        emit_host(a, "host.power_failed", &h, c->detail);
        return;
    }
    if (h.state != HOST_DOWN) {
        (void)reject_state(a, "host", h.name, "heard", h.state);
        return;
    }
    emit_host(a, "host.power_off", &h, c->detail);
    fence(a, &h, /*all=*/true, /*counts=*/true, "power");
}

/* The word of a daemon that begins nothing guarded any more. The next daemon begins nothing guarded
 * before its report is applied, and with that this word is stale. */
void cmd_host_release(struct apply *a, const void *record)
{
    const struct cmd_host_release *c = record;
    struct host h;
    if (!need_host(a, c->name, &h) || !is_current(a, &h, c->raft_id)) {
        return;
    }
    if (!is_of_daemon(a, &h, c->incarnation)) {
        return;
    }
    if (h.fenced && !has_guarded(a, h.name)) {
        (void)reject_state(a, "host", h.name, "fenced", h.state);
        return;
    }
    MARK(fenced_released);
    fence(a, &h, /*all=*/false, /*counts=*/false, "released");
}

void cmd_lease_settled(struct apply *a, const void *record)
{
    const struct cmd_lease_settled *c = record;
    struct pool *p = &a->f->pool;
    if (!is_under(a, c->term, "pool", p->name)) {
        return;
    }
    if (c->lease_ms == p->lease_ms && p->lease_bound_ms != p->lease_ms) {
        p->lease_bound_ms = p->lease_ms;
        save_pool(a);
        (void)emit(a, "pool.changed", p->name);
    }
}
