/* The table of checkers, and what is made of their findings: see check.h. */

#include "chaos-tests/check/check.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/util.h"

const struct checker checkers[] = {
    {.name = "execution",
     .promise = "At every instant at most one copy of a guest executes.",
     .check = check_execution},
    {.name = "permission",
     .promise = "At every instant at most one (host, run epoch) is permitted to run a guest.",
     .check = check_permission},
    {.name = "durable",
     .promise = "What was acknowledged is on a majority's disks, and is never lost.",
     .check = check_durable},
    {.name = "once",
     .promise = "A request takes effect once, and every answer to it is the first one.",
     .check = check_once},
    {.name = "witness",
     .promise = "Reads and writes are linearizable in the order of their log indices.",
     .check = check_witness},
    {.name = "linearizable",
     .promise = "Reads and writes are linearizable, whatever the indices say.",
     .check = check_linearizable},
    {.name = "replicas",
     .promise = "The same log gives the same state on every host.",
     .check = check_replicas},
    {.name = "masters", .promise = "A term has one master.", .check = check_masters},
    {.name = "events",
     .promise = "Watchers see every event once, in order, without a gap.",
     .check = check_events},
    {.name = "recovery",
     .promise = "What is healed recovers within its bound.",
     .check = check_recovery},
    {.name = "leaks", .promise = "Nothing is left behind.", .check = check_leaks},
    {.name = NULL},
};

const struct checker *checker_by_name(const char *name)
{
    for (const struct checker *c = checkers; c->name != NULL; c++) {
        if (strcmp(c->name, name) == 0) {
            return c;
        }
    }
    return NULL;
}

static int by_time(const void *a, const void *b)
{
    const struct finding *x = a;
    const struct finding *y = b;

    if (x->at_us != y->at_us) {
        return x->at_us < y->at_us ? -1 : 1;
    }
    return x->recs[0] < y->recs[0] ? -1 : x->recs[0] > y->recs[0];
}

void check_one(const struct checker *checker, const struct hist *h, struct checked *ret)
{
    size_t kept;

    *ret = (struct checked){.checker = checker};
    checker->check(h, ret);
    kept = (size_t)min_u64(ret->n_findings, CHECK_FINDINGS);
    qsort(ret->findings, kept, sizeof ret->findings[0], by_time);
    if (ret->n_findings > 0) {
        ret->verdict = VERDICT_BROKEN;
    } else if (ret->verdict == VERDICT_NOTHING && ret->judged > 0) {
        ret->verdict = VERDICT_HOLDS;
    }
}

void check_all(const struct hist *h, struct verdicts *ret)
{
    ret->n = 0;
    ret->complete = h->dropped == 0;
    for (const struct checker *c = checkers; c->name != NULL; c++) {
        assert(ret->n < CHECKERS);
        check_one(c, h, &ret->checked[ret->n++]);
    }
}

bool verdicts_good(const struct verdicts *v)
{
    return v->complete && verdicts_first(v) == NULL;
}

const struct checked *verdicts_first(const struct verdicts *v)
{
    const struct checked *undecided = NULL;

    for (size_t i = 0; i < v->n; i++) {
        if (v->checked[i].verdict == VERDICT_BROKEN) {
            return &v->checked[i];
        }
        if (v->checked[i].verdict == VERDICT_TOO_LARGE && undecided == NULL) {
            undecided = &v->checked[i];
        }
    }
    return undecided;
}

const char *verdict_name(enum verdict verdict)
{
    static const char *const names[] = {"nothing", "holds", "too large", "broken"};

    return names[verdict];
}

struct finding *
check_find(struct checked *c, uint64_t at_us, uint32_t a, uint32_t b, const char *format, ...)
{
    static _Thread_local struct finding nowhere;
    struct finding *f = c->n_findings < CHECK_FINDINGS ? &c->findings[c->n_findings] : &nowhere;
    va_list args;

    c->n_findings++;
    *f = (struct finding){.at_us = at_us, .until_us = at_us};
    if (a != UINT32_MAX) {
        f->recs[f->n_recs++] = a;
    }
    if (b != UINT32_MAX) {
        f->recs[f->n_recs++] = b;
    }
    va_start(args, format);
    (void)vsnprintf(f->text, sizeof f->text, format, args); // NOLINT(clang-analyzer-valist.*)
    va_end(args);
    return f;
}

static void finding_text(const struct hist *h, const struct finding *f, struct buf *out)
{
    char line[HIST_LINE];

    buf_printf(out, "    %.6f s: %s\n", (double)f->at_us / 1e6, f->text);
    for (uint32_t i = 0; i < f->n_recs; i++) {
        buf_printf(out, "        #%" PRIu32 " %s\n", f->recs[i],
                   hist_rec_text(h, &h->recs[f->recs[i]], line));
    }
}

void verdicts_text(const struct hist *h, const struct verdicts *v, struct buf *out)
{
    if (!v->complete) {
        buf_printf(out, "incomplete    %" PRIu64 " records were dropped: nothing is proven\n",
                   h->dropped);
    }
    for (size_t i = 0; i < v->n; i++) {
        const struct checked *c = &v->checked[i];
        buf_printf(out, "%-13s %-9s %10" PRIu64 " judged", c->checker->name,
                   verdict_name(c->verdict), c->judged);
        if (c->n_findings == 0) {
            buf_printf(out, "\n");
            continue;
        }
        buf_printf(out, ", %" PRIu64 " found: %s\n", c->n_findings, c->checker->promise);
        for (size_t k = 0; k < min_u64(c->n_findings, CHECK_FINDINGS); k++) {
            finding_text(h, &c->findings[k], out);
        }
    }
}
