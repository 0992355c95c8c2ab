/* Asking, asking again, remembering. */

#include "chaos-tests/sim/workload.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/mp.h"
#include "core/util.h"

#include "chaos-tests/sim/plan.h"
#include "chaos-tests/sim/record.h"
#include "chaos-tests/sim/vloop.h"
#include "chaos-tests/sim/workload_impl.h"
#include "fsm/commands.h"

#define TRIES_MAX 12

struct workload wl;

static void think(struct worker *w, uint64_t min_ms, uint64_t max_ms);
static void ask_later(struct worker *w, uint64_t min_ms, uint64_t max_ms);

/* --- what came of it */

static void ask_done(struct worker *w)
{
    world_free(w->ask.body);
    w->ask = (struct ask){0};
}

static void remember(struct worker *w, const struct outcome *o)
{
    struct wanted *g = w->ask.guest >= 0 ? &wl.guests[w->ask.guest] : NULL;
    if (o->code == 0) {
        lab.acked++;
    } else {
        lab.refused++;
    }
    lab.migrations += w->ask.number == COMMAND_guest_migrate && o->code == 0;
    if (g != NULL && o->code == 0 && w->ask.number == COMMAND_guest_create) {
        g->made = PROMISED;
    } else if (g != NULL && o->code == 0 && w->ask.number == COMMAND_guest_delete) {
        g->deleted = true;
    }
}

/* Errors after which nobody knows, or which another host may not have. */
static bool try_again(int code)
{
    switch (code) {
    case ERR_CLOSED:
    case ERR_TIMEOUT:
    case ERR_UNSURE:
    case ERR_NO_QUORUM:
    case ERR_NO_POOL:
    case ERR_BUSY:
    case ERR_NO_SPACE:
    case ERR_CANCELLED: return true;
    default: return false;
    }
}

/* What came of this try, for the history. */
static void record_answer(const struct worker *w, int code, bool told, const struct outcome *o)
{
    struct rec r = {.kind = REC_ANSWER,
                    .answer = {.host = (uint16_t)w->ask.host,
                               .client = w->number,
                               .call = w->ask.call,
                               .result = RESULT_TIMEOUT}};
    if (code == 0) {
        r.answer.result = o->code == 0 ? RESULT_OK : RESULT_REFUSED;
        r.answer.code = o->code;
        r.answer.index = o->index;
    } else if (told) {
        r.answer.result = try_again(code) ? RESULT_UNKNOWN : RESULT_REFUSED;
        r.answer.code = (uint32_t)-code;
    }
    record(&r);
}

static int read_outcome(const struct rpc_msg *m, struct outcome *ret)
{
    struct err e = {0};
    struct mp_reader r;
    mp_reader_init(&r, m->body, m->body_len);
    return schema_decode(&schema_outcome, &r, ret, &e);
}

static void on_reply(void *ctx, int code, const struct rpc_msg *m)
{
    struct worker *w = ctx;
    struct outcome o;
    if (code == 0 && read_outcome(m, &o) != 0) {
        lab_fail("workload", "an answer that is no outcome");
        return;
    }
    record_answer(w, code, m != NULL, &o);
    if (code == 0) {
        remember(w, &o);
        ask_done(w);
        if (w->told != NULL) {
            w->told(w, &o);
        }
    } else if (w->told != NULL || (try_again(code) && ++w->ask.tries < TRIES_MAX)) {
        w->ask.host = (uint32_t)rng_below(&w->rng, lab.o.hosts);
        think(w, 5, 1000);
        return;
    } else {
        if (w->ask.guest >= 0) {
            wl.guests[w->ask.guest].unsure = true;
        }
        lab.unsure += try_again(code);
        lab.refused += !try_again(code);
        ask_done(w);
    }
    ask_later(w, 1, 600);
}

/* --- sending */

static void put_command(const struct ask *a, struct buf *params)
{
    mp_put_map(params, 3);
    mp_put_str(params, "name");
    mp_put_str(params, command_by_number(a->number)->name);
    mp_put_str(params, "body");
    mp_put_bin(params, a->body, a->body_len);
    mp_put_str(params, "request");
    mp_put_bin(params, a->request.b, sizeof a->request.b);
}

static void record_call(const struct worker *w)
{
    const struct ask *a = &w->ask;
    const char *name = a->guest >= 0 ? wl.guests[a->guest].name : "";
    enum call_op op = a->guest < 0                        ? CALL_OTHER
                      : a->number == COMMAND_guest_create ? CALL_CREATE
                      : a->number == COMMAND_guest_delete ? CALL_DELETE
                      : a->number == COMMAND_guest_set    ? CALL_SET
                                                          : CALL_OTHER;
    record(&(struct rec){.kind = REC_CALL,
                         .call = {.host = (uint16_t)a->host,
                                  .client = w->number,
                                  .call = a->call,
                                  .request = record_request(&a->request),
                                  .op = op,
                                  .number = a->number,
                                  .subject = record_name(name),
                                  .value = a->value}});
}

static void ask_send(struct worker *w)
{
    struct buf params = {0};
    lab.asked++;
    w->ask.call = lab.asked;
    record_call(w);
    put_command(&w->ask, &params);
    uint32_t timeout_ms = (uint32_t)rng_between(&w->rng, 300, 12000);
    vclient_call(&w->c, w->ask.host, "command", &params, timeout_ms, on_reply, w);
    buf_done(&params);
}

void ask_record(struct worker *w, uint32_t number, const void *record, int32_t guest)
{
    struct buf body = {0};
    schema_encode(command_by_number(number)->schema, record, &body);
    w->ask = (struct ask){.under_way = true,
                          .number = number,
                          .request = id_new(&w->rng),
                          .body = world_new(1, body.len),
                          .body_len = body.len,
                          .host = (uint32_t)rng_below(&w->rng, lab.o.hosts),
                          .guest = guest,
                          .value = w->value};
    record_mark_request(&w->ask.request);
    w->value = 0;
    memcpy(w->ask.body, body.data, body.len);
    buf_done(&body);
}

/* Nothing is asked for a while now and then: what goes on by itself has the pool to itself. Returns
 * how long that lasts still; 0: clients work. */
static uint64_t rest_ms(void)
{
    while (world.now_ns >= wl.pace_ns) {
        uint64_t longest_ms = rng_below(&wl.pace, 8) == 0 ? 120000 : 30000;
        wl.resting = !wl.resting;
        wl.pace_ns += rng_between(&wl.pace, 1000, longest_ms) * NS_PER_MS;
    }
    return wl.resting ? (wl.pace_ns - world.now_ns) / NS_PER_MS + 1 : 0;
}

static void on_think(uv_timer_t *t)
{
    ask_send(t->data);
}

static void think(struct worker *w, uint64_t min_ms, uint64_t max_ms)
{
    (void)uv_timer_start(&w->think, on_think, rng_between(&w->rng, min_ms, max_ms), 0);
}

static void ask_now(struct worker *w)
{
    char words[64];
    char comment[LIMIT_NAME + 64];
    choose_ask(w);
    const struct wanted *g = w->ask.guest < 0 ? NULL : &wl.guests[w->ask.guest];
    (void)snprintf(words, sizeof words, "ask c%u %" PRIu64, w->number + 1, w->seed);
    (void)snprintf(comment, sizeof comment, "%s %s", command_by_number(w->ask.number)->name,
                   g == NULL ? "" : g->name);
    plan_note(words, comment);
    world_note_bytes(words, strlen(words));
    ask_send(w);
}

void workload_decided(uint32_t client, uint64_t seed)
{
    struct worker *w = &wl.workers[client];
    if (client >= wl.n || w->ask.under_way) {
        return;
    }
    struct proc *before = proc_enter(w->c.proc);
    w->seed = seed;
    rng_seed(&w->rng, seed);
    ask_now(w);
    proc_leave(before);
    vloop_replan(w->c.proc);
}

static void ask_due(struct vevent *ev)
{
    struct worker *w = CONTAINER_OF(ev, struct worker, next);
    uint64_t rest = rest_ms();
    if (rest > 0) {
        ask_later(w, rest, rest + 600);
    } else {
        workload_decided(w->number, rng_below(&w->pace, UINT64_C(1) << 40));
    }
}

/* Where asks are decided by chance. */
static void ask_later(struct worker *w, uint64_t min_ms, uint64_t max_ms)
{
    if (wl.running && plan_draws() && w->told == NULL) {
        plan_set(&w->next, world.now_ns + rng_between(&w->pace, min_ms, max_ms) * NS_PER_MS);
    }
}

void workload_hang_up(struct worker *w)
{
    struct proc *before = proc_enter(w->c.proc);
    for (uint32_t i = 0; i < lab.o.hosts; i++) {
        vclient_hang_up(&w->c, i);
    }
    proc_leave(before);
    vloop_replan(w->c.proc);
}

void workload_ask(struct worker *w, uint32_t number, const void *record)
{
    struct proc *before = proc_enter(w->c.proc);
    ask_record(w, number, record, -1);
    think(w, 1, 1);
    proc_leave(before);
    vloop_replan(w->c.proc);
}

/* --- forming the pool, by worker 0 */

static void form_next(struct worker *w);

static void on_formed(void *ctx, int code, const struct rpc_msg *m)
{
    struct worker *w = ctx;
    struct outcome o = {0};
    if (code == 0 && read_outcome(m, &o) == 0 && (o.code == 0 || o.code == (uint32_t)-ERR_EXISTS)) {
        wl.forming++;
    }
    form_next(w);
}

/* Deadlines short enough that whatever hangs is given up within a run. */
static void form_settings(struct worker *w)
{
    struct cmd_pool_set r;
    schema_init(command_by_number(COMMAND_pool_set)->schema, &r);
    r.start_timeout_ms = (uint32_t)rng_between(&w->rng, 5000, 60000);
    r.migrate_timeout_ms = (uint32_t)rng_between(&w->rng, 5000, 120000);
    ask_record(w, COMMAND_pool_set, &r, -1);
}

static void form_host(struct worker *w)
{
    struct cmd_host_add r;
    const struct vhost *h = &lab.hosts[wl.forming];
    schema_init(command_by_number(COMMAND_host_add)->schema, &r);
    (void)str_copy(r.name, sizeof r.name, h->m.name);
    (void)str_copy(r.address, sizeof r.address, h->listen);
    ask_record(w, COMMAND_host_add, &r, -1);
}

static void form_send(struct worker *w)
{
    struct buf params = {0};
    if (wl.forming == 0) {
        struct id request = id_new(&w->rng);
        mp_put_map(&params, 2);
        mp_put_str(&params, "name");
        mp_put_str(&params, "lab");
        mp_put_str(&params, "request");
        mp_put_bin(&params, request.b, sizeof request.b);
        vclient_call(&w->c, 0, "found", &params, 3000, on_formed, w);
    } else {
        (wl.forming < lab.o.hosts ? form_host : form_settings)(w);
        put_command(&w->ask, &params);
        ask_done(w);
        vclient_call(&w->c, 0, "command", &params, 10000, on_formed, w);
    }
    buf_done(&params);
}

static void form_due(uv_timer_t *t)
{
    form_send(t->data);
}

static void form_next(struct worker *w)
{
    if (wl.forming <= lab.o.hosts) {
        (void)uv_timer_start(&w->think, form_due, 100, 0);
    }
}

/* --- life */

void worker_init(struct worker *w, uint32_t number, const char *name)
{
    w->number = number;
    world_rng(&w->rng, "client", number);
    world_rng(&w->pace, "client_pace", number);
    w->next.fire = ask_due;
    vclient_init(&w->c, WORKLOAD_FIRST + number, name);
    struct proc *before = proc_enter(w->c.proc);
    (void)uv_timer_init(&w->c.loop, &w->think);
    w->think.data = w;
    proc_leave(before);
}

void worker_done(struct worker *w)
{
    world_free(w->ask.body);
    vclient_done(&w->c);
}

void workload_begin(void)
{
    wl = (struct workload){.n = lab.o.clients};
    for (uint32_t i = 0; i < wl.n; i++) {
        char name[MACHINE_NAME];
        (void)snprintf(name, sizeof name, "c%u", i + 1);
        worker_init(&wl.workers[i], i, name);
    }
}

void workload_end(void)
{
    for (uint32_t i = 0; i < wl.n; i++) {
        worker_done(&wl.workers[i]);
    }
    world_free(wl.guests);
    wl = (struct workload){0};
}

void workload_form(void)
{
    struct worker *w = &wl.workers[0];
    struct proc *before = proc_enter(w->c.proc);
    form_next(w);
    proc_leave(before);
    vloop_replan(w->c.proc);
}

bool workload_formed(void)
{
    return wl.forming > lab.o.hosts;
}

void workload_start(void)
{
    wl.running = true;
    wl.resting = true; /* The first stretch is one of work. */
    wl.pace_ns = world.now_ns;
    world_rng(&wl.pace, "pace", 0);
    for (uint32_t i = 0; i < wl.n; i++) {
        ask_later(&wl.workers[i], 1, 1000);
    }
}

void workload_stop(void)
{
    wl.running = false;
    for (uint32_t i = 0; i < wl.n; i++) {
        vevent_clear(&wl.workers[i].next);
    }
}

bool workload_idle(void)
{
    for (uint32_t i = 0; i < wl.n; i++) {
        if (wl.workers[i].ask.under_way) {
            return false;
        }
    }
    return true;
}
