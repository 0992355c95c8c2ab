/* Acknowledged means durable. At the moment of a promise (an answer with an index, or a host's word
 * that an index is committed) the entry is on the disks of a majority of the voters. Later, nobody
 * has another entry there: every answered command is what the replicas applied at its index, and
 * every host of the core has come at least that far by the end.
 *
 * "On the disk" counts the furthest that a disk ever was: a disk that is lost later was good when
 * the promise was made. */

#include <inttypes.h>

#include "chaos-tests/check/check.h"
#include "chaos-tests/check/map.h"

struct scene {
    const struct hist *h;
    struct checked *c;
    uint64_t durable[HIST_HOSTS];
    uint64_t voters;
    bool disks_known, applies_known;
    uint64_t promised; /* Highest index of any promise, and its record. */
    uint32_t promised_rec;
    struct map entry; /* Index -> record of its first application. */
    struct map asked; /* (client, call) -> record of the call. */
};

static void promise(struct scene *s, uint64_t index, uint32_t number)
{
    const struct rec *r = &s->h->recs[number];
    int have = 0;
    int need = __builtin_popcountll(s->voters) / 2 + 1;

    s->c->judged++;
    if (index > s->promised) {
        s->promised = index;
        s->promised_rec = number;
    }
    for (uint32_t i = 0; i < s->h->n_hosts; i++) {
        have += (s->voters >> i & 1) != 0 && s->durable[i] >= index;
    }
    if (s->voters != 0 && s->disks_known && have < need) {
        uint16_t host = hist_rec_host(r);
        struct finding *f = check_find(s->c, r->at_us, number, UINT32_MAX,
                                       "%s promises index %" PRIu64
                                       ", which is on the disks of %d voters; a majority is %d",
                                       hist_host_text(s->h, host), index, have, need);
        f->hosts = 1ull << host;
    }
}

static bool is_definite(const struct rec_answer *a)
{
    return a->index != 0 && (a->result == RESULT_OK || a->result == RESULT_REFUSED);
}

static const struct rec_call *call_of(const struct scene *s, const struct rec_answer *a)
{
    const uint64_t *at = map_get(&s->asked, a->client, a->call);

    return at == NULL ? NULL : &s->h->recs[*at].call;
}

static void take(struct scene *s, const struct rec *r, uint32_t number)
{
    if (r->kind == REC_DURABLE) {
        s->disks_known = true;
        if (r->durable.index > s->durable[r->durable.host]) {
            s->durable[r->durable.host] = r->durable.index;
        }
    } else if (r->kind == REC_VOTERS) {
        s->voters = r->voters.voters;
    } else if (r->kind == REC_CALL) {
        *map_at(&s->asked, r->call.client, r->call.call, number) = number;
    } else if (r->kind == REC_PROMISE) {
        promise(s, r->promise.index, number);
    } else if (r->kind == REC_ANSWER && is_definite(&r->answer)) {
        promise(s, r->answer.index, number);
    } else if (r->kind == REC_APPLY) {
        s->applies_known = true;
        (void)map_at(&s->entry, r->apply.index, 0, number);
    }
}

/* The entry at an answered index is the request that was answered. */
static void same_entry(struct scene *s, uint32_t number)
{
    const struct rec *r = &s->h->recs[number];
    const struct rec_call *call = call_of(s, &r->answer);
    const uint64_t *at = map_get(&s->entry, r->answer.index, 0);
    struct finding *f;

    if (call == NULL || call->request == 0 || call->op == CALL_READ || call->op == CALL_LOCAL) {
        return;
    }
    if (at == NULL) {
        f = check_find(s->c, r->at_us, number, UINT32_MAX,
                       "request %" PRIu64 " was answered as index %" PRIu64
                       ", which no host ever applied",
                       call->request, r->answer.index);
    } else if (s->h->recs[*at].apply.request != call->request) {
        f = check_find(s->c, r->at_us, number, (uint32_t)*at,
                       "request %" PRIu64 " was answered as index %" PRIu64
                       ", where the log has another entry (request %" PRIu64 ")",
                       call->request, r->answer.index, s->h->recs[*at].apply.request);
    } else {
        return;
    }
    f->subject = call->subject;
    f->hosts = 1ull << r->answer.host;
}

static void at_end(struct scene *s, const struct rec *r, uint32_t number)
{
    struct finding *f;

    if (r->final.index >= s->promised) {
        return;
    }
    f = check_find(s->c, r->at_us, s->promised_rec, number,
                   "index %" PRIu64 " was promised, but %s ends at index %" PRIu64, s->promised,
                   hist_host_text(s->h, r->final.host), r->final.index);
    f->hosts = 1ull << r->final.host;
}

void check_durable(const struct hist *h, struct checked *c)
{
    struct scene s = {.h = h, .c = c};

    for (size_t i = 0; i < h->n_recs; i++) {
        take(&s, &h->recs[i], (uint32_t)i);
    }
    for (size_t i = 0; i < h->n_recs; i++) {
        const struct rec *r = &h->recs[i];
        if (r->kind == REC_ANSWER && s.applies_known && is_definite(&r->answer)) {
            same_entry(&s, (uint32_t)i);
        } else if (r->kind == REC_FINAL) {
            at_end(&s, r, (uint32_t)i);
        }
    }
    map_done(&s.entry);
    map_done(&s.asked);
}
