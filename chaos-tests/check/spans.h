/* Stretches of time in which something held for a guest at one (host, epoch), and their overlaps.
 */

#ifndef CHECK_SPANS_H
#define CHECK_SPANS_H

#include "chaos-tests/check/history.h"

struct span {
    hist_t_name guest;
    uint16_t host;
    uint64_t epoch;
    uint64_t from_us, to_us;
    uint32_t from_rec;
    uint32_t
        to_rec; /* UINT32_MAX: it ended by itself. The number of records: not in this history. */
};

struct spans {
    struct span *span;
    size_t n, cap;
};

void spans_add(struct spans *s, const struct span *one);
void spans_done(struct spans *s);

/* By guest, then in the order of their beginnings. */
void spans_sort(struct spans *s);

/* When copies executed, sorted. What executes at the end ends at the last record's time. */
void spans_of_copies(const struct hist *h, struct spans *ret);

/* Of sorted spans: calls fn for each pair of the same guest that overlap, `a` having begun first.
 * Two that meet at one instant overlap when the first one's end is recorded after the other's
 * beginning. */
void spans_overlaps(const struct spans *s,
                    void (*fn)(void *arg, const struct span *a, const struct span *b),
                    void *arg);

#endif
