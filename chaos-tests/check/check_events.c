/* Events: what a watcher is given after it asked for "after n" is n + 1, n + 2, ... without a gap,
 * a repeat or a step back, through whatever host; and one number is the same event for everybody.
 */

#include <inttypes.h>

#include "chaos-tests/check/check.h"
#include "chaos-tests/check/map.h"

struct scene {
    const struct hist *h;
    struct checked *c;
    struct map last; /* Client -> number seen last, or asked for as `after`; NONE before. */
    struct map seen; /* Number -> record that told it first. */
};

#define NONE UINT64_MAX

static void out_of_order(struct scene *s, uint32_t number, uint64_t last)
{
    const struct rec *r = &s->h->recs[number];
    const char *what = r->event.seq <= last ? "a repeat or a step back" : "a gap";
    struct finding *f =
        check_find(s->c, r->at_us, number, UINT32_MAX,
                   "watcher %" PRIu32 " is given event %" PRIu64 " by %s after %" PRIu64 ": %s",
                   r->event.client, r->event.seq, hist_host_text(s->h, r->event.host), last, what);

    f->hosts = 1ull << r->event.host;
    f->subject = r->event.subject;
}

static void take_event(struct scene *s, uint32_t number)
{
    const struct rec *r = &s->h->recs[number];
    const struct rec_event *b = &r->event;
    uint64_t *last = map_at(&s->last, b->client, 0, NONE);
    const struct rec_event *a = &s->h->recs[*map_at(&s->seen, b->seq, 0, number)].event;

    s->c->judged++;
    if (*last != NONE && b->seq != *last + 1) {
        out_of_order(s, number, *last);
    }
    *last = b->seq;
    if (a->what != b->what || a->subject != b->subject || a->digest != b->digest) {
        struct finding *f = check_find(
            s->c, r->at_us, (uint32_t)*map_at(&s->seen, b->seq, 0, number), number,
            "event %" PRIu64 " is \"%s %s\" for watcher %" PRIu32
            " and \"%s %s\" for watcher %" PRIu32,
            b->seq, hist_name_text(s->h, a->what), hist_name_text(s->h, a->subject), a->client,
            hist_name_text(s->h, b->what), hist_name_text(s->h, b->subject), b->client);
        f->hosts = 1ull << a->host | 1ull << b->host;
        f->subject = b->subject;
    }
}

void check_events(const struct hist *h, struct checked *c)
{
    struct scene s = {.h = h, .c = c};

    for (size_t i = 0; i < h->n_recs; i++) {
        const struct rec *r = &h->recs[i];
        if (r->kind == REC_WATCH) {
            *map_at(&s.last, r->watch.client, 0, NONE) = r->watch.after;
        } else if (r->kind == REC_EVENT) {
            take_event(&s, (uint32_t)i);
        }
    }
    map_done(&s.last);
    map_done(&s.seen);
}
