/* What every host is at one moment, as the columns of the text form show it. */

#ifndef CHECK_LANES_H
#define CHECK_LANES_H

#include "chaos-tests/check/copies.h"

struct lanes {
    struct copies copies;
    uint64_t cut[HIST_HOSTS]; /* Hosts that this one cannot send to. */
    bool leads[HIST_HOSTS];   /* Believes that it is master. */
};

/* Take a record into account. */
void lanes_take(struct lanes *l, const struct rec *r, uint32_t number);

/* Five columns a host: * where the record happens (> its other end), what the host is (. up, M
 * calls itself master, x no daemon, z daemon stands still, = frozen, # no power), how many copies
 * execute there (blank, 1 to 9, +), / when a link of it is cut, and a blank. */
void lanes_text(const struct lanes *l, const struct hist *h, const struct rec *r, struct buf *out);

void lanes_done(struct lanes *l);

#endif
