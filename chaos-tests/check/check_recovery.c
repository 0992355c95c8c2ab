/* The recovery bound: what the world said must be there by a deadline, once enough was healed, was
 * there. A run that ends before a deadline has decided nothing about it. */

#include <inttypes.h>

#include "chaos-tests/check/check.h"
#include "chaos-tests/check/map.h"
#include "chaos-tests/check/spans.h"

struct scene {
    const struct hist *h;
    struct checked *c;
    struct spans spans;
    struct calls calls;
    uint64_t core; /* Hosts that were healed. */
};

/* Whether a copy of the guest executes at the end of that instant. */
static bool runs_at(const struct scene *s, hist_t_name guest, uint64_t at_us)
{
    for (size_t i = 0; i < s->spans.n; i++) {
        const struct span *p = &s->spans.span[i];
        bool open = p->to_us > at_us || (p->to_us == at_us && p->to_rec == s->h->n_recs);
        if (p->guest == guest && p->from_us <= at_us && open) {
            return true;
        }
    }
    return false;
}

/* Whether a command asked for after record `number` was done by `by`. */
static bool written(const struct scene *s, uint32_t number, uint64_t by)
{
    for (size_t i = 0; i < s->calls.n; i++) {
        const struct call *c = &s->calls.call[i];
        if (c->rec > number && c->result == RESULT_OK && c->op != CALL_READ &&
            c->op != CALL_LOCAL && c->returned_us <= by) {
            return true;
        }
    }
    return false;
}

/* Whether a host of the core calls itself master at that instant. */
static bool led(const struct scene *s, uint64_t at_us)
{
    uint64_t leads = 0;
    uint64_t asleep = 0; /* They go on as what they were. */

    for (size_t i = 0; i < s->h->n_recs && s->h->recs[i].at_us <= at_us; i++) {
        const struct rec *r = &s->h->recs[i];
        if (r->kind == REC_MASTER) {
            uint64_t bit = 1ull << r->master.host;
            leads = r->master.master == r->master.host ? leads | bit : leads & ~bit;
        } else if (r->kind == REC_HOST) {
            uint64_t bit = 1ull << r->host.host;
            bool sleeps = r->host.power == HOST_IS_PAUSED || r->host.power == HOST_IS_FROZEN;
            bool dead = r->host.power == HOST_IS_DOWN || r->host.power == HOST_IS_OFF;
            asleep = sleeps ? asleep | bit : asleep & ~bit;
            leads = dead ? leads & ~bit : leads;
        }
    }
    return (leads & ~asleep & (s->core == 0 ? UINT64_MAX : s->core)) != 0;
}

static void judge(struct scene *s, uint32_t number)
{
    const struct rec *r = &s->h->recs[number];
    const struct rec_must *m = &r->must;
    uint64_t end = s->h->recs[s->h->n_recs - 1].at_us;
    const char *subject = hist_name_text(s->h, m->subject);
    double bound = ((double)m->by - (double)r->at_us) / 1e6;
    struct finding *f = NULL;

    s->c->judged++;
    if (m->by > end) {
        s->c->verdict = VERDICT_TOO_LARGE;
        return;
    }
    switch (m->what) {
    case MUST_WRITE:
        if (!written(s, number, m->by)) {
            f = check_find(s->c, m->by, number, UINT32_MAX,
                           "no command was done within %.3f s after the pool was healed", bound);
        }
        break;
    case MUST_LEAD:
        if (!led(s, m->by)) {
            f = check_find(s->c, m->by, number, UINT32_MAX,
                           "there is no master %.3f s after the pool was healed", bound);
        }
        break;
    case MUST_RUN:
        if (!runs_at(s, m->subject, m->by)) {
            f = check_find(s->c, m->by, number, UINT32_MAX,
                           "%s does not run %.3f s after the pool was healed", subject, bound);
        } else if (!runs_at(s, m->subject, end)) {
            f = check_find(s->c, end, number, UINT32_MAX, "%s ran again, but does not at the end",
                           subject);
        }
        break;
    }
    if (f != NULL) {
        f->subject = m->subject;
        f->hosts = s->core;
    }
}

void check_recovery(const struct hist *h, struct checked *c)
{
    struct scene s = {.h = h, .c = c};

    spans_of_copies(h, &s.spans);
    hist_calls(h, &s.calls);
    for (size_t i = 0; i < h->n_recs; i++) {
        if (h->recs[i].kind == REC_PHASE && h->recs[i].phase.phase == PHASE_HEAL) {
            s.core = h->recs[i].phase.core;
        } else if (h->recs[i].kind == REC_MUST) {
            judge(&s, (uint32_t)i);
        }
    }
    spans_done(&s.spans);
    calls_done(&s.calls);
}
