#include "cli/quorated/deadlines.h"

#include <stdlib.h>
#include <string.h>

#include "core/util.h"

void deadlines_begin(struct deadlines *d)
{
    d->at = 0;
}

static void drop(struct deadlines *d, uint32_t from, uint32_t to)
{
    if (to > from) {
        memmove(d->list + from, d->list + to, (d->n - to) * sizeof *d->list);
    }
    d->n -= to - from;
}

/* Its place, after those before it, which have ended, were dropped. */
static struct deadline *place_of(struct deadlines *d, uint64_t op, bool *ret_new)
{
    uint32_t to = d->at;
    while (to < d->n && d->list[to].op < op) {
        to++;
    }
    drop(d, d->at, to);
    *ret_new = d->at == d->n || d->list[d->at].op != op;
    if (*ret_new) {
        if (d->n == d->room) {
            d->room = d->room == 0 ? 64 : 2 * d->room;
            d->list = mem_grow(d->list, d->room, sizeof *d->list);
        }
        memmove(d->list + d->at + 1, d->list + d->at, (d->n - d->at) * sizeof *d->list);
        d->n++;
        d->list[d->at] = (struct deadline){.op = op};
    }
    return &d->list[d->at++];
}

bool deadlines_look(struct deadlines *d, const struct op *o, uint64_t now_ms)
{
    if (o->deadline_ms == 0 || o->phase == OP_PHASE_SWITCHED) {
        return false;
    }
    bool is_new;
    struct deadline *e = place_of(d, o->id, &is_new);
    if (is_new) {
        e->due_ms = now_ms + (o->deadline_ms > o->created_ms ? o->deadline_ms - o->created_ms : 0);
    }
    if (now_ms < e->due_ms) {
        return false;
    }
    e->due_ms = now_ms + DEADLINES_AGAIN_MS;
    return true;
}

void deadlines_end(struct deadlines *d)
{
    d->n = d->at;
}

void deadlines_clear(struct deadlines *d)
{
    free(d->list);
    *d = (struct deadlines){0};
}
