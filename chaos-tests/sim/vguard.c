#include "chaos-tests/sim/vguard.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/err.h"
#include "core/util.h"

#include "chaos-tests/sim/lab.h"
#include "chaos-tests/sim/truth.h"
#include "chaos-tests/sim/vloop.h"
#include "cli/guard/table.h"
#include "cli/quorated/guard_link.h"

struct guard {
    struct vhost *host;
    struct guard_table table;
    struct guard_link *client; /* In the daemon's memory; NULL: no daemon. */
    struct vevent due;
    bool on;
};

static struct guard *guards;

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

static uint64_t now_ms(const struct guard *g)
{
    return vclock_mono_ns(&g->host->m.clock) / NS_PER_MS;
}

static void wind(struct guard *g)
{
    uint64_t at = guard_kill_at(&g->table);
    vevent_clear(&g->due);
    if (at != 0 && !g->host->m.frozen) {
        vevent_set(&g->due, vclock_when(&g->host->m.clock, at * NS_PER_MS));
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
    if (m->kind == GUARD_ADD) {
        add(g, &m->copy);
    } else if (m->kind == GUARD_LEASE) {
        guard_renew(&g->table, m->end_ms, m->margin_ms);
    } else if (m->kind == GUARD_DROP) {
        e = guard_find(&g->table, &m->copy.guest, m->copy.epoch);
        if (e != NULL) {
            guard_remove(&g->table, e);
        }
    }
    wind(g);
}

void vguard_gone(uint32_t host, const struct id *uuid, uint64_t epoch)
{
    struct guard *g = &guards[host];
    struct guard_entry *e = g->on ? guard_find(&g->table, uuid, epoch) : NULL;
    if (e != NULL) {
        struct guard_msg m = {.kind = GUARD_GONE, .copy = e->copy};
        guard_remove(&g->table, e);
        wind(g);
        post(g, &m);
    }
}

void vguard_begin(void)
{
    guards = world_new(LAB_HOSTS_MAX, sizeof *guards);
    for (uint32_t i = 0; i < LAB_HOSTS_MAX; i++) {
        guards[i].host = &lab.hosts[i];
        guards[i].due.fire = due;
    }
}

void vguard_end(void)
{
    for (uint32_t i = 0; i < LAB_HOSTS_MAX; i++) {
        vevent_clear(&guards[i].due);
    }
    world_free(guards);
    guards = NULL;
}

void vguard_daemon_died(struct vhost *h)
{
    guards[h->m.index].client = NULL;
}

void vguard_power_cut(struct vhost *h)
{
    struct guard *g = &guards[h->m.index];
    vevent_clear(&g->due);
    g->client = NULL;
    g->on = false;
    memset(&g->table, 0, sizeof g->table);
}

void vguard_replan(struct vhost *h)
{
    struct guard *g = &guards[h->m.index];
    if (g->on && !h->m.frozen) {
        due(&g->due);
    } else {
        vevent_clear(&g->due);
    }
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
    g->on = true; /* Found, or started. */
    g->client = l;
    struct guard_msg m = {.kind = GUARD_TABLE,
                          .end_ms = g->table.end_ms,
                          .margin_ms = g->table.margin_ms,
                          .n = g->table.n};
    post(g, &m);
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
    vloop_later(l->p, link_closed, l);
}
