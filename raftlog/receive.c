/* Messages from other members. */

#include "core/mark.h"
#include "core/util.h"

#include "raftlog/node_impl.h"

static int step_message(struct node *node, struct core_message *m, struct err *e)
{
    struct core_event event = {.type = CORE_RECEIVE, .message = m};

    return drive_step(node, &event, e);
}

/* Entries [from, to) of the message as a message of their own. */
static int step_part(struct node *node,
                     const struct core_message *m,
                     uint32_t from,
                     uint32_t to,
                     struct err *e)
{
    struct core_message part = *m;
    struct core_append *a = &part.append;

    if (from > 0) {
        a->prev_index = m->append.entries[from - 1].index;
        a->prev_term = m->append.entries[from - 1].term;
    }
    a->entries = m->append.entries + from;
    a->n = to - from;
    /* The core would take its commit index *back* to the end of an old message. */
    a->commit = min_u64(a->commit, a->prev_index + a->n);
    return step_message(node, &part, e);
}

/* A configuration entry of this log before `index` is committed if there is one at `index`: it was
 * committed when that was proposed, also where the leader, having been started since, does not
 * know. */
static uint64_t committed_by(const struct node *node, uint64_t index)
{
    const struct membership *ms = &node->membership;
    uint64_t committed = 0;

    for (uint32_t i = 0; i < ms->pending_n && ms->pending[i] < index; i++) {
        committed = ms->pending[i];
    }
    return committed;
}

/* Before the change that is entry i of the message: what came before it, then what is committed. */
static int step_before_change(struct node *node,
                              const struct core_message *m,
                              uint32_t from,
                              uint32_t i,
                              struct err *e)
{
    struct core_message told = *m;
    int rc = i > from ? step_part(node, m, from, i, e) : 0;

    told.append.commit = max_u64(m->append.commit, committed_by(node, m->append.entries[i].index));
    if (rc == 0 && told.append.commit > node->commit) {
        rc = step_part(node, &told, i, i, e);
    }
    return rc;
}

/* Guard 1. The core notes a change under the index of the first new entry of its message, whichever
 * entry it is. And it notes the change before it is told that the one before it is committed, which
 * it then never learns. So a change stands first in what the core sees, and what is committed
 * before it is told on its own before. */
static int step_append(struct node *node, const struct core_message *m, struct err *e)
{
    uint32_t n = m->append.n;
    uint32_t from = 0;

    if (NODE_MUTANT(node, NO_SPLIT)) {
        return step_part(node, m, 0, n, e);
    }
    for (uint32_t i = 0; i < n; i++) {
        if (m->append.entries[i].type != NODE_CHANGE) {
            continue;
        }
        MARK_IF(change_split, m->append.n > 1);
        int rc = step_before_change(node, m, from, i, e);
        if (rc != 0) {
            return rc;
        }
        from = i;
        /* Refused so far: the rest would only be refused once more. */
        const struct node_entry *last = i == 0 ? NULL : &m->append.entries[i - 1];
        if (last != NULL && cache_term(&node->cache, last->index) != last->term) {
            return 0;
        }
    }
    return step_part(node, m, from, n, e);
}

/* The core takes entries whose term it does not know for new ones, also those from before the first
 * that it keeps: a leader that keeps more, and goes back to where the two logs surely agree, would
 * have it begin its log anew. All up to the snapshot is committed, so it is what the leader has. */
static void skip_snapshotted(const struct node *node, struct core_append *a)
{
    const struct cache *c = &node->cache;
    if (a->prev_index + 1 < c->first) {
        MARK(before_snapshot);
        uint64_t known = c->snapshot_index - a->prev_index;
        uint32_t skip = (uint32_t)min_u64(known, a->n);
        a->entries += skip;
        a->n -= skip;
        a->prev_index = c->snapshot_index;
        a->prev_term = c->snapshot_term;
    }
}

static int on_append(struct node *node, struct core_message *m, struct err *e)
{
    if (m->term == node->term && node->state == CORE_LEADER) {
        return 0;
    }
    skip_snapshotted(node, &m->append);
    int rc = step_append(node, m, e);
    if (rc == 0 && m->term == node->term) {
        clocks_heard_leader(node, m->peer, m->term);
    }
    return rc;
}

static int on_vote(struct node *node, struct core_message *m, struct err *e)
{
    /* A leader that elected itself, being the only voter, did not note a vote; it must not give it.
     */
    if (node->state == CORE_LEADER && !m->vote.pre && m->term == node->term) {
        return 0;
    }
    /* The core refuses until its own election timer expires, which may be twice as late as what the
     * candidate waited. What matters is whether this member still hears a leader. */
    if (node->state == CORE_FOLLOWER && member_is_voter(node, m->peer) &&
        clocks_leader_is_gone(node)) {
        MARK(vote_early);
        m->vote.disrupt = true;
    }
    return step_message(node, m, e);
}

int receive_core(struct node *node, struct core_message *m, struct err *e)
{
    struct peer *peer = node_peer(node, m->peer);

    switch (m->type) {
    case CORE_APPEND: return on_append(node, m, e);
    case CORE_APPEND_RESULT:
        peer->disk_full = m->append_result.disk_full;
        /* It may have become able to act on a commit index that it was not told yet. */
        node->dirty =
            node->dirty || (node->state == CORE_LEADER && peer->told_commit < node->commit);
        return step_message(node, m, e);
    case CORE_VOTE: return on_vote(node, m, e);
    case CORE_VOTE_RESULT:
        /* The core looks at fields that only a candidate has. */
        return node->state == CORE_CANDIDATE ? step_message(node, m, e) : 0;
    case CORE_INSTALL: return install_offered(node, m, e);
    case CORE_TIMEOUT_NOW: return step_message(node, m, e);
    }
    return 0;
}

static void on_note(struct node *node, uint64_t from, const struct msg *m)
{
    if (node->notes_n >= 1024) {
        return;
    }
    struct note *note = mem_new(1, sizeof *note + m->note_len);
    note->from = from;
    note->len = m->note_len;
    if (m->note_len > 0) {
        __builtin_memcpy(note->data, m->note, m->note_len);
    }
    *node->notes_end = note;
    node->notes_end = &note->next;
    node->notes_n++;
    node->dirty = true;
}

static int dispatch(struct node *node, uint64_t from, struct msg *m, struct err *e)
{
    if ((int)m->type == 0) {
        m->core.peer = from;
        return receive_core(node, &m->core, e);
    }
    switch (m->type) {
    case MSG_FORWARD: propose_forwarded(node, from, m); break;
    case MSG_REFUSED: propose_refused(node, m->ticket, m->code); break;
    case MSG_READ_ASK: reads_asked(node, from, m->ticket); break;
    case MSG_READ_ANSWER: reads_answered(node, from, m); break;
    case MSG_PROBE: reads_probed(node, from, m->term, m->seq); break;
    case MSG_PROBE_OK: reads_probe_ok(node, from, m->term, m->seq); break;
    case MSG_NOTE: on_note(node, from, m); break;
    case MSG_REMOVED: member_told_removed(node, m->term, m->index); break;
    }
    return 0;
}

int node_receive(struct node *node,
                 uint64_t from,
                 const void *data,
                 size_t len,
                 uint64_t now_ms,
                 struct err *e)
{
    struct msg m;

    clocks_now(node, now_ms);
    struct peer *peer = node_peer_make(node, from);
    if (peer == NULL || from == node->options.id || from == 0) {
        return err_set(e, ERR_MALFORMED, "a frame from nobody (member %llu)",
                       (unsigned long long)from);
    }
    if (msg_decode(data, len, &m) != 0) {
        return err_set(e, ERR_MALFORMED, "malformed frame from member %llu",
                       (unsigned long long)from);
    }
    peer->heard_ms = node->now_ms;
    if (conf_find(&node->membership.now, from) == NULL) {
        MARK(stranger_heard);
        member_tell_removed(node, from);
    }
    int rc = dispatch(node, from, &m, e);
    msg_done(&m);
    return rc;
}
