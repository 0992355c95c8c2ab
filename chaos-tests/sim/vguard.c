#include "chaos-tests/sim/vguard.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/err.h"
#include "core/mutant.h"
#include "core/util.h"

#include "chaos-tests/sim/lab.h"
#include "chaos-tests/sim/seam.h"
#include "chaos-tests/sim/truth.h"
#include "chaos-tests/sim/vloop.h"
#include "cli/guard/table.h"
#include "cli/quorated/guard_link.h"

/* What a socket holds for a guard that stands still; then its sender takes it for gone. */
#define QUEUE 128u
/* A machine that was reset is back after that. */
#define RESET_NS (5 * NS_PER_S)

struct guard {
    struct vhost *host;
    struct guard_table table;
    struct guard_link *client; /* In the daemon's memory; NULL: no daemon. */
    struct guard_link *knocks; /* A daemon's that is not let in yet. */
    struct vevent due;
    int64_t ahead_ms; /* The wall clock, of the other, when the lease was renewed. */
    bool on;
    bool paused;
    struct guard_msg queue[QUEUE]; /* What was said to it while it stood still. */
    uint32_t n_queue;
    /* Of the one that was killed: what it held when; and the end of the last lease it was told. */
    struct guard_table left;
    uint64_t told_end_ms;
    struct vevent watchdog;
};

static struct guard *guards;
bool vguard_watchdogs = true;

/* --- the daemon's end, in its own memory */

struct letter {
    struct letter *next;
    struct guard_msg m;
    struct guard_copy copies[];
};

struct guard_link {
    struct guard_link_options opt;
    struct proc *p;
    struct guard *guard;
    struct letter *letters;
    bool closing;
    void (*closed)(void *ctx);
    void *closed_ctx;
};

static void deliver(void *ctx)
{
    struct guard_link *l = ctx;
    struct letter *letter = l->letters;
    if (letter != NULL) {
        l->letters = letter->next;
        if (!l->closing) {
            l->opt.heard(l->opt.ctx, &letter->m, letter->copies);
        }
        free(letter);
    }
}

static void post(struct guard *g, const struct guard_msg *m)
{
    struct guard_link *l = g->client;
    if (l == NULL) {
        return;
    }
    struct proc *p = l->p;
    struct proc *before = proc_enter(p);
    uint32_t n = m->kind == GUARD_TABLE ? g->table.n : 0;
    struct letter *letter = mem_new(1, sizeof *letter + n * sizeof letter->copies[0]);
    struct letter **at = &l->letters;
    letter->m = *m;
    letter->m.magic = GUARD_MAGIC;
    for (uint32_t i = 0; i < n; i++) {
        letter->copies[i] = g->table.entries[i].copy;
    }
    while (*at != NULL) {
        at = &(*at)->next;
    }
    *at = letter;
    vloop_later(p, deliver, l);
    proc_leave(before);
    if (before != p) {
        vloop_replan(p);
    }
}

/* --- the guard */

static int64_t wall_ahead_ms(const struct guard *g)
{
    const struct vclock *c = &g->host->m.clock;
    return (int64_t)vclock_wall_ms(c) - (int64_t)(vclock_mono_ns(c) / NS_PER_MS);
}

/* By how much the wall clock has jumped since then: with that mistake, so much is slept too long.
 */
static int64_t jumped_ms(const struct guard *g)
{
    return MUTANT(guard_wall_clock) ? wall_ahead_ms(g) - g->ahead_ms : 0;
}

static uint64_t now_ms(const struct guard *g)
{
    return vclock_mono_ns(&g->host->m.clock) / NS_PER_MS + (uint64_t)jumped_ms(g);
}

static void wind(struct guard *g)
{
    uint64_t at = guard_kill_at(&g->table);
    vevent_clear(&g->due);
    if (at != 0 && !g->host->m.frozen && !g->paused) {
        vevent_set(&g->due,
                   vclock_when(&g->host->m.clock, (at - (uint64_t)jumped_ms(g)) * NS_PER_MS));
    }
}

static void kill_all(struct guard *g)
{
    struct guard_msg killed = {.kind = GUARD_KILLED, .n = g->table.n, .end_ms = g->table.end_ms};
    post(g, &killed);
    while (g->table.n > 0) {
        struct guard_entry *e = &g->table.entries[g->table.n - 1];
        const struct guard_copy copy = e->copy;
        struct guard_msg gone = {.kind = GUARD_GONE, .copy = copy};
        guard_remove(&g->table, e);
        truth_kill(g->host->m.index, &copy.guest, copy.epoch);
        post(g, &gone);
    }
}

static void due(struct vevent *ev)
{
    struct guard *g = CONTAINER_OF(ev, struct guard, due);
    if (guard_is_due(&g->table, now_ms(g))) {
        kill_all(g);
    }
    wind(g);
}

static void add(struct guard *g, const struct guard_copy *copy)
{
    struct guard_entry *e;
    int rc = truth_exists(g->host->m.index, &copy->guest, copy->epoch)
                 ? guard_add(&g->table, copy, now_ms(g), &e)
                 : ERR_NOT_FOUND;
    struct guard_msg m = {.kind = GUARD_ADDED, .copy = *copy, .code = rc == ERR_EXISTS ? 0 : rc};
    post(g, &m);
}

static void obey(struct guard *g, const struct guard_msg *m)
{
    struct guard_entry *e;
    if (m->kind == GUARD_LEASE) {
        g->told_end_ms = max_u64(g->told_end_ms, m->end_ms);
    }
    if (g->paused) {
        g->queue[g->n_queue++] = *m;
        return;
    }
    if (m->kind == GUARD_ADD) {
        add(g, &m->copy);
    } else if (m->kind == GUARD_LEASE) {
        g->ahead_ms = wall_ahead_ms(g);
        guard_renew(&g->table, m->end_ms, m->margin_ms);
    } else if (m->kind == GUARD_DROP) {
        e = guard_find(&g->table, &m->copy.guest, m->copy.epoch);
        if (e != NULL) {
            guard_remove(&g->table, e);
        }
    }
    wind(g);
}

uint32_t vguard_strays(uint32_t host)
{
    const struct guard_table *t = &guards[host].table;
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->n; i++) {
        n += !truth_exists(host, &t->entries[i].copy.guest, t->entries[i].copy.epoch);
    }
    return n;
}

bool vguard_answers_for(uint32_t host, const struct id *uuid, uint64_t epoch)
{
    struct guard *g = &guards[host];
    return guard_find(&g->table, uuid, epoch) != NULL || guard_find(&g->left, uuid, epoch) != NULL;
}

void vguard_gone(uint32_t host, const struct id *uuid, uint64_t epoch)
{
    struct guard *g = &guards[host];
    struct guard_entry *e = g->on && !g->paused ? guard_find(&g->table, uuid, epoch) : NULL;
    if (e != NULL) {
        struct guard_msg m = {.kind = GUARD_GONE, .copy = e->copy};
        guard_remove(&g->table, e);
        wind(g);
        post(g, &m);
    }
}

/* --- without it */

/* A copy that executes, which this table held and no guard that works holds. */
static bool one_is_loose(const struct guard *g, const struct guard_table *t)
{
    for (uint32_t i = 0; i < t->n; i++) {
        const struct guard_copy *c = &t->entries[i].copy;
        bool held = g->on && !g->paused &&
                    guard_find((struct guard_table *)&g->table, &c->guest, c->epoch) != NULL;
        if (!held && truth_runs(g->host->m.index, &c->guest, c->epoch)) {
            return true;
        }
    }
    return false;
}

static void power_on(void *ctx, uint64_t boot)
{
    struct vhost *h = ctx;
    if (h->m.boots == boot) {
        vhost_power_on(h);
    }
}

/* The lease is over. What no guard kills the daemon should have ended; where it could not either, a
 * hardware watchdog that nobody feeds resets the machine. */
static void watchdog(struct vevent *ev)
{
    struct guard *g = CONTAINER_OF(ev, struct guard, watchdog);
    struct vhost *h = g->host;
    uint64_t end = max_u64(g->told_end_ms, max_u64(g->table.end_ms, g->left.end_ms));
    vevent_clear(ev);
    if (!vguard_watchdogs || !h->m.on || h->m.frozen || (g->left.n == 0 && !g->paused)) {
        return;
    }
    if (now_ms(g) < end) {
        vevent_set(ev, vclock_when(&h->m.clock, end * NS_PER_MS));
    } else if (one_is_loose(g, &g->left) || (g->paused && one_is_loose(g, &g->table))) {
        lab.watchdogs++;
        vhost_power_cut(h);
        lab_after(RESET_NS, power_on, h, h->m.boots);
    } else if (g->on && !g->paused) {
        g->left.n = 0;
    }
}

static void lost(void *ctx)
{
    struct guard_link *l = ctx;
    struct err e = {0};
    if (!l->closing) {
        (void)err_set(&e, ERR_IO, "connection to the guard: it is gone");
        l->opt.lost(l->opt.ctx, &e);
    }
}

static void hang_up(struct guard *g)
{
    struct guard_link *l = g->client != NULL ? g->client : g->knocks;
    g->client = g->knocks = NULL;
    if (l != NULL) {
        struct proc *p = l->p;
        struct proc *before = proc_enter(p);
        vloop_later(p, lost, l);
        proc_leave(before);
        if (before != p) {
            vloop_replan(p);
        }
    }
}

void vguard_kill(struct vhost *h)
{
    struct guard *g = &guards[h->m.index];
    if (!g->on) {
        return;
    }
    g->left.end_ms = g->table.end_ms;
    for (uint32_t i = 0; i < g->table.n && g->left.n < GUARD_COPIES; i++) {
        g->left.entries[g->left.n++] = g->table.entries[i];
    }
    memset(&g->table, 0, sizeof g->table);
    vevent_clear(&g->due);
    g->on = g->paused = false;
    g->n_queue = 0;
    hang_up(g);
    watchdog(&g->watchdog);
}

static void welcome(struct guard *g, struct guard_link *l);

/* What ended meanwhile; what was said; who came. */
static void catch_up(struct guard *g)
{
    for (uint32_t i = g->table.n; i > 0; i--) {
        struct guard_entry *e = &g->table.entries[i - 1];
        struct guard_msg gone = {.kind = GUARD_GONE, .copy = e->copy};
        if (!truth_exists(g->host->m.index, &e->copy.guest, e->copy.epoch)) {
            guard_remove(&g->table, e);
            post(g, &gone);
        }
    }
    for (uint32_t i = 0; i < g->n_queue; i++) {
        obey(g, &g->queue[i]);
    }
    g->n_queue = 0;
    if (g->knocks != NULL) {
        welcome(g, g->knocks);
    }
}

void vguard_pause(struct vhost *h, bool paused)
{
    struct guard *g = &guards[h->m.index];
    if (!g->on || g->paused == paused) {
        return;
    }
    g->paused = paused;
    if (paused) {
        vevent_clear(&g->due);
        watchdog(&g->watchdog);
    } else if (!h->m.frozen) {
        due(&g->due); /* Time first. */
        catch_up(g);
        wind(g);
    }
}

void vguard_begin(void)
{
    guards = world_new(LAB_HOSTS_MAX, sizeof *guards);
    for (uint32_t i = 0; i < LAB_HOSTS_MAX; i++) {
        guards[i].host = &lab.hosts[i];
        guards[i].due.fire = due;
        guards[i].watchdog.fire = watchdog;
    }
}

void vguard_end(void)
{
    for (uint32_t i = 0; i < LAB_HOSTS_MAX; i++) {
        vevent_clear(&guards[i].due);
        vevent_clear(&guards[i].watchdog);
    }
    world_free(guards);
    guards = NULL;
}

void vguard_daemon_died(struct vhost *h)
{
    guards[h->m.index].client = guards[h->m.index].knocks = NULL;
}

void vguard_power_cut(struct vhost *h)
{
    struct guard *g = &guards[h->m.index];
    vevent_clear(&g->due);
    vevent_clear(&g->watchdog);
    g->client = g->knocks = NULL;
    g->on = g->paused = false;
    g->n_queue = 0;
    g->told_end_ms = 0;
    memset(&g->table, 0, sizeof g->table);
    memset(&g->left, 0, sizeof g->left);
}

void vguard_replan(struct vhost *h)
{
    struct guard *g = &guards[h->m.index];
    if (!h->m.frozen) {
        watchdog(&g->watchdog);
    }
    if (g->on && !h->m.frozen && !g->paused) {
        due(&g->due);
    } else {
        vevent_clear(&g->due);
    }
}

static void welcome(struct guard *g, struct guard_link *l)
{
    struct guard_msg m = {.kind = GUARD_TABLE,
                          .end_ms = g->table.end_ms,
                          .margin_ms = g->table.margin_ms,
                          .n = g->table.n};
    g->client = l;
    g->knocks = NULL;
    post(g, &m);
}

/* --- guard_link.h */

struct guard_link *guard_link_new(const struct guard_link_options *options)
{
    struct guard_link *l = mem_new(1, sizeof *l);
    l->opt = *options;
    l->p = proc_now;
    l->guard = &guards[proc_now->machine->index];
    return l;
}

static void connected(void *ctx)
{
    struct guard_link *l = ctx;
    struct guard *g = l->guard;
    if (l->closing) {
        return;
    }
    if (g->paused) { /* The kernel lets it in. */
        g->knocks = l;
        return;
    }
    g->on = true; /* Found, or started. */
    welcome(g, l);
}

void guard_link_connect(struct guard_link *l)
{
    vloop_later(l->p, connected, l);
}

int guard_link_send(struct guard_link *l, const struct guard_msg *m, struct err *e)
{
    if (l->guard->client != l) {
        return err_set(e, ERR_IO, "there is no guard");
    }
    if (l->guard->n_queue == QUEUE) {
        hang_up(l->guard);
        return err_set(e, ERR_IO, "the guard does not listen");
    }
    seam_call(SEAM_GUARD);
    obey(l->guard, m);
    return 0;
}

static void link_closed(void *ctx)
{
    struct guard_link *l = ctx;
    void (*fn)(void *) = l->closed;
    void *closed_ctx = l->closed_ctx;
    while (l->letters != NULL) {
        deliver(l);
    }
    free(l);
    fn(closed_ctx);
}

void guard_link_close(struct guard_link *l, void (*closed)(void *ctx), void *ctx)
{
    l->closing = true;
    l->closed = closed;
    l->closed_ctx = ctx;
    if (l->guard->client == l) {
        l->guard->client = NULL;
    }
    if (l->guard->knocks == l) {
        l->guard->knocks = NULL;
    }
    vloop_later(l->p, link_closed, l);
}
