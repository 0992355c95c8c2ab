/* One walk over a history that turns its records into segments: see report_parts.h. */

#include <stdlib.h>
#include <string.h>

#include "core/util.h"

#include "chaos-tests/check/map.h"
#include "chaos-tests/check/report_parts.h"

#define NO_SEGMENT SIZE_MAX

struct walk {
    struct scene *s;
    size_t power[HIST_HOSTS], leads[HIST_HOSTS], lease[HIST_HOSTS], cut[HIST_HOSTS];
    uint64_t unreachable[HIST_HOSTS]; /* Hosts to which it cannot send. */
    struct map copies;                /* (guest and host, epoch) -> segment. */
    struct map moves;                 /* Operation -> segment. */
    struct map calls;                 /* (client, call) -> segment. */
    uint64_t busy_until[CALL_ROWS];
    uint64_t near_from, near_to; /* Around the first finding: every call is shown there. */
    uint64_t stride;             /* Elsewhere every so many-th one. */
};

static size_t begin(struct walk *w, uint32_t rec, struct segment seg)
{
    struct scene *s = w->s;

    if (s->of_kind[seg.kind]++ >= SHOWN_SEGMENTS) {
        return NO_SEGMENT;
    }
    if (s->n == s->cap) {
        s->cap = s->cap == 0 ? 256 : s->cap * 2;
        s->seg = mem_grow(s->seg, s->cap, sizeof *s->seg);
    }
    seg.from_us = s->h->recs[rec].at_us;
    seg.to_us = s->end_us;
    seg.rec = rec;
    seg.open = true;
    s->seg[s->n] = seg;
    return s->n++;
}

static void end(struct walk *w, size_t *seg, uint64_t at_us)
{
    if (*seg != NO_SEGMENT) {
        w->s->seg[*seg].to_us = at_us;
        w->s->seg[*seg].open = false;
    }
    *seg = NO_SEGMENT;
}

/* --- the guests that get a row: those of findings first, then as they come */

static bool has_row(const struct scene *s, hist_t_name guest)
{
    for (uint32_t i = 0; i < s->n_guests; i++) {
        if (s->guests[i] == guest) {
            return true;
        }
    }
    return false;
}

static void give_row(struct scene *s, hist_t_name guest)
{
    if (guest != 0 && s->n_guests < SHOWN_GUESTS && !has_row(s, guest)) {
        s->guests[s->n_guests++] = guest;
    }
}

static bool is_guest(const struct scene *s, hist_t_name name)
{
    for (size_t i = 0; i < s->h->n_recs; i++) {
        if (s->h->recs[i].kind == REC_COPY && s->h->recs[i].copy.guest == name) {
            return true;
        }
    }
    return false;
}

static void choose_guests(struct scene *s)
{
    struct map seen = {0};

    for (size_t i = 0; i < s->v->n; i++) {
        const struct checked *c = &s->v->checked[i];
        for (size_t k = 0; k < min_u64(c->n_findings, CHECK_FINDINGS); k++) {
            if (c->findings[k].subject != 0 && is_guest(s, c->findings[k].subject)) {
                give_row(s, c->findings[k].subject);
            }
        }
    }
    for (size_t i = 0; i < s->h->n_recs; i++) {
        if (s->h->recs[i].kind == REC_COPY) {
            give_row(s, s->h->recs[i].copy.guest);
            (void)map_at(&seen, s->h->recs[i].copy.guest, 0, 0);
        }
    }
    s->all_guests = (uint32_t)seen.n;
    map_done(&seen);
}

static uint32_t row_of(const struct scene *s, hist_t_name guest)
{
    uint32_t row = 0;

    while (s->guests[row] != guest) {
        row++;
    }
    return row;
}

/* --- records */

static void take_copy(struct walk *w, const struct rec *r, uint32_t number)
{
    const struct rec_copy *c = &r->copy;
    uint64_t *at = map_at(&w->copies, (uint64_t)c->guest << 16 | c->host, c->epoch, NO_SEGMENT);
    size_t seg = *at;

    end(w, &seg, r->at_us);
    if (c->state != COPY_GONE && has_row(w->s, c->guest)) {
        seg = begin(w, number,
                    (struct segment){.kind = SEG_COPY,
                                     .host = c->host,
                                     .row = row_of(w->s, c->guest),
                                     .state = c->state,
                                     .number = c->epoch,
                                     .name = c->guest});
    }
    *at = seg;
}

/* What runs on a host stands still while it is frozen, and goes on when it thaws. */
static void freeze_copies(struct walk *w, const struct rec *r, uint32_t number)
{
    bool frozen = r->host.power == HOST_IS_FROZEN;
    uint32_t from = frozen ? COPY_RUNNING : SEG_COPY_FROZEN;

    for (size_t i = 0; i < w->copies.n; i++) {
        size_t seg = w->copies.rows[i].value;
        struct segment next;
        if (seg == NO_SEGMENT || w->s->seg[seg].host != r->host.host ||
            w->s->seg[seg].state != from) {
            continue;
        }
        next = w->s->seg[seg];
        next.state = frozen ? SEG_COPY_FROZEN : COPY_RUNNING;
        end(w, &seg, r->at_us);
        w->copies.rows[i].value = begin(w, number, next);
    }
}

static void take_power(struct walk *w, const struct rec *r, uint32_t number)
{
    uint16_t host = r->host.host;
    enum host_power power = r->host.power;

    end(w, &w->power[host], r->at_us);
    if (power != HOST_IS_UP) {
        w->power[host] =
            begin(w, number, (struct segment){.kind = SEG_POWER, .host = host, .state = power});
    }
    if (power == HOST_IS_DOWN || power == HOST_IS_OFF) {
        end(w, &w->leads[host], r->at_us);
    }
    if (power != HOST_IS_OFF) {
        freeze_copies(w, r, number);
        return;
    }
    end(w, &w->lease[host], r->at_us);
    for (size_t i = 0; i < w->copies.n; i++) {
        uint64_t seg = w->copies.rows[i].value;
        if (seg != NO_SEGMENT && w->s->seg[seg].host == host) {
            end(w, &w->copies.rows[i].value, r->at_us);
        }
    }
}

static void take_master(struct walk *w, const struct rec *r, uint32_t number)
{
    const struct rec_master *m = &r->master;
    size_t *seg = &w->leads[m->host];

    if (*seg != NO_SEGMENT && m->master == m->host && w->s->seg[*seg].number == m->term) {
        return;
    }
    end(w, seg, r->at_us);
    if (m->master == m->host) {
        *seg = begin(w, number,
                     (struct segment){.kind = SEG_LEADS, .host = m->host, .number = m->term});
    }
}

/* Renewals make one line, as long as each comes before the last one has run out. */
static void take_lease(struct walk *w, const struct rec *r, uint32_t number)
{
    size_t *seg = &w->lease[r->lease.host];
    uint64_t until = min_u64(r->lease.until, w->s->end_us);

    if (until <= r->at_us) {
        end(w, seg, r->at_us);
        return;
    }
    if (*seg == NO_SEGMENT || w->s->seg[*seg].to_us < r->at_us) {
        *seg = begin(w, number, (struct segment){.kind = SEG_LEASE, .host = r->lease.host});
    }
    if (*seg != NO_SEGMENT) {
        w->s->seg[*seg].to_us = until;
    }
}

/* Hosts with which something does not pass, in either direction. */
static uint64_t cut_set(const struct walk *w, uint16_t host)
{
    uint64_t set = w->unreachable[host];

    for (uint16_t i = 0; i < w->s->h->n_hosts; i++) {
        set |= (w->unreachable[i] >> host & 1) << i;
    }
    return set;
}

static void take_link(struct walk *w, const struct rec *r, uint32_t number)
{
    uint16_t ends[2] = {r->link.host, r->link.peer};
    uint64_t bit = 1ull << r->link.peer;

    w->unreachable[r->link.host] &= ~bit;
    w->unreachable[r->link.host] |= r->link.state == LINK_CUT ? bit : 0;
    for (int i = 0; i < 2; i++) {
        size_t *seg = &w->cut[ends[i]];
        uint64_t set = cut_set(w, ends[i]);
        if (*seg != NO_SEGMENT && w->s->seg[*seg].number == set) {
            continue;
        }
        end(w, seg, r->at_us);
        if (set != 0) {
            *seg =
                begin(w, number, (struct segment){.kind = SEG_CUT, .host = ends[i], .number = set});
        }
    }
}

static void take_move(struct walk *w, const struct rec *r, uint32_t number)
{
    const struct rec_migration *m = &r->migration;
    uint64_t *at = map_at(&w->moves, m->op, 0, NO_SEGMENT);

    if (*at == NO_SEGMENT && m->phase == MOVE_PREPARE && m->host != HIST_NONE &&
        m->peer != HIST_NONE && has_row(w->s, m->guest)) {
        *at = begin(w, number,
                    (struct segment){.kind = SEG_MOVE,
                                     .host = m->host,
                                     .peer = m->peer,
                                     .row = row_of(w->s, m->guest),
                                     .number = m->op,
                                     .name = m->guest});
    }
    if (*at == NO_SEGMENT || !w->s->seg[*at].open) {
        return;
    }
    w->s->seg[*at].state = m->phase;
    if (m->phase == MOVE_SWITCHED || m->phase == MOVE_ABORTED || m->phase == MOVE_ENDED) {
        w->s->seg[*at].to_us = r->at_us;
        w->s->seg[*at].open = false;
    }
}

/* Whether a call is shown, if there are too many to show all. */
static bool shows_call(const struct walk *w, uint64_t at_us)
{
    return (at_us >= w->near_from && at_us <= w->near_to) || w->calls.n % w->stride == 0;
}

static void choose_calls(struct walk *w)
{
    const struct checked *first = verdicts_first(w->s->v);
    uint64_t n = 0;

    for (size_t i = 0; i < w->s->h->n_recs; i++) {
        n += w->s->h->recs[i].kind == REC_CALL;
    }
    w->stride = 1 + 2 * n / SHOWN_SEGMENTS;
    w->near_to = 0;
    w->near_from = 1;
    if (first != NULL && first->n_findings > 0) {
        w->near_from = first->findings[0].at_us - min_u64(first->findings[0].at_us, 10000000);
        w->near_to = first->findings[0].until_us + 5000000;
    }
}

static void take_call(struct walk *w, const struct rec *r, uint32_t number)
{
    uint64_t *at = map_at(&w->calls, r->call.client, r->call.call, NO_SEGMENT);
    uint32_t row = 0;

    if (!shows_call(w, r->at_us)) {
        return;
    }
    while (row < CALL_ROWS - 1 && w->busy_until[row] > r->at_us) {
        row++;
    }
    w->s->call_rows = (uint32_t)max_u64(w->s->call_rows, row + 1);
    *at = begin(w, number,
                (struct segment){.kind = SEG_CALL,
                                 .host = r->call.host,
                                 .peer = (uint16_t)r->call.op,
                                 .row = row,
                                 .state = RESULT_TIMEOUT,
                                 .number = r->call.client,
                                 .name = r->call.subject});
    w->busy_until[row] = HIST_NEVER;
}

static void take_answer(struct walk *w, const struct rec *r)
{
    const uint64_t *at = map_get(&w->calls, r->answer.client, r->answer.call);
    struct segment *seg;

    if (at == NULL || *at == NO_SEGMENT || !w->s->seg[*at].open) {
        return;
    }
    seg = &w->s->seg[*at];
    seg->state = r->answer.result;
    seg->to_us = r->at_us;
    seg->open = false;
    w->busy_until[seg->row] = r->at_us;
}

static void take(struct walk *w, const struct rec *r, uint32_t number)
{
    if (r->kind == REC_COPY) {
        take_copy(w, r, number);
    } else if (r->kind == REC_HOST) {
        take_power(w, r, number);
    } else if (r->kind == REC_MASTER) {
        take_master(w, r, number);
    } else if (r->kind == REC_LEASE) {
        take_lease(w, r, number);
    } else if (r->kind == REC_LINK) {
        take_link(w, r, number);
    } else if (r->kind == REC_MIGRATION) {
        take_move(w, r, number);
    } else if (r->kind == REC_CALL) {
        take_call(w, r, number);
    } else if (r->kind == REC_ANSWER) {
        take_answer(w, r);
    } else if (r->kind == REC_FAULT) {
        size_t seg = begin(w, number,
                           (struct segment){.kind = SEG_FAULT,
                                            .host = r->fault.host,
                                            .number = r->fault.value,
                                            .name = r->fault.fault});
        end(w, &seg, r->at_us);
    }
}

void scene_init(struct scene *s, const struct hist *h, const struct verdicts *v)
{
    struct walk *w = mem_new(1, sizeof *w);

    *s = (struct scene){.h = h, .v = v};
    s->call_rows = 1;
    s->end_us = h->n_recs == 0 ? 1 : h->recs[h->n_recs - 1].at_us + 1;
    choose_guests(s);
    w->s = s;
    choose_calls(w);
    for (uint32_t i = 0; i < HIST_HOSTS; i++) {
        w->power[i] = w->leads[i] = w->lease[i] = w->cut[i] = NO_SEGMENT;
    }
    for (size_t i = 0; i < h->n_recs; i++) {
        take(w, &h->recs[i], (uint32_t)i);
    }
    map_done(&w->copies);
    map_done(&w->moves);
    map_done(&w->calls);
    free(w);
}

void scene_done(struct scene *s)
{
    free(s->seg);
    *s = (struct scene){0};
}
