/* Steps of the core, and what follows from each, in the order that safety asks for: term and vote
 * on disk, the log, then messages, then what is committed.
 *
 * What follows may be another step: of the configuration that was committed, or of a new leader's
 * first entry. That is at most two deep, as neither of these elects anybody or commits by itself.
 */

/* NOLINTBEGIN(misc-no-recursion) */

#include "core/mark.h"
#include "core/mutant.h"
#include "core/util.h"

#include "raftlog/node_impl.h"

/* A leader is busy if entries come so soon after each other; a member is then told of the commit
 * index so long after it could be. */
#define BUSY_MS 2u
#define PUSH_MS 1u

bool drive_leading(const struct node *node)
{
    return node->state == CORE_LEADER && cache_term(&node->cache, node->commit) == node->term;
}

static int take_vote(struct node *node, struct err *e)
{
    uint64_t term = core_term(node->core);
    uint64_t vote = core_vote(node->core);

    if (term == node->term && vote == node->vote) {
        return 0;
    }
    int rc = node->options.io.save_vote(node->options.io.ctx, term, vote, e);
    if (rc != 0) {
        return err_wrap(e, "save term and vote");
    }
    if (term != node->term) {
        node_changed(node);
    }
    node->term = term;
    node->vote = vote;
    return 0;
}

static int take_entries(struct node *node, const struct core_update *update, struct err *e)
{
    uint64_t first = update->entries[0].index;

    if (first <= node->cache.last) {
        MARK(log_truncated);
        cache_truncate(&node->cache, first);
        int rc = member_truncated(node, first, e);
        if (rc != 0) {
            return rc;
        }
    }
    for (uint32_t i = 0; i < update->n; i++) {
        cache_append(&node->cache, &update->entries[i]);
        int rc = member_appended(node, &update->entries[i], e);
        if (rc != 0) {
            return rc;
        }
    }
    append_written(node, update->entries, update->n);
    node->dirty = true;
    return 0;
}

static void take_message(struct node *node, const struct core_message *m)
{
    struct peer *peer = node_peer_make(node, m->peer);

    if (peer == NULL) {
        return;
    }
    if (m->type == CORE_APPEND) {
        append_send(node, peer, m);
    } else if (m->type == CORE_INSTALL) {
        install_offer(node, peer, m->term);
    } else {
        struct buf *frame = node_frame(node);
        msg_put_core(frame, m);
        node_send(node, peer->id, frame);
    }
}

static void take_state(struct node *node)
{
    enum core_state state = core_state(node->core);
    enum core_state before = node->state;

    node->state = state;
    node->dirty = true;
    node_changed(node);
    if (before == CORE_LEADER && state != CORE_LEADER) {
        member_lost_leadership(node);
        propose_drop_forwards(node, ERR_NOT_LEADER);
        propose_resend(node);
        reads_restart(node);
    }
    if (state == CORE_CANDIDATE) {
        node->elections++;
    }
    if (state == CORE_LEADER) {
        node->uncommitted_bytes = 0;
        node->lead_ms = node->now_ms;
        node->timeout_ms = node->core_ms;
        for (uint32_t i = 0; i < node->peers_n; i++) {
            node->peers[i]->told_commit = 0;
            node->peers[i]->waits_for = 0;
            node->peers[i]->behind_ms = 0;
            node->peers[i]->probe_seq = 0;
            node->peers[i]->disk_full = false;
        }
        clocks_heard_leader(node, node->options.id, node->term);
    }
}

static int take_commit(struct node *node, struct err *e)
{
    uint64_t commit = MUTANT(acts_on_uncommitted) ? node->persisted : core_commit(node->core);

    if (node->install.restoring || commit <= node->commit) {
        return 0;
    }
    for (uint64_t i = node->commit + 1; i <= commit && node->uncommitted_bytes > 0; i++) {
        struct node_entry entry;
        if (cache_get(&node->cache, i, &entry)) {
            node->uncommitted_bytes -= min_u64(node->uncommitted_bytes, entry.len);
        }
    }
    node->commit = commit;
    if (commit >= node->cache.last) {
        node->uncommitted_bytes = 0;
    }
    node->dirty = true;
    return member_committed(node, e);
}

int drive_update(struct node *node,
                 const struct core_event *event,
                 const struct core_update *update,
                 struct err *e)
{
    int rc = take_vote(node, e);

    if (rc == 0 && update->restore) {
        rc = install_begin(node, &event->message->install);
    }
    if (rc == 0 && update->n > 0) {
        rc = take_entries(node, update, e);
    }
    if (rc != 0) {
        return rc;
    }
    for (uint32_t i = 0; i < update->messages; i++) {
        struct core_message m;
        core_message(node->core, i, &m);
        take_message(node, &m);
    }
    if (core_state(node->core) != node->state) {
        take_state(node);
    }
    rc = take_commit(node, e);
    /* A leader may have nothing of its term in the log; then it could never know what is committed,
     * serve a read or change a member. */
    if (rc == 0 && node->state == CORE_LEADER && node->started &&
        cache_term(&node->cache, node->cache.last) != node->term) {
        struct node_entry barrier = {.type = NODE_BARRIER};
        rc = drive_submit(node, &barrier, 1, e);
    }
    return rc;
}

int drive_step(struct node *node, struct core_event *event, struct err *e)
{
    struct core_update update;

    event->now_ms = node->core_ms;
    event->disk_full = node->disk_full;
    node->steps++;
    int rc = core_step(node->core, event, &update, e);
    if (rc != 0) {
        return rc;
    }
    return drive_update(node, event, &update, e);
}

/* Members that get the log from this leader. */
static struct peer *next_follower(struct node *node, uint32_t *i)
{
    const struct conf *conf = &node->membership.now;

    while (*i < conf->n) {
        const struct conf_member *m = &conf->members[(*i)++];
        if (m->id != node->options.id && m->role != RAFTLOG_SPARE) {
            return node_peer_make(node, m->id);
        }
    }
    return NULL;
}

int drive_submit(struct node *node, struct node_entry *entries, uint32_t n, struct err *e)
{
    uint64_t before = node->cache.last;
    uint64_t step = node->steps + 1;

    node->busy = node->now_ms - node->submitted_ms <= BUSY_MS;
    node->submitted_ms = node->now_ms;
    for (uint32_t i = 0; i < n; i++) {
        entries[i].index = before + 1 + i;
        entries[i].term = node->term;
    }
    struct core_event event = {.type = CORE_SUBMIT, .entries = entries, .n = n};
    int rc = drive_step(node, &event, e);
    if (rc != 0 || node->state != CORE_LEADER || node->cache.last != before + n) {
        return rc;
    }
    for (uint32_t i = 0; i < n && node->commit < before + n; i++) {
        node->uncommitted_bytes += entries[i].len;
    }
    /* The core sends nothing but heartbeats to a member that it has heard nothing new of, though it
     * has all that there was; it would wait a heartbeat for these. */
    uint32_t i = 0;
    for (struct peer *p = next_follower(node, &i); p != NULL; p = next_follower(node, &i)) {
        if (p->step < step && p->connected && core_match(node->core, p->id) == before) {
            append_own(node, p, before, n);
        }
    }
    return 0;
}

void drive_waits_for(struct node *node, uint64_t member, uint64_t index)
{
    struct peer *p = node_peer(node, member);

    if (p != NULL) {
        p->waits_for = max_u64(p->waits_for, index);
    }
}

/* With one proposal following the other, the next append tells what this one would, and the member
 * need not wake up twice for each; it also applies while its disk writes. */
static bool can_wait(struct node *node, struct peer *p, uint64_t known)
{
    if (!node->busy || p->told_commit < min_u64(p->waits_for, known) ||
        node->now_ms - p->behind_ms >= PUSH_MS) {
        return false;
    }
    uint64_t at = p->behind_ms + PUSH_MS;
    node->push_ms = node->push_ms == 0 ? at : min_u64(node->push_ms, at);
    return true;
}

void drive_push_commit(struct node *node)
{
    uint32_t i = 0;

    node->push_ms = 0;
    if (node->state != CORE_LEADER) {
        return;
    }
    for (struct peer *p = next_follower(node, &i); p != NULL; p = next_follower(node, &i)) {
        uint64_t match = core_match(node->core, p->id);
        uint64_t known = min_u64(node->commit, match);
        if (!p->connected || p->told_commit >= known || cache_term(&node->cache, match) == 0) {
            p->behind_ms = 0;
            continue;
        }
        p->behind_ms = p->behind_ms == 0 ? max_u64(node->now_ms, 1) : p->behind_ms;
        if (!can_wait(node, p, known)) {
            append_own(node, p, match, 0);
            p->behind_ms = 0;
        }
    }
}

void drive_heartbeat(struct node *node)
{
    uint64_t step = node->steps;
    uint32_t i = 0;

    if (node->state != CORE_LEADER) {
        return;
    }
    for (struct peer *p = next_follower(node, &i); p != NULL; p = next_follower(node, &i)) {
        if (p->step != step) {
            append_own(node, p, core_match(node->core, p->id), 0);
        }
    }
}

/* NOLINTEND(misc-no-recursion) */
