/* A run as one page: what was found, a picture of the hosts over time, the lines around each
 * finding, latencies. One HTML file with everything in it; it needs no network, and its pictures no
 * script. */

#ifndef CHECK_REPORT_H
#define CHECK_REPORT_H

#include "chaos-tests/check/check.h"

struct report_options {
    const char *title;    /* "seed 4711"; NULL: none. */
    const char *replay;   /* Command that runs it again; NULL: none. */
    const char *scenario; /* Text of a scenario to show; NULL: none. */
};

void report_html(const struct hist *h,
                 const struct verdicts *v,
                 const struct report_options *o,
                 struct buf *out);

/* The picture of the whole run alone, as a file of its own. */
void report_svg(const struct hist *h, const struct verdicts *v, struct buf *out);

#endif
