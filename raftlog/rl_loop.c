/* The turn of the loop. libuv runs timers, then prepare handles, then waits for and delivers input,
 * then check handles. What came in is put into the node as it is delivered; the check handle then
 * ticks (so that a leader's heartbeat that lay unread while this process slept is seen before the
 * election timer) and flushes, so that everything of one turn is one write and one transaction. */

#include "raftlog/rl.h"

static void on_idle(uv_idle_t *h)
{
    (void)h; /* Being active is all it does: the turn does not block. */
}

static void on_timer(uv_timer_t *h)
{
    rl_wake(h->data);
}

/* Arm the timer for the node's next deadline. */
static void arm(struct raftlog *rl, uint64_t now)
{
    uint64_t at = node_deadline(rl->node);
    uint64_t in = at > now ? at - now : 0;
    uv_update_time(rl->loop);
    (void)uv_timer_start(&rl->timer, on_timer, in, 0);
}

static int turn(struct raftlog *rl, uint64_t now, struct err *e)
{
    int rc = 0;
    if (now >= node_deadline(rl->node)) {
        rc = node_tick(rl->node, now, e);
    }
    for (int i = 0; rc == 0 && i < 4 && node_wants_flush(rl->node); i++) {
        rc = node_flush(rl->node, now, e);
    }
    return rc;
}

void rl_defer_proposal(struct raftlog *rl, struct raftlog_proposal *p)
{
    p->next = rl->deferred_proposals;
    rl->deferred_proposals = p;
    rl_wake(rl);
}

void rl_defer_read(struct raftlog *rl, struct raftlog_read *r)
{
    r->next = rl->deferred_reads;
    rl->deferred_reads = r;
    rl_wake(rl);
}

static void answer_deferred(struct raftlog *rl)
{
    int code = rl->failed ? ERR_CLOSED : ERR_NO_POOL;
    if (rl->founding && !rl->failed) {
        return; /* The node that will take them comes to be just now. */
    }
    struct raftlog_proposal *p = rl->deferred_proposals;
    struct raftlog_read *r = rl->deferred_reads;
    rl->deferred_proposals = NULL;
    rl->deferred_reads = NULL;
    for (struct raftlog_proposal *next; p != NULL; p = next) {
        next = p->next;
        if (rl->node != NULL && !rl->failed) {
            node_propose(rl->node, p, rl_now_ms(rl));
        } else {
            p->done(p, code);
        }
    }
    for (struct raftlog_read *next; r != NULL; r = next) {
        next = r->next;
        if (rl->node != NULL && !rl->failed) {
            node_read(rl->node, r, rl_now_ms(rl));
        } else {
            r->done(r, code);
        }
    }
}

/* A leader that knows better says that this member is out. What it holds is set aside, so that the
 * host can come in again as another one. */
static void end_removed(struct raftlog *rl)
{
    struct err e;
    (void)err_set(&e, ERR_REFUSED, "member %llu was taken out of the pool",
                  (unsigned long long)rl->guard.record.raft_id);
    rl_condemn(rl, e.msg);
    rl_fatal(rl, &e);
}

static void work(struct raftlog *rl)
{
    struct err e = {0};
    uint64_t now = rl_now_ms(rl);
    rl_disk_tick(rl, now);
    rl_snap_tick(rl, now);
    rl_adding_tick(rl, now);
    /* A leader's entries go to the members first: their way to the disk and back is longer than its
     * own. What a member says rests on its disk, and is said after it. */
    wal_hold(rl->wal, WAL_HOLD_TURN, true);
    if (turn(rl, now, &e) != 0) {
        rl_fatal(rl, &e);
        return;
    }
    peers_flush(rl->peers);
    wal_hold(rl->wal, WAL_HOLD_TURN, false);
    if (node_removed(rl->node) && !rl->stopping) {
        end_removed(rl);
        return;
    }
    if (rl->changed && !rl->stopping) {
        rl->changed = false;
        rl_net_members(rl);
        rl->opt.changed(rl->opt.ctx);
    }
    if (node_wants_flush(rl->node)) {
        rl_wake(rl);
    }
    arm(rl, now);
}

static void on_check(uv_check_t *h)
{
    struct raftlog *rl = h->data;
    if (!rl->tick_due || rl->closing > 0) {
        return;
    }
    rl->tick_due = false;
    (void)uv_idle_stop(&rl->idle);
    answer_deferred(rl);
    if (rl->node != NULL && !rl->failed) {
        work(rl);
    }
    if (rl->close_due) {
        rl_close_parts(rl);
    }
}

void rl_wake(struct raftlog *rl)
{
    if (!rl->tick_due && rl->closing == 0) {
        rl->tick_due = true;
        (void)uv_idle_start(&rl->idle, on_idle);
    }
}

/* Also before waiting, for what came from a timer or from another's check handle. */
static void on_prepare(uv_prepare_t *h)
{
    struct raftlog *rl = h->data;
    if (rl->node != NULL && !rl->failed && !rl->tick_due && node_wants_flush(rl->node)) {
        rl_wake(rl);
    }
}

void rl_loop_start(struct raftlog *rl)
{
    (void)uv_check_init(rl->loop, &rl->check); /* These fail only on bad arguments. */
    (void)uv_prepare_init(rl->loop, &rl->prepare);
    (void)uv_idle_init(rl->loop, &rl->idle);
    (void)uv_timer_init(rl->loop, &rl->timer);
    rl->check.data = rl;
    rl->prepare.data = rl;
    rl->idle.data = rl;
    rl->timer.data = rl;
    (void)uv_check_start(&rl->check, on_check);
    (void)uv_prepare_start(&rl->prepare, on_prepare);
}

void rl_loop_stop(struct raftlog *rl, uv_close_cb closed)
{
    uv_close((uv_handle_t *)&rl->check, closed);
    uv_close((uv_handle_t *)&rl->prepare, closed);
    uv_close((uv_handle_t *)&rl->idle, closed);
    uv_close((uv_handle_t *)&rl->timer, closed);
}
