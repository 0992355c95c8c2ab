/* See gen.h. Each step does one small thing somewhere and lets some time pass, often none at all:
 * ties are where checkers go wrong. */

#include "chaos-tests/check/tests/gen.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/util.h"

#define NONE     HIST_NONE
#define PENDING  64
#define GHOSTS   4 /* Commands that their clients gave up on. */
#define SUBJECTS 64

struct entry {
    uint64_t request, value, term;
    uint32_t subject; /* Number of the subject, SUBJECTS for none. */
    uint32_t code;
    bool first;
    uint64_t seq; /* Of its event; 0 without one. */
};

struct pending {
    bool used, waiting, committed;
    struct rec_call call;
    uint64_t index, value;
    uint32_t code;
};

struct guest {
    uint16_t host, dst; /* NONE: does not run, is not on its way. */
    uint64_t epoch, dst_epoch;
};

struct gen {
    struct hist *h;
    struct rng rng;
    const struct gen_options *o;
    uint64_t now;
    struct entry *log; /* log[i] is index i; log[0] is not used. */
    uint64_t n_log;
    uint64_t value[SUBJECTS];
    hist_t_name name[SUBJECTS];
    struct guest guest[SUBJECTS];
    struct pending pending[PENDING];
    uint64_t applied[HIST_HOSTS], durable[HIST_HOSTS];
    bool off[HIST_HOSTS];
    uint64_t seen[HIST_HOSTS]; /* Watcher i asks host i, mostly. */
    uint64_t n_events, term, next_request, next_call, next_value, next_epoch;
    uint16_t master;
};

static bool chance(struct gen *g, uint32_t percent)
{
    return rng_below(&g->rng, 100) < percent;
}

static uint64_t mix(uint64_t a, uint64_t b)
{
    a = (a + 0x9e3779b97f4a7c15ull) * 0xbf58476d1ce4e5b9ull ^ b * 0x94d049bb133111ebull;
    return (a ^ (a >> 29)) | 1; /* Never 0, which means "not taken". */
}

static void say(struct gen *g, struct rec r)
{
    r.at_us = g->now;
    hist_add(g->h, &r);
    g->now += chance(g, 30) ? 0 : rng_below(&g->rng, 2000);
}

static uint16_t any_host(struct gen *g)
{
    uint16_t host;

    do {
        host = (uint16_t)rng_below(&g->rng, g->o->hosts);
    } while (g->off[host]);
    return host;
}

/* --- the log */

static void make_durable(struct gen *g, uint16_t host, uint64_t index)
{
    if (g->durable[host] < index) {
        g->durable[host] = index;
        say(g, (struct rec){.kind = REC_DURABLE, .durable = {.host = host, .index = index}});
    }
}

static uint64_t append(struct gen *g, struct entry e)
{
    uint32_t have = 1;

    e.term = g->term;
    e.seq = e.first && e.code == 0 ? ++g->n_events : 0;
    g->log[++g->n_log] = e;
    make_durable(g, g->master, g->n_log);
    for (uint16_t i = 0; i < g->o->hosts && have <= g->o->hosts / 2; i++) {
        if (i != g->master && !g->off[i]) {
            make_durable(g, i, g->n_log);
            have++;
        }
    }
    if (chance(g, 50)) {
        say(g, (struct rec){.kind = REC_PROMISE, .promise = {g->master, g->n_log, g->term}});
    }
    return g->n_log;
}

static uint64_t state_at(uint64_t index)
{
    return mix(index, 77);
}

static void apply_next(struct gen *g, uint16_t host)
{
    uint64_t index = g->applied[host] + 1;
    const struct entry *e = &g->log[index];

    if (g->off[host] || index > g->n_log) {
        return;
    }
    make_durable(g, host, index);
    g->applied[host] = index;
    say(g, (struct rec){.kind = REC_APPLY,
                        .apply = {.host = host,
                                  .index = index,
                                  .term = e->term,
                                  .entry = mix(e->request, e->request == 0 ? index : 1),
                                  .state = chance(g, 50) ? state_at(index) : 0,
                                  .request = e->request,
                                  .code = e->code,
                                  .first = e->first}});
}

static void watch(struct gen *g, uint16_t watcher)
{
    uint16_t host = any_host(g);

    for (uint64_t i = 1; i <= g->applied[host]; i++) {
        const struct entry *e = &g->log[i];
        if (e->seq != g->seen[watcher] + 1) {
            continue;
        }
        g->seen[watcher]++;
        say(g, (struct rec){.kind = REC_EVENT,
                            .event = {.host = host,
                                      .client = 100u + watcher,
                                      .seq = e->seq,
                                      .what = hist_name(g->h, "guest.changed"),
                                      .subject = e->subject < SUBJECTS ? g->name[e->subject] : 0,
                                      .digest = mix(e->seq, i)}});
        if (chance(g, 30)) {
            return;
        }
    }
}

/* --- clients */

static uint32_t number_of(const struct gen *g, hist_t_name name)
{
    uint32_t i = 0;

    while (g->name[i] != name) {
        i++;
    }
    return i;
}

/* What a command comes to, on the values as they are. */
static uint32_t decide(const struct gen *g, const struct rec_call *c, uint64_t *value)
{
    uint64_t now = g->value[number_of(g, c->subject)];

    *value = now;
    switch (c->op) {
    case CALL_CREATE: *value = now == 0 ? c->value : now; return now == 0 ? 0 : -ERR_EXISTS;
    case CALL_DELETE: *value = 0; return now == 0 ? -ERR_NOT_FOUND : 0;
    case CALL_SET: *value = now == 0 ? 0 : c->value; return now == 0 ? -ERR_NOT_FOUND : 0;
    case CALL_CAS:
        *value = now == c->expect ? c->value : now;
        return now == c->expect ? 0 : -ERR_STALE;
    case CALL_READ:
    case CALL_LOCAL:
    case CALL_OTHER: break;
    }
    return 0;
}

static uint64_t value_at(const struct gen *g, uint32_t subject, uint64_t index)
{
    for (uint64_t i = index; i > 0; i--) {
        if (g->log[i].subject == subject && g->log[i].first) {
            return g->log[i].value;
        }
    }
    return 0;
}

static void ask(struct gen *g)
{
    uint32_t at = (uint32_t)rng_below(&g->rng, g->o->clients);
    struct pending *p = &g->pending[at];
    uint32_t s = (uint32_t)rng_below(&g->rng, g->o->subjects);

    if (p->waiting) {
        return;
    }
    for (uint32_t i = g->o->clients; p->used && !p->committed && i < g->o->clients + GHOSTS; i++) {
        if (!g->pending[i].used ||
            g->pending[i].committed) { /* Left behind: it may still be committed. */
            g->pending[i] = *p;
            break;
        }
    }
    *p = (struct pending){.used = true, .waiting = true};
    p->call = (struct rec_call){.host = any_host(g),
                                .client = at,
                                .call = ++g->next_call,
                                .op = (enum call_op)rng_below(&g->rng, CALL_OTHER + 1),
                                .subject = g->name[s],
                                .value = ++g->next_value,
                                .expect = chance(g, 70) ? g->value[s] : g->next_value / 2};
    if (p->call.op == CALL_CAS && p->call.expect == 0) {
        p->call.op = CALL_CREATE;
    }
    p->call.request = p->call.op == CALL_READ || p->call.op == CALL_LOCAL ? 0 : ++g->next_request;
    say(g, (struct rec){.kind = REC_CALL, .call = p->call});
}

/* The moment at which it takes effect, or at which a read looks. */
static void commit(struct gen *g)
{
    struct pending *p = &g->pending[rng_below(&g->rng, g->o->clients + GHOSTS)];
    uint32_t s;
    uint16_t host;

    if (!p->used || p->committed || (!p->waiting && p->call.request == 0)) {
        return;
    }
    p->committed = true;
    s = number_of(g, p->call.subject);
    host = any_host(g);
    if (p->call.op == CALL_READ || p->call.op == CALL_LOCAL) {
        p->index = p->call.op == CALL_READ ? g->n_log : g->applied[host];
        p->value = value_at(g, s, p->index);
        p->code = p->value == 0 ? -ERR_NOT_FOUND : 0;
        return;
    }
    p->code = decide(g, &p->call, &p->value);
    g->value[s] = p->value;
    p->index = append(g, (struct entry){.request = p->call.request,
                                        .value = p->value,
                                        .subject = s,
                                        .code = p->code,
                                        .first = true});
}

static void answer(struct gen *g, struct pending *p, enum call_result result)
{
    bool definite = result == RESULT_OK || result == RESULT_REFUSED;
    bool read = p->call.op == CALL_READ || p->call.op == CALL_LOCAL;

    say(g, (struct rec){.kind = REC_ANSWER,
                        .answer = {.host = p->call.host,
                                   .client = p->call.client,
                                   .call = p->call.call,
                                   .result = result,
                                   .code = definite ? p->code : 0,
                                   .index = definite ? p->index : 0,
                                   .value = definite && read ? p->value : 0}});
}

static void retry(struct gen *g, struct pending *p)
{
    p->call.call = ++g->next_call;
    p->call.host = any_host(g);
    say(g, (struct rec){.kind = REC_CALL, .call = p->call});
    if (p->committed && chance(g, 50)) { /* It is in the log again, and changes nothing. */
        (void)append(g, (struct entry){.request = p->call.request,
                                       .value = p->value,
                                       .subject = number_of(g, p->call.subject),
                                       .code = p->code});
    }
}

static void settle(struct gen *g)
{
    struct pending *p = &g->pending[rng_below(&g->rng, g->o->clients)];

    if (!p->waiting) {
        return;
    }
    if (p->committed && p->index > 0 && chance(g, 80)) {
        answer(g, p, p->code == 0 ? RESULT_OK : RESULT_REFUSED);
        p->waiting = false;
    } else if (chance(g, 15)) {
        answer(g, p, chance(g, 50) ? RESULT_TIMEOUT : RESULT_UNKNOWN);
        p->waiting = false;
        if (p->call.request != 0 && chance(g, 60)) {
            p->waiting = true;
            retry(g, p);
        }
    }
}

/* --- guests */

static void copy(struct gen *g, uint32_t s, uint16_t host, uint64_t epoch, enum copy_state state)
{
    say(g,
        (struct rec){.kind = REC_COPY,
                     .copy = {.host = host, .guest = g->name[s], .epoch = epoch, .state = state}});
    if (state == COPY_RUNNING) {
        say(g, (struct rec){.kind = REC_DISK,
                            .disk = {.host = host, .guest = g->name[s], .epoch = epoch}});
    }
}

/* Belief begins before the copy executes and ends after it stands still. */
static void permit(struct gen *g, uint32_t s, uint16_t host, uint64_t epoch, bool on)
{
    say(g, (struct rec){.kind = REC_PERMIT,
                        .permit = {.host = host,
                                   .guest = g->name[s],
                                   .epoch = epoch,
                                   .until = on ? HIST_NEVER : g->now}});
}

static void move_on(struct gen *g, uint32_t s)
{
    struct guest *v = &g->guest[s];

    if (chance(g, 40)) { /* Aborted. */
        copy(g, s, v->dst, v->dst_epoch, COPY_GONE);
        v->dst = NONE;
        return;
    }
    copy(g, s, v->host, v->epoch, COPY_PAUSED);
    permit(g, s, v->host, v->epoch, false);
    permit(g, s, v->dst, v->dst_epoch, true);
    copy(g, s, v->dst, v->dst_epoch, COPY_RUNNING);
    copy(g, s, v->host, v->epoch, COPY_GONE);
    *v = (struct guest){.host = v->dst, .epoch = v->dst_epoch, .dst = NONE};
}

static void guest_step(struct gen *g)
{
    uint32_t s = (uint32_t)rng_below(&g->rng, g->o->subjects);
    struct guest *v = &g->guest[s];

    if (v->host == NONE) {
        v->host = any_host(g);
        v->epoch = ++g->next_epoch;
        permit(g, s, v->host, v->epoch, true);
        copy(g, s, v->host, v->epoch, COPY_RUNNING);
    } else if (v->dst != NONE) {
        move_on(g, s);
    } else if (chance(g, 30)) {
        copy(g, s, v->host, v->epoch, COPY_GONE);
        permit(g, s, v->host, v->epoch, false);
        v->host = NONE;
    } else {
        v->dst = any_host(g);
        v->dst_epoch = ++g->next_epoch;
        if (v->dst == v->host) {
            v->dst = NONE;
        } else {
            copy(g, s, v->dst, v->dst_epoch, COPY_INCOMING);
        }
    }
}

/* --- hosts */

static void new_master(struct gen *g)
{
    g->term++;
    g->master = any_host(g);
    say(g, (struct rec){.kind = REC_MASTER, .master = {g->master, g->master, g->term}});
    for (uint16_t i = 0; i < g->o->hosts; i++) {
        if (i != g->master && !g->off[i] && chance(g, 70)) {
            say(g, (struct rec){.kind = REC_MASTER, .master = {i, g->master, g->term}});
        }
    }
    make_durable(g, g->master, g->n_log);
}

static void power_on(struct gen *g, uint16_t host)
{
    uint64_t back = rng_below(&g->rng, g->applied[host] + 1);

    g->off[host] = false;
    g->applied[host] = back;
    say(g, (struct rec){.kind = REC_HOST, .host = {host, HOST_IS_UP}});
    say(g, (struct rec){.kind = REC_JUMP,
                        .jump = {.host = host, .index = back, .state = state_at(back)}});
}

static void power_off(struct gen *g, uint16_t host)
{
    g->off[host] = true;
    say(g, (struct rec){.kind = REC_HOST, .host = {host, HOST_IS_OFF}});
    for (uint32_t s = 0; s < g->o->subjects; s++) {
        struct guest *v = &g->guest[s];
        if (v->host == host) {
            permit(g, s, host, v->epoch, false);
            if (v->dst != NONE) {
                copy(g, s, v->dst, v->dst_epoch, COPY_GONE);
            }
            *v = (struct guest){.host = NONE, .dst = NONE};
        } else if (v->dst == host) {
            v->dst = NONE;
        }
    }
    if (host == g->master) {
        new_master(g);
    }
}

static void power_step(struct gen *g)
{
    uint16_t host = (uint16_t)rng_below(&g->rng, g->o->hosts);
    uint32_t off = 0;

    for (uint16_t i = 0; i < g->o->hosts; i++) {
        off += g->off[i];
    }
    if (g->off[host]) {
        power_on(g, host);
    } else if (off + 1 <= (g->o->hosts - 1) / 2) {
        power_off(g, host);
    }
}

/* --- the run */

static void step(struct gen *g)
{
    switch (rng_below(&g->rng, 16)) {
    case 0:
    case 1:
    case 2: ask(g); break;
    case 3:
    case 4:
    case 5:
    case 6: commit(g); break;
    case 7:
    case 8: settle(g); break;
    case 9: guest_step(g); break;
    case 10: watch(g, (uint16_t)rng_below(&g->rng, g->o->hosts)); break;
    case 11:
        if (chance(g, 10)) {
            power_step(g);
        } else if (chance(g, 10)) {
            new_master(g);
        }
        break;
    default: apply_next(g, (uint16_t)rng_below(&g->rng, g->o->hosts)); break;
    }
}

static void finish(struct gen *g)
{
    uint64_t all = (1ull << g->o->hosts) - 1;

    for (uint32_t s = 0; s < g->o->subjects; s++) {
        if (g->guest[s].dst != NONE) {
            move_on(g, s);
        }
        for (uint16_t i = 0; i < g->o->hosts; i++) {
            say(g, (struct rec){.kind = REC_ROW,
                                .row = {i, g->name[s], g->guest[s].host,
                                        g->guest[s].host == NONE ? 0 : g->guest[s].epoch}});
        }
    }
    for (uint16_t i = 0; i < g->o->hosts; i++) {
        while (g->applied[i] < g->n_log) {
            apply_next(g, i);
        }
        say(g,
            (struct rec){.kind = REC_LEFT, .left = {.host = i, .what = hist_name(g->h, "lock")}});
        say(g, (struct rec){.kind = REC_FINAL, .final = {i, g->n_log, state_at(g->n_log)}});
    }
    say(g, (struct rec){.kind = REC_PHASE, .phase = {PHASE_END, all}});
}

static void heal(struct gen *g)
{
    uint64_t all = (1ull << g->o->hosts) - 1;
    uint64_t by = g->now + 3600 * 1000000ull;

    for (uint16_t i = 0; i < g->o->hosts; i++) {
        if (g->off[i]) {
            power_on(g, i);
        }
    }
    say(g, (struct rec){.kind = REC_PHASE, .phase = {PHASE_HEAL, all}});
    say(g, (struct rec){.kind = REC_MUST, .must = {MUST_WRITE, 0, by}});
    say(g, (struct rec){.kind = REC_MUST, .must = {MUST_LEAD, 0, by}});
    new_master(g);
    for (uint32_t s = 0; s < g->o->subjects; s++) {
        if (g->guest[s].host != NONE) {
            say(g, (struct rec){.kind = REC_MUST, .must = {MUST_RUN, g->name[s], by}});
        }
    }
    /* The last command, by a client that nothing else waits for. */
    struct pending last = {.used = true, .waiting = true, .call = {.op = CALL_OTHER}};
    last.call.client = 99;
    last.call.call = ++g->next_call;
    last.call.request = ++g->next_request;
    last.call.subject = g->name[0];
    say(g, (struct rec){.kind = REC_CALL, .call = last.call});
    last.index = append(
        g, (struct entry){
               .request = last.call.request, .value = g->value[0], .subject = 0, .first = true});
    answer(g, &last, RESULT_OK);
    g->now = by + 1;
}

void gen_history(struct hist *h, const struct gen_options *options)
{
    struct gen g = {.h = h, .o = options};
    char name[32];

    assert(options->subjects <= SUBJECTS && options->clients <= PENDING - GHOSTS);
    rng_seed(&g.rng, options->seed);
    g.log = mem_new(2 * (size_t)options->steps + 100, sizeof *g.log);
    for (uint32_t i = 0; i < options->hosts; i++) {
        (void)snprintf(name, sizeof name, "h%u", i + 1);
        (void)hist_host_add(h, name);
    }
    for (uint32_t i = 0; i < options->subjects; i++) {
        (void)snprintf(name, sizeof name, "web%u", i + 1);
        g.name[i] = hist_name(h, name);
        g.guest[i] = (struct guest){.host = NONE, .dst = NONE};
    }
    say(&g, (struct rec){.kind = REC_VOTERS, .voters = {(1ull << options->hosts) - 1}});
    for (uint16_t i = 0; i < options->hosts; i++) {
        say(&g, (struct rec){.kind = REC_WATCH, .watch = {.host = i, .client = 100u + i}});
    }
    new_master(&g);
    for (int i = 0; i < 3; i++) {
        (void)append(&g, (struct entry){.subject = SUBJECTS, .first = true});
    }
    for (uint32_t i = 0; i < options->steps; i++) {
        step(&g);
    }
    heal(&g);
    finish(&g);
    free(g.log);
}
