/* The master's controllers. They decide by policy and propose commands with preconditions; a wrong
 * or late decision of a deposed master is rejected by the state machine or does no harm. All are
 * level-triggered: each tick compares what is with what should be and takes at most one step.
 *
 *   members    every host of the state is a member, every member is a host; as many vote as should
 *   silence    hosts that have not been heard are down, those heard again are up
 *   deadlines  operations that took too long are ended
 *   checks     the state hash of a recent index goes through the log, for all to compare
 *   high availability: control_ha.h
 *   power      hosts that are down are powered off, where there is a program for it
 * (control_power.c) evacuate   hosts that are to be empty are emptied (control_evacuate.c)
 *   restart    daemons are restarted, one after the other (control_restart.c)
 *   mastership goes to the preferred master when that is healthy
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/mark.h"
#include "core/util.h"

#include "cli/quorated/control_evacuate.h"
#include "cli/quorated/control_ha.h"
#include "cli/quorated/control_power.h"
#include "cli/quorated/control_restart.h"
#include "cli/quorated/daemon.h"
#include "cli/quorated/deadlines.h"

#define CHECK_PERIOD_MS    10000u
#define TRANSFER_PERIOD_MS 10000u
#define MEMBER_LAG         1000u /* Entries that a standby may lack to count as caught up. */

struct control {
    struct daemon *d;
    uint64_t leading_since_ms; /* 0: not leading. */
    uint64_t check_at_ms;
    uint64_t check_index;
    uint64_t transfer_at_ms;
    struct deadlines deadlines;
    struct control_ha *ha;
    struct control_power *power;
    struct evacuate evacuate;
    struct control_restart restart;
    uint32_t add_next;  /* The host, of the missing ones, that is the next to be added. */
    uint32_t proposals; /* Under way; bounded so that a stuck log is not flooded. */
};

#define PROPOSALS_MAX 32u

struct control *control_new(struct daemon *d)
{
    struct control *c = mem_new(1, sizeof *c);
    c->d = d;
    c->ha = control_ha_new(d);
    c->power = control_power_new(d);
    c->evacuate.d = d;
    c->restart.d = d;
    return c;
}

struct control *control_free(struct control *c)
{
    if (c != NULL) {
        deadlines_clear(&c->deadlines);
        c->ha = control_ha_free(c->ha);
        c->power = control_power_free(c->power);
    }
    free(c);
    return NULL;
}

static void proposed(void *ctx, int code, const struct outcome *o)
{
    struct control *c = ctx;
    c->proposals--;
    if (code != 0 && code != ERR_CANCELLED) {
        log_line(LOG_DEBUG, "control_proposal", "err", err_text(code), NULL);
    } else if (o != NULL && o->code != 0) {
        log_line(LOG_DEBUG, "control_rejected", "err", err_text(-(int)o->code), "name", o->name,
                 NULL);
    }
}

static void propose(struct control *c, uint32_t number, const void *record)
{
    if (c->proposals < PROPOSALS_MAX) {
        c->proposals++;
        propose_record(c->d, number, record, NULL, proposed, c);
    }
}

/* --- members */

struct census {
    struct host hosts[LIMIT_HOSTS];
    uint32_t n_hosts;
    struct raftlog_member members[2 * LIMIT_HOSTS];
    uint32_t n_members;
    uint32_t voters;
    uint32_t eligible;          /* Hosts that may vote. */
    uint32_t gone;              /* Voters that have been silent for too long, */
    bool away[2 * LIMIT_HOSTS]; /* which these of members are. */
    uint32_t target;            /* Hosts that should vote. */
};

static const struct host *host_of(const struct census *s, uint64_t raft_id)
{
    for (uint32_t i = 0; i < s->n_hosts; i++) {
        if (s->hosts[i].raft_id == raft_id) {
            return &s->hosts[i];
        }
    }
    return NULL;
}

static const struct raftlog_member *member_of(const struct census *s, uint64_t raft_id)
{
    for (uint32_t i = 0; i < s->n_members; i++) {
        if (s->members[i].raft_id == raft_id) {
            return &s->members[i];
        }
    }
    return NULL;
}

static uint32_t odd(uint32_t n)
{
    return n == 0 ? 1 : n % 2 == 0 ? n - 1 : n;
}

uint32_t control_voters(uint32_t most, uint32_t eligible, uint32_t gone)
{
    /* Two that are gone are better missed than waited for: without their votes the rest can lose
     * one more. One that is gone costs nothing, and its way back is shorter. Three are the least,
     * where there are three: the majority of fewer is all of them. */
    uint32_t away = gone / 2 * 2;
    uint32_t all = (uint32_t)min_u64(eligible, most);
    uint32_t present = (uint32_t)min_u64(eligible - min_u64(away, eligible), most);
    uint32_t least = odd((uint32_t)min_u64(all, 3));
    return odd(present) > least ? odd(present) : least;
}

/* A new master gives everybody the whole time to be heard. */
static void
find_gone(const struct control *c, struct census *s, uint32_t timeout_ms, uint64_t now_ms)
{
    for (uint32_t i = 0; i < s->n_members; i++) {
        const struct raftlog_member *m = &s->members[i];
        const struct host *h = host_of(s, m->raft_id);
        s->away[i] = m->role == RAFTLOG_VOTER && h != NULL && h->state == HOST_DOWN &&
                     m->heard_ms > timeout_ms && now_ms - c->leading_since_ms > timeout_ms;
        s->gone += s->away[i] ? 1 : 0;
    }
}

static void census_take(struct control *c, struct fsm_view *v, struct census *s, uint64_t now_ms)
{
    *s = (struct census){0};
    const char *after = "";
    while (s->n_hosts < LIMIT_HOSTS && fsm_next_host(v, after, &s->hosts[s->n_hosts]) == 0) {
        const struct host *h = &s->hosts[s->n_hosts++];
        s->eligible += h->can_master && h->state != HOST_LEAVING ? 1 : 0;
        after = h->name;
    }
    while (s->n_members < ARRAY_LEN(s->members) &&
           raftlog_member(c->d->rl, s->n_members, &s->members[s->n_members])) {
        const struct raftlog_member *m = &s->members[s->n_members];
        s->voters += m->role == RAFTLOG_VOTER && host_of(s, m->raft_id) != NULL ? 1 : 0;
        s->n_members++;
    }
    struct pool pool;
    if (fsm_get_pool(v, &pool) != 0) {
        s->target = 1;
        return;
    }
    find_gone(c, s, pool.voter_timeout_ms, now_ms);
    s->target = control_voters(pool.voters, s->eligible, s->gone);
}

static bool step_failed(const char *what, const char *host, const struct err *e)
{
    if (e->code != ERR_BUSY && e->code != ERR_NOT_LEADER) {
        log_line(LOG_WARN, "membership_step", "what", what, "name", host, "err", e->msg, NULL);
    }
    return true;
}

static void renew(struct control *c, const struct host *h)
{
    struct cmd_host_renew r;
    schema_init(command_by_number(COMMAND_host_renew)->schema, &r);
    (void)str_copy(r.name, sizeof r.name, h->name);
    MARK(host_blank);
    r.old_raft_id = h->raft_id;
    log_line(LOG_WARN, "host_renew", "name", h->name, "why", "its data directory is gone", NULL);
    propose(c, COMMAND_host_renew, &r);
}

/* A host whose data directory is gone cannot be the member it was: it may have voted. */
static bool renew_blank(struct control *c, const struct census *s)
{
    for (uint32_t i = 0; i < s->n_members; i++) {
        const struct raftlog_member *m = &s->members[i];
        const struct host *h = host_of(s, m->raft_id);
        if (m->blank && h != NULL && m->role != RAFTLOG_NONE) {
            renew(c, h);
            return true;
        }
    }
    return false;
}

static bool remove_strangers(struct control *c, const struct census *s)
{
    struct err e = {0};
    struct raftlog_status st;
    raftlog_status(c->d->rl, &st);
    for (uint32_t i = 0; i < s->n_members; i++) {
        const struct raftlog_member *m = &s->members[i];
        if (m->role == RAFTLOG_NONE || host_of(s, m->raft_id) != NULL) {
            continue;
        }
        MARK(stranger_removed);
        MARK_IF(master_removed, m->raft_id == st.raft_id);
        int rc = m->raft_id == st.raft_id ? raftlog_transfer(c->d->rl, 0, &e)
                                          : raftlog_member_remove(c->d->rl, m->raft_id, &e);
        if (rc == ERR_NO_QUORUM) {
            continue; /* The master itself, and nobody else votes: first somebody must. */
        }
        return rc == 0 || step_failed("remove", m->address, &e);
    }
    return false;
}

/* Whether the host can be added now: its place in the log may still be that of the member it was.
 */
static bool is_missing(const struct census *s, const struct host *h)
{
    for (uint32_t i = 0; i < s->n_members; i++) {
        if (s->members[i].role != RAFTLOG_NONE && strcmp(s->members[i].address, h->address) == 0) {
            return false;
        }
    }
    return member_of(s, h->raft_id) == NULL && h->state != HOST_LEAVING;
}

/* One is added at a time, in turn: one that cannot be reached keeps nobody else out, and the voters
 * are seen to meanwhile. */
static void add_missing(struct control *c, const struct census *s)
{
    for (uint32_t n = 0; n < s->n_hosts; n++) {
        uint32_t i = (c->add_next + n) % s->n_hosts;
        const struct host *h = &s->hosts[i];
        struct err e = {0};
        if (!is_missing(s, h)) {
            continue;
        }
        MARK(member_added);
        int rc = raftlog_member_add(c->d->rl, h->raft_id, h->address, &e);
        if (rc == ERR_REFUSED) {
            renew(c, h);
        } else if (rc != 0) {
            (void)step_failed("add", h->name, &e);
        }
        if (rc != ERR_BUSY) {
            c->add_next = i + 1;
            return;
        }
    }
}

static bool may_vote(const struct control *c,
                     const struct census *s,
                     const struct raftlog_member *m,
                     const struct raftlog_status *st)
{
    const struct host *h = host_of(s, m->raft_id);
    (void)c;
    return h != NULL && h->can_master && h->state == HOST_UP && m->role == RAFTLOG_STANDBY &&
           !m->blank && m->connected && m->match_index + MEMBER_LAG >= st->commit_index;
}

static bool set_role(struct control *c, const struct raftlog_member *m, enum raftlog_role role)
{
    struct err e = {0};
    int rc = raftlog_member_role(c->d->rl, m->raft_id, role, &e);
    return rc == 0 || step_failed(role == RAFTLOG_VOTER ? "promote" : "demote", m->address, &e);
}

/* One more voter, when there are too few, or for one that is gone. */
static bool promote_one(struct control *c, const struct census *s, const struct raftlog_status *st)
{
    bool due = s->voters < s->target || (s->gone > 0 && s->voters == s->target);
    for (uint32_t i = 0; due && i < s->n_members; i++) {
        if (may_vote(c, s, &s->members[i], st)) {
            MARK(promoted);
            return set_role(c, &s->members[i], RAFTLOG_VOTER);
        }
    }
    return false;
}

/* One voter less, when there are too many: one that is gone before one that is there. */
static bool demote_one(struct control *c, const struct census *s, const struct raftlog_status *st)
{
    const struct raftlog_member *least = NULL;
    for (uint32_t i = 0; i < s->n_members; i++) {
        const struct raftlog_member *m = &s->members[i];
        const struct host *h = host_of(s, m->raft_id);
        if (m->role != RAFTLOG_VOTER || m->raft_id == st->raft_id) {
            continue;
        }
        if (s->voters > 1 && h != NULL && !h->can_master) {
            return set_role(c, m, RAFTLOG_STANDBY);
        }
        if (s->voters > s->target && (least == NULL || s->away[i])) {
            least = m;
        }
    }
    MARK_IF(demoted, least != NULL);
    return least != NULL && set_role(c, least, RAFTLOG_STANDBY);
}

static bool set_voters(struct control *c, const struct census *s)
{
    struct raftlog_status st;
    raftlog_status(c->d->rl, &st);
    return promote_one(c, s, &st) || demote_one(c, s, &st);
}

static void control_members(struct control *c, const struct census *s)
{
    if (renew_blank(c, s) || remove_strangers(c, s)) {
        return;
    }
    add_missing(c, s);
    (void)set_voters(c, s);
}

/* --- silence */

static void
control_silence(struct control *c, struct fsm_view *v, const struct census *s, uint64_t now_ms)
{
    struct pool pool;
    struct raftlog_status st;
    raftlog_status(c->d->rl, &st);
    if (fsm_get_pool(v, &pool) != 0 || now_ms - c->leading_since_ms < pool.host_timeout_ms) {
        return; /* A new master gives everybody the whole time to be heard. */
    }
    for (uint32_t i = 0; i < s->n_hosts; i++) {
        const struct host *h = &s->hosts[i];
        const struct raftlog_member *m = member_of(s, h->raft_id);
        uint64_t silent = h->raft_id == st.raft_id ? 0 : m == NULL ? UINT64_MAX : m->heard_ms;
        bool down = h->state == HOST_UP && silent > pool.host_timeout_ms;
        bool up = h->state == HOST_DOWN && silent < pool.host_timeout_ms / 2;
        if (down || up) {
            struct cmd_host_seen seen;
            schema_init(command_by_number(COMMAND_host_seen)->schema, &seen);
            (void)str_copy(seen.name, sizeof seen.name, h->name);
            seen.raft_id = h->raft_id;
            MARK_IF(host_down, down);
            MARK_IF(host_up_again, up);
            seen.up = up;
            propose(c, COMMAND_host_seen, &seen);
        }
    }
}

/* --- deadlines */

static void control_deadlines(struct control *c, struct fsm_view *v, uint64_t now_ms)
{
    struct op op = {0};
    deadlines_begin(&c->deadlines);
    for (int rc = fsm_next_open_op(v, 0, &op); rc == 0; rc = fsm_next_open_op(v, op.id, &op)) {
        MARK_IF(restart_inherited, c->leading_since_ms == now_ms && op.kind == OP_RESTART);
        MARK_IF(evacuation_inherited, c->leading_since_ms == now_ms && op.kind == OP_EVACUATE);
        if (deadlines_look(&c->deadlines, &op, now_ms)) {
            struct cmd_op_expire expire;
            schema_init(command_by_number(COMMAND_op_expire)->schema, &expire);
            MARK(op_expired);
            expire.id = op.id;
            propose(c, COMMAND_op_expire, &expire);
        }
    }
    deadlines_end(&c->deadlines);
}

/* --- checks */

static void control_checks(struct control *c, uint64_t now_ms)
{
    uint64_t applied = fsm_applied(c->d->fsm);
    if (now_ms < c->check_at_ms || applied <= c->check_index + 1) {
        return; /* Nothing new but the last check itself. */
    }
    struct cmd_pool_check check;
    schema_init(command_by_number(COMMAND_pool_check)->schema, &check);
    check.index = applied;
    char text[HASH_TEXT_SIZE];
    (void)str_copy(check.hash, sizeof check.hash, hash_text(fsm_hash(c->d->fsm), text));
    propose(c, COMMAND_pool_check, &check);
    c->check_at_ms = now_ms + CHECK_PERIOD_MS;
    c->check_index = applied;
}

/* --- mastership */

static void
control_mastership(struct control *c, struct fsm_view *v, const struct census *s, uint64_t now_ms)
{
    struct pool pool;
    struct raftlog_status st;
    raftlog_status(c->d->rl, &st);
    if (now_ms < c->transfer_at_ms || fsm_get_pool(v, &pool) != 0 || pool.master[0] == '\0') {
        return;
    }
    for (uint32_t i = 0; i < s->n_hosts; i++) {
        const struct host *h = &s->hosts[i];
        const struct raftlog_member *m = member_of(s, h->raft_id);
        if (strcmp(h->name, pool.master) != 0 || h->raft_id == st.raft_id || m == NULL ||
            m->role != RAFTLOG_VOTER || h->state != HOST_UP ||
            m->match_index + MEMBER_LAG < st.commit_index) {
            continue;
        }
        struct err e = {0};
        MARK(mastership_passed);
        c->transfer_at_ms = now_ms + TRANSFER_PERIOD_MS;
        if (raftlog_transfer(c->d->rl, h->raft_id, &e) != 0) {
            (void)step_failed("transfer", h->name, &e);
        }
    }
}

void control_stop(struct control *c)
{
    control_power_rest(c->power);
}

void control_tick(struct control *c, uint64_t now_ms)
{
    struct raftlog_status st;
    raftlog_status(c->d->rl, &st);
    if (!st.leading || c->d->diverged) {
        c->leading_since_ms = 0;
        deadlines_clear(&c->deadlines);
        control_ha_rest(c->ha);
        control_power_rest(c->power);
        return;
    }
    if (c->leading_since_ms == 0) {
        c->leading_since_ms = now_ms;
        c->transfer_at_ms = now_ms + 1000;
        c->check_at_ms = now_ms + CHECK_PERIOD_MS;
    }
    static struct census census; /* Large; the loop has one thread. */
    struct fsm_view *v = fsm_look(c->d->fsm);
    census_take(c, v, &census, now_ms);
    if (census.n_hosts == 0) { /* The pool's first command is not applied yet. */
        (void)fsm_view_close(v);
        return;
    }
    control_members(c, &census);
    control_silence(c, v, &census, now_ms);
    control_deadlines(c, v, now_ms);
    control_evacuate(&c->evacuate, v, now_ms);
    control_restart(&c->restart, v);
    control_checks(c, now_ms);
    control_mastership(c, v, &census, now_ms);
    control_ha_tick(c->ha, v, now_ms);
    control_power(c->power, v, now_ms);
    (void)fsm_view_close(v);
}
