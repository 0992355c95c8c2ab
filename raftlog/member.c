#include "raftlog/member.h"

#include <string.h>

#include "core/mark.h"
#include "core/util.h"

#include "raftlog/node_impl.h"

/* A change that cannot be made for so long is given up; so is the promotion of a member that makes
 * no progress for so long. */
#define PATIENCE_MS 30000u

/* A voter that was silent for so long does not hold a change back, or two lost hosts of five could
 * never be replaced. */
#define LOST_MS 5000u

/* --- which configuration is in force */

bool member_is_voter(const struct node *node, uint64_t id)
{
    const struct conf_member *m = conf_find(&node->membership.now, id);

    return m != NULL && m->role == RAFTLOG_VOTER;
}

static int set_now(struct node *node, uint64_t index, const void *data, uint32_t len, struct err *e)
{
    if (conf_decode(data, len, &node->membership.now) != 0) {
        return err_set(e, ERR_CORRUPT, "entry %llu is not a configuration",
                       (unsigned long long)index);
    }
    node->membership.now_index = index;
    node_changed(node);
    return 0;
}

static void set_committed(struct node *node, uint64_t index, const void *data, uint32_t len)
{
    struct membership *ms = &node->membership;

    buf_clear(&ms->committed_bytes);
    buf_put(&ms->committed_bytes, data, len);
    (void)conf_decode(data, len, &ms->committed);
    ms->committed_index = index;
}

int member_start(struct node *node, const struct node_recovered *recovered, struct err *e)
{
    const struct node_snapshot *s = recovered->snapshot;
    int rc = 0;

    if (s != NULL) {
        rc = set_now(node, s->conf_index, s->conf, s->conf_len, e);
        if (rc == 0) {
            set_committed(node, s->conf_index, s->conf, s->conf_len);
        }
    }
    for (uint32_t i = 0; i < recovered->n && rc == 0; i++) {
        const struct node_entry *entry = &recovered->entries[i];
        if (entry->type == NODE_CHANGE && entry->index > node->membership.committed_index) {
            /* The core takes the last but one as committed: there is one change at a time. And the
             * first entry of all is the same everywhere. */
            struct membership *ms = &node->membership;
            if (ms->pending_n == 1) {
                buf_clear(&ms->committed_bytes);
                conf_encode(&ms->now, &ms->committed_bytes);
                ms->committed = ms->now;
                ms->committed_index = ms->now_index;
                ms->pending_n = 0;
            }
            rc = set_now(node, entry->index, entry->data, entry->len, e);
            if (rc == 0 && entry->index == 1) {
                set_committed(node, 1, entry->data, entry->len);
            } else {
                ms->pending[ms->pending_n++] = entry->index;
            }
        }
    }
    return rc;
}

void member_done(struct node *node)
{
    buf_done(&node->membership.committed_bytes);
}

int member_appended(struct node *node, const struct node_entry *entry, struct err *e)
{
    struct membership *ms = &node->membership;

    if (entry->type != NODE_CHANGE) {
        return 0;
    }
    if (ms->pending_n == CHANGES_MAX) {
        return err_set(e, ERR_INTERNAL, "too many changes of the configuration are not committed");
    }
    ms->pending[ms->pending_n++] = entry->index;
    return set_now(node, entry->index, entry->data, entry->len, e);
}

int member_truncated(struct node *node, uint64_t index, struct err *e)
{
    struct membership *ms = &node->membership;
    CLEANUP(buf_done) struct buf hold = {0};
    struct node_entry entry;

    if (ms->pending_n == 0 || ms->pending[ms->pending_n - 1] < index) {
        return 0;
    }
    MARK(change_truncated);
    while (ms->pending_n > 0 && ms->pending[ms->pending_n - 1] >= index) {
        ms->pending_n--;
    }
    if (ms->pending_n == 0) {
        return set_now(node, ms->committed_index, ms->committed_bytes.data,
                       (uint32_t)ms->committed_bytes.len, e);
    }
    int rc = drive_entry(node, ms->pending[ms->pending_n - 1], &entry, &hold);
    if (rc != 0) {
        return err_set(e, rc, "a configuration cannot be read back");
    }
    return set_now(node, entry.index, entry.data == NULL ? hold.data : entry.data, entry.len, e);
}

static void tell_the_removed(struct node *node, const struct conf *before)
{
    for (uint32_t i = 0; i < before->n; i++) {
        if (conf_find(&node->membership.committed, before->members[i].id) == NULL) {
            member_tell_removed(node, before->members[i].id);
        }
    }
}

int member_committed(struct node *node, struct err *e)
{
    struct membership *ms = &node->membership;

    while (ms->pending_n > 0 && ms->pending[0] <= node->commit) {
        CLEANUP(buf_done) struct buf hold = {0};
        struct node_entry entry;
        int rc = drive_entry(node, ms->pending[0], &entry, &hold);
        if (rc != 0) {
            return err_set(e, rc, "a configuration cannot be read back");
        }
        struct conf before = ms->committed;
        set_committed(node, entry.index, entry.data == NULL ? hold.data : entry.data, entry.len);
        ms->pending_n--;
        memmove(ms->pending, ms->pending + 1, ms->pending_n * sizeof ms->pending[0]);
        if (ms->change.wanted && ms->change.submitted == entry.index) {
            ms->change.wanted = false;
        }
        struct core_event event = {
            .type = CORE_CONF,
            .snapshot = {.conf_index = ms->committed_index,
                         .conf = ms->committed_bytes.data,
                         .conf_len = (uint32_t)ms->committed_bytes.len},
        };
        rc = drive_step(node, &event, e);
        if (rc != 0) {
            return rc;
        }
        tell_the_removed(node, &before);
        node_changed(node);
    }
    return 0;
}

int member_restored(struct node *node, const struct node_snapshot *meta, struct err *e)
{
    node->membership.pending_n = 0;
    set_committed(node, meta->conf_index, meta->conf, meta->conf_len);
    return set_now(node, meta->conf_index, meta->conf, meta->conf_len, e);
}

void member_tell_removed(struct node *node, uint64_t id)
{
    if (id == node->options.id || node->membership.committed_index == 0 ||
        conf_find(&node->membership.now, id) != NULL ||
        conf_find(&node->membership.committed, id) != NULL) {
        return;
    }
    /* Whoever does not lead may know less than the other: it has no say but what is committed (term
     * 0). The leader may be one whom the other does not know, and never speaks to. */
    struct buf *frame = node_frame(node);
    msg_put_removed(frame, drive_leading(node) ? node->term : 0, node->membership.committed_index);
    node_send(node, id, frame);
}

void member_told_removed(struct node *node, uint64_t term, uint64_t conf_index)
{
    struct membership *ms = &node->membership;

    /* A leader of before this member came knows nothing of it. But where this member knows itself
     * in a configuration before the one that is told, which is committed, it came and went between
     * them: numbers are given once. Its own term may be any then, for nobody heard it any more. */
    bool was_in = conf_find(&ms->now, node->options.id) != NULL && conf_index > ms->now_index;
    if ((term < node->term && !was_in) || conf_index <= ms->committed_index ||
        ms->committed_index == 0) {
        return;
    }
    MARK_IF(removed_later_term, term < node->term);
    if (!ms->removed) {
        MARK(removed_told);
        ms->removed = true;
        node_changed(node);
    }
}

/* --- asking for a change */

static int may_ask(struct node *node, struct err *e)
{
    if (node->state != CORE_LEADER) {
        return err_set(e, ERR_NOT_LEADER, "this member does not lead");
    }
    if (node->membership.change.wanted || core_conf_uncommitted(node->core) != 0) {
        return err_set(e, ERR_BUSY, "another change of the members is under way");
    }
    return 0;
}

static void want(struct node *node, uint64_t id, enum raftlog_role role, const char *address)
{
    struct member_change *change = &node->membership.change;

    *change = (struct member_change){.wanted = true,
                                     .id = id,
                                     .role = role,
                                     .round_index = node->cache.last,
                                     .round_ms = node->now_ms,
                                     .progress_ms = node->now_ms};
    (void)str_copy(change->address, sizeof change->address, address);
    node->dirty = true;
    node_changed(node);
}

int node_member_add(struct node *node,
                    uint64_t id,
                    const char *address,
                    uint64_t now_ms,
                    struct err *e)
{
    const struct conf *conf = &node->membership.now;

    clocks_now(node, now_ms);
    int rc = may_ask(node, e);
    if (rc != 0) {
        return rc;
    }
    if (id == 0 || address[0] == '\0' || strlen(address) > LIMIT_ADDRESS) {
        return err_set(e, ERR_INVALID, "a member needs a number and an address");
    }
    if (conf->n == LIMIT_HOSTS) {
        return err_set(e, ERR_TOO_BIG, "there are %u members already", conf->n);
    }
    for (uint32_t i = 0; i < conf->n; i++) {
        if (conf->members[i].id == id || strcmp(conf->members[i].address, address) == 0) {
            return err_set(e, ERR_EXISTS, "member %llu has this number or address",
                           (unsigned long long)conf->members[i].id);
        }
    }
    want(node, id, RAFTLOG_STANDBY, address);
    return 0;
}

static int find_other(struct node *node, uint64_t id, const struct conf_member **ret, struct err *e)
{
    *ret = conf_find(&node->membership.now, id);
    if (*ret == NULL) {
        return err_set(e, ERR_NOT_FOUND, "there is no member %llu", (unsigned long long)id);
    }
    if (id == node->options.id) {
        return err_set(e, ERR_STATE, "this member leads: hand over leadership first");
    }
    return 0;
}

int node_member_role(struct node *node,
                     uint64_t id,
                     enum raftlog_role role,
                     uint64_t now_ms,
                     struct err *e)
{
    const struct conf_member *m = NULL;

    clocks_now(node, now_ms);
    int rc = may_ask(node, e);
    if (rc == 0) {
        rc = find_other(node, id, &m, e);
    }
    if (rc != 0) {
        return rc;
    }
    if (role == RAFTLOG_NONE) {
        return err_set(e, ERR_INVALID, "not a role of a member");
    }
    if (m->role == role) {
        return err_set(e, ERR_STATE, "member %llu has this role already", (unsigned long long)id);
    }
    if (m->role == RAFTLOG_SPARE && role == RAFTLOG_VOTER) {
        return err_set(e, ERR_STATE, "member %llu gets no log: make it a standby first",
                       (unsigned long long)id);
    }
    if (role == RAFTLOG_VOTER && conf_voters(&node->membership.now) == LIMIT_VOTERS) {
        return err_set(e, ERR_TOO_BIG, "there are %u voters already", LIMIT_VOTERS);
    }
    want(node, id, role, m->address);
    return 0;
}

int node_member_remove(struct node *node, uint64_t id, uint64_t now_ms, struct err *e)
{
    const struct conf_member *m = NULL;

    clocks_now(node, now_ms);
    int rc = may_ask(node, e);
    if (rc == 0) {
        rc = find_other(node, id, &m, e);
    }
    if (rc == 0) {
        want(node, id, RAFTLOG_NONE, m->address);
    }
    return rc;
}

/* --- making it */

static uint64_t match_of(const struct node *node, uint64_t id)
{
    return id == node->options.id ? node->persisted : core_match(node->core, id);
}

static bool is_lost(struct node *node, uint64_t id)
{
    const struct peer *p = id == node->options.id ? NULL : node_peer(node, id);

    return p != NULL && node->now_ms - max_u64(p->heard_ms, node->lead_ms) >= LOST_MS;
}

/* Guard 3. A voter that misses the change which made it one refuses to vote. Who is about to leave,
 * and who is lost, need not have it, as long as a majority of the voters to be has. */
static bool everybody_has_the_last(struct node *node, const struct conf *next)
{
    const struct membership *ms = &node->membership;
    uint32_t have = 0;

    for (uint32_t i = 0; i < next->n; i++) {
        const struct conf_member *m = &next->members[i];
        bool has = match_of(node, m->id) >= ms->committed_index;
        if (m->role == RAFTLOG_VOTER && has) {
            have++;
        } else if (!has && (m->role == RAFTLOG_VOTER || member_is_voter(node, m->id)) &&
                   !is_lost(node, m->id)) {
            MARK(change_waits);
            return false;
        }
    }
    return have > conf_voters(next) / 2;
}

static bool guards_allow(struct node *node, const struct conf *next)
{
    if (core_conf_uncommitted(node->core) != 0) {
        return false;
    }
    if (!drive_leading(node) && !NODE_MUTANT(node, NO_OWN_TERM)) {
        return false; /* Guard 2. */
    }
    return NODE_MUTANT(node, NO_CONF_MATCH) || everybody_has_the_last(node, next);
}

/* Whether the member reached the end of the log as it was less than an election timeout ago. */
static bool caught_up(struct node *node, struct member_change *change)
{
    uint64_t match = core_match(node->core, change->id);

    if (match != change->match_seen) {
        change->match_seen = match;
        change->progress_ms = node->now_ms;
    }
    if (match < change->round_index) {
        return false;
    }
    if (match == node->cache.last || node->now_ms - change->round_ms < node->options.election_ms) {
        return true;
    }
    change->round_index = node->cache.last;
    change->round_ms = node->now_ms;
    return false;
}

static void
changed_conf(const struct node *node, const struct member_change *change, struct conf *ret)
{
    *ret = (struct conf){0};
    for (uint32_t i = 0; i < node->membership.now.n; i++) {
        const struct conf_member *m = &node->membership.now.members[i];
        if (m->id == change->id && change->role == RAFTLOG_NONE) {
            continue;
        }
        ret->members[ret->n] = *m;
        if (m->id == change->id) {
            ret->members[ret->n].role = change->role;
        }
        ret->n++;
    }
    if (change->role != RAFTLOG_NONE && conf_find(ret, change->id) == NULL) {
        struct conf_member *m = &ret->members[ret->n++];
        m->id = change->id;
        m->role = change->role;
        memcpy(m->address, change->address, sizeof m->address);
    }
}

static int make_change(struct node *node, struct err *e)
{
    struct member_change *change = &node->membership.change;
    CLEANUP(buf_done) struct buf bytes = {0};
    struct conf conf;

    if (!change->wanted || change->submitted != 0 || !member_may_submit(node)) {
        return 0;
    }
    if (change->role == RAFTLOG_VOTER && !caught_up(node, change)) {
        return 0;
    }
    changed_conf(node, change, &conf);
    if (!guards_allow(node, &conf)) {
        return 0;
    }
    conf_encode(&conf, &bytes);
    struct node_entry entry = {.type = NODE_CHANGE, .data = bytes.data, .len = (uint32_t)bytes.len};
    change->submitted = node->cache.last + 1;
    int rc = drive_submit(node, &entry, 1, e);
    if (rc == ERR_BUSY || rc == ERR_NOT_LEADER) {
        change->submitted = 0;
        return 0;
    }
    return rc;
}

/* --- handing over */

bool member_may_submit(const struct node *node)
{
    return node->state == CORE_LEADER && !node->membership.handing_over &&
           core_transferee(node->core) == 0;
}

/* The other voter that is nearest to taking over; 0 if there is none to be had. */
static uint64_t best_heir(const struct node *node, bool with_room)
{
    uint64_t best = 0;
    uint64_t best_match = 0;

    for (uint32_t i = 0; i < node->peers_n; i++) {
        const struct peer *p = node->peers[i];
        uint64_t match = core_match(node->core, p->id);
        if (p->connected && member_is_voter(node, p->id) && !(with_room && p->disk_full) &&
            node->now_ms - p->heard_ms < node->options.election_ms && match >= best_match) {
            best = p->id;
            best_match = match;
        }
    }
    return best;
}

static void hand_over(struct node *node, uint64_t heir)
{
    struct membership *ms = &node->membership;

    ms->handing_over = true;
    ms->heir = heir;
    ms->hand_over_until_ms = node->now_ms + 2 * (uint64_t)node->options.election_ms;
    node->dirty = true;
}

int node_transfer(struct node *node, uint64_t id, uint64_t now_ms, struct err *e)
{
    clocks_now(node, now_ms);
    if (node->state != CORE_LEADER) {
        return err_set(e, ERR_NOT_LEADER, "this member does not lead");
    }
    if (node->membership.handing_over) {
        return err_set(e, ERR_BUSY, "leadership is being handed over already");
    }
    if (id == node->options.id) {
        return err_set(e, ERR_STATE, "member %llu leads already", (unsigned long long)id);
    }
    if (id != 0 && conf_find(&node->membership.now, id) == NULL) {
        return err_set(e, ERR_NOT_FOUND, "there is no member %llu", (unsigned long long)id);
    }
    if (id != 0 && !member_is_voter(node, id)) {
        return err_set(e, ERR_STATE, "member %llu does not vote", (unsigned long long)id);
    }
    id = id == 0 ? best_heir(node, /*with_room=*/false) : id;
    if (id == 0) {
        return err_set(e, ERR_NO_QUORUM, "there is no other voter to hand over to");
    }
    hand_over(node, id);
    return 0;
}

void node_stop(struct node *node, uint64_t now_ms)
{
    struct membership *ms = &node->membership;

    clocks_now(node, now_ms);
    if (ms->stopping) {
        return;
    }
    ms->stopping = true;
    ms->stop_until_ms = node->now_ms + 2 * (uint64_t)node->options.election_ms;
    uint64_t heir = node->state == CORE_LEADER ? best_heir(node, /*with_room=*/false) : 0;
    if (heir == 0) {
        ms->stop_until_ms = node->now_ms;
    } else if (!ms->handing_over) {
        MARK(handed_over_stop);
        hand_over(node, heir);
    }
    node->dirty = true;
}

/* The heir must have everything before it is told; if the message is lost, the core gives up after
 * an election timeout, and it is told again. */
static int hand_over_flush(struct node *node, struct err *e)
{
    struct membership *ms = &node->membership;

    if (!ms->handing_over) {
        return 0;
    }
    if (node->now_ms >= ms->hand_over_until_ms) {
        MARK(hand_over_failed);
        ms->handing_over = false;
        node->dirty = true;
        return 0;
    }
    if (core_transferee(node->core) != 0 || core_match(node->core, ms->heir) != node->cache.last) {
        return 0;
    }
    struct core_event event = {.type = CORE_TRANSFER, .index = ms->heir};
    int rc = drive_step(node, &event, e);
    if (rc == ERR_NOT_FOUND || rc == ERR_NOT_LEADER) {
        ms->handing_over = false;
        return 0;
    }
    return rc;
}

int member_flush(struct node *node, struct err *e)
{
    struct membership *ms = &node->membership;
    int rc = 0;

    if (node->state == CORE_LEADER) {
        rc = hand_over_flush(node, e);
        if (rc == 0) {
            rc = make_change(node, e);
        }
    }
    if (ms->stopping && ms->stop_until_ms != UINT64_MAX &&
        (node->state != CORE_LEADER || node->now_ms >= ms->stop_until_ms)) {
        ms->stop_until_ms = UINT64_MAX;
        node->options.io.stopped(node->options.io.ctx);
    }
    return rc;
}

void member_tick(struct node *node)
{
    struct membership *ms = &node->membership;
    struct member_change *change = &ms->change;

    node->dirty = node->dirty || ms->handing_over || ms->stopping || change->wanted;
    if (change->wanted && change->submitted == 0 &&
        node->now_ms - change->progress_ms > PATIENCE_MS) {
        MARK(change_given_up);
        change->wanted = false;
        node_changed(node);
    }
    if (node->disk_full && node->state == CORE_LEADER && !ms->handing_over) {
        uint64_t heir = best_heir(node, /*with_room=*/true);
        if (heir != 0) {
            MARK(handed_over_full);
            hand_over(node, heir);
        }
    }
}

void member_lost_leadership(struct node *node)
{
    node->membership.change.wanted = false;
    node->membership.handing_over = false;
}
