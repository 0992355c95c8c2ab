/* The door of the folder: opening, closing, and passing requests on to the node. */

#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/os_random.h"
#include "core/util.h"

#include "raftlog/rl.h"

#define ELECTION_MS       200u
#define HEARTBEAT_MS      30u
#define SNAPSHOT_ENTRIES  50000u
#define SNAPSHOT_TRAILING 10000u
#define BALLAST_BYTES     (UINT64_C(16) << 20)

uint64_t rl_now_ms(struct raftlog *rl)
{
    return rl->clock->mono_ms(rl->clock);
}

void rl_fatal(struct raftlog *rl, const struct err *e)
{
    if (rl->failed) {
        return;
    }
    rl->failed = true;
    if (rl->stopping) { /* The node will not say any more that it may be closed. */
        rl->close_due = true;
        rl_wake(rl);
    } else {
        rl->opt.fatal(rl->opt.ctx, e);
    }
}

static void defaults(struct raftlog_options *o)
{
    o->election_ms = o->election_ms == 0 ? ELECTION_MS : o->election_ms;
    o->heartbeat_ms = o->heartbeat_ms == 0 ? HEARTBEAT_MS : o->heartbeat_ms;
    o->snapshot_entries = o->snapshot_entries == 0 ? SNAPSHOT_ENTRIES : o->snapshot_entries;
    o->snapshot_trailing = o->snapshot_trailing == 0 ? SNAPSHOT_TRAILING : o->snapshot_trailing;
    o->segment_bytes = o->segment_bytes == 0 ? WAL_SEGMENT_DEFAULT : o->segment_bytes;
    o->ballast_bytes = o->ballast_bytes == 0 ? BALLAST_BYTES : o->ballast_bytes;
}

int raftlog_open(struct raftlog **ret,
                 struct uv_loop_s *loop,
                 const struct raftlog_options *options,
                 struct err *ret_refused,
                 struct err *e)
{
    struct raftlog *rl = mem_new(1, sizeof *rl);
    rl->opt = *options;
    rl->dir = mem_strdup(options->dir);
    rl->name = mem_strdup(options->name);
    rl->listen = mem_strdup(options->listen);
    rl->loop = loop;
    rl->clock = os_clock();
    rng_seed_os(&rl->rng);
    defaults(&rl->opt);
    *ret = rl; /* The machine and the callbacks may ask for the status from now on. */
    int rc = rl_recover(rl, ret_refused, e);
    if (rc != 0) {
        *ret = NULL; /* The program ends; what is open is closed with it. */
        return rc;
    }
    rl_loop_start(rl);
    rl_net_start(rl);
    if (rl->node != NULL) {
        rl_net_members(rl);
        rl_wake(rl);
    }
    return 0;
}

/* --- close: leadership to another, then the streams, then the disk */

static void disk_closed(void *ctx)
{
    struct raftlog *rl = ctx;
    void (*closed)(void *) = rl->closed;
    void *closed_ctx = rl->closed_ctx;
    wal_free(rl->wal); /* First: it looks at the appends that did not come to their end. */
    rl_forget_appends(rl);
    rl_snap_end(rl);
    rl_close_files(rl);
    rl->node = node_free(rl->node);
    free(rl->dir);
    free(rl->name);
    free(rl->listen);
    free(rl);
    closed(closed_ctx);
}

static void part_closed(struct raftlog *rl)
{
    if (--rl->closing == 0) {
        disk_os_close(rl->disk, disk_closed, rl);
    }
}

static void handle_closed(uv_handle_t *h)
{
    part_closed(h->data);
}

static void peers_closed(void *ctx)
{
    part_closed(ctx);
}

void rl_close_parts(struct raftlog *rl)
{
    if (rl->closing > 0) {
        return;
    }
    rl->closing = RL_LOOP_HANDLES + 1;
    if (rl->node != NULL) {
        node_abandon(rl->node, ERR_CANCELLED);
    }
    rl_snap_close(rl);
    rl_loop_stop(rl, handle_closed);
    peers_close(rl->peers, peers_closed, rl);
}

/* The node is through with handing over; it may say so from inside a call of ours. */
void rl_stopped(void *ctx)
{
    struct raftlog *rl = ctx;
    rl->close_due = rl->stopping;
    rl_wake(rl);
}

void raftlog_close(struct raftlog *rl, void (*closed)(void *ctx), void *ctx)
{
    rl->closed = closed;
    rl->closed_ctx = ctx;
    rl->stopping = true;
    if (rl->node == NULL || rl->failed) {
        rl->close_due = true;
        rl_wake(rl);
        return;
    }
    node_stop(rl->node, rl_now_ms(rl));
    rl_wake(rl);
}

/* --- looking */

void raftlog_status(struct raftlog *rl, struct raftlog_status *ret)
{
    *ret = (struct raftlog_status){0};
    const struct guard_record *g = &rl->guard.record;
    ret->blank = rl->node == NULL;
    ret->pool = g->pool;
    ret->raft_id = g->raft_id;
    ret->incarnation = g->incarnation;
    if (rl->node == NULL) {
        return;
    }
    struct wal_status w;
    node_status(rl->node, ret);
    wal_get_status(rl->wal, &w);
    ret->blank = false;
    ret->pool = g->pool;
    ret->incarnation = g->incarnation;
    ret->log_bytes = w.bytes;
    ret->snapshot_index = rl->snapshot_index;
    if (rl->failed) {
        ret->leading = false;
    }
}

bool raftlog_member(struct raftlog *rl, uint32_t i, struct raftlog_member *ret)
{
    if (rl->node == NULL || !node_member(rl->node, i, ret)) {
        return false;
    }
    const struct rl_peer *p = rl_peer_find(rl, ret->raft_id);
    if (p != NULL) {
        ret->blank = p->blank;
        ret->incarnation = p->incarnation;
        ret->connected = p->told_up;
        ret->heard_ms = p->heard_ms == 0 ? UINT64_MAX : rl_now_ms(rl) - p->heard_ms;
    } else if (ret->raft_id == rl->guard.record.raft_id) {
        ret->connected = true;
        ret->heard_ms = 0;
        ret->incarnation = rl->guard.record.incarnation;
    }
    return true;
}

/* --- requests */

void raftlog_propose(struct raftlog *rl, struct raftlog_proposal *p)
{
    if (rl->node == NULL || rl->failed) {
        rl_defer_proposal(rl, p);
        return;
    }
    node_propose(rl->node, p, rl_now_ms(rl));
    rl_wake(rl);
}

void raftlog_applied_request(struct raftlog *rl, const struct id *request, uint64_t index)
{
    if (rl->node != NULL) {
        node_applied_request(rl->node, request, index);
    }
}

void raftlog_propose_cancel(struct raftlog *rl, struct raftlog_proposal *p)
{
    if (rl->node != NULL) {
        node_propose_cancel(rl->node, p);
        rl_wake(rl);
    }
}

void raftlog_read(struct raftlog *rl, struct raftlog_read *r)
{
    if (rl->node == NULL || rl->failed) {
        rl_defer_read(rl, r);
        return;
    }
    node_read(rl->node, r, rl_now_ms(rl));
    rl_wake(rl);
}

void raftlog_read_cancel(struct raftlog *rl, struct raftlog_read *r)
{
    if (rl->node != NULL) {
        node_read_cancel(rl->node, r);
        rl_wake(rl);
    }
}

static int need_node(struct raftlog *rl, struct err *e)
{
    if (rl->node == NULL) {
        return err_set(e, ERR_NO_POOL, "this host belongs to no pool");
    }
    if (rl->failed) {
        return err_set(e, ERR_CLOSED, "this replica has stopped");
    }
    rl_wake(rl);
    return 0;
}

int raftlog_member_role(struct raftlog *rl, uint64_t raft_id, enum raftlog_role role, struct err *e)
{
    int rc = need_node(rl, e);
    return rc == 0 ? node_member_role(rl->node, raft_id, role, rl_now_ms(rl), e) : rc;
}

int raftlog_member_remove(struct raftlog *rl, uint64_t raft_id, struct err *e)
{
    int rc = need_node(rl, e);
    return rc == 0 ? node_member_remove(rl->node, raft_id, rl_now_ms(rl), e) : rc;
}

int raftlog_transfer(struct raftlog *rl, uint64_t raft_id, struct err *e)
{
    int rc = need_node(rl, e);
    return rc == 0 ? node_transfer(rl->node, raft_id, rl_now_ms(rl), e) : rc;
}

void raftlog_accept(struct raftlog *rl, int fd, const void *read_ahead, size_t len)
{
    peers_accept(rl->peers, fd, read_ahead, len);
}

void raftlog_note(struct raftlog *rl, uint64_t to, const void *data, size_t len)
{
    if (rl->node != NULL && !rl->failed && len <= LIMIT_FRAME_CONTROL / 4) {
        node_note(rl->node, to, data, len);
        rl_wake(rl);
    }
}
