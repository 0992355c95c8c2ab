/* Exactly once. By what the replicas applied: a request takes effect at one index, and what is
 * applied of it elsewhere is marked as a repetition. By what clients were told: every definite
 * answer to a request is the same, and names the entry that carries the request. */

#include <inttypes.h>

#include "chaos-tests/check/check.h"
#include "chaos-tests/check/map.h"

struct scene {
    const struct hist *h;
    struct checked *c;
    struct map effect;   /* Request -> record of its first application that took effect. */
    struct map answered; /* Request -> record of its first definite answer. */
    struct map asked;    /* (client, call) -> record of the call. */
};

static void applied(struct scene *s, const struct rec *r, uint32_t number)
{
    const struct rec_apply *a = &r->apply;
    const struct rec_apply *first;
    uint64_t *at;

    if (a->request == 0 || a->first == 0) {
        return;
    }
    s->c->judged++;
    at = map_at(&s->effect, a->request, 0, number);
    first = &s->h->recs[*at].apply;
    if (first->index != a->index) {
        struct finding *f = check_find(s->c, r->at_us, (uint32_t)*at, number,
                                       "request %" PRIu64 " takes effect at index %" PRIu64
                                       " on %s, and at index %" PRIu64 " on %s",
                                       a->request, first->index, hist_host_text(s->h, first->host),
                                       a->index, hist_host_text(s->h, a->host));
        f->hosts = 1ull << first->host | 1ull << a->host;
    }
}

/* A second definite answer says what the first one said. */
static void same_answer(struct scene *s, uint64_t request, uint32_t number)
{
    uint64_t *at = map_at(&s->answered, request, 0, number);
    const struct rec_answer *a = &s->h->recs[*at].answer;
    const struct rec_answer *b = &s->h->recs[number].answer;

    if (a->result == b->result && a->code == b->code && a->index == b->index) {
        return;
    }
    struct finding *f =
        check_find(s->c, s->h->recs[number].at_us, (uint32_t)*at, number,
                   "request %" PRIu64 " was answered %s at index %" PRIu64
                   " by %s, and %s at index %" PRIu64 " by %s",
                   request, err_name(-(int)a->code), a->index, hist_host_text(s->h, a->host),
                   err_name(-(int)b->code), b->index, hist_host_text(s->h, b->host));
    f->hosts = 1ull << a->host | 1ull << b->host;
}

static void answered(struct scene *s, const struct rec *r, uint32_t number)
{
    const uint64_t *at = map_get(&s->asked, r->answer.client, r->answer.call);
    const struct rec_call *call;

    if (at == NULL || r->answer.index == 0 ||
        (r->answer.result != RESULT_OK && r->answer.result != RESULT_REFUSED)) {
        return;
    }
    call = &s->h->recs[*at].call;
    if (call->request != 0 && call->op != CALL_READ && call->op != CALL_LOCAL) {
        s->c->judged++;
        same_answer(s, call->request, number);
    }
}

/* What was answered is what took effect. */
static void compare(struct scene *s)
{
    for (size_t i = 0; i < s->answered.n; i++) {
        const struct map_row *row = &s->answered.rows[i];
        const struct rec *r = &s->h->recs[row->value];
        const uint64_t *at = map_get(&s->effect, row->a, 0);
        const struct rec_apply *a;
        struct finding *f;
        if (at == NULL) {
            continue; /* check_durable says more. */
        }
        a = &s->h->recs[*at].apply;
        if (a->index == r->answer.index && a->code == r->answer.code) {
            continue;
        }
        f = check_find(s->c, r->at_us, (uint32_t)*at, (uint32_t)row->value,
                       "request %" PRIu64 " took effect at index %" PRIu64
                       " with %s, but was answered as index %" PRIu64 " with %s",
                       row->a, a->index, err_name(-(int)a->code), r->answer.index,
                       err_name(-(int)r->answer.code));
        f->hosts = 1ull << r->answer.host;
    }
}

void check_once(const struct hist *h, struct checked *c)
{
    struct scene s = {.h = h, .c = c};

    for (size_t i = 0; i < h->n_recs; i++) {
        const struct rec *r = &h->recs[i];
        if (r->kind == REC_APPLY) {
            applied(&s, r, (uint32_t)i);
        } else if (r->kind == REC_CALL) {
            *map_at(&s.asked, r->call.client, r->call.call, i) = i;
        } else if (r->kind == REC_ANSWER) {
            answered(&s, r, (uint32_t)i);
        }
    }
    compare(&s);
    map_done(&s.effect);
    map_done(&s.answered);
    map_done(&s.asked);
}
