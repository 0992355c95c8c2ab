/* Identical replicas: every host applies every index in order; where two hosts apply the same index
 * it is the same entry of the same term with the same outcome, and where both told the state's hash
 * it is equal. A host whose state jumped (a snapshot, a restart) goes on from there. */

#include <inttypes.h>

#include "chaos-tests/check/check.h"
#include "chaos-tests/check/map.h"

struct scene {
    const struct hist *h;
    struct checked *c;
    uint64_t last[HIST_HOSTS]; /* Index applied last. */
    struct map entry;          /* Index -> record of its first application. */
    struct map state;          /* Index -> record that told the state's hash first. */
};

static uint64_t state_of(const struct rec *r)
{
    if (r->kind == REC_APPLY) {
        return r->apply.state;
    }
    return r->kind == REC_JUMP ? r->jump.state : r->final.state;
}

/* Index 0 is the empty state before the log; every host agrees on it. */
static void compare_states(struct scene *s, uint64_t index, uint32_t number)
{
    const struct rec *b = &s->h->recs[number];
    const struct rec *a;
    uint64_t *at;
    struct finding *f;

    if (state_of(b) == 0 || index == 0) {
        return;
    }
    at = map_at(&s->state, index, 0, number);
    a = &s->h->recs[*at];
    if (state_of(a) == state_of(b)) {
        return;
    }
    f = check_find(s->c, b->at_us, (uint32_t)*at, number,
                   "the state after index %" PRIu64 " has hash %" PRIx64 " on %s and %" PRIx64
                   " on %s",
                   index, state_of(a), hist_host_text(s->h, hist_rec_host(a)), state_of(b),
                   hist_host_text(s->h, hist_rec_host(b)));
    f->hosts = 1ull << hist_rec_host(a) | 1ull << hist_rec_host(b);
}

static void compare_entries(struct scene *s, uint32_t number)
{
    const struct rec *r = &s->h->recs[number];
    const struct rec_apply *b = &r->apply;
    uint64_t *at = map_at(&s->entry, b->index, 0, number);
    const struct rec_apply *a = &s->h->recs[*at].apply;
    const char *what = NULL;
    struct finding *f;

    if (a->entry != b->entry || a->request != b->request) {
        what = "different entries";
    } else if (a->term != b->term) {
        what = "one entry under different terms";
    } else if (a->code != b->code || a->first != b->first) {
        what = "one entry with different outcomes";
    } else {
        return;
    }
    f = check_find(s->c, r->at_us, (uint32_t)*at, number, "%s and %s applied %s at index %" PRIu64,
                   hist_host_text(s->h, a->host), hist_host_text(s->h, b->host), what, b->index);
    f->hosts = 1ull << a->host | 1ull << b->host;
}

static void applied(struct scene *s, uint32_t number)
{
    const struct rec *r = &s->h->recs[number];
    uint64_t *last = &s->last[r->apply.host];

    s->c->judged++;
    if (r->apply.index != *last + 1) {
        struct finding *f = check_find(s->c, r->at_us, number, UINT32_MAX,
                                       "%s applies index %" PRIu64 " after index %" PRIu64,
                                       hist_host_text(s->h, r->apply.host), r->apply.index, *last);
        f->hosts = 1ull << r->apply.host;
    }
    *last = r->apply.index;
    compare_entries(s, number);
    compare_states(s, r->apply.index, number);
}

void check_replicas(const struct hist *h, struct checked *c)
{
    struct scene s = {.h = h, .c = c};

    for (uint32_t i = 0; i < h->n_recs; i++) {
        const struct rec *r = &h->recs[i];
        if (r->kind == REC_APPLY) {
            applied(&s, i);
        } else if (r->kind == REC_JUMP) {
            s.last[r->jump.host] = r->jump.index;
            compare_states(&s, r->jump.index, i);
        } else if (r->kind == REC_FINAL) {
            compare_states(&s, r->final.index, i);
        }
    }
    map_done(&s.entry);
    map_done(&s.state);
}
