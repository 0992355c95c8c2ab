#include "cli/quorated/leasing.h"

#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/mark.h"
#include "core/mp.h"
#include "core/mutant.h"
#include "core/util.h"

#include "cli/quorated/agent.h"

#define PROOF_MS 2000u

struct leasing {
    struct daemon *d;
    struct warden *warden;
    struct lease_holder holder;
    struct lease_master master;
    struct lease_times times;
    bool wanted;  /* HA is on for the pool, or something here is guarded still. */
    bool allowed; /* As told to the agent last. */
    bool over;
    bool closing;
    bool releasing;            /* The lease is being given back. */
    struct raftlog_read proof; /* Of proof_term, when it is under way. */
    uint64_t proof_term;
    bool proof_pending;
};

static uint64_t now_of(const struct leasing *l)
{
    return MUTANT(lease_wall_clock) ? l->d->clock->wall_ms(l->d->clock)
                                    : l->d->clock->mono_ms(l->d->clock);
}

/* --- the settings */

static void read_times(struct leasing *l)
{
    struct pool p;
    struct fsm_view *v = fsm_look(l->d->fsm);
    if (v == NULL || fsm_get_pool(v, &p) != 0) {
        l->wanted = false;
    } else {
        /* HA that was put off lets go of each copy first. */
        l->wanted = p.ha || warden_is_busy(l->warden);
        l->times = (struct lease_times){.lease_ms = p.lease_ms,
                                        .renew_ms = p.lease_renew_ms,
                                        .kill_margin_ms = p.kill_margin_ms,
                                        .clock_error_permille = p.clock_error_permille,
                                        .bound_ms = p.lease_bound_ms};
    }
    (void)fsm_view_close(v);
}

/* --- the host */

/* The agent looks again when what it may do has changed. */
static void tell_agent(struct leasing *l)
{
    bool allowed = leasing_allows(l);
    bool over = leasing_is_over(l);
    if (allowed != l->allowed || over != l->over) {
        l->allowed = allowed;
        l->over = over;
        if (l->d->agent != NULL) {
            agent_guard_changed(l->d->agent, NULL);
        }
    }
}

static void warden_changed(void *ctx, const struct guard_copy *copy)
{
    struct leasing *l = ctx;
    lease_adopt(&l->holder, warden_end_ms(l->warden));
    if (l->d->agent != NULL) {
        agent_guard_changed(l->d->agent, copy == NULL ? NULL : &copy->guest);
    }
    tell_agent(l);
}

static void ask(struct leasing *l, uint64_t now_ms)
{
    struct raftlog_status st;
    raftlog_status(l->d->rl, &st);
    if (l->releasing || st.blank || st.leader == 0 || !warden_ready(l->warden) || !l->d->current) {
        return;
    }
    uint64_t number = lease_ask(&l->holder, now_ms, l->times.renew_ms);
    if (number == 0) {
        return;
    }
    if (st.leading) {
        leasing_asked(l, st.raft_id, number);
    } else {
        notes_lease_ask(l->d, st.leader, number);
    }
}

void leasing_granted(struct leasing *l, uint64_t number, uint64_t lease_ms, uint64_t index)
{
    if (MUTANT(lease_from_receipt)) {
        l->holder.asks[number % LEASE_ASKS].sent_ms = now_of(l);
    }
    if (l->closing || lease_ms > LEASE_MAX_MS ||
        !lease_granted(&l->holder, number, (uint32_t)lease_ms, index)) {
        MARK(grant_too_late);
        return;
    }
    warden_renew(l->warden, l->holder.end_ms, l->times.kill_margin_ms);
    tell_agent(l);
}

/* What a daemon of this host said before, that it let go, is void once this one's report is
 * applied; nothing guarded begins earlier. */
static bool is_announced(const struct leasing *l)
{
    struct raftlog_status st;
    raftlog_status(l->d->rl, &st);
    return l->d->announced_raft_id != 0 && l->d->announced_raft_id == st.raft_id;
}

bool leasing_allows(const struct leasing *l)
{
    return !l->releasing && is_announced(l) && warden_ready(l->warden) &&
           lease_allows(&l->holder, &l->times, now_of(l), fsm_applied(l->d->fsm));
}

bool leasing_is_over(const struct leasing *l)
{
    return warden_is_over(l->warden);
}

struct warden *leasing_warden(struct leasing *l)
{
    return l->warden;
}

/* --- the master */

static void grant(struct leasing *l, const struct lease_grant *g, uint64_t self)
{
    uint64_t index = fsm_applied(l->d->fsm);
    if (g->raft_id == self) {
        leasing_granted(l, g->number, l->times.lease_ms, index);
    } else {
        notes_lease_grant(l->d, g->raft_id, g->number, l->times.lease_ms, index);
    }
}

/* The round of proof has ended. */
static void grant_all(struct leasing *l, bool ok)
{
    struct lease_grant grants[LIMIT_HOSTS];
    struct raftlog_status st;
    raftlog_status(l->d->rl, &st);
    /* A read is answered by whoever leads: it proves our own mastership only if that is us still,
     * in the very term. */
    ok = ok && !l->d->diverged && st.leading && st.term == l->proof_term;
    MARK_IF(lease_not_proved, !ok);
    uint32_t n = lease_proved(&l->master, l->proof_term, ok, now_of(l), grants);
    l->proof_pending = false;
    for (uint32_t i = 0; i < n; i++) {
        grant(l, &grants[i], st.raft_id);
    }
}

/* Who asked meanwhile waits for the next tick, or the next who asks. */
static void proved(struct raftlog_read *r, int code)
{
    struct leasing *l = r->user;
    if (l->closing) {
        l->proof_pending = false;
        return;
    }
    grant_all(l, code == 0);
}

/* One proof serves all who asked until now. */
static void prove(struct leasing *l)
{
    struct raftlog_status st;
    raftlog_status(l->d->rl, &st);
    if (l->proof_pending || l->closing || !st.leading || st.term != l->master.term ||
        !lease_prove(&l->master)) {
        return;
    }
    l->proof_pending = true;
    l->proof_term = st.term;
    if (MUTANT(lease_without_proof)) {
        grant_all(l, /*ok=*/true);
        return;
    }
    l->proof = (struct raftlog_read){.deadline_ms = PROOF_MS, .done = proved, .user = l};
    raftlog_read(l->d->rl, &l->proof);
}

void leasing_asked(struct leasing *l, uint64_t raft_id, uint64_t number)
{
    struct host h = {0};
    struct fsm_view *v = l->master.term == 0 ? NULL : fsm_look(l->d->fsm);
    if (v == NULL) {
        return;
    }
    for (int rc = fsm_next_host(v, "", &h); rc == 0; rc = fsm_next_host(v, h.name, &h)) {
        if (h.raft_id == raft_id) {
            lease_asked(&l->master, h.name, raft_id, number, now_of(l));
            break;
        }
    }
    (void)fsm_view_close(v);
    prove(l);
}

const struct lease_times *leasing_times(const struct leasing *l)
{
    return &l->times;
}

bool leasing_holds(const struct leasing *l, const char *host)
{
    return lease_is_granted(&l->master, host, &l->times, now_of(l));
}

bool leasing_host_is_over(const struct leasing *l, const char *host)
{
    return lease_is_over(&l->master, host, &l->times, now_of(l));
}

bool leasing_hold(struct leasing *l, const char *host, bool held)
{
    return lease_hold(&l->master, host, held, now_of(l));
}

void leasing_release(struct leasing *l)
{
    l->releasing = true;
    if (l->d->agent != NULL) {
        agent_guard_changed(l->d->agent, NULL);
    }
    tell_agent(l);
}

/* --- life */

struct leasing *leasing_new(const struct leasing_options *options)
{
    struct leasing *l = mem_new(1, sizeof *l);
    l->d = options->d;
    lease_holder_init(&l->holder, rng_u64(&l->d->rng));
    struct warden_options o = {.loop = &l->d->loop,
                               .clock = l->d->clock,
                               .path = options->path,
                               .program = options->program,
                               .watchdog = options->watchdog,
                               .changed = warden_changed,
                               .ctx = l};
    l->warden = warden_new(&o);
    return l;
}

void leasing_tick(struct leasing *l, uint64_t now_ms)
{
    now_ms = MUTANT(lease_wall_clock) ? now_of(l) : now_ms;
    struct raftlog_status st;
    raftlog_status(l->d->rl, &st);
    read_times(l);
    lease_lead(&l->master, st.leading && !l->d->diverged ? st.term : 0, now_ms);
    if (l->wanted && !l->closing) {
        warden_tick(l->warden);
        ask(l, now_ms);
    }
    prove(l);
    tell_agent(l);
}

void leasing_close(struct leasing *l, void (*closed)(void *ctx), void *ctx)
{
    l->closing = true; /* A read that is under way is ended by the log when that closes. */
    warden_close(l->warden, closed, ctx);
}

struct leasing *leasing_free(struct leasing *l)
{
    if (l != NULL) {
        (void)warden_free(l->warden);
        free(l);
    }
    return NULL;
}
