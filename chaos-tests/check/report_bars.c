/* How long things took, as bars over powers of two. */

#include <inttypes.h>
#include <string.h>

#include "core/util.h"

#include "chaos-tests/check/report_parts.h"
#include "chaos-tests/check/spans.h"

#define BUCKETS 40

struct bars {
    const char *title;
    const char *nothing;      /* Said when there is nothing to show. */
    uint64_t bucket[BUCKETS]; /* Bucket i: below 2^i us. */
    uint64_t n, most_us;
};

static void count(struct bars *b, uint64_t us)
{
    uint32_t i = us == 0 ? 0 : 64 - (uint32_t)__builtin_clzll(us);

    b->bucket[i < BUCKETS ? i : BUCKETS - 1]++;
    b->n++;
    b->most_us = max_u64(b->most_us, us);
}

/* Half of them took less than this (the upper end of a bucket). */
static uint64_t half(const struct bars *b)
{
    uint64_t sum = 0;
    uint32_t i = 0;

    for (; i < BUCKETS; i++) {
        sum += b->bucket[i];
        if (sum * 2 >= b->n) {
            break;
        }
    }
    return 1ull << i;
}

static void put_bars(const struct bars *b, struct buf *out)
{
    uint32_t first = 0;
    uint32_t last = BUCKETS;
    uint64_t top = 1;
    char text[32];

    buf_printf(out, "<figure><figcaption>%s</figcaption>", b->title);
    if (b->n == 0) {
        buf_printf(out, "<p class=\"none\">%s</p></figure>\n", b->nothing);
        return;
    }
    while (b->bucket[first] == 0) {
        first++;
    }
    while (b->bucket[last - 1] == 0) {
        last--;
    }
    last = last < first + 6 && first + 6 <= BUCKETS ? first + 6 : last;
    for (uint32_t i = first; i < last; i++) {
        top = max_u64(top, b->bucket[i]);
    }
    buf_printf(out, "<svg viewBox=\"0 0 %" PRIu32 " 118\" class=\"bars\">",
               (last - first) * 46 + 4);
    for (uint32_t i = first; i < last; i++) {
        uint32_t x = (i - first) * 46 + 2;
        uint32_t height = (uint32_t)(80 * b->bucket[i] / top);
        height = b->bucket[i] > 0 && height < 2 ? 2 : height;
        buf_printf(out,
                   "<rect x=\"%" PRIu32 "\" y=\"%" PRIu32 "\" width=\"42\" height=\"%" PRIu32
                   "\"/><text x=\"%" PRIu32 "\" y=\"%" PRIu32 "\">%" PRIu64
                   "</text><text x=\"%" PRIu32 "\" y=\"112\">&lt; %s</text>",
                   x, 98 - height, height, x + 21, 95 - height, b->bucket[i], x + 21,
                   span_text(1ull << i, text));
    }
    buf_printf(out, "</svg><p>%" PRIu64 " in all, half of them below %s, ", b->n,
               span_text(half(b), text));
    buf_printf(out, "the longest %s</p></figure>\n", span_text(b->most_us, text));
}

static void calls(const struct hist *h, struct buf *out)
{
    struct bars done = {.title = "Calls of clients that were answered",
                        .nothing = "no call was answered"};
    struct calls c;

    hist_calls(h, &c);
    for (size_t i = 0; i < c.n; i++) {
        if (c.call[i].answer_rec != 0) {
            count(&done, c.call[i].returned_us - c.call[i].invoked_us);
        }
    }
    calls_done(&c);
    put_bars(&done, out);
}

/* From the moment at which the last master stopped (or nobody believed to be one) to the next. */
static void masters(const struct hist *h, struct buf *out)
{
    struct bars gaps = {.title = "Without a master", .nothing = "there always was one"};
    uint64_t leads = 0;
    uint64_t since = HIST_NEVER;

    for (size_t i = 0; i < h->n_recs; i++) {
        const struct rec *r = &h->recs[i];
        uint64_t before = leads;
        if (r->kind == REC_MASTER) {
            uint64_t bit = 1ull << r->master.host;
            leads = r->master.master == r->master.host ? leads | bit : leads & ~bit;
        } else if (r->kind == REC_HOST && r->host.power != HOST_IS_UP) {
            leads &= ~(1ull << r->host.host);
        }
        if (leads == 0 && before != 0) {
            since = r->at_us;
        } else if (leads != 0 && before == 0 && since != HIST_NEVER) {
            count(&gaps, r->at_us - since);
        }
    }
    put_bars(&gaps, out);
}

/* Between the end of one run of a guest and the beginning of its next elsewhere. */
static void guests(const struct hist *h, struct buf *out)
{
    struct bars gaps = {.title = "Guests at rest between two hosts",
                        .nothing = "no guest went from one host to another"};
    struct spans s;

    spans_of_copies(h, &s);
    for (size_t i = 1; i < s.n; i++) {
        const struct span *a = &s.span[i - 1];
        const struct span *b = &s.span[i];
        if (a->guest == b->guest && a->host != b->host && b->from_us >= a->to_us) {
            count(&gaps, b->from_us - a->to_us);
        }
    }
    spans_done(&s);
    put_bars(&gaps, out);
}

void histograms(const struct scene *s, struct buf *out)
{
    buf_printf(out, "<div class=\"figures\">\n");
    calls(s->h, out);
    masters(s->h, out);
    guests(s->h, out);
    buf_printf(out, "</div>\n");
}
