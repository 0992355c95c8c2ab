/* Permission. A permit holds from its record until it expires or the same (host, guest, epoch) is
 * given another one. At no instant may two different (host, epoch) hold one for the same guest. */

#include <inttypes.h>
#include <stdlib.h>

#include "core/util.h"

#include "chaos-tests/check/check.h"
#include "chaos-tests/check/map.h"
#include "chaos-tests/check/spans.h"

struct scene {
    const struct hist *h;
    struct checked *c;
};

static void overlap(void *arg, const struct span *a, const struct span *b)
{
    struct scene *s = arg;
    uint64_t end = min_u64(a->to_us, b->to_us);
    struct finding *f = check_find(s->c, b->from_us, a->from_rec, b->from_rec,
                                   "%s may run twice for %.3f ms: on %s under epoch %" PRIu64
                                   " and on %s under epoch %" PRIu64,
                                   hist_name_text(s->h, a->guest), (double)(end - b->from_us) / 1e3,
                                   hist_host_text(s->h, a->host), a->epoch,
                                   hist_host_text(s->h, b->host), b->epoch);

    f->until_us = end;
    f->hosts = 1ull << a->host | 1ull << b->host;
    f->subject = a->guest;
}

/* The permit of one key that was given last. */
struct held {
    struct span *span;
    size_t n, cap;
    struct map by_key;
};

static struct span *held_at(struct held *held, const struct rec_permit *p)
{
    uint64_t *at = map_at(&held->by_key, (uint64_t)p->guest << 16 | p->host, p->epoch, UINT64_MAX);

    if (*at == UINT64_MAX) {
        *at = held->n;
        if (held->n == held->cap) {
            held->cap = held->cap == 0 ? 64 : held->cap * 2;
            held->span = mem_grow(held->span, held->cap, sizeof *held->span);
        }
        held->span[held->n++] =
            (struct span){.guest = p->guest, .host = p->host, .epoch = p->epoch};
    }
    return &held->span[*at];
}

/* A renewal makes the same permit longer; what follows after a break is another one. */
static void take(struct held *held, struct spans *spans, const struct rec *r, uint32_t number)
{
    struct span *s = held_at(held, &r->permit);
    bool holds = s->to_us > r->at_us;

    if (r->permit.until > r->at_us) {
        if (!holds) {
            if (s->to_us > s->from_us) {
                spans_add(spans, s);
            }
            s->from_us = r->at_us;
            s->from_rec = number;
        }
        s->to_us = r->permit.until;
        s->to_rec = UINT32_MAX;
    } else if (holds) {
        s->to_us = r->at_us;
        s->to_rec = number;
        spans_add(spans, s);
        s->from_us = r->at_us;
    }
}

void check_permission(const struct hist *h, struct checked *c)
{
    struct scene scene = {h, c};
    struct spans spans = {0};
    struct held held = {0};
    uint64_t end = h->n_recs == 0 ? 0 : h->recs[h->n_recs - 1].at_us;

    for (size_t i = 0; i < h->n_recs; i++) {
        if (h->recs[i].kind == REC_PERMIT) {
            take(&held, &spans, &h->recs[i], (uint32_t)i);
            c->judged++;
        }
    }
    for (size_t i = 0; i < held.n; i++) {
        if (held.span[i].to_us <= held.span[i].from_us) {
            continue;
        }
        if (held.span[i].to_us > end) {
            held.span[i].to_us = end;
            held.span[i].to_rec = (uint32_t)h->n_recs;
        }
        spans_add(&spans, &held.span[i]);
    }
    spans_sort(&spans);
    spans_overlaps(&spans, overlap, &scene);
    spans_done(&spans);
    free(held.span);
    map_done(&held.by_key);
}
