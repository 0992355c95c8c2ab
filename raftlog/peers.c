#include "raftlog/peers.h"

#include <assert.h>
#include <string.h>

#include "core/os_random.h"
#include "core/util.h"

#include "raftlog/peers_priv.h"

uint32_t peers_frame_max(enum peers_channel channel)
{
    return channel == PEERS_CONTROL ? LIMIT_FRAME_CONTROL : LIMIT_FRAME_BULK;
}

struct member *peers_member(const struct peers *p, uint64_t raft_id)
{
    struct member *m = p->members;
    while (m != NULL && m->target.raft_id != raft_id) {
        m = m->next;
    }
    return m;
}

/* --- memory */

static void empty_trash(struct peers *p)
{
    while (p->trash_members != NULL) {
        struct member *m = p->trash_members;
        p->trash_members = m->next_trash;
        free(m);
    }
    while (p->trash_ins != NULL) {
        struct in *in = p->trash_ins;
        p->trash_ins = in->next_trash;
        peers_in_free(in);
    }
}

/* `at` is where the list points to it. Its `next` stays: a loop may stand on it. */
static void member_remove(struct member **at)
{
    struct member *m = *at;
    *at = m->next;
    m->gone = true;
    for (int i = 0; i < PEERS_CHANNELS; i++) {
        peers_out_done(&m->out[i]);
    }
    m->next_trash = m->peers->trash_members;
    m->peers->trash_members = m;
}

/* --- time */

static void tick_cb(uv_timer_t *t)
{
    struct peers *p = t->data;
    uint64_t now = uv_now(p->loop);
    uint32_t elapsed_ms = (uint32_t)min_u64(now - p->tick_at_ms, PEERS_TICK_MAX_MS);
    p->tick_at_ms = now;
    empty_trash(p);
    for (struct member *m = p->members; m != NULL; m = m->next) {
        for (int i = 0; i < PEERS_CHANNELS && !m->gone; i++) {
            peers_out_tick(&m->out[i], elapsed_ms);
        }
    }
    for (struct in *in = p->ins.next; in != &p->ins; in = in->next) {
        if (!in->gone) {
            peers_in_tick(in, elapsed_ms);
        }
    }
}

/* --- life */

static uint32_t or_default(uint32_t v, uint32_t def)
{
    return v == 0 ? def : v;
}

struct peers *peers_new(struct uv_loop_s *loop, const struct peers_options *options)
{
    struct peers *p = mem_new(1, sizeof *p);
    p->o = *options;
    p->o.idle_ms = or_default(p->o.idle_ms, 100);
    p->o.silence_ms = or_default(p->o.silence_ms, 1000);
    p->o.stall_ms = or_default(p->o.stall_ms, 300);
    p->o.connect_ms = or_default(p->o.connect_ms, 200);
    p->o.hello_ms = or_default(p->o.hello_ms, 2000);
    p->o.backoff_ms = or_default(p->o.backoff_ms, 500);
    p->o.queue_bytes = or_default(p->o.queue_bytes, 16u * 1024u * 1024u);
    p->self = options->self;
    p->loop = loop;
    p->group = stream_group_new(loop);
    p->ins.next = p->ins.prev = &p->ins;
    rng_seed_os(&p->rng);
    os_random_bytes(&p->nonce, sizeof p->nonce);
    p->nonce = p->self.nonce != 0 ? p->self.nonce : p->nonce;
    p->tick.data = p;
    p->tick_at_ms = uv_now(loop);
    (void)uv_timer_init(loop, &p->tick); /* Neither can fail. */
    (void)uv_timer_start(&p->tick, tick_cb, PEERS_TICK_MS, PEERS_TICK_MS);
    return p;
}

static void group_closed(void *ctx)
{
    struct peers *p = ctx;
    void (*closed)(void *ctx) = p->closed;
    void *closed_ctx = p->closed_ctx;
    empty_trash(p);
    free(p);
    if (closed != NULL) {
        closed(closed_ctx);
    }
}

static void tick_closed(uv_handle_t *h)
{
    struct peers *p = h->data;
    stream_group_close(p->group, group_closed, p);
}

void peers_close(struct peers *p, void (*closed)(void *ctx), void *ctx)
{
    assert(!p->closing);
    p->closing = true;
    p->closed = closed;
    p->closed_ctx = ctx;
    for (struct member *m = p->members; m != NULL; m = m->next) {
        for (int i = 0; i < PEERS_CHANNELS; i++) {
            peers_out_finish(&m->out[i]);
        }
    }
    while (p->members != NULL) {
        member_remove(&p->members);
    }
    while (p->ins.next != &p->ins) {
        peers_in_close(p->ins.next);
    }
    uv_close((uv_handle_t *)&p->tick, tick_closed);
}

/* --- who we are, and whom to reach */

void peers_set_self(struct peers *p, const struct peers_self *self)
{
    bool same = self->raft_id == p->self.raft_id && id_equal(&self->pool, &p->self.pool);
    p->self = *self;
    p->nonce = self->nonce != 0 ? self->nonce : p->nonce;
    if (same) {
        return;
    }
    for (struct member *m = p->members; m != NULL; m = m->next) {
        for (int i = 0; i < PEERS_CHANNELS; i++) {
            peers_out_restart(&m->out[i], /*again=*/true);
        }
    }
    for (struct in *in = p->ins.next; in != &p->ins; in = in->next) {
        if (in->up && in != p->deciding) {
            peers_in_close(in);
        }
    }
}

static void member_aim(struct member *m, const struct peers_target *t)
{
    struct err e;
    m->target = *t;
    m->bad_address = addr_parse(t->address, &m->addr, &e) != 0;
    for (int i = 0; i < PEERS_CHANNELS; i++) {
        peers_out_restart(&m->out[i], /*again=*/true);
    }
}

static void member_add(struct peers *p, const struct peers_target *t)
{
    struct member *m = mem_new(1, sizeof *m);
    m->peers = p;
    m->keep = true;
    for (int i = 0; i < PEERS_CHANNELS; i++) {
        peers_out_init(&m->out[i], m, (enum peers_channel)i);
    }
    m->next = p->members;
    p->members = m;
    member_aim(m, t);
}

static bool same_target(const struct peers_target *a, const struct peers_target *b)
{
    return a->raft_id == b->raft_id && a->adopt == b->adopt && strcmp(a->address, b->address) == 0;
}

void peers_set(struct peers *p, const struct peers_target *targets, uint32_t n)
{
    for (struct member *m = p->members; m != NULL; m = m->next) {
        m->keep = false;
    }
    for (uint32_t i = 0; i < n && i < LIMIT_HOSTS; i++) {
        struct member *m = peers_member(p, targets[i].raft_id);
        if (targets[i].raft_id == 0 || targets[i].raft_id == p->self.raft_id) {
            continue;
        }
        if (m == NULL) {
            member_add(p, &targets[i]);
            continue;
        }
        m->keep = true;
        if (!same_target(&m->target, &targets[i])) {
            member_aim(m, &targets[i]);
        }
    }
    for (struct member **at = &p->members; *at != NULL;) {
        if ((*at)->keep) {
            at = &(*at)->next;
        } else {
            member_remove(at);
        }
    }
}

void peers_drop(struct peers *p, uint64_t raft_id)
{
    for (struct in *in = p->ins.next; in != &p->ins; in = in->next) {
        if (in->up && in->hello.from.raft_id == raft_id) {
            peers_in_close(in);
        }
    }
}

void peers_disbelieve(struct peers *p, uint64_t raft_id, enum peers_channel channel)
{
    struct member *m = peers_member(p, raft_id);
    if (m != NULL) {
        m->out[channel].disbelieved = true;
    }
}

void peers_poke(struct peers *p, uint64_t raft_id)
{
    struct member *m = peers_member(p, raft_id);
    for (int i = 0; m != NULL && i < PEERS_CHANNELS; i++) {
        peers_out_poke(&m->out[i]);
    }
}

/* --- sending */

bool peers_sendv(struct peers *p,
                 uint64_t raft_id,
                 enum peers_channel channel,
                 const struct peers_bytes *parts,
                 uint32_t n)
{
    struct member *m = peers_member(p, raft_id);
    struct out *o = m == NULL ? NULL : &m->out[channel];
    size_t len = 0;
    for (uint32_t i = 0; i < n; i++) {
        len += parts[i].len;
    }
    if (o == NULL || o->state != OUT_UP || len == 0 || len > peers_frame_max(channel)) {
        return false;
    }
    size_t unsent = stream_unsent(o->stream);
    if (unsent > 0 && unsent + len + FRAME_HEAD > p->o.queue_bytes) {
        o->full = true;
        return false;
    }
    struct buf *b = stream_out(o->stream);
    buf_put_u32(b, (uint32_t)len);
    for (uint32_t i = 0; i < n; i++) {
        buf_put(b, parts[i].data, parts[i].len);
    }
    o->age_ms = 0;
    return true;
}

bool peers_send(struct peers *p,
                uint64_t raft_id,
                enum peers_channel channel,
                const void *data,
                size_t len)
{
    const struct peers_bytes part = {.data = data, .len = len};
    return peers_sendv(p, raft_id, channel, &part, 1);
}

void peers_flush(struct peers *p)
{
    stream_group_flush(p->group);
}

bool peers_is_up(const struct peers *p, uint64_t raft_id, enum peers_channel channel)
{
    const struct member *m = peers_member(p, raft_id);
    return m != NULL && m->out[channel].state == OUT_UP;
}

size_t peers_queued(const struct peers *p, uint64_t raft_id, enum peers_channel channel)
{
    const struct member *m = peers_member(p, raft_id);
    return m != NULL && m->out[channel].state == OUT_UP ? stream_unsent(m->out[channel].stream) : 0;
}
