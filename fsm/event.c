/* Events: told by commands, kept as rows, numbered without gaps, dropped from the old end. */

#include <assert.h>
#include <string.h>

#include "core/util.h"

#include "fsm/apply.h"

struct event *emit(struct apply *a, const char *kind, const char *subject)
{
    struct fsm *f = a->f;
    if (f->events_n == f->events_cap) {
        f->events_cap = f->events_cap == 0 ? 64 : 2 * f->events_cap;
        f->events = mem_grow(f->events, f->events_cap, sizeof *f->events);
    }
    struct event *ev = &f->events[f->events_n++];
    schema_init(&schema_event, ev);
    ev->seq = ++f->sys.event_last;
    ev->index = a->index;
    ev->time_ms = a->now_ms;
    (void)str_copy(ev->kind, sizeof ev->kind, kind);
    (void)str_copy(ev->subject, sizeof ev->subject, subject);
    (void)str_copy(ev->user, sizeof ev->user, a->entry->user);
    return ev;
}

void emit_guest(struct apply *a, const char *kind, const struct guest *g, const char *detail)
{
    struct event *ev = emit(a, kind, g->name);
    ev->op = g->op;
    ev->epoch = g->run_epoch;
    ev->code = g->code;
    (void)str_copy(ev->host, sizeof ev->host, g->host);
    (void)str_copy(ev->detail, sizeof ev->detail, detail);
}

void emit_host(struct apply *a, const char *kind, const struct host *h, const char *detail)
{
    struct event *ev = emit(a, kind, h->name);
    (void)str_copy(ev->host, sizeof ev->host, h->name);
    (void)str_copy(ev->detail, sizeof ev->detail, detail);
}

void events_flush(struct apply *a)
{
    struct fsm *f = a->f;
    struct sys *sys = &f->sys;
    size_t added = f->events_n - f->events_flushed;
    for (; f->events_flushed < f->events_n; f->events_flushed++) {
        const struct event *ev = &f->events[f->events_flushed];
        const struct key k = key_number('E', ev->seq);
        put_row(a, &k, &schema_event, ev);
        if (sys->event_first == 0) {
            sys->event_first = ev->seq;
        }
    }
    uint64_t kept = f->pool.events_kept;
    for (size_t i = 0; i < added + TRIM_PER_ENTRY; i++) {
        if (sys->event_first == 0 || sys->event_last - sys->event_first < kept) {
            break;
        }
        const struct key k = key_number('E', sys->event_first++);
        del_row(a, &k);
    }
}
