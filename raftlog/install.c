#include "raftlog/install.h"

#include "core/mark.h"
#include "core/util.h"

#include "raftlog/node_impl.h"

/* After a snapshot could not be written, after a transfer broke off, and after one that arrived and
 * was of no use; this last is doubled each time, up to install_ms. */
#define RETRY_TAKE_MS     5000u
#define RETRY_TRANSFER_MS 100u
#define RETRY_USELESS_MS  1000u

void meta_set(struct snapshot_meta *m, const struct node_snapshot *s)
{
    struct buf conf = {0};

    buf_put(&conf, s->conf, s->conf_len);
    buf_done(&m->conf);
    m->conf = conf;
    m->s = *s;
    m->s.conf = m->conf.data;
}

void meta_clear(struct snapshot_meta *m)
{
    buf_done(&m->conf);
    *m = (struct snapshot_meta){0};
}

void install_start(struct node *node, const struct node_recovered *recovered)
{
    if (recovered->snapshot != NULL) {
        meta_set(&node->install.newest, recovered->snapshot);
        node->cache.snapshot_index = recovered->snapshot->index;
        node->cache.snapshot_term = recovered->snapshot->term;
    }
}

void install_done(struct node *node)
{
    meta_clear(&node->install.newest);
    meta_clear(&node->install.taking_meta);
    meta_clear(&node->install.received);
    meta_clear(&node->install.restoring_meta);
}

/* --- taking */

static bool time_to_take(const struct node *node)
{
    const struct install *in = &node->install;

    return !in->taking && !in->restoring && node->now_ms >= in->retry_ms &&
           node->applied > in->newest.s.index &&
           (node->applied - in->newest.s.index >= node->options.snapshot_entries ||
            in->bytes_since >= node->options.snapshot_bytes);
}

void install_flush(struct node *node)
{
    struct install *in = &node->install;
    const struct membership *ms = &node->membership;

    /* Only what is in the own log on the own disk: a log that ends before its snapshot cannot be
     * told from a damaged one. And the configuration must be the one of that moment. */
    if (!time_to_take(node) || node->applied > node->persisted ||
        cache_term(&node->cache, node->applied) == 0 || ms->committed_index == 0 ||
        ms->committed_index > node->applied || node->applied != node->commit) {
        return;
    }
    struct node_snapshot s = {
        .index = node->applied,
        .term = cache_term(&node->cache, node->applied),
        .conf_index = ms->committed_index,
        .conf = ms->committed_bytes.data,
        .conf_len = (uint32_t)ms->committed_bytes.len,
    };
    meta_set(&in->taking_meta, &s);
    in->taking = true;
    in->bytes_since = 0;
    in->job++;
    node->options.io.snapshot_take(node->options.io.ctx, in->job, &in->taking_meta.s);
}

int node_snapshot_taken(struct node *node, uint64_t job, int code, uint64_t now_ms, struct err *e)
{
    struct install *in = &node->install;

    clocks_now(node, now_ms);
    if (!in->taking || job != in->job) {
        return 0;
    }
    in->taking = false;
    if (code != 0) {
        MARK(snapshot_not_taken);
        in->retry_ms = node->now_ms + RETRY_TAKE_MS;
        return 0;
    }
    uint64_t index = in->taking_meta.s.index;
    uint64_t trailing = node->options.snapshot_trailing;
    uint64_t first = max_u64(index > trailing ? index - trailing + 1 : 1, node->cache.first);
    struct core_event event = {.type = CORE_TAKEN, .index = first, .snapshot = in->taking_meta.s};
    int rc = drive_step(node, &event, e);
    if (rc != 0) {
        return rc;
    }
    MARK(snapshot_taken);
    meta_set(&in->newest, &in->taking_meta.s);
    node->cache.snapshot_index = index;
    node->cache.snapshot_term = in->newest.s.term;
    cache_trim(&node->cache, first);
    node->options.io.trim(node->options.io.ctx, first);
    node_changed(node);
    return 0;
}

/* --- giving */

static uint64_t patience_ms(const struct node *node, const struct transfer *t)
{
    uint32_t doublings = t->sends < 16 ? t->sends : 16;

    return min_u64((uint64_t)RETRY_USELESS_MS << doublings >> 1, node->options.install_ms);
}

static bool time_to_send(const struct node *node, const struct transfer *t)
{
    if (t->active || node->install.newest.s.index == 0) {
        return false;
    }
    bool sent = t->sent_ms != 0 && t->meta.s.index == node->install.newest.s.index &&
                node->now_ms - t->sent_ms < patience_ms(node, t);
    bool broke = t->broke_ms != 0 && node->now_ms - t->broke_ms < RETRY_TRANSFER_MS;
    return !sent && !broke;
}

void install_offer(struct node *node, struct peer *peer, uint64_t term)
{
    struct transfer *t = &peer->transfer;
    struct core_message m = {.type = CORE_INSTALL, .term = term};

    if (!peer->connected) {
        return;
    }
    if (time_to_send(node, t)) {
        t->sends = t->meta.s.index == node->install.newest.s.index ? t->sends : 0;
        meta_set(&t->meta, &node->install.newest.s);
        t->active = true;
        t->sent_ms = 0;
        node->options.io.snapshot_send(node->options.io.ctx, peer->id, t->meta.s.index,
                                       t->meta.s.term);
    }
    if (t->meta.s.index == 0) {
        return;
    }
    m.install = t->meta.s;
    struct buf *frame = node_frame(node);
    msg_put_core(frame, &m);
    node_send(node, peer->id, frame);
}

int node_snapshot_sent(struct node *node,
                       uint64_t to,
                       uint64_t index,
                       int code,
                       uint64_t now_ms,
                       struct err *e)
{
    struct peer *peer = node_peer(node, to);

    (void)e;
    clocks_now(node, now_ms);
    if (peer == NULL || !peer->transfer.active || peer->transfer.meta.s.index != index) {
        return 0;
    }
    peer->transfer.active = false;
    MARK_IF(snapshot_not_sent, code != 0);
    peer->transfer.sends += code == 0 ? 1 : 0;
    peer->transfer.sent_ms = code == 0 ? node->now_ms : 0;
    peer->transfer.broke_ms = code == 0 ? 0 : node->now_ms;
    return 0;
}

/* --- taking over */

int node_snapshot_received(struct node *node,
                           const struct node_snapshot *meta,
                           uint64_t now_ms,
                           struct err *e)
{
    struct conf conf;

    clocks_now(node, now_ms);
    if (meta->index == 0 || meta->term == 0 ||
        conf_decode(meta->conf, meta->conf_len, &conf) != 0) {
        return err_set(e, ERR_MALFORMED, "the snapshot's description is malformed");
    }
    meta_set(&node->install.received, meta);
    return 0;
}

void node_snapshot_dropped(struct node *node)
{
    meta_clear(&node->install.received);
}

int install_offered(struct node *node, const struct core_message *m, struct err *e)
{
    const struct node_snapshot *file = &node->install.received.s;
    struct core_message own = *m;

    if (m->term < node->term || (m->term == node->term && node->state == CORE_LEADER) ||
        node->install.restoring) {
        return 0;
    }
    bool have_file = file->index == m->install.index && file->term == m->install.term;
    bool have_log = cache_term(&node->cache, m->install.index) == m->install.term ||
                    m->install.index < node->cache.first;
    if (!have_file && !have_log) {
        return 0;
    }
    struct core_event event = {.type = CORE_RECEIVE, .message = &own};
    int rc = drive_step(node, &event, e);
    if (rc == 0 && m->term == node->term) {
        clocks_heard_leader(node, m->peer, m->term);
    }
    return rc;
}

int install_begin(struct node *node, const struct node_snapshot *meta)
{
    struct install *in = &node->install;

    if (in->taking) {
        in->taking = false;
        node->options.io.snapshot_cancel(node->options.io.ctx, in->job);
    }
    meta_set(&in->restoring_meta, meta);
    meta_clear(&in->received);
    in->restoring = true;
    cache_reset(&node->cache, meta->index, meta->term);
    node->membership.pending_n = 0;
    node->persisted = 0;
    node->options.io.snapshot_restore(node->options.io.ctx, &in->restoring_meta.s);
    node_changed(node);
    return 0;
}

int node_snapshot_restored(struct node *node, uint64_t index, uint64_t now_ms, struct err *e)
{
    struct install *in = &node->install;

    clocks_now(node, now_ms);
    if (!in->restoring || index != in->restoring_meta.s.index) {
        return err_set(e, ERR_INTERNAL, "a snapshot was restored that nobody asked for");
    }
    MARK(snapshot_installed);
    in->restoring = false;
    in->bytes_since = 0;
    meta_set(&in->newest, &in->restoring_meta.s);
    node->applied = index;
    node->persisted = index;
    node->commit = max_u64(node->commit, index);
    node->writes.n = 0;
    int rc = member_restored(node, &in->newest.s, e);
    if (rc != 0) {
        return rc;
    }
    struct core_event event = {.type = CORE_RESTORED, .snapshot = in->newest.s};
    rc = drive_step(node, &event, e);
    /* What was proposed here may be in the snapshot: only the machine can tell, when it sees the
     * entry again. */
    propose_resend(node);
    node->dirty = true;
    return rc;
}
