#include "chaos-tests/check/spans.h"

#include <stdlib.h>

#include "core/util.h"

#include "chaos-tests/check/copies.h"

void spans_add(struct spans *s, const struct span *one)
{
    if (s->n == s->cap) {
        s->cap = s->cap == 0 ? 64 : s->cap * 2;
        s->span = mem_grow(s->span, s->cap, sizeof *s->span);
    }
    s->span[s->n++] = *one;
}

void spans_done(struct spans *s)
{
    free(s->span);
    *s = (struct spans){0};
}

static int compare(const void *a, const void *b)
{
    const struct span *x = a;
    const struct span *y = b;

    if (x->guest != y->guest) {
        return x->guest < y->guest ? -1 : 1;
    }
    if (x->from_us != y->from_us) {
        return x->from_us < y->from_us ? -1 : 1;
    }
    if (x->from_rec != y->from_rec) {
        return x->from_rec < y->from_rec ? -1 : 1;
    }
    /* One record began both: a host that thawed. */
    return x->epoch < y->epoch ? -1 : x->epoch > y->epoch;
}

void spans_sort(struct spans *s)
{
    if (s->n > 0) {
        qsort(s->span, s->n, sizeof *s->span, compare);
    }
}

/* The walk over the copies: spans that are still open, by number of the copy. */
struct walk {
    struct spans *spans;
    struct span *open;
    size_t cap;
    uint32_t rec;
};

static void changed(void *arg, const struct copies *c, uint32_t number, uint64_t at_us)
{
    struct walk *w = arg;
    const struct copy *k = &c->copy[number];

    if (number >= w->cap) {
        w->cap = c->cap;
        w->open = mem_grow(w->open, w->cap, sizeof *w->open);
    }
    if (k->executes) {
        w->open[number] = (struct span){.guest = k->guest,
                                        .host = k->host,
                                        .epoch = k->epoch,
                                        .from_us = at_us,
                                        .from_rec = w->rec};
        return;
    }
    w->open[number].to_us = at_us;
    w->open[number].to_rec = w->rec;
    spans_add(w->spans, &w->open[number]);
}

void spans_of_copies(const struct hist *h, struct spans *ret)
{
    struct walk w = {.spans = ret};
    struct copies c = {.changed = changed, .arg = &w};

    *ret = (struct spans){0};
    for (size_t i = 0; i < h->n_recs; i++) {
        w.rec = (uint32_t)i;
        copies_take(&c, &h->recs[i], w.rec);
    }
    for (uint32_t i = 0; i < c.n; i++) {
        if (c.copy[i].executes) {
            w.open[i].to_us = h->recs[h->n_recs - 1].at_us;
            w.open[i].to_rec = (uint32_t)h->n_recs;
            spans_add(ret, &w.open[i]);
        }
    }
    copies_done(&c);
    free(w.open);
    spans_sort(ret);
}

static bool overlap(const struct span *a, const struct span *b)
{
    if (a->to_us != b->from_us) {
        return a->to_us > b->from_us;
    }
    return a->to_rec != UINT32_MAX && a->to_rec > b->from_rec;
}

void spans_overlaps(const struct spans *s,
                    void (*fn)(void *arg, const struct span *a, const struct span *b),
                    void *arg)
{
    size_t *active = mem_new(s->n + 1, sizeof *active); /* Numbers of spans that may go on. */
    size_t n = 0;

    for (size_t i = 0; i < s->n; i++) {
        const struct span *b = &s->span[i];
        size_t kept = 0;
        for (size_t j = 0; j < n; j++) {
            const struct span *a = &s->span[active[j]];
            if (a->guest == b->guest && overlap(a, b)) {
                fn(arg, a, b);
                active[kept++] = active[j];
            }
        }
        n = kept;
        active[n++] = i;
    }
    free(active);
}
