/* Execution. Two rules, both from the hypervisors' and the disks' truth:
 *
 * 1. No two copies of a guest execute at once. A migration's copies exist together, but of those at
 *    most one executes.
 * 2. Epochs only go up: once a copy of one epoch has executed, none of an older epoch executes or
 *    writes to the disk, not even alone. It is a run that was given up, and its memory is stale. */

#include <inttypes.h>

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
    uint64_t end = a->to_us < b->to_us ? a->to_us : b->to_us;
    struct finding *f = check_find(s->c, b->from_us, a->from_rec, b->from_rec,
                                   "%s executes twice for %.3f ms: on %s under epoch %" PRIu64
                                   " and on %s under epoch %" PRIu64,
                                   hist_name_text(s->h, a->guest), (double)(end - b->from_us) / 1e3,
                                   hist_host_text(s->h, a->host), a->epoch,
                                   hist_host_text(s->h, b->host), b->epoch);

    f->until_us = end;
    f->hosts = 1ull << a->host | 1ull << b->host;
    f->subject = a->guest;
}

/* The newest epoch that had executed before, and who began it. */
struct newest {
    hist_t_name guest;
    const struct span *span;
};

/* Sorted spans: a beginning under an older epoch than one that began before. Two spans that overlap
 * are left to rule 1, so that one mistake is told once. */
static void stale_runs(struct scene *s, const struct spans *spans)
{
    struct newest newest = {0};

    for (size_t i = 0; i < spans->n; i++) {
        const struct span *b = &spans->span[i];
        const struct span *a = newest.span;
        if (a == NULL || newest.guest != b->guest || a->epoch <= b->epoch) {
            newest = (struct newest){b->guest, b};
            continue;
        }
        if (a->to_us <= b->from_us) {
            struct finding *f =
                check_find(s->c, b->from_us, a->from_rec, b->from_rec,
                           "%s executes on %s under epoch %" PRIu64 ", although epoch %" PRIu64
                           " had executed on %s",
                           hist_name_text(s->h, b->guest), hist_host_text(s->h, b->host), b->epoch,
                           a->epoch, hist_host_text(s->h, a->host));
            f->until_us = b->to_us;
            f->hosts = 1ull << a->host | 1ull << b->host;
            f->subject = b->guest;
        }
    }
}

/* Writes in their order, against the newest epoch that has executed or written so far. */
static void stale_writes(struct scene *s, const struct spans *spans)
{
    struct map newest = {0}; /* Guest -> epoch. */
    struct map began = {0};  /* Record -> span number plus one, of a span's beginning. */
    const struct hist *h = s->h;

    for (size_t i = 0; i < spans->n; i++) {
        uint64_t *epoch = map_at(&began, spans->span[i].from_rec, spans->span[i].guest, 0);
        *epoch = spans->span[i].epoch > *epoch ? spans->span[i].epoch : *epoch;
    }
    for (size_t i = 0; i < h->n_recs; i++) {
        const struct rec *r = &h->recs[i];
        uint64_t *top;
        if (r->kind == REC_COPY) {
            const uint64_t *epoch = map_get(&began, i, r->copy.guest);
            top = map_at(&newest, r->copy.guest, 0, 0);
            *top = epoch != NULL && *epoch > *top ? *epoch : *top;
            continue;
        }
        if (r->kind != REC_DISK) {
            continue;
        }
        s->c->judged++;
        top = map_at(&newest, r->disk.guest, 0, 0);
        if (r->disk.epoch < *top) {
            struct finding *f = check_find(s->c, r->at_us, (uint32_t)i, UINT32_MAX,
                                           "the disk of %s is written from %s under epoch %" PRIu64
                                           ", although epoch %" PRIu64 " had executed",
                                           hist_name_text(h, r->disk.guest),
                                           hist_host_text(h, r->disk.host), r->disk.epoch, *top);
            f->hosts = 1ull << r->disk.host;
            f->subject = r->disk.guest;
        } else {
            *top = r->disk.epoch;
        }
    }
    map_done(&newest);
    map_done(&began);
}

void check_execution(const struct hist *h, struct checked *c)
{
    struct scene scene = {h, c};
    struct spans spans;

    spans_of_copies(h, &spans);
    c->judged = spans.n;
    spans_overlaps(&spans, overlap, &scene);
    stale_runs(&scene, &spans);
    stale_writes(&scene, &spans);
    spans_done(&spans);
}
