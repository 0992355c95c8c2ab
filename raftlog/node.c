#include "raftlog/node.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "core/util.h"

#include "raftlog/node_impl.h"

/* Entries and bytes of one apply(), and entries of one flush. */
#define APPLY_ENTRIES 512u
#define APPLY_BYTES   (4ul * 1024u * 1024u)
#define FLUSH_ENTRIES 8192u

/* --- members and frames */

struct peer *node_peer(struct node *node, uint64_t id)
{
    for (uint32_t i = 0; i < node->peers_n; i++) {
        if (node->peers[i]->id == id) {
            return node->peers[i];
        }
    }
    return NULL;
}

/* Room for a new one: forget one that is in no configuration and not connected. */
static bool forget_a_peer(struct node *node)
{
    for (uint32_t i = 0; i < node->peers_n; i++) {
        struct peer *p = node->peers[i];
        if (!p->connected && conf_find(&node->membership.now, p->id) == NULL) {
            meta_clear(&p->transfer.meta);
            free(p);
            node->peers[i] = node->peers[--node->peers_n];
            return true;
        }
    }
    return false;
}

struct peer *node_peer_make(struct node *node, uint64_t id)
{
    struct peer *peer = node_peer(node, id);

    if (peer != NULL) {
        return peer;
    }
    if (node->peers_n == ARRAY_LEN(node->peers) && !forget_a_peer(node)) {
        return NULL;
    }
    peer = mem_new(1, sizeof *peer);
    peer->id = id;
    node->peers[node->peers_n++] = peer;
    return peer;
}

void node_changed(struct node *node)
{
    if (node->started) {
        node->options.io.changed(node->options.io.ctx);
    }
}

struct buf *node_frame(struct node *node)
{
    buf_clear(&node->frame);
    return &node->frame;
}

void node_send(struct node *node, uint64_t to, const struct buf *frame)
{
    assert(frame->len <= LIMIT_FRAME_CONTROL);
    node->options.io.send(node->options.io.ctx, to, NODE_CONTROL, frame->data, frame->len);
}

/* --- life */

int node_founding_conf(uint64_t id, const char *address, struct buf *ret, struct err *e)
{
    struct conf conf = {.n = 1};

    if (id == 0 || address[0] == '\0' || strlen(address) > LIMIT_ADDRESS) {
        return err_set(e, ERR_INVALID, "a member needs a number and an address");
    }
    conf.members[0].id = id;
    conf.members[0].role = RAFTLOG_VOTER;
    (void)str_copy(conf.members[0].address, sizeof conf.members[0].address, address);
    conf_encode(&conf, ret);
    return 0;
}

static void defaults(struct node_options *o)
{
    o->election_ms = o->election_ms == 0 ? 200 : o->election_ms;
    o->heartbeat_ms = o->heartbeat_ms == 0 ? 30 : o->heartbeat_ms;
    o->snapshot_entries = o->snapshot_entries == 0 ? 50000 : o->snapshot_entries;
    o->snapshot_bytes = o->snapshot_bytes == 0 ? 64u << 20 : o->snapshot_bytes;
    o->snapshot_trailing = o->snapshot_trailing == 0 ? 10000 : o->snapshot_trailing;
    o->cache_bytes = o->cache_bytes == 0 ? 8u << 20 : o->cache_bytes;
    o->install_ms = o->install_ms == 0 ? 30000 : o->install_ms;
}

/* The log must reach to the snapshot, in one piece, and hold what the snapshot ends with. */
static int check(const struct node_recovered *r, struct err *e)
{
    uint64_t index = r->snapshot == NULL ? 0 : r->snapshot->index;
    uint64_t last = r->first_index + r->n - 1;

    if (r->first_index == 0 || r->first_index > index + 1 || last < index) {
        return err_set(e, ERR_CORRUPT, "the log (%llu to %llu) does not join the snapshot (%llu)",
                       (unsigned long long)r->first_index, (unsigned long long)last,
                       (unsigned long long)index);
    }
    for (uint32_t i = 0; i < r->n; i++) {
        const struct node_entry *entry = &r->entries[i];
        if (entry->index != r->first_index + i || entry->term == 0 || entry->term > r->term ||
            (i > 0 && entry->term < r->entries[i - 1].term)) {
            return err_set(e, ERR_CORRUPT, "entry %llu of the log is out of order",
                           (unsigned long long)entry->index);
        }
        if (entry->index == index && entry->term != r->snapshot->term) {
            return err_set(e, ERR_CORRUPT, "the log differs from the snapshot at %llu",
                           (unsigned long long)index);
        }
    }
    if (r->applied < index) {
        return err_set(e, ERR_INVALID, "the machine was not loaded from the snapshot");
    }
    if (index == 0 && r->n > 0 && r->entries[0].type != NODE_CHANGE) {
        return err_set(e, ERR_CORRUPT, "the log does not begin with a configuration");
    }
    return 0;
}

/* The only voter makes itself leader in the term it finds. But entries of that term which it sent
 * out before they were on its own disk may be on others' disks, and it would make different ones
 * under the same index and term. So it first takes a new term. */
static int new_term_if_alone(struct node *node, struct node_recovered *r, struct err *e)
{
    const struct conf *conf = &node->membership.now;

    if (conf_voters(conf) != 1 || !member_is_voter(node, node->options.id)) {
        return 0;
    }
    r->term++;
    r->vote = node->options.id;
    return node->options.io.save_vote(node->options.io.ctx, r->term, r->vote, e);
}

static int start(struct node *node, const struct node_recovered *recovered, struct err *e)
{
    struct node_recovered r = *recovered;
    struct core_event none = {.type = CORE_TIMEOUT};
    struct core_update update;

    int rc = check(&r, e);
    if (rc == 0) {
        rc = member_start(node, &r, e);
    }
    if (rc == 0) {
        rc = new_term_if_alone(node, &r, e);
    }
    if (rc != 0) {
        return rc;
    }
    install_start(node, &r);
    for (uint32_t i = 0; i < r.n; i++) {
        cache_append(&node->cache, &r.entries[i]);
        cache_evict(&node->cache, r.entries[i].index);
    }
    node->persisted = node->cache.last;
    node->applied = r.applied;
    node->term = r.term;
    node->vote = r.vote;
    struct core_options options = {
        .id = node->options.id,
        .address = node->address,
        .election_ms = node->options.election_ms,
        .heartbeat_ms = node->options.heartbeat_ms,
        .install_ms = node->options.install_ms,
        .seed = rng_u64(&node->rng),
        .mutant_votes_by_role = NODE_MUTANT(node, NO_CONF_MATCH),
    };
    rc = core_new(&node->core, &options, &r, node->core_ms, &update, e);
    if (rc == 0) {
        rc = drive_update(node, &none, &update, e);
    }
    node->started = true;
    if (rc == 0 && node->state == CORE_LEADER) {
        struct node_entry barrier = {.type = NODE_BARRIER};
        rc = drive_submit(node, &barrier, 1, e);
    }
    return rc;
}

int node_new(struct node **ret,
             const struct node_options *options,
             const struct node_recovered *recovered,
             uint64_t now_ms,
             struct err *e)
{
    struct node *node = mem_new(1, sizeof *node);

    node->options = *options;
    defaults(&node->options);
    (void)str_copy(node->address, sizeof node->address, options->address);
    node->options.address = node->address;
    rng_seed(&node->rng, options->seed);
    node->now_ms = now_ms;
    node->core_ms = now_ms;
    node->notes_end = &node->notes;
    cache_init(&node->cache, recovered->first_index, node->options.cache_bytes);
    propose_init(node);
    reads_init(node);
    int rc = start(node, recovered, e);
    if (rc != 0) {
        node_free(node);
        return rc;
    }
    node->dirty = true;
    *ret = node;
    return 0;
}

void node_abandon(struct node *node, int code)
{
    propose_abandon(node, code);
    reads_abandon(node, code);
}

static void free_notes(struct node *node)
{
    while (node->notes != NULL) {
        struct note *note = node->notes;
        node->notes = note->next;
        free(note);
    }
    node->notes_end = &node->notes;
    node->notes_n = 0;
}

struct node *node_free(struct node *node)
{
    if (node == NULL) {
        return NULL;
    }
    propose_done(node);
    reads_done(node);
    member_done(node);
    install_done(node);
    core_free(node->core);
    cache_done(&node->cache);
    free_notes(node);
    for (uint32_t i = 0; i < node->peers_n; i++) {
        meta_clear(&node->peers[i]->transfer.meta);
        free(node->peers[i]);
    }
    free(node->writes.ring);
    buf_done(&node->frame);
    free(node);
    return NULL;
}

/* --- time */

uint64_t node_deadline(const struct node *node)
{
    return clocks_deadline(node);
}

int node_tick(struct node *node, uint64_t now_ms, struct err *e)
{
    clocks_now(node, now_ms);
    int rc = clocks_tick(node, e);
    propose_tick(node);
    reads_tick(node);
    member_tick(node);
    return rc;
}

bool node_wants_flush(const struct node *node)
{
    return node->dirty;
}

/* --- applying */

static int apply_some(struct node *node, struct err *e)
{
    struct raftlog_entry entries[APPLY_ENTRIES];
    CLEANUP(buf_done) struct buf hold = {0};
    size_t offset[APPLY_ENTRIES];
    size_t bytes = 0;
    uint32_t n = 0;

    while (n < APPLY_ENTRIES && node->applied + n < node->commit && bytes < APPLY_BYTES) {
        struct node_entry entry;
        offset[n] = hold.len;
        int rc = drive_entry(node, node->applied + n + 1, &entry, &hold);
        if (rc != 0) {
            return err_set(e, rc, "entry %" PRIu64 " cannot be read back to be applied",
                           node->applied + n + 1);
        }
        bool command = entry.type == NODE_COMMAND;
        entries[n] = (struct raftlog_entry){.index = entry.index,
                                            .term = entry.term,
                                            .data = command ? entry.data : NULL,
                                            .len = command ? entry.len : 0};
        bytes += entry.len;
        n++;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (entries[i].data == NULL && entries[i].len > 0) {
            entries[i].data = hold.data + offset[i];
        }
    }
    int rc = node->options.io.apply(node->options.io.ctx, entries, n, e);
    if (rc != 0) {
        return err_wrap(e, "apply entries from %llu on", (unsigned long long)entries[0].index);
    }
    node->applied += n;
    node->install.bytes_since += bytes;
    return 0;
}

static int apply(struct node *node, struct err *e)
{
    uint64_t stop = node->applied + FLUSH_ENTRIES;

    while (!node->install.restoring && node->applied < node->commit && node->applied < stop) {
        int rc = apply_some(node, e);
        if (rc != 0) {
            return rc;
        }
    }
    if (node->applied < node->commit && !node->install.restoring) {
        node->dirty = true;
    }
    cache_evict(&node->cache, min_u64(node->applied, node->persisted));
    return 0;
}

static void tell_notes(struct node *node)
{
    struct note *note = node->notes;

    node->notes = NULL;
    node->notes_end = &node->notes;
    node->notes_n = 0;
    while (note != NULL) {
        struct note *next = note->next;
        node->options.io.note(node->options.io.ctx, note->from, note->data, note->len);
        free(note);
        note = next;
    }
}

int node_flush(struct node *node, uint64_t now_ms, struct err *e)
{
    clocks_now(node, now_ms);
    node->dirty = false;
    int rc = propose_flush(node, e);
    if (rc == 0) {
        rc = member_flush(node, e);
    }
    if (rc != 0) {
        return rc;
    }
    reads_flush(node);
    drive_push_commit(node);
    rc = apply(node, e);
    if (rc != 0) {
        return rc;
    }
    install_flush(node);
    propose_answer(node);
    reads_answer(node);
    tell_notes(node);
    return 0;
}

/* --- what happened */

int node_connected(struct node *node, uint64_t member, uint64_t now_ms, struct err *e)
{
    clocks_now(node, now_ms);
    struct peer *peer = node_peer_make(node, member);
    if (peer == NULL) {
        return err_set(e, ERR_TOO_BIG, "too many members talk to this one");
    }
    peer->connected = true;
    peer->told_commit = 0;
    if (member == clocks_leader(node)) {
        propose_resend(node);
        reads_restart(node);
    }
    member_tell_removed(node, member); /* It may have nothing to say. */
    node_changed(node);
    node->dirty = true;
    return 0;
}

int node_disconnected(struct node *node,
                      uint64_t member,
                      bool reset,
                      uint64_t now_ms,
                      struct err *e)
{
    struct peer *peer = node_peer(node, member);

    (void)e;
    clocks_now(node, now_ms);
    if (peer == NULL) {
        return 0;
    }
    peer->connected = false;
    peer->transfer.sent_ms = 0;
    if (reset && member == clocks_leader(node) && node->state != CORE_LEADER) {
        clocks_leader_reset(node);
    }
    node_changed(node);
    return 0;
}

void node_note(struct node *node, uint64_t to, const void *data, size_t len)
{
    if (len > LIMIT_FRAME_CONTROL / 4) {
        return;
    }
    for (uint32_t i = 0; i < node->peers_n; i++) {
        struct peer *p = node->peers[i];
        if ((to == 0 || p->id == to) && p->connected) {
            struct buf *frame = node_frame(node);
            msg_put_note(frame, data, len);
            node_send(node, p->id, frame);
        }
    }
}

int node_set_disk_full(struct node *node, bool full, uint64_t now_ms, struct err *e)
{
    (void)e;
    clocks_now(node, now_ms);
    if (full != node->disk_full) {
        node->disk_full = full;
        node->dirty = true;
        node_changed(node);
    }
    return 0;
}

/* --- looking */

void node_status(const struct node *node, struct raftlog_status *ret)
{
    ret->raft_id = node->options.id;
    ret->term = node->term;
    ret->leading = drive_leading(node);
    ret->leader = clocks_leader(node);
    ret->adrift_ms = clocks_adrift_ms(node);
    ret->leader_address[0] = '\0';
    const struct conf_member *m = conf_find(&node->membership.now, ret->leader);
    if (m != NULL) {
        (void)str_copy(ret->leader_address, sizeof ret->leader_address, m->address);
    }
    ret->commit_index = node->commit;
    ret->applied_index = node->applied;
    ret->last_index = node->cache.last;
    ret->first_index = node->cache.first;
    ret->snapshot_index = node->install.newest.s.index;
    ret->elections = node->elections;
    ret->disk_full = node->disk_full;
    ret->members = node->membership.now.n;
}

bool node_member(const struct node *node, uint32_t i, struct raftlog_member *ret)
{
    const struct conf *conf = &node->membership.now;

    if (i >= conf->n) {
        return false;
    }
    const struct conf_member *m = &conf->members[i];
    const struct member_change *change = &node->membership.change;
    bool self = m->id == node->options.id;
    memset(ret, 0, sizeof *ret);
    ret->raft_id = m->id;
    ret->role = m->role;
    memcpy(ret->address, m->address, sizeof ret->address);
    ret->connected = self;
    ret->heard_ms = self ? 0 : UINT64_MAX;
    for (uint32_t j = 0; j < node->peers_n; j++) {
        const struct peer *p = node->peers[j];
        if (p->id == m->id) {
            ret->connected = p->connected;
            ret->heard_ms = p->heard_ms == 0 ? UINT64_MAX : node->now_ms - p->heard_ms;
        }
    }
    ret->match_index = core_match(node->core, m->id);
    ret->catching_up = change->wanted && change->id == m->id && change->role == RAFTLOG_VOTER &&
                       change->submitted == 0;
    return true;
}

bool node_removed(const struct node *node)
{
    return node->membership.removed;
}
