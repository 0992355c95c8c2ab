/* Linearizability by witness. Every definite answer names the log index at which it was true, so
 * the order is given and has only to be checked:
 *
 * 1. Real time. What was asked after an answer at index i came has an index above i, or, for reads,
 *    not below i.
 * 2. Values. In the order of the indices (a read at i sees what was written up to i), the calls on
 *    each subject are those of one register.
 * 3. Two commands never share an index.
 *
 * A command whose outcome its client does not know has a place in the order if some replica applied
 * it; one that nobody applied has had no effect. */

#include <inttypes.h>
#include <stdlib.h>

#include "core/util.h"

#include "chaos-tests/check/check.h"
#include "chaos-tests/check/map.h"
#include "chaos-tests/check/model.h"

struct scene {
    const struct hist *h;
    struct checked *c;
    struct calls calls;
};

static bool is_read(const struct call *c)
{
    return c->op == CALL_READ || c->op == CALL_LOCAL;
}

/* Give unknown commands the index and the outcome that the log shows. */
static void place_unknown(struct scene *s)
{
    struct map applied = {0}; /* Request -> record number of its first effective application. */

    for (size_t i = 0; i < s->h->n_recs; i++) {
        const struct rec *r = &s->h->recs[i];
        if (r->kind == REC_APPLY && r->apply.request != 0 && r->apply.first != 0) {
            (void)map_at(&applied, r->apply.request, 0, i);
        }
    }
    for (size_t i = 0; i < s->calls.n; i++) {
        struct call *c = &s->calls.call[i];
        const uint64_t *at = c->request == 0 ? NULL : map_get(&applied, c->request, 0);
        if (c->answer_rec != 0 || is_read(c) || at == NULL) {
            continue;
        }
        c->index = s->h->recs[*at].apply.index;
        c->code = s->h->recs[*at].apply.code;
        c->result = c->code == 0 ? RESULT_OK : RESULT_REFUSED;
    }
    map_done(&applied);
}

/* The highest index that had been answered when a call was made, and the record that said so. */
struct floor {
    uint64_t index;
    uint32_t rec;
};

/* One walk in the order of the records. */
static void find_floors(const struct scene *s, struct floor *floors)
{
    const struct hist *h = s->h;
    struct map by_rec = {0}; /* Record of a first call, or of a definite answer -> call. */
    struct floor highest = {0, UINT32_MAX};

    for (size_t i = 0; i < s->calls.n; i++) {
        *map_at(&by_rec, s->calls.call[i].rec, 0, i) = i;
        if (s->calls.call[i].answer_rec != 0) {
            *map_at(&by_rec, s->calls.call[i].answer_rec, 0, i) = i;
        }
    }
    for (size_t i = 0; i < h->n_recs; i++) {
        const uint64_t *at = NULL;
        if (h->recs[i].kind == REC_CALL || h->recs[i].kind == REC_ANSWER) {
            at = map_get(&by_rec, i, 0);
        }
        if (at == NULL) {
            continue;
        }
        if (s->calls.call[*at].rec == i) {
            floors[*at] = highest;
        } else if (s->calls.call[*at].index > highest.index) {
            highest = (struct floor){s->calls.call[*at].index, (uint32_t)i};
        }
    }
    map_done(&by_rec);
}

static void below_floor(struct scene *s, const struct call *c, const struct floor *floor)
{
    struct finding *f = check_find(
        s->c, c->answer_rec != 0 ? c->returned_us : c->invoked_us, floor->rec, c->rec,
        "client %" PRIu32 "'s %s of %s is at index %" PRIu64 ", but was asked after index %" PRIu64
        " had been answered",
        c->client, call_op_name(c->op), hist_name_text(s->h, c->subject), c->index, floor->index);

    f->subject = c->subject;
    if (c->answer_rec != 0) {
        f->recs[f->n_recs++] = c->answer_rec;
        f->hosts = 1ull << s->h->recs[c->answer_rec].answer.host;
    }
}

static void real_time(struct scene *s)
{
    struct floor *floors = mem_new(s->calls.n + 1, sizeof *floors);

    find_floors(s, floors);
    for (size_t i = 0; i < s->calls.n; i++) {
        const struct call *c = &s->calls.call[i];
        if (c->index == 0 || c->op == CALL_LOCAL || floors[i].rec == UINT32_MAX) {
            continue;
        }
        if (c->index < floors[i].index || (!is_read(c) && c->index == floors[i].index)) {
            below_floor(s, c, &floors[i]);
        }
    }
    free(floors);
}

/* A call's place: by index; at one index the command comes before the reads. */
struct place {
    uint64_t index;
    bool read;
    uint32_t rec;
    uint32_t call;
};

static int by_place(const void *a, const void *b)
{
    const struct place *x = a;
    const struct place *y = b;

    if (x->index != y->index) {
        return x->index < y->index ? -1 : 1;
    }
    if (x->read != y->read) {
        return x->read ? 1 : -1;
    }
    return x->rec < y->rec ? -1 : x->rec > y->rec;
}

/* All calls that have an index, in their order. */
static struct place *places(const struct scene *s, size_t *ret_n)
{
    struct place *order = mem_new(s->calls.n + 1, sizeof *order);
    size_t n = 0;

    for (uint32_t i = 0; i < s->calls.n; i++) {
        const struct call *c = &s->calls.call[i];
        if (c->index != 0) {
            order[n++] = (struct place){c->index, is_read(c), c->rec, i};
        }
    }
    qsort(order, n, sizeof *order, by_place);
    *ret_n = n;
    return order;
}

static void wrong_value(struct scene *s, const struct call *c, uint64_t now, uint32_t by)
{
    uint32_t rec = c->answer_rec != 0 ? c->answer_rec : c->rec;
    char is[48];
    struct finding *f = check_find(s->c, s->h->recs[rec].at_us, by, c->rec,
                                   "client %" PRIu32 "'s %s of %s at index %" PRIu64
                                   " was answered %s, but its value there was %" PRIu64,
                                   c->client, call_op_name(c->op), hist_name_text(s->h, c->subject),
                                   c->index, call_answer_text(c, is), now);

    f->subject = c->subject;
    f->hosts = 1ull << hist_rec_host(&s->h->recs[rec]);
    if (rec != c->rec) {
        f->recs[f->n_recs++] = rec;
    }
}

static void same_index(struct scene *s, const struct call *a, const struct call *b)
{
    struct finding *f = check_find(s->c, b->invoked_us, a->rec, b->rec,
                                   "two commands have the same index %" PRIu64
                                   ": of clients %" PRIu32 " and %" PRIu32,
                                   b->index, a->client, b->client);
    f->subject = b->subject;
}

/* Values, in the order of the indices. */
static void values(struct scene *s)
{
    struct map value = {0}; /* Subject -> value, and (subject, 1) -> who made it. */
    size_t n;
    struct place *order = places(s, &n);

    s->c->judged = n;
    for (size_t i = 0; i < n; i++) {
        const struct call *c = &s->calls.call[order[i].call];
        uint64_t now = *map_at(&value, c->subject, 0, 0);
        uint64_t next;
        if (i > 0 && !order[i].read && !order[i - 1].read && order[i - 1].index == c->index) {
            same_index(s, &s->calls.call[order[i - 1].call], c);
        }
        if (!model_step(c, now, &next)) {
            wrong_value(s, c, now, (uint32_t)*map_at(&value, c->subject, 1, UINT32_MAX));
            next = model_forced(c, now);
        }
        if (next != now) {
            *map_at(&value, c->subject, 0, 0) = next;
            *map_at(&value, c->subject, 1, 0) = c->answer_rec != 0 ? c->answer_rec : c->rec;
        }
    }
    map_done(&value);
    free(order);
}

void check_witness(const struct hist *h, struct checked *c)
{
    struct scene s = {.h = h, .c = c};

    hist_calls(h, &s.calls);
    place_unknown(&s);
    real_time(&s);
    values(&s);
    calls_done(&s.calls);
}
