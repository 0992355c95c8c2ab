/* Entries on their way: to other members, and to the own disk.
 *
 * The core sends appends without content and without a bound on bytes. Here they are filled from
 * the cache or the disk and cut into frames. What is over APPEND_BYTES is not sent: the member will
 * refuse the next append, which does not fit to what it got, and the core goes on from there. */

#include <assert.h>

#include "core/mark.h"
#include "core/util.h"

#include "raftlog/node_impl.h"

/* Bytes of entries of one frame (or one entry), and of one message of the core. */
#define FRAME_BYTES   (512ul * 1024u)
#define APPEND_BYTES  (4ul * 1024u * 1024u)
#define FRAME_ENTRIES 1024u

_Static_assert(FRAME_BYTES + LIMIT_ENTRY + 1024u <= LIMIT_FRAME_CONTROL,
               "a frame with one more entry must fit");

int drive_entry(struct node *node, uint64_t index, struct node_entry *ret, struct buf *hold)
{
    if (cache_get(&node->cache, index, ret)) {
        return 0;
    }
    MARK(entry_from_disk);
    size_t start = hold->len;
    int rc = node->options.io.read(node->options.io.ctx, index, ret, hold);
    if (rc != 0) {
        return rc;
    }
    if (ret->term != cache_term(&node->cache, index) || ret->index != index ||
        hold->len - start != ret->len) {
        return ERR_CORRUPT;
    }
    ret->data = NULL;
    return 0;
}

/* Entries from `first` on that fit in a frame, at most `max`; content of those from disk is in
 * *hold, one after the other. */
static uint32_t gather(struct node *node,
                       uint64_t first,
                       uint32_t max,
                       struct node_entry *entries,
                       struct buf *hold)
{
    size_t bytes = 0;
    uint32_t n = 0;

    while (n < max && n < FRAME_ENTRIES && bytes < FRAME_BYTES) {
        if (drive_entry(node, first + n, &entries[n], hold) != 0) {
            break;
        }
        bytes += msg_entry_size(&entries[n]);
        n++;
    }
    const uint8_t *p = hold->data;
    for (uint32_t i = 0; i < n; i++) {
        if (entries[i].data == NULL && entries[i].len > 0) {
            entries[i].data = p;
            p += entries[i].len;
        }
    }
    return n;
}

/* A change after which this member alone votes counts when it is on the own disk, whoever else has
 * it. Nobody else gets it before: if it is lost here, one who has it would neither stand, being no
 * voter by it, nor vote for this member, whose log would be the shorter one. */
static uint64_t last_to_send(const struct node *node)
{
    const struct membership *ms = &node->membership;
    uint64_t change = ms->pending_n == 0 ? 0 : ms->pending[ms->pending_n - 1];

    if (change <= node->persisted || conf_voters(&ms->now) > 1) {
        return UINT64_MAX;
    }
    return change - 1;
}

void append_send(struct node *node, struct peer *peer, const struct core_message *m)
{
    CLEANUP(cleanup_free) struct node_entry *entries = NULL;
    CLEANUP(buf_done) struct buf hold = {0};
    struct core_message part = *m;
    uint64_t last = max_u64(last_to_send(node), m->append.prev_index);
    uint32_t n = (uint32_t)min_u64(m->append.n, last - m->append.prev_index);
    size_t bytes = 0;
    uint32_t done = 0;

    MARK_IF(only_vote_waits, n < m->append.n);
    if (n > 0) {
        entries = mem_new(min_u64(n, FRAME_ENTRIES), sizeof *entries);
    }
    do {
        buf_clear(&hold);
        part.append.entries = entries;
        part.append.n = gather(node, m->append.prev_index + done + 1, n - done, entries, &hold);
        if (part.append.n == 0 && done > 0) {
            break;
        }
        struct buf *frame = node_frame(node);
        msg_put_core(frame, &part);
        bytes += frame->len;
        node_send(node, peer->id, frame);
        done += part.append.n;
        if (part.append.n > 0) {
            assert(entries != NULL);
            part.append.prev_index = entries[part.append.n - 1].index;
            part.append.prev_term = entries[part.append.n - 1].term;
        }
    } while (part.append.n > 0 && done < n && bytes < APPEND_BYTES);
    peer->step = node->steps;
    peer->told_commit =
        max_u64(peer->told_commit, min_u64(m->append.commit, m->append.prev_index + done));
}

void append_own(struct node *node, struct peer *peer, uint64_t match, uint32_t n)
{
    struct core_message m = {.type = CORE_APPEND, .peer = peer->id, .term = node->term};

    m.append.prev_index = match;
    m.append.prev_term = cache_term(&node->cache, match);
    if (m.append.prev_term == 0) {
        m.append.prev_index = 0;
    }
    m.append.n = n;
    m.append.commit = min_u64(node->commit, m.append.prev_index + n);
    append_send(node, peer, &m);
}

/* --- to the own disk */

void append_written(struct node *node, const struct node_entry *entries, uint32_t n)
{
    struct writes *w = &node->writes;
    uint64_t cut = entries[0].index;

    for (uint32_t i = 0; i < w->n; i++) {
        struct write *old = &w->ring[(w->first + i) % w->cap];
        MARK_IF(write_overtaken, old->valid >= cut);
        old->valid = min_u64(old->valid, cut - 1);
    }
    if (w->n == w->cap) {
        uint32_t cap = w->cap == 0 ? 16 : w->cap * 2;
        struct write *ring = mem_new(cap, sizeof *ring);
        for (uint32_t i = 0; i < w->n; i++) {
            ring[i] = w->ring[(w->first + i) % w->cap];
        }
        free(w->ring);
        *w = (struct writes){.ring = ring, .cap = cap, .n = w->n};
    }
    const struct node_entry *last = &entries[n - 1];
    w->ring[(w->first + w->n) % w->cap] =
        (struct write){.index = last->index, .term = last->term, .valid = last->index};
    w->n++;
    node->persisted = min_u64(node->persisted, cut - 1);
    node->options.io.append(node->options.io.ctx, entries, n);
}

int node_persisted(struct node *node, uint64_t index, uint64_t term, uint64_t now_ms, struct err *e)
{
    struct writes *w = &node->writes;

    clocks_now(node, now_ms);
    if (w->n == 0 || w->ring[w->first].index != index || w->ring[w->first].term != term) {
        return err_set(e, ERR_INTERNAL, "a write completed out of order (index %llu)",
                       (unsigned long long)index);
    }
    uint64_t valid = w->ring[w->first].valid;
    w->first = (w->first + 1) % w->cap;
    w->n--;
    if (NODE_MUTANT(node, STALE_PERSISTED)) {
        valid = min_u64(index, node->cache.last);
    }
    if (node->install.restoring || valid <= node->persisted) {
        return 0;
    }
    node->persisted = valid;
    struct core_event event = {.type = CORE_PERSISTED, .index = valid};
    return drive_step(node, &event, e);
}
