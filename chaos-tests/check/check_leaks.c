/* Nothing leaks. What the world found left over at the end is a finding each. Beyond that, on hosts
 * that are final, every copy that exists is the one that the pool's row names, and rows of one
 * guest agree between hosts. */

#include <inttypes.h>

#include "chaos-tests/check/check.h"
#include "chaos-tests/check/copies.h"
#include "chaos-tests/check/map.h"

struct scene {
    const struct hist *h;
    struct checked *c;
    uint64_t final;  /* Hosts with a final state. */
    struct map rows; /* Guest -> record of its first row. */
    struct copies copies;
    uint64_t end_us;
};

static void left(struct scene *s, uint32_t number)
{
    const struct rec *r = &s->h->recs[number];
    struct finding *f;

    s->c->judged++;
    if (r->left.count == 0) {
        return;
    }
    f = check_find(s->c, r->at_us, number, UINT32_MAX, "%" PRIu64 " %s left on %s (%s)",
                   r->left.count, hist_name_text(s->h, r->left.what),
                   hist_host_text(s->h, r->left.host),
                   r->left.subject == 0 ? "no subject" : hist_name_text(s->h, r->left.subject));
    f->hosts = r->left.host == HIST_NONE ? 0 : 1ull << r->left.host;
    f->subject = r->left.subject;
}

static void row(struct scene *s, uint32_t number)
{
    const struct rec *r = &s->h->recs[number];
    uint64_t *at = map_at(&s->rows, r->row.guest, 0, number);
    const struct rec_row *a = &s->h->recs[*at].row;
    struct finding *f;

    s->c->judged++;
    if (a->owner == r->row.owner && a->epoch == r->row.epoch) {
        return;
    }
    f = check_find(s->c, r->at_us, (uint32_t)*at, number,
                   "%s ends as %s's under epoch %" PRIu64
                   " for %s, and as %s's under epoch %" PRIu64 " for %s",
                   hist_name_text(s->h, a->guest), hist_host_text(s->h, a->owner), a->epoch,
                   hist_host_text(s->h, a->host), hist_host_text(s->h, r->row.owner), r->row.epoch,
                   hist_host_text(s->h, r->row.host));
    f->hosts = 1ull << a->host | 1ull << r->row.host;
    f->subject = a->guest;
}

static void copy(struct scene *s, const struct copy *k)
{
    const uint64_t *at = map_get(&s->rows, k->guest, 0);
    const struct rec_row *named = at == NULL ? NULL : &s->h->recs[*at].row;
    struct finding *f;

    if (k->state == COPY_GONE || (s->final >> k->host & 1) == 0) {
        return;
    }
    s->c->judged++;
    if (named != NULL && named->owner == k->host && named->epoch == k->epoch) {
        return;
    }
    f = check_find(s->c, s->end_us, k->rec, at == NULL ? UINT32_MAX : (uint32_t)*at,
                   "a copy of %s under epoch %" PRIu64 " is left on %s, where the pool has none",
                   hist_name_text(s->h, k->guest), k->epoch, hist_host_text(s->h, k->host));
    f->hosts = 1ull << k->host;
    f->subject = k->guest;
}

void check_leaks(const struct hist *h, struct checked *c)
{
    struct scene s = {.h = h, .c = c};

    for (size_t i = 0; i < h->n_recs; i++) {
        const struct rec *r = &h->recs[i];
        s.end_us = r->at_us;
        copies_take(&s.copies, r, (uint32_t)i);
        if (r->kind == REC_LEFT) {
            left(&s, (uint32_t)i);
        } else if (r->kind == REC_ROW) {
            row(&s, (uint32_t)i);
        } else if (r->kind == REC_FINAL) {
            s.final |= 1ull << r->final.host;
        }
    }
    for (size_t i = 0; i < s.copies.n; i++) {
        copy(&s, &s.copies.copy[i]);
    }
    copies_done(&s.copies);
    map_done(&s.rows);
}
