#include "chaos-tests/sim/watcher.h"

#include <string.h>

#include "core/hash.h"
#include "core/mp.h"
#include "core/util.h"

#include "chaos-tests/sim/lab.h"
#include "chaos-tests/sim/record.h"
#include "chaos-tests/sim/vclient.h"
#include "chaos-tests/sim/vloop.h"
#include "chaos-tests/sim/workload.h"
#include "fsm/entity.h"

#define NUMBER  LAB_CLIENTS_MAX /* Behind the clients that ask. */
#define CALL_MS 60000u

static struct {
    struct vclient c;
    struct rng rng;
    uv_timer_t next; /* It asks; or, while it is told, it has had enough of this host. */
    uint32_t host;
    uint64_t last;
    bool asking;
} w;

static void ask(void);

static void later(uint64_t min_ms, uint64_t max_ms, uv_timer_cb what)
{
    (void)uv_timer_start(&w.next, what, rng_between(&w.rng, min_ms, max_ms), 0);
}

static void on_next(uv_timer_t *t)
{
    (void)t;
    ask();
}

static void on_enough(uv_timer_t *t)
{
    (void)t;
    vclient_hang_up(&w.c, w.host);
    later(200, 2000, on_enough); /* It was not open yet. */
}

static void on_reply(void *ctx, int code, const struct rpc_msg *m)
{
    (void)ctx;
    (void)code;
    (void)m;
    w.asking = false;
    later(5, 1000, on_next);
}

static void on_notice(void *ctx, uint32_t host, const struct rpc_msg *m)
{
    struct event ev;
    struct mp_reader r;
    struct err e = {0};
    (void)ctx;
    mp_reader_init(&r, m->body, m->body_len);
    if (schema_decode(&schema_event, &r, &ev, &e) != 0) {
        lab_fail("watcher", "%s tells what is no event: %s", lab.hosts[host].m.name, e.msg);
        return;
    }
    w.last = ev.seq;
    record(&(struct rec){.kind = REC_EVENT,
                         .event = {.host = (uint16_t)host,
                                   .client = NUMBER,
                                   .seq = ev.seq,
                                   .what = record_name(ev.kind),
                                   .subject = record_name(ev.subject),
                                   .digest = hash_bytes(m->body, m->body_len).lo}});
}

static void ask(void)
{
    struct buf params = {0};
    w.host = (uint32_t)rng_below(&w.rng, lab.o.hosts);
    w.asking = true;
    mp_put_map(&params, 2);
    mp_put_str(&params, "after");
    mp_put_uint(&params, w.last);
    mp_put_str(&params, "follow");
    mp_put_bool(&params, true);
    record(&(struct rec){.kind = REC_WATCH,
                         .watch = {.host = (uint16_t)w.host, .client = NUMBER, .after = w.last}});
    later(500, 20000, on_enough);
    vclient_call(&w.c, w.host, "events", &params, CALL_MS, on_reply, NULL);
    buf_done(&params);
}

void watcher_begin(void)
{
    memset(&w, 0, sizeof w);
    world_rng(&w.rng, "watcher", 0);
    vclient_init(&w.c, WORKLOAD_FIRST + NUMBER, "watcher");
    w.c.notice = on_notice;
    struct proc *before = proc_enter(w.c.proc);
    (void)uv_timer_init(&w.c.loop, &w.next);
    proc_leave(before);
}

void watcher_end(void)
{
    vclient_done(&w.c);
}

void watcher_start(void)
{
    struct proc *before = proc_enter(w.c.proc);
    later(1, 1000, on_next);
    proc_leave(before);
    vloop_replan(w.c.proc);
}
