#include "cli/quorated/control_ha.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/mark.h"
#include "core/mutant.h"
#include "core/util.h"

#include "cli/quorated/leasing.h"
#include "cli/quorated/placement.h"

/* Guests that wait for a place are looked for so often, and at once after a fence. */
#define SCAN_MS 1000u

/* So many starts are under way on a host at once, and so many guests are placed in one look. */
#define STARTS_PER_HOST 4u
#define PLACED_AT_ONCE  64u

/* A host that the fence budget holds is tried again so often: only an entry can tell that the time
 * of the budget has passed, for log time stands still without one. */
#define HELD_RETRY_MS 5000u

/* A fence whose outcome is awaited. The host is granted no lease until then. */
struct fence {
    struct control_ha *c;
    struct fence *next;
    char host[LIMIT_NAME + 1];
    uint64_t term;
    struct id request;
    bool proposing;
};

struct start {
    struct control_ha *c;
    struct start *next;
    char guest[LIMIT_NAME + 1];
    char host[LIMIT_NAME + 1];
};

/* A guest that is not to be started yet, counted on this master's own clock since it saw it. */
struct rest {
    struct rest *next;
    char guest[LIMIT_NAME + 1];
    uint64_t generation;
    uint64_t due_ms;
    bool seen; /* In this look. */
};

struct control_ha {
    struct daemon *d;
    struct rest *rests;
    struct fence *fences;
    struct start *starts; /* Proposed, and not answered yet. */
    uint64_t scan_at_ms;
    uint64_t held_at_ms;     /* Hosts that the budget holds are tried again then. */
    uint64_t settle_from_ms; /* The bound is above the length since then. */
    uint32_t settle_ms;      /* ... of this length; 0: it is not. */
    bool settling;
};

/* --- the bound of leases comes down after their length did */

static void settled(void *ctx, int code, const struct outcome *o)
{
    struct control_ha *c = ctx;
    (void)code;
    (void)o;
    c->settling = false;
}

static void settle(struct control_ha *c, uint64_t now_ms)
{
    const struct lease_times *t = leasing_times(c->d->leasing);
    struct raftlog_status st;
    if (t->bound_ms <= t->lease_ms) {
        c->settle_ms = 0;
        return;
    }
    if (c->settle_ms != t->lease_ms) {
        c->settle_ms = t->lease_ms;
        c->settle_from_ms = now_ms;
    }
    if (c->settling ||
        now_ms < c->settle_from_ms + lease_wait_ms(t->bound_ms, t->clock_error_permille)) {
        return;
    }
    raftlog_status(c->d->rl, &st);
    struct cmd_lease_settled record;
    schema_init(command_by_number(COMMAND_lease_settled)->schema, &record);
    record.lease_ms = t->lease_ms;
    record.term = st.term;
    c->settling = true;
    propose_record(c->d, COMMAND_lease_settled, &record, NULL, settled, c);
}

/* --- fences */

static struct fence **fence_of(struct control_ha *c, const char *host)
{
    struct fence **at = &c->fences;
    while (*at != NULL && strcmp((*at)->host, host) != 0) {
        at = &(*at)->next;
    }
    return at;
}

static void forget_fence(struct control_ha *c, struct fence *f)
{
    struct fence **at = fence_of(c, f->host);
    *at = f->next;
    (void)leasing_hold(c->d->leasing, f->host, /*held=*/false);
    free(f);
}

static void fenced(void *ctx, int code, const struct outcome *o)
{
    struct fence *f = ctx;
    struct control_ha *c = f->c;
    f->proposing = false;
    if (code != 0) {
        /* Nobody knows, or it could not be sent this time, which says nothing of the times before:
         * the host stays held, and the same request is proposed again in the next look. */
        return;
    }
    if (o->code == 0 && strcmp(o->detail, "held") == 0) {
        log_line(LOG_ERROR, "host_held", "name", f->host, "why",
                 "the fence budget is spent: 'quorate host fence' is left to an operator", NULL);
    } else if (o->code == 0) {
        log_line(LOG_WARN, "host_fenced", "name", f->host, "proof", "lease", NULL);
        c->scan_at_ms = 0;
    }
    forget_fence(c, f);
}

static void propose_fence(struct control_ha *c, struct fence *f)
{
    struct cmd_host_lease_over record;
    schema_init(command_by_number(COMMAND_host_lease_over)->schema, &record);
    (void)str_copy(record.name, sizeof record.name, f->host);
    record.term = f->term;
    f->proposing = true;
    propose_record(c->d, COMMAND_host_lease_over, &record, &f->request, fenced, f);
}

/* Whether a fence by lease would free anything of this host. */
static bool has_guarded(struct fsm_view *v, const char *host)
{
    static struct guest g; /* Large; the loop has one thread. */
    static struct op o;
    char after[LIMIT_NAME + 1] = "";
    for (int rc = fsm_next_guest_on(v, host, "", &g); rc == 0;) {
        if (g.guarded) {
            return true;
        }
        (void)str_copy(after, sizeof after, g.name);
        rc = fsm_next_guest_on(v, host, after, &g);
    }
    for (int rc = fsm_next_open_op(v, 0, &o); rc == 0; rc = fsm_next_open_op(v, o.id, &o)) {
        if (o.kind == OP_MIGRATE && strcmp(o.dst, host) == 0 &&
            fsm_get_guest(v, o.subject, &g) == 0 && g.guarded) {
            return true;
        }
    }
    return false;
}

static void begin_fence(struct control_ha *c, const struct host *h, uint64_t term)
{
    if (!leasing_hold(c->d->leasing, h->name, /*held=*/true)) {
        return;
    }
    struct fence *f = mem_new(1, sizeof *f);
    f->c = c;
    f->term = term;
    f->request = id_new(&c->d->rng);
    (void)str_copy(f->host, sizeof f->host, h->name);
    f->next = c->fences;
    c->fences = f;
    log_line(LOG_WARN, "lease_over", "name", h->name, NULL);
    propose_fence(c, f);
}

/* A host that the budget holds is tried now and then. */
static bool is_due(struct control_ha *c, const struct host *h, uint64_t now_ms)
{
    return !h->held || now_ms >= c->held_at_ms;
}

/* It is held and need not be: it has a lease again, or nothing that a fence would free. */
static void let_go(struct control_ha *c, const struct host *h)
{
    struct cmd_host_seen seen;
    schema_init(command_by_number(COMMAND_host_seen)->schema, &seen);
    (void)str_copy(seen.name, sizeof seen.name, h->name);
    seen.raft_id = h->raft_id;
    seen.up = true;
    propose_record(c->d, COMMAND_host_seen, &seen, NULL, NULL, NULL);
}

static bool is_over(const struct control_ha *c, const struct host *h)
{
    return leasing_host_is_over(c->d->leasing, h->name) ||
           (MUTANT(fence_on_suspicion) && h->state == HOST_DOWN);
}

static void look_at_hosts(struct control_ha *c, struct fsm_view *v, uint64_t term, uint64_t now_ms)
{
    struct host h = {0};
    bool tried = false;
    for (int rc = fsm_next_host(v, "", &h); rc == 0; rc = fsm_next_host(v, h.name, &h)) {
        struct fence *f = *fence_of(c, h.name);
        if (f != NULL && !f->proposing && f->term != term) {
            MARK(fence_forgotten);
            forget_fence(c, f); /* An entry under a term that has passed does nothing. */
        } else if (f != NULL) {
            if (!f->proposing) {
                MARK(fence_again);
                propose_fence(c, f);
            }
        } else if (is_due(c, &h, now_ms)) {
            tried = tried || h.held;
            if (is_over(c, &h) && has_guarded(v, h.name)) {
                begin_fence(c, &h, term);
            } else if (h.held && h.state == HOST_UP &&
                       (leasing_holds(c->d->leasing, h.name) || !has_guarded(v, h.name))) {
                let_go(c, &h);
            }
        }
    }
    c->held_at_ms = tried ? now_ms + HELD_RETRY_MS : c->held_at_ms;
}

/* --- restarts */

static void started(void *ctx, int code, const struct outcome *o)
{
    struct start *s = ctx;
    struct control_ha *c = s->c;
    struct start **at = &c->starts;
    while (*at != s) {
        at = &(*at)->next;
    }
    *at = s->next;
    c->scan_at_ms = 0;
    if (code != 0 || o->code != 0) {
        MARK(place_refused);
        log_line(LOG_WARN, "restart_refused", "guest", s->guest, "name", s->host, "err",
                 err_text(code != 0 ? code : -(int)o->code), NULL);
    }
    free(s);
}

static bool is_being_started(const struct control_ha *c, const char *guest)
{
    const struct start *s = c->starts;
    while (s != NULL && strcmp(s->guest, guest) != 0) {
        s = s->next;
    }
    return s != NULL;
}

/* A protected guest runs only where a lease is in force. */
static bool may_host(void *ctx, const char *host)
{
    const struct control_ha *c = ctx;
    return leasing_holds(c->d->leasing, host);
}

static bool is_resting(struct control_ha *c, const struct guest *g, uint64_t now_ms)
{
    uint64_t wait_ms = g->not_before_ms > g->since_ms ? g->not_before_ms - g->since_ms : 0;
    struct rest *r = c->rests;
    while (r != NULL && (r->generation != g->generation || strcmp(r->guest, g->name) != 0)) {
        r = r->next;
    }
    if (r == NULL && wait_ms > 0) {
        r = mem_new(1, sizeof *r);
        (void)str_copy(r->guest, sizeof r->guest, g->name);
        r->generation = g->generation;
        r->due_ms = now_ms + wait_ms;
        r->next = c->rests;
        c->rests = r;
    }
    if (r != NULL) {
        r->seen = true;
    }
    MARK_IF(guest_rests, r != NULL && now_ms < r->due_ms);
    return r != NULL && now_ms < r->due_ms;
}

/* `all`, or those that this look did not come by. */
static void forget_rests(struct control_ha *c, bool all)
{
    struct rest **at = &c->rests;
    while (*at != NULL) {
        struct rest *r = *at;
        if (!all && r->seen) {
            r->seen = false;
            at = &r->next;
        } else {
            *at = r->next;
            free(r);
        }
    }
}

static void
place(struct control_ha *c, struct fsm_view *v, struct place_census *census, const struct guest *g)
{
    static struct placement found; /* Large; the loop has one thread. */
    struct cmd_guest_start record;
    struct pool pool;
    struct place_ask ask = {.guest = g, .max_starts = STARTS_PER_HOST, .ctx = c};
    ask.may_host = g->ha && fsm_get_pool(v, &pool) == 0 && pool.ha ? may_host : NULL;
    schema_init(command_by_number(COMMAND_guest_start)->schema, &record);
    place_find(v, census, &ask, &found);
    if (found.best == NULL) {
        MARK(no_place);
        return; /* It stays PENDING, and is looked at again. */
    }
    (void)str_copy(record.name, sizeof record.name, g->name);
    (void)str_copy(record.host, sizeof record.host, found.best->host->name);
    record.paused = g->want == WANT_PAUSED;
    record.again = true;
    record.generation = g->generation;
    place_census_add(census, record.host, g);
    struct start *s = mem_new(1, sizeof *s);
    s->c = c;
    (void)str_copy(s->guest, sizeof s->guest, g->name);
    (void)str_copy(s->host, sizeof s->host, record.host);
    s->next = c->starts;
    c->starts = s;
    propose_record(c->d, COMMAND_guest_start, &record, NULL, started, s);
}

/* A guest that waits, in the order in which they are started. */
struct waiting {
    uint32_t priority;
    char name[LIMIT_NAME + 1];
};

/* Whether a goes before b. */
static bool goes_before(const struct waiting *a, const struct waiting *b)
{
    return a->priority != b->priority ? a->priority > b->priority : strcmp(a->name, b->name) < 0;
}

/* Keeps the first PLACED_AT_ONCE of all in order. */
static void keep(struct waiting *list, uint32_t *n, const struct guest *g)
{
    struct waiting w = {.priority = g->priority};
    (void)str_copy(w.name, sizeof w.name, g->name);
    uint32_t i = *n;
    if (i == PLACED_AT_ONCE) {
        if (!goes_before(&w, &list[i - 1])) {
            return;
        }
        i--;
    } else {
        (*n)++;
    }
    for (; i > 0 && goes_before(&w, &list[i - 1]); i--) {
        list[i] = list[i - 1];
    }
    list[i] = w;
}

/* What was proposed and is not in the state yet takes its place all the same. */
static void count_proposed(struct control_ha *c, struct fsm_view *v, struct place_census *census)
{
    static struct guest g;
    for (const struct start *s = c->starts; s != NULL; s = s->next) {
        if (fsm_get_guest(v, s->guest, &g) == 0 && g.state == GUEST_PENDING) {
            place_census_add(census, s->host, &g);
        }
    }
}

static void look_at_guests(struct control_ha *c, struct fsm_view *v, uint64_t now_ms)
{
    static struct guest g;
    static struct waiting list[PLACED_AT_ONCE];
    uint32_t n = 0;
    if (now_ms < c->scan_at_ms) {
        return;
    }
    c->scan_at_ms = now_ms + SCAN_MS;
    char after[LIMIT_NAME + 1] = "";
    while (fsm_next_pending(v, after, &g) == 0) {
        (void)str_copy(after, sizeof after, g.name);
        if (g.op == 0 && !is_resting(c, &g, now_ms) && !is_being_started(c, g.name)) {
            keep(list, &n, &g);
        }
    }
    forget_rests(c, /*all=*/false);
    if (n == 0) {
        return;
    }
    static struct place_census census; /* Large too. */
    place_census_take(v, &census);
    count_proposed(c, v, &census);
    for (uint32_t i = 0; i < n; i++) {
        if (fsm_get_guest(v, list[i].name, &g) == 0) {
            place(c, v, &census, &g);
        }
    }
}

/* --- all of it */

void control_ha_tick(struct control_ha *c, struct fsm_view *v, uint64_t now_ms)
{
    struct raftlog_status st;
    raftlog_status(c->d->rl, &st);
    settle(c, now_ms);
    look_at_hosts(c, v, st.term, now_ms);
    look_at_guests(c, v, now_ms);
}

void control_ha_rest(struct control_ha *c)
{
    struct fence **at = &c->fences;
    while (*at != NULL) {
        struct fence *f = *at;
        if (f->proposing) {
            at = &f->next; /* Its outcome comes still. */
        } else {
            *at = f->next;
            free(f);
        }
    }
    forget_rests(c, /*all=*/true);
    c->settle_ms = 0;
    c->scan_at_ms = 0;
    c->held_at_ms = 0;
}

struct control_ha *control_ha_new(struct daemon *d)
{
    struct control_ha *c = mem_new(1, sizeof *c);
    c->d = d;
    return c;
}

struct control_ha *control_ha_free(struct control_ha *c)
{
    while (c->fences != NULL) {
        struct fence *f = c->fences;
        c->fences = f->next;
        free(f);
    }
    while (c->starts != NULL) {
        struct start *s = c->starts;
        c->starts = s->next;
        free(s);
    }
    forget_rests(c, /*all=*/true);
    free(c);
    return NULL;
}
