/* One master a term: at most one host calls itself master in a term, and everybody who names a
 * master of that term names that one. */

#include <inttypes.h>

#include "chaos-tests/check/check.h"
#include "chaos-tests/check/map.h"

void check_masters(const struct hist *h, struct checked *c)
{
    struct map named = {0}; /* Term -> record that named its master first. */

    for (size_t i = 0; i < h->n_recs; i++) {
        const struct rec *r = &h->recs[i];
        const struct rec_master *a;
        const struct rec_master *b = &r->master;
        uint64_t *at;
        if (r->kind != REC_MASTER || b->master == HIST_NONE) {
            continue;
        }
        c->judged++;
        at = map_at(&named, b->term, 0, i);
        a = &h->recs[*at].master;
        if (a->master != b->master) {
            struct finding *f =
                check_find(c, r->at_us, (uint32_t)*at, (uint32_t)i,
                           "term %" PRIu64 " has two masters: %s says %s, and %s says %s", b->term,
                           hist_host_text(h, a->host), hist_host_text(h, a->master),
                           hist_host_text(h, b->host), hist_host_text(h, b->master));
            f->hosts = 1ull << a->master | 1ull << b->master;
        }
    }
    map_done(&named);
}
