/* Attempts into operations: see history.h. */

#include <stdlib.h>

#include "core/util.h"

#include "chaos-tests/check/history.h"
#include "chaos-tests/check/map.h"

struct gather {
    struct calls *calls;
    size_t cap;
    struct map by_request;
    struct map by_call; /* (client, call) -> operation. */
};

static uint32_t operation(struct gather *g, const struct rec *r, uint32_t number)
{
    const struct rec_call *c = &r->call;
    struct calls *calls = g->calls;

    if (calls->n == g->cap) {
        g->cap = g->cap == 0 ? 256 : g->cap * 2;
        calls->call = mem_grow(calls->call, g->cap, sizeof *calls->call);
    }
    calls->call[calls->n] = (struct call){.request = c->request,
                                          .invoked_us = r->at_us,
                                          .returned_us = HIST_NEVER,
                                          .arg = c->value,
                                          .expect = c->expect,
                                          .op = c->op,
                                          .result = RESULT_UNKNOWN,
                                          .subject = c->subject,
                                          .client = c->client,
                                          .rec = number};
    return (uint32_t)calls->n++;
}

static void take_call(struct gather *g, const struct rec *r, uint32_t number)
{
    const uint64_t *known =
        r->call.request == 0 ? NULL : map_get(&g->by_request, r->call.request, 0);
    uint32_t op = known != NULL ? (uint32_t)*known : operation(g, r, number);

    if (r->call.request != 0) {
        *map_at(&g->by_request, r->call.request, 0, op) = op;
    }
    *map_at(&g->by_call, r->call.client, r->call.call, op) = op;
    g->calls->call[op].open++;
}

static void take_answer(struct gather *g, const struct rec *r, uint32_t number)
{
    const struct rec_answer *a = &r->answer;
    const uint64_t *op = map_get(&g->by_call, a->client, a->call);
    struct call *c;

    if (op == NULL) {
        return;
    }
    c = &g->calls->call[*op];
    if (a->result == RESULT_REFUSED && a->index == 0) {
        c->open--;
    } else if ((a->result == RESULT_OK || a->result == RESULT_REFUSED) && c->answer_rec == 0) {
        c->result = a->result;
        c->code = a->code;
        c->index = a->index;
        c->value = a->value;
        c->returned_us = r->at_us;
        c->answer_rec = number;
    }
}

void hist_calls(const struct hist *h, struct calls *ret)
{
    struct gather g = {.calls = ret};

    *ret = (struct calls){0};
    for (size_t i = 0; i < h->n_recs; i++) {
        if (h->recs[i].kind == REC_CALL) {
            take_call(&g, &h->recs[i], (uint32_t)i);
        } else if (h->recs[i].kind == REC_ANSWER) {
            take_answer(&g, &h->recs[i], (uint32_t)i);
        }
    }
    map_done(&g.by_request);
    map_done(&g.by_call);
}

void calls_done(struct calls *c)
{
    free(c->call);
    *c = (struct calls){0};
}
