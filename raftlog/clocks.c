/* Time, leaders, elections.
 *
 * The core is given a clock of its own, `core_ms`, that only goes forward and differs from the true
 * one in two ways:
 *   - It stands still while this process was paused (stopped, or the machine too busy): a gap
 * between two calls counts STALL at most. So a member that wakes up first reads what has queued up,
 * and does not find its leader silent for as long as it slept itself. Nothing that must be safe
 *     depends on this clock: a leader's reads ask a majority, and what is committed is counted.
 *   - It jumps to the core's election deadline when the leader's system reset its connection: the
 *     process is dead, there is nothing to wait for. The core acts on a timeout only if its
 * deadline has come, so this is the way to tell it. The survivors do that one after the other, in
 * the order of their numbers, EARLY_STEP apart, so that they rarely stand against each other. */

#include "core/util.h"

#include "raftlog/node_impl.h"

#define EARLY_FIRST_MS  2u
#define EARLY_STEP_MS   15u
#define EARLY_SPREAD_MS 8u
#define EARLY_RETRY_MS  45u
#define EARLY_TRIES     3u

static uint64_t stall_limit(const struct node *node)
{
    return max_u64(2 * (uint64_t)node->options.heartbeat_ms, node->options.election_ms / 2);
}

void clocks_now(struct node *node, uint64_t now_ms)
{
    if (now_ms <= node->now_ms) {
        return;
    }
    uint64_t gap = now_ms - node->now_ms;
    node->now_ms = now_ms;
    node->core_ms += min_u64(gap, stall_limit(node));
}

/* When the core is to be told that its deadline has come, on its clock. As a leader it checks at
 * each such moment that it heard its members since the last one, so these must not come closer than
 * heartbeats do. */
static uint64_t core_due(const struct node *node)
{
    uint64_t due = core_deadline(node->core);

    if (node->state == CORE_LEADER) {
        due = max_u64(due, node->timeout_ms + node->options.heartbeat_ms);
    }
    return due;
}

uint64_t clocks_deadline(const struct node *node)
{
    uint64_t at = node->now_ms + node->options.heartbeat_ms;
    uint64_t due = core_due(node);

    at = min_u64(at, node->now_ms + (due > node->core_ms ? due - node->core_ms : 0));
    if (node->early_ms != 0) {
        at = min_u64(at, max_u64(node->early_ms, node->now_ms));
    }
    if (node->push_ms != 0) {
        at = min_u64(at, max_u64(node->push_ms, node->now_ms));
    }
    return at;
}

/* Stand early: move the core's clock to its deadline. */
static void early(struct node *node)
{
    bool settled = !node->install.restoring && node->persisted == node->cache.last;

    if (!node->suspect || node->state == CORE_LEADER || node->early_tries >= EARLY_TRIES ||
        !member_is_voter(node, node->options.id)) {
        node->early_ms = 0;
        return;
    }
    if (!settled) {
        /* The core does not stand with writes under way; it would only start its timer again. */
        node->early_ms = node->now_ms + EARLY_FIRST_MS;
        return;
    }
    node->core_ms = max_u64(node->core_ms, core_deadline(node->core));
    node->early_tries++;
    node->early_ms = node->now_ms + EARLY_RETRY_MS + rng_below(&node->rng, EARLY_RETRY_MS);
}

/* In reach: this member leads, or hears the leader and can speak to it. */
static void look_for_leader(struct node *node)
{
    const struct peer *leader = node_peer(node, clocks_leader(node));
    bool in_reach = node->state == CORE_LEADER ||
                    (leader != NULL && leader->connected && !clocks_leader_is_gone(node));

    if (in_reach) {
        node->adrift_since_ms = 0;
    } else if (node->adrift_since_ms == 0) {
        node->adrift_since_ms = node->now_ms;
    }
}

uint64_t clocks_adrift_ms(const struct node *node)
{
    return node->adrift_since_ms == 0 ? 0 : node->now_ms - node->adrift_since_ms;
}

bool clocks_adrift(const struct node *node, uint32_t patience_ms)
{
    return patience_ms != 0 && clocks_adrift_ms(node) >= patience_ms;
}

int clocks_tick(struct node *node, struct err *e)
{
    look_for_leader(node);
    if (node->push_ms != 0 && node->now_ms >= node->push_ms) {
        node->push_ms = 0; /* The flush does it. */
        node->dirty = true;
    }
    if (node->early_ms != 0 && node->now_ms >= node->early_ms) {
        early(node);
    }
    if (node->core_ms < core_due(node)) {
        return 0;
    }
    node->timeout_ms = node->core_ms;
    struct core_event event = {.type = CORE_TIMEOUT};
    int rc = drive_step(node, &event, e);
    if (rc == 0) {
        drive_heartbeat(node);
    }
    return rc;
}

uint64_t clocks_leader(const struct node *node)
{
    return node->leader_term == node->term ? node->leader : 0;
}

void clocks_heard_leader(struct node *node, uint64_t from, uint64_t term)
{
    bool is_new = node->leader != from || node->leader_term != term;

    node->leader = from;
    node->leader_term = term;
    node->leader_ms = node->core_ms;
    node->suspect = false;
    node->early_ms = 0;
    node->early_tries = 0;
    if (is_new) {
        propose_resend(node);
        reads_restart(node);
        node_changed(node);
    }
}

bool clocks_leader_is_gone(const struct node *node)
{
    return clocks_leader(node) == 0 || node->suspect ||
           node->core_ms - node->leader_ms >= node->options.election_ms;
}

void clocks_leader_reset(struct node *node)
{
    const struct conf *conf = &node->membership.now;
    uint64_t rank = 0;

    for (uint32_t i = 0; i < conf->n; i++) {
        const struct conf_member *m = &conf->members[i];
        rank += m->role == RAFTLOG_VOTER && m->id < node->options.id && m->id != node->leader;
    }
    node->suspect = true;
    node->early_tries = 0;
    node->early_ms = node->now_ms + EARLY_FIRST_MS + rank * EARLY_STEP_MS +
                     rng_below(&node->rng, EARLY_SPREAD_MS);
}
