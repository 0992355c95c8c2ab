/* Waiting for operations, following events. */

#include <stdlib.h>
#include <string.h>

#include "core/util.h"

#include "cli/quorated/daemon.h"

#define WAIT_DEADLINE_MS     600000u
#define PROGRESS_INTERVAL_MS 500u

/* --- waiting for an operation */

struct waiter {
    struct waiter *next;
    struct daemon *d;
    struct rpc_request *rq; /* NULL once the client is gone. */
    uint64_t op;
    uint64_t deadline_at_ms;
    uint64_t told_ms; /* When progress was last told. */
    struct raftlog_read read;
    bool reading; /* The first look waits for a current state. */
};

static void waiter_free(struct waiter *w)
{
    for (struct waiter **p = &w->d->waiters; *p != NULL; p = &(*p)->next) {
        if (*p == w) {
            *p = w->next;
            break;
        }
    }
    free(w);
}

static void waiter_answer(struct waiter *w, const struct op *op)
{
    struct api_op row;
    query_op_row(w->d, op, &row);
    struct buf out = {0};
    schema_encode(&schema_api_op, &row, &out);
    rpc_reply(w->rq, &out);
    buf_done(&out);
    waiter_free(w);
}

/* Look at the operation; answers and frees the waiter when it has ended. */
static void waiter_look(struct waiter *w, bool at_deadline)
{
    struct fsm_view *v = fsm_look(w->d->fsm);
    struct op op = {0};
    struct err e;
    int rc = v == NULL ? daemon_no_view(w->d, &e) : fsm_get_op(v, w->op, &op);
    if (v != NULL && rc != 0) {
        (void)err_set(&e, rc, "operation %llu: %s", (unsigned long long)w->op, err_text(rc));
    }
    (void)fsm_view_close(v);
    if (rc != 0) {
        serve_fail(w->rq, &e);
        waiter_free(w);
    } else if (op.state != OP_RUNNING || at_deadline) {
        waiter_answer(w, &op);
    }
}

static void waiter_gone(struct rpc_request *rq);

static void waiter_read_done(struct raftlog_read *r, int code)
{
    struct waiter *w = r->user;
    w->reading = false;
    if (w->rq->client == NULL) { /* It hung up meanwhile. */
        waiter_gone(w->rq);
        return;
    }
    if (code != 0) {
        struct err e;
        (void)err_set(&e, code, "%s", err_text(code));
        serve_fail(w->rq, &e);
        waiter_free(w);
        return;
    }
    waiter_look(w, /*at_deadline=*/false);
}

static void waiter_gone(struct rpc_request *rq)
{
    struct waiter *w = rq->data;
    if (!w->reading) { /* Else the read's end answers. */
        struct err e;
        (void)err_set(&e, ERR_CANCELLED, "the client is gone");
        serve_fail(rq, &e);
        waiter_free(w);
    }
}

void watch_wait(struct daemon *d, struct rpc_request *rq, const struct params *p)
{
    struct waiter *w = mem_new(1, sizeof *w);
    uint64_t wait_ms = p->deadline_ms == 0 ? WAIT_DEADLINE_MS : p->deadline_ms;
    w->d = d;
    w->rq = rq;
    w->op = p->op;
    w->deadline_at_ms = d->clock->mono_ms(d->clock) + wait_ms;
    w->next = d->waiters;
    d->waiters = w;
    rq->data = w;
    rq->gone = waiter_gone;
    w->reading = true;
    w->read = (struct raftlog_read){.deadline_ms = wait_ms < 10000 ? (uint32_t)wait_ms : 10000,
                                    .adrift_ms = CLIENT_ADRIFT_MS,
                                    .done = waiter_read_done,
                                    .user = w};
    raftlog_read(d->rl, &w->read);
}

void watch_progress(struct daemon *d, uint64_t op)
{
    uint64_t now = d->clock->mono_ms(d->clock);
    struct op row;
    struct fsm_view *v = NULL;
    for (struct waiter *w = d->waiters; w != NULL; w = w->next) {
        if (w->op != op || w->reading || now - w->told_ms < PROGRESS_INTERVAL_MS) {
            continue;
        }
        if (v == NULL) {
            v = fsm_view_open(d->fsm);
        }
        if (fsm_get_op(v, op, &row) == 0) {
            struct api_op told;
            struct buf out = {0};
            query_op_row(d, &row, &told);
            schema_encode(&schema_api_op, &told, &out);
            (void)rpc_notify(w->rq->client, "progress", &out); /* The next one tells as much. */
            buf_done(&out);
            w->told_ms = now;
        }
    }
    (void)fsm_view_close(v);
}

/* --- following events */

struct follower {
    struct follower *next;
    struct daemon *d;
    struct rpc_request *rq;
    uint64_t last;   /* Number of the last event that was sent. */
    uint64_t newest; /* Number of the newest event there was at the last look. */
    uint64_t left;   /* Events it still wants; UINT64_MAX without a limit. */
    bool follow;
    bool blocked; /* Its buffers are full: `watch` fires when there is room. */
    bool reading;
    struct rpc_watch watch;
    struct raftlog_read read;
};

static void follower_free(struct follower *f)
{
    rpc_watch_stop(&f->watch);
    for (struct follower **p = &f->d->followers; *p != NULL; p = &(*p)->next) {
        if (*p == f) {
            *p = f->next;
            break;
        }
    }
    free(f);
}

static void follower_end(struct follower *f, int code, const char *text)
{
    if (code != 0) {
        rpc_fail(f->rq, code, text);
    } else {
        struct buf out = {0};
        mp_put_map(&out, 1);
        mp_put_str(&out, "last");
        mp_put_uint(&out, f->newest);
        rpc_reply(f->rq, &out);
        buf_done(&out);
    }
    follower_free(f);
}

static void follower_feed(struct follower *f);

static void follower_drained(struct rpc_watch *w, bool gone)
{
    struct follower *f = w->data;
    f->blocked = false;
    if (!gone) {
        follower_feed(f);
    }
}

static bool follower_send(struct follower *f, const struct event *ev)
{
    struct buf out = {0};
    schema_encode(&schema_event, ev, &out);
    bool room = rpc_notify(f->rq->client, "event", &out);
    buf_done(&out);
    f->last = ev->seq;
    f->left -= f->left == UINT64_MAX ? 0 : 1;
    if (!room) {
        f->blocked = true;
        rpc_watch_start(f->rq->client, &f->watch);
    }
    return room;
}

/* Send what there is until its buffers are full; events that are no longer kept are passed over,
 * which the client sees by the numbers. May free the follower. */
static void follower_feed(struct follower *f)
{
    if (f->blocked || f->reading) {
        return;
    }
    struct fsm_view *v = fsm_look(f->d->fsm);
    struct event ev;
    struct err e;
    int rc = 0;
    if (v == NULL) {
        rc = daemon_no_view(f->d, &e);
        follower_end(f, rc, e.msg);
        return;
    }
    while (f->left > 0) {
        rc = fsm_next_event(v, f->last, &ev);
        if (rc == ERR_COMPACTED) {
            f->last = fsm_first_event(v) - 1;
        } else if (rc != 0 || !follower_send(f, &ev)) {
            break;
        }
    }
    f->newest = fsm_last_event(v);
    (void)fsm_view_close(v);
    if (rc != 0 && rc != ERR_NOT_FOUND) {
        follower_end(f, rc, err_text(rc));
    } else if (!f->blocked && (!f->follow || f->left == 0)) {
        follower_end(f, 0, "");
    }
}

static void follower_read_done(struct raftlog_read *r, int code)
{
    struct follower *f = r->user;
    f->reading = false;
    if (f->rq->client == NULL) { /* It hung up meanwhile. */
        follower_end(f, ERR_CANCELLED, "the client is gone");
        return;
    }
    if (code != 0) {
        follower_end(f, code, err_text(code));
        return;
    }
    follower_feed(f);
}

static void follower_gone(struct rpc_request *rq)
{
    struct follower *f = rq->data;
    if (!f->reading) {
        follower_end(f, ERR_CANCELLED, "the client is gone");
    }
}

void watch_events(struct daemon *d, struct rpc_request *rq, const struct params *p)
{
    struct follower *f = mem_new(1, sizeof *f);
    f->d = d;
    f->rq = rq;
    f->last = p->after_seq;
    f->left = p->limit == 0 ? UINT64_MAX : p->limit;
    f->follow = p->follow;
    f->watch.fn = follower_drained;
    f->watch.data = f;
    f->next = d->followers;
    d->followers = f;
    rq->data = f;
    rq->gone = follower_gone;
    if (p->local) {
        follower_feed(f);
        return;
    }
    f->reading = true;
    f->read = (struct raftlog_read){
        .deadline_ms = 10000, .adrift_ms = CLIENT_ADRIFT_MS, .done = follower_read_done, .user = f};
    raftlog_read(d->rl, &f->read);
}

/* --- what makes them move */

void watch_applied(struct daemon *d)
{
    size_t n;
    const struct event *events = fsm_new_events(d->fsm, &n);
    for (size_t i = 0; i < n; i++) {
        if (events[i].op == 0 || strcmp(events[i].kind, "op.ended") != 0) {
            continue;
        }
        struct waiter *next;
        for (struct waiter *w = d->waiters; w != NULL; w = next) {
            next = w->next;
            if (w->op == events[i].op && !w->reading) {
                waiter_look(w, /*at_deadline=*/false);
            }
        }
    }
    struct follower *next;
    for (struct follower *f = n == 0 ? NULL : d->followers; f != NULL; f = next) {
        next = f->next;
        follower_feed(f);
    }
}

void watch_tick(struct daemon *d, uint64_t now_ms)
{
    struct waiter *next;
    for (struct waiter *w = d->waiters; w != NULL; w = next) {
        next = w->next;
        if (!w->reading && now_ms >= w->deadline_at_ms) {
            waiter_look(w, /*at_deadline=*/true);
        }
    }
}

void watch_close(struct daemon *d)
{
    struct waiter *next_waiter;
    for (struct waiter *w = d->waiters; w != NULL; w = next_waiter) {
        next_waiter = w->next;
        if (!w->reading) { /* Else the end of its read answers. */
            rpc_fail(w->rq, ERR_CLOSED, "the host is stopping");
            waiter_free(w);
        }
    }
    struct follower *next_follower;
    for (struct follower *f = d->followers; f != NULL; f = next_follower) {
        next_follower = f->next;
        if (!f->reading) {
            follower_end(f, ERR_CLOSED, "the host is stopping");
        }
    }
}
