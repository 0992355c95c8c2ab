/* Who may connect, who is connected, frames in and out. */

#include <string.h>

#include "core/log.h"
#include "core/mark.h"
#include "core/util.h"

#include "raftlog/rl.h"

/* A blank host that does not become ours in this time is asked again by the controller. */
#define ADDING_MS 10000u

/* Long enough for a dial and its answer. */
#define LINGER_MS 2000u

struct rl_peer *rl_peer_find(struct raftlog *rl, uint64_t raft_id)
{
    for (uint32_t i = 0; i < RL_PEERS; i++) {
        if (raft_id != 0 && rl->peer[i].raft_id == raft_id) {
            return &rl->peer[i];
        }
    }
    return NULL;
}

static struct rl_peer *peer_make(struct raftlog *rl, uint64_t raft_id, const char *address)
{
    struct rl_peer *p = rl_peer_find(rl, raft_id);
    if (p == NULL) {
        p = NULL;
        for (uint32_t i = 0; p == NULL && i < RL_PEERS; i++) {
            p = rl->peer[i].raft_id == 0 ? &rl->peer[i] : NULL;
        }
        if (p == NULL) {
            return NULL;
        }
        *p = (struct rl_peer){.raft_id = raft_id};
    }
    if (address != NULL && !p->in_conf) {
        (void)str_copy(p->address, sizeof p->address, address);
    }
    return p;
}

/* Tell the node when a member's control streams work both ways, and when no longer. A reset is told
 * whatever was told before: when a process dies both its streams end, in any order, and only the
 * end of the incoming one says why. */
static void peer_judge(struct raftlog *rl, struct rl_peer *p, bool reset)
{
    bool up = p->in_up && p->out_up;
    struct err e = {0};
    int rc = 0;
    if ((up == p->told_up && !reset) || rl->node == NULL) {
        return;
    }
    p->told_up = up;
    rl->changed = true;
    if (up) {
        rc = node_connected(rl->node, p->raft_id, rl_now_ms(rl), &e);
    } else {
        rc = node_disconnected(rl->node, p->raft_id, reset, rl_now_ms(rl), &e);
    }
    if (rc != 0) {
        rl_fatal(rl, &e);
    }
    rl_wake(rl);
}

/* Every member of the configuration, the one being added, and whoever dialled us. Where no leader
 * is in reach, those who dialled stay for a while: they hang up on an old copy of our directory,
 * and on a member that is none any more, and say so only when they are dialled. */
static bool is_wanted(struct raftlog *rl, const struct rl_peer *p)
{
    struct raftlog_status st;
    if (p->raft_id == 0 || p->in_conf || p->in_up || p->raft_id == rl->adding_id) {
        return p->raft_id != 0;
    }
    if (rl->node == NULL || p->heard_ms == 0 || rl_now_ms(rl) - p->heard_ms >= LINGER_MS) {
        return false;
    }
    node_status(rl->node, &st);
    return st.adrift_ms > 0;
}

static void targets_set(struct raftlog *rl)
{
    struct peers_target t[LIMIT_HOSTS];
    uint32_t n = 0;
    for (uint32_t i = 0; i < RL_PEERS && n < LIMIT_HOSTS; i++) {
        const struct rl_peer *p = &rl->peer[i];
        bool adding = p->raft_id == rl->adding_id;
        if (is_wanted(rl, p)) {
            t[n] = (struct peers_target){.raft_id = p->raft_id, .adopt = adding && !p->in_conf};
            (void)str_copy(t[n].address, sizeof t[n].address, p->address);
            n++;
        }
    }
    peers_set(rl->peers, t, n);
}

void rl_net_members(struct raftlog *rl)
{
    struct raftlog_member m;
    struct raftlog_status st = {0};
    for (uint32_t i = 0; i < RL_PEERS; i++) {
        rl->peer[i].in_conf = false;
    }
    node_status(rl->node, &st);
    for (uint32_t i = 0; node_member(rl->node, i, &m); i++) {
        if (m.raft_id == st.raft_id) {
            continue;
        }
        struct rl_peer *p = peer_make(rl, m.raft_id, NULL);
        if (p != NULL) {
            p->in_conf = true;
            (void)str_copy(p->address, sizeof p->address, m.address);
        }
        if (m.raft_id == rl->adding_id) {
            rl->adding_id = 0;
        }
    }
    for (uint32_t i = 0; i < RL_PEERS; i++) {
        struct rl_peer *p = &rl->peer[i];
        if (!is_wanted(rl, p)) {
            *p = (struct rl_peer){0};
        }
    }
    targets_set(rl);
}

/* --- what the streams tell */

static int refuse(char *text, int code, const char *why)
{
    (void)str_copy(text, LIMIT_DETAIL + 1, why);
    return code;
}

/* A member that never got a configuration knows nobody whom it could ask, and has nothing that
 * anybody needs. Numbers only grow: with a later one it begins anew. */
static void begin_anew(struct raftlog *rl, uint64_t raft_id)
{
    struct err e;
    struct raftlog_member any;
    if (rl->node == NULL || node_member(rl->node, 0, &any) || raft_id < rl->guard.record.raft_id) {
        return;
    }
    (void)err_set(&e, ERR_REFUSED, "this host is to be member %llu, and was member %llu",
                  (unsigned long long)raft_id, (unsigned long long)rl->guard.record.raft_id);
    MARK(member_anew);
    rl_condemn(rl, e.msg);
    rl_fatal(rl, &e);
}

static int on_hello(void *ctx, const struct peers_hello *hello, char *text)
{
    struct raftlog *rl = ctx;
    struct err e = {0};
    if (rl->stopping || rl->failed) {
        return refuse(text, ERR_CLOSED, "this host is stopping");
    }
    const struct guard_record *g = &rl->guard.record;
    if (g->raft_id == 0) {
        MARK(blank_asked);
        if (!hello->adopt) {
            return refuse(text, ERR_NO_POOL, "this host has no data of that member");
        }
        if (rl_adopt(rl, &hello->from.pool, hello->to_raft_id, &e) != 0) {
            log_line(LOG_ERROR, "join_failed", "dir", rl->dir, "err", e.msg, NULL);
            return refuse(text, e.code, e.msg);
        }
    }
    if (!id_equal(&g->pool, &hello->from.pool)) {
        return refuse(text, ERR_DENIED, "this host belongs to another pool");
    }
    if (hello->to_raft_id != g->raft_id) {
        MARK(other_number);
        begin_anew(rl, hello->to_raft_id);
        struct rl_peer *p = peer_make(rl, hello->from.raft_id, hello->from.address);
        if (p != NULL) { /* It may be the leader, whom we knew under another number. */
            p->heard_ms = rl_now_ms(rl);
            targets_set(rl);
        }
        return refuse(text, ERR_STALE, "this host is another member now");
    }
    if (guard_check_peer(&rl->guard, hello->from.raft_id, hello->from.incarnation, hello->nonce,
                         &e) != 0 ||
        guard_told(&rl->guard, &e) != 0) { /* The answer tells it. */
        return refuse(text, e.code, e.msg);
    }
    struct rl_peer *p = peer_make(rl, hello->from.raft_id, hello->from.address);
    if (p == NULL) {
        return refuse(text, ERR_BUSY, "too many members are connected");
    }
    p->incarnation = hello->from.incarnation;
    if (hello->channel == PEERS_CONTROL) {
        p->in_up = true;
        p->heard_ms = rl_now_ms(rl);
        targets_set(rl);
        peers_poke(rl->peers, p->raft_id);
        peer_judge(rl, p, /*reset=*/false);
    }
    return 0;
}

static void
on_frame(void *ctx, uint64_t raft_id, enum peers_channel channel, const void *data, size_t len)
{
    struct raftlog *rl = ctx;
    struct err e = {0};
    struct rl_peer *p = rl_peer_find(rl, raft_id);
    if (rl->node == NULL || rl->failed || p == NULL) {
        return;
    }
    p->heard_ms = rl_now_ms(rl);
    if (channel == PEERS_BULK) {
        rl_snap_frame(rl, raft_id, data, len);
        rl_wake(rl);
        return;
    }
    int rc = node_receive(rl->node, raft_id, data, len, p->heard_ms, &e);
    if (rc == ERR_MALFORMED) {
        p->in_up = false;
        peers_drop(rl->peers, raft_id);
        peer_judge(rl, p, /*reset=*/false);
    } else if (rc != 0) {
        rl_fatal(rl, &e);
    }
    rl_wake(rl);
}

static void on_lost(void *ctx, uint64_t raft_id, enum peers_channel channel, enum peers_end end)
{
    struct raftlog *rl = ctx;
    struct rl_peer *p = rl_peer_find(rl, raft_id);
    if (p == NULL || end == PEERS_SUPERSEDED) {
        return;
    }
    if (channel == PEERS_BULK) {
        rl_snap_down(rl, raft_id);
        return;
    }
    p->in_up = false;
    peer_judge(rl, p, end == PEERS_RESET);
}

/* A refusal that only an operator can end is told once. */
static void tell_refusal(struct rl_peer *p, const struct peers_answer *answer)
{
    int code = answer->code == ERR_DENIED ? answer->code : 0;
    if (code != 0 && p->refusal != code) {
        log_line(LOG_ERROR, "host_refuses", "address", p->address, "err", answer->text, "hint",
                 "one of the two has the data directory of another pool: put its own back, or "
                 "empty it, so that the pool fills it again",
                 NULL);
    }
    p->refusal = code;
}

static void on_answer(void *ctx,
                      uint64_t raft_id,
                      enum peers_channel channel,
                      const struct peers_answer *answer)
{
    struct raftlog *rl = ctx;
    struct err e = {0};
    struct rl_peer *p = rl_peer_find(rl, raft_id);
    if (p == NULL) {
        return;
    }
    tell_refusal(p, answer);
    rl->changed = rl->changed || p->blank != answer->blank;
    p->blank = answer->blank && answer->code != 0;
    if (answer->code == 0 &&
        guard_check_peer(&rl->guard, raft_id, answer->incarnation, answer->nonce, &e) != 0) {
        /* An old copy of its directory, which it learns when it dials us; or no disk of ours to
         * remember this start on. */
        peers_disbelieve(rl->peers, raft_id, channel);
        if (e.code == ERR_REFUSED && raft_id == rl->adding_id) {
            rl->spent_id = raft_id; /* It was this member before, and lost what it knew. */
            rl->adding_id = 0;
            rl_net_members(rl);
        }
        return;
    }
    if (answer->code == ERR_REFUSED) {
        /* The other end has seen a later start of this host than this one can remember: what we
         * hold is an old copy of our directory. */
        rl_condemn(rl, answer->text);
        (void)err_set(&e, ERR_REFUSED, "%s", answer->text);
        rl_fatal(rl, &e);
        return;
    }
    if (answer->code == 0) {
        (void)guard_told(&rl->guard, &e); /* Else the same start is told again, by its nonce. */
    }
    if (answer->code == 0 && channel == PEERS_CONTROL) {
        p->out_up = true;
        p->incarnation = answer->incarnation;
        peer_judge(rl, p, /*reset=*/false);
        rl_adding_tick(rl, rl_now_ms(rl));
    } else if (answer->code == 0) {
        rl_snap_room(rl, raft_id);
    }
    rl_wake(rl);
}

static void on_down(void *ctx, uint64_t raft_id, enum peers_channel channel)
{
    struct raftlog *rl = ctx;
    struct rl_peer *p = rl_peer_find(rl, raft_id);
    if (p == NULL) {
        return;
    }
    if (channel == PEERS_BULK) {
        rl_snap_down(rl, raft_id);
        return;
    }
    p->out_up = false;
    peer_judge(rl, p, /*reset=*/false);
}

static void on_room(void *ctx, uint64_t raft_id, enum peers_channel channel)
{
    if (channel == PEERS_BULK) {
        rl_snap_room(ctx, raft_id);
    }
}

static struct peers_self self_of(const struct raftlog *rl)
{
    const struct guard_record *g = &rl->guard.record;
    struct peers_self self = {
        .pool = g->pool, .raft_id = g->raft_id, .nonce = g->nonce, .incarnation = g->incarnation};
    (void)str_copy(self.name, sizeof self.name, rl->name);
    (void)str_copy(self.address, sizeof self.address, rl->listen);
    return self;
}

void rl_net_self(struct raftlog *rl)
{
    struct peers_self self = self_of(rl);
    peers_set_self(rl->peers, &self);
}

void rl_net_start(struct raftlog *rl)
{
    struct peers_options o = {
        .self = self_of(rl),
        .ctx = rl,
        .on_hello = on_hello,
        .on_frame = on_frame,
        .on_lost = on_lost,
        .on_answer = on_answer,
        .on_down = on_down,
        .on_room = on_room,
    };
    rl->peers = peers_new(rl->loop, &o);
}

void rl_send(void *ctx, uint64_t to, enum node_channel channel, const void *data, size_t len)
{
    struct raftlog *rl = ctx;
    /* What cannot be sent is lost, as on a broken line: the node repeats itself. An only voter
     * leads as it starts, when there are no streams yet. */
    if (rl->peers == NULL) {
        return;
    }
    (void)peers_send(rl->peers, to, channel == NODE_BULK ? PEERS_BULK : PEERS_CONTROL, data, len);
}

/* --- adding a member: first it is told its number, then it comes into the configuration */

int raftlog_member_add(struct raftlog *rl, uint64_t raft_id, const char *address, struct err *e)
{
    struct raftlog_status st;
    raftlog_status(rl, &st);
    if (!st.leading) {
        return err_set(e, ERR_NOT_LEADER, "this host is not the master");
    }
    if (rl->adding_id == raft_id) {
        return 0;
    }
    if (rl->spent_id == raft_id) {
        return err_set(e, ERR_REFUSED, "member %llu lost its data before it came into the pool",
                       (unsigned long long)raft_id);
    }
    if (rl->adding_id != 0) {
        return err_set(e, ERR_BUSY, "member %llu is being added",
                       (unsigned long long)rl->adding_id);
    }
    if (peer_make(rl, raft_id, address) == NULL) {
        return err_set(e, ERR_TOO_BIG, "too many members are known");
    }
    rl->adding_id = raft_id;
    rl->adding_until_ms = rl_now_ms(rl) + ADDING_MS;
    (void)str_copy(rl->adding_address, sizeof rl->adding_address, address);
    targets_set(rl);
    rl_adding_tick(rl, rl_now_ms(rl));
    return 0;
}

void rl_adding_tick(struct raftlog *rl, uint64_t now_ms)
{
    if (rl->adding_id == 0 || rl->node == NULL) {
        return;
    }
    const struct rl_peer *p = rl_peer_find(rl, rl->adding_id);
    if (p != NULL && p->out_up) {
        struct err e = {0};
        int rc = node_member_add(rl->node, p->raft_id, rl->adding_address, now_ms, &e);
        if (rc != ERR_BUSY) {
            rl->adding_id = 0; /* Begun, or it can not be: the controller looks again. */
        }
        rl_wake(rl);
    }
    if (now_ms >= rl->adding_until_ms) {
        rl->adding_id = 0;
        rl_net_members(rl);
    }
}
