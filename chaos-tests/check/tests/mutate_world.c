/* Mutations of what watchers saw, of guests, and of the end: see gen.h. */

#include "chaos-tests/check/tests/mutate.h"

static uint16_t other_host(const struct hist *h, uint16_t host)
{
    return (uint16_t)((host + 1u) % h->n_hosts);
}

static bool is_event(const struct hist *h, size_t at)
{
    return h->recs[at].kind == REC_EVENT;
}

static bool has_next_event(const struct hist *h, size_t at)
{
    for (size_t i = at + 1; is_event(h, at) && i < h->n_recs; i++) {
        if (is_event(h, i) && h->recs[i].event.client == h->recs[at].event.client) {
            return true;
        }
    }
    return false;
}

static bool is_shared_event(const struct hist *h, size_t at)
{
    size_t n = 0;

    for (size_t i = 0; is_event(h, at) && i < h->n_recs; i++) {
        n += is_event(h, i) && h->recs[i].event.seq == h->recs[at].event.seq;
    }
    return n >= 2;
}

bool mutate_lost_event(struct hist *h, struct rng *rng)
{
    size_t at = mutate_pick(h, rng, has_next_event);

    if (at != NOWHERE) {
        mutate_take_out(h, at);
    }
    return at != NOWHERE;
}

bool mutate_repeated_event(struct hist *h, struct rng *rng)
{
    size_t at = mutate_pick(h, rng, is_event);

    if (at != NOWHERE) {
        mutate_put_behind(h, at, h->recs[at]);
    }
    return at != NOWHERE;
}

bool mutate_other_event(struct hist *h, struct rng *rng)
{
    size_t at = mutate_pick(h, rng, is_shared_event);

    if (at != NOWHERE) {
        h->recs[at].event.digest ^= 4;
    }
    return at != NOWHERE;
}

static bool is_own_master(const struct hist *h, size_t at)
{
    const struct rec *r = &h->recs[at];

    return r->kind == REC_MASTER && r->master.host == r->master.master;
}

bool mutate_two_masters(struct hist *h, struct rng *rng)
{
    size_t at = mutate_pick(h, rng, is_own_master);
    struct rec r = h->recs[at];

    r.master.host = r.master.master = other_host(h, r.master.host);
    mutate_put_behind(h, at, r);
    return true;
}

/* --- guests */

static bool is_run(const struct hist *h, size_t at)
{
    return h->recs[at].kind == REC_COPY && h->recs[at].copy.state == COPY_RUNNING;
}

static bool is_permit(const struct hist *h, size_t at)
{
    return h->recs[at].kind == REC_PERMIT && h->recs[at].permit.until == HIST_NEVER;
}

static bool is_stop(const struct hist *h, size_t at)
{
    return h->recs[at].kind == REC_COPY && h->recs[at].copy.state == COPY_PAUSED;
}

/* Whether a host has no power at record `at`: nothing executes there whatever is said. */
static bool is_off(const struct hist *h, size_t at, uint16_t host)
{
    bool off = false;

    for (size_t i = 0; i < at; i++) {
        if (h->recs[i].kind == REC_HOST && h->recs[i].host.host == host) {
            off = h->recs[i].host.power == HOST_IS_OFF;
        }
    }
    return off;
}

bool mutate_second_copy(struct hist *h, struct rng *rng)
{
    size_t at = mutate_pick(h, rng, is_run);

    if (at == NOWHERE) {
        return false;
    }
    struct rec r = h->recs[at];
    r.copy.host = other_host(h, r.copy.host);
    if (is_off(h, at, r.copy.host)) {
        return false;
    }
    mutate_put_behind(h, at, r);
    return true;
}

/* The source of a migration does not stand still before the target runs. */
bool mutate_late_pause(struct hist *h, struct rng *rng)
{
    size_t at = mutate_pick(h, rng, is_stop);

    if (at != NOWHERE) {
        mutate_take_out(h, at);
    }
    return at != NOWHERE;
}

/* An old run's copy goes on after a newer one has run. */
bool mutate_stale_copy(struct hist *h, struct rng *rng)
{
    size_t at = mutate_pick(h, rng, is_run);

    for (size_t i = 0; at != NOWHERE && i < at; i++) {
        if (is_run(h, i) && h->recs[i].copy.guest == h->recs[at].copy.guest &&
            h->recs[i].copy.epoch < h->recs[at].copy.epoch) {
            mutate_put_behind(h, at, h->recs[i]);
            return true;
        }
    }
    return false;
}

bool mutate_stale_write(struct hist *h, struct rng *rng)
{
    size_t at = mutate_pick(h, rng, is_run);

    for (size_t i = 0; at != NOWHERE && i < at; i++) {
        const struct rec *r = &h->recs[i];
        if (r->kind == REC_DISK && r->disk.guest == h->recs[at].copy.guest &&
            r->disk.epoch < h->recs[at].copy.epoch) {
            mutate_put_behind(h, at, *r);
            return true;
        }
    }
    return false;
}

bool mutate_second_permit(struct hist *h, struct rng *rng)
{
    size_t at = mutate_pick(h, rng, is_permit);

    if (at == NOWHERE) {
        return false;
    }
    struct rec r = h->recs[at];
    r.permit.host = other_host(h, r.permit.host);
    mutate_put_behind(h, at, r);
    return true;
}

bool mutate_kept_permit(struct hist *h, struct rng *rng)
{
    size_t at = mutate_pick(h, rng, is_permit);

    for (size_t i = at == NOWHERE ? h->n_recs : at; i-- > 0;) {
        struct rec *r = &h->recs[i];
        if (r->kind == REC_PERMIT && r->permit.guest == h->recs[at].permit.guest &&
            r->permit.until != HIST_NEVER && r->permit.epoch < h->recs[at].permit.epoch) {
            r->permit.until = HIST_NEVER;
            return true;
        }
    }
    return false;
}

/* --- the end */

static bool is_must(const struct hist *h, size_t at)
{
    return h->recs[at].kind == REC_MUST;
}

/* Whatever must be there is asked for a microsecond too early, or of a guest that never was. */
bool mutate_not_recovered(struct hist *h, struct rng *rng)
{
    size_t at = mutate_pick(h, rng, is_must);
    struct rec *r = &h->recs[at];

    if (r->must.what == MUST_RUN) {
        r->must.subject = hist_name(h, "nobody");
    } else {
        r->must.by = r->at_us;
    }
    return r->must.what != MUST_LEAD; /* The old master may still lead at that moment. */
}

static bool is_left(const struct hist *h, size_t at)
{
    return h->recs[at].kind == REC_LEFT;
}

bool mutate_lock_left(struct hist *h, struct rng *rng)
{
    h->recs[mutate_pick(h, rng, is_left)].left.count = 1;
    return true;
}

bool mutate_copy_left(struct hist *h, struct rng *rng)
{
    size_t at = mutate_pick(h, rng, is_left);

    mutate_put_behind(h, at,
                      (struct rec){.kind = REC_COPY,
                                   .copy = {.host = h->recs[at].left.host,
                                            .guest = hist_name(h, "web1"),
                                            .epoch = 1ull << 40,
                                            .state = COPY_INCOMING}});
    return true;
}

static bool is_row(const struct hist *h, size_t at)
{
    return h->recs[at].kind == REC_ROW;
}

bool mutate_other_row(struct hist *h, struct rng *rng)
{
    h->recs[mutate_pick(h, rng, is_row)].row.epoch += 1000;
    return true;
}
