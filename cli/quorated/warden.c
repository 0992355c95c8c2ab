#include "cli/quorated/warden.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/mark.h"
#include "core/mutant.h"
#include "core/util.h"

#include "cli/quorated/guard_link.h"

/* The copies whose ends by the guard are remembered. */
#define KILLED 64u

struct charge {
    struct guard_copy copy;
    enum warden_word word;
};

struct warden {
    struct warden_options opt;
    struct guard_link *link;
    struct charge *charges;
    uint32_t n;
    uint32_t cap;
    struct guard_copy killed[KILLED]; /* A ring. */
    uint32_t n_killed;
    uint64_t end_ms;
    uint32_t margin_ms;
    uint64_t without_ms; /* There is no guard since then. */
    bool wanted;         /* Leases are wanted: there shall be a guard. */
    bool connecting;
    bool ready;
    bool complained;
    bool dog; /* A watchdog stands behind the guard. */
};

static uint64_t now_ms(const struct warden *w)
{
    return MUTANT(lease_wall_clock) ? w->opt.clock->wall_ms(w->opt.clock)
                                    : w->opt.clock->mono_ms(w->opt.clock);
}

static void say(const char *event, const struct guard_copy *copy, int code)
{
    char uuid[ID_TEXT_SIZE];
    char epoch[24];
    (void)snprintf(epoch, sizeof epoch, "%llu", (unsigned long long)copy->epoch);
    log_line(code == 0 ? LOG_INFO : LOG_WARN, event, "uuid", id_text(&copy->guest, uuid), "epoch",
             epoch, code == 0 ? NULL : "err", err_text(code), NULL);
}

/* --- the list */

static struct charge *find(const struct warden *w, const struct id *guest, uint64_t epoch)
{
    for (uint32_t i = 0; i < w->n; i++) {
        struct charge *c = &w->charges[i];
        if (c->copy.epoch == epoch && id_equal(&c->copy.guest, guest)) {
            return c;
        }
    }
    return NULL;
}

static struct charge *take(struct warden *w, const struct guard_copy *copy)
{
    if (w->n == w->cap) {
        w->cap = w->cap == 0 ? 16 : 2 * w->cap;
        w->charges = mem_grow(w->charges, w->cap, sizeof *w->charges);
    }
    w->charges[w->n] = (struct charge){.copy = *copy};
    return &w->charges[w->n++];
}

static void forget(struct warden *w, struct charge *c)
{
    *c = w->charges[--w->n];
}

static void ask(struct warden *w, struct charge *c)
{
    struct guard_msg m = {.magic = GUARD_MAGIC, .kind = GUARD_ADD, .copy = c->copy};
    struct err e = {0};
    c->word = WARDEN_ASKED;
    int rc = MUTANT(guard_not_told) ? ERR_UNSUPPORTED
             : w->ready             ? guard_link_send(w->link, &m, &e)
                                    : 0;
    if (rc == ERR_UNSUPPORTED) {
        c->word = WARDEN_HELD; /* No process: it is ended by the daemon alone. */
    } else if (rc == ERR_NOT_FOUND) {
        c->word = WARDEN_NONE; /* It has just ended, which its driver tells. */
    }
}

/* --- what the guard says */

static void send_lease(struct warden *w)
{
    struct guard_msg m = {
        .magic = GUARD_MAGIC, .kind = GUARD_LEASE, .end_ms = w->end_ms, .margin_ms = w->margin_ms};
    struct err e = {0};
    (void)guard_link_send(w->link, &m, &e); /* Failed: `lost` follows. */
}

/* A guard is there: an old one, whose copies are ours, or a new one, which is told of them. */
static void adopt(struct warden *w, const struct guard_msg *m, const struct guard_copy *copies)
{
    w->connecting = false;
    w->ready = true;
    w->complained = false;
    w->dog = false; /* It tells. */
    for (uint32_t i = 0; i < w->n; i++) {
        w->charges[i].word = WARDEN_NONE;
    }
    for (uint32_t i = 0; i < m->n; i++) {
        struct charge *c = find(w, &copies[i].guest, copies[i].epoch);
        c = c == NULL ? take(w, &copies[i]) : c;
        c->word = WARDEN_HELD;
    }
    if (m->end_ms >= w->end_ms) {
        w->end_ms = m->end_ms;
        w->margin_ms = m->margin_ms;
    } else {
        MARK(guard_told_lease);
        send_lease(w);
    }
    for (uint32_t i = 0; i < w->n; i++) {
        if (w->charges[i].word == WARDEN_NONE) {
            ask(w, &w->charges[i]);
        }
    }
    char n[16];
    (void)snprintf(n, sizeof n, "%u", m->n);
    MARK_IF(guard_adopted, m->n > 0);
    log_line(LOG_INFO, "guard_found", "copies", n, NULL);
    w->opt.changed(w->opt.ctx, NULL);
}

static void remember_killed(struct warden *w)
{
    for (uint32_t i = 0; i < w->n; i++) {
        if (w->charges[i].word == WARDEN_HELD) {
            w->killed[w->n_killed++ % KILLED] = w->charges[i].copy;
        }
    }
}

static void answered(struct warden *w, const struct guard_msg *m)
{
    struct charge *c = find(w, &m->copy.guest, m->copy.epoch);
    if (c == NULL) {
        return; /* It was dropped meanwhile. */
    }
    if (m->code == 0) {
        c->word = WARDEN_HELD;
        say("guarded", &m->copy, 0);
    } else {
        forget(w, c);
        MARK(guard_refused);
        say("not_guarded", &m->copy, m->code);
    }
    w->opt.changed(w->opt.ctx, &m->copy);
}

static void heard_dog(struct warden *w, const struct guard_msg *m)
{
    w->dog = m->n != 0;
    log_line(w->dog ? LOG_INFO : LOG_WARN, w->dog ? "watchdog_armed" : "watchdog_refused", "device",
             w->opt.watchdog == NULL ? "" : w->opt.watchdog, w->dog ? NULL : "err",
             strerror(m->code), NULL); // NOLINT(concurrency-mt-unsafe): one thread.
}

static void heard(void *ctx, const struct guard_msg *m, const struct guard_copy *copies)
{
    struct warden *w = ctx;
    struct charge *c;
    char n[16];
    (void)snprintf(n, sizeof n, "%u", m->n);
    switch ((enum guard_kind)m->kind) {
    case GUARD_TABLE: adopt(w, m, copies); return;
    case GUARD_ADDED: answered(w, m); return;
    case GUARD_GONE:
        c = find(w, &m->copy.guest, m->copy.epoch);
        if (c != NULL) {
            forget(w, c);
            w->opt.changed(w->opt.ctx, &m->copy);
        }
        return;
    case GUARD_KILLED:
        MARK(guard_killed);
        log_line(LOG_WARN, "guard_killed", "copies", n, "why", "the lease is over", NULL);
        remember_killed(w);
        w->opt.changed(w->opt.ctx, NULL);
        return;
    case GUARD_DOG: heard_dog(w, m); return;
    case GUARD_STUCK: log_line(LOG_ERROR, "guard_stuck", "copies", n, NULL); return;
    case GUARD_LEASE:
    case GUARD_ADD:
    case GUARD_DROP:
    case GUARD_DROPPED: return;
    }
}

static void lost(void *ctx, const struct err *e)
{
    struct warden *w = ctx;
    if (!w->complained) {
        log_line(LOG_ERROR, "guard_lost", "err", e->msg, NULL);
        w->complained = true;
    }
    w->connecting = false;
    if (w->ready) {
        MARK(guard_lost);
        w->ready = false;
        w->without_ms = now_ms(w);
        warden_tick(w);
    }
    w->opt.changed(w->opt.ctx, NULL);
}

/* --- what others call */

struct warden *warden_new(const struct warden_options *options)
{
    struct warden *w = mem_new(1, sizeof *w);
    w->opt = *options;
    struct guard_link_options o = {.loop = w->opt.loop,
                                   .path = w->opt.path,
                                   .program = w->opt.program,
                                   .watchdog = w->opt.watchdog,
                                   .heard = heard,
                                   .lost = lost,
                                   .ctx = w};
    w->link = guard_link_new(&o);
    return w;
}

void warden_close(struct warden *w, void (*closed)(void *ctx), void *ctx)
{
    w->ready = false;
    guard_link_close(w->link, closed, ctx);
    w->link = NULL;
}

struct warden *warden_free(struct warden *w)
{
    if (w != NULL) {
        free(w->charges);
        free(w);
    }
    return NULL;
}

void warden_tick(struct warden *w)
{
    if (!w->wanted) {
        w->wanted = true;
        w->without_ms = now_ms(w);
    }
    if (!w->ready && !w->connecting && w->link != NULL) {
        w->connecting = true;
        guard_link_connect(w->link);
    }
}

bool warden_ready(const struct warden *w)
{
    return w->ready;
}

enum guarantee warden_guarantee(const struct warden *w)
{
    return !w->ready ? GUARANTEE_NONE : w->dog ? GUARANTEE_WATCHDOG : GUARANTEE_GUARD;
}

bool warden_is_busy(const struct warden *w)
{
    return w->n > 0;
}

uint64_t warden_end_ms(const struct warden *w)
{
    return w->end_ms;
}

void warden_renew(struct warden *w, uint64_t end_ms, uint32_t margin_ms)
{
    if (end_ms > w->end_ms) {
        w->end_ms = end_ms;
        w->margin_ms = margin_ms;
        if (w->ready) {
            send_lease(w);
        }
    }
}

bool warden_is_over(const struct warden *w)
{
    uint64_t now = now_ms(w);
    if (!w->wanted) {
        return false; /* Nobody knows yet: the daemon has just started. */
    }
    if (!w->ready) {
        uint64_t patience = w->margin_ms == 0 ? WARDEN_PATIENCE_MS : w->margin_ms;
        return now >= w->without_ms + patience;
    }
    return now + w->margin_ms >= w->end_ms;
}

enum warden_word warden_look(const struct warden *w, const struct id *guest, uint64_t epoch)
{
    const struct charge *c = find(w, guest, epoch);
    return c == NULL ? WARDEN_NONE : w->ready ? c->word : WARDEN_ASKED;
}

bool warden_killed(const struct warden *w, const struct id *guest, uint64_t epoch)
{
    for (uint32_t i = 0; i < KILLED && i < w->n_killed; i++) {
        if (w->killed[i].epoch == epoch && id_equal(&w->killed[i].guest, guest)) {
            return true;
        }
    }
    return false;
}

void warden_add(struct warden *w, const struct guard_copy *copy)
{
    struct charge *c = find(w, &copy->guest, copy->epoch);
    if (c == NULL) {
        c = take(w, copy);
        ask(w, c);
    } else if (c->word == WARDEN_NONE) {
        ask(w, c);
    }
}

void warden_drop(struct warden *w, const struct id *guest, uint64_t epoch)
{
    struct charge *c = find(w, guest, epoch);
    struct guard_msg m = {.magic = GUARD_MAGIC, .kind = GUARD_DROP};
    struct err e = {0};
    if (c != NULL) {
        m.copy = c->copy;
        forget(w, c);
        if (w->ready) {
            (void)guard_link_send(w->link, &m, &e); /* Failed: the next one never hears of it. */
        }
    }
}
