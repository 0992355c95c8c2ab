/* What passes between the two ends of a connection: segments, handshakes, resets. */

#include <errno.h>
#include <string.h>

#include "core/util.h"

#include "chaos-tests/sim/vnet_impl.h"

/* --- connections */

/* Whether packets of this side pass. */
static bool passes(const struct conn *c, int side)
{
    return !c->forgotten && !c->torn && vnet_path(c->host[side], c->host[1 - side]);
}

void conn_free(struct conn *c)
{
    for (int i = 0; i < 2; i++) {
        dir_clear(&c->dir[i]);
        vevent_clear(&c->dir[i].room);
        vevent_clear(&c->dir[i].probe);
    }
    vevent_clear(&c->syn);
    *c->prev = c->next;
    if (c->next != NULL) {
        c->next->prev = c->prev;
    }
    world_free(c);
}

static void conn_maybe_free(struct conn *c)
{
    if (c->end[0] == NULL && c->end[1] == NULL && c->dir[0].first == NULL &&
        c->dir[1].first == NULL) {
        conn_free(c);
    }
}

void dir_clear(struct dir *d)
{
    while (d->first != NULL) {
        struct segment *seg = d->first;
        d->first = seg->next;
        world_free(seg);
    }
    d->last = NULL;
    vevent_clear(&d->deliver);
}

/* The socket has no connection any more. */
void sock_detach(struct sock *s)
{
    struct conn *c = s->conn;
    s->conn = NULL;
    if (c != NULL) {
        c->end[s->side] = NULL;
        conn_maybe_free(c);
    }
}

/* An error that ends the connection reaches this end. */
static void end_fail(struct sock *s, int error)
{
    if (s->error == 0) {
        s->error = error;
        s->peer_ended = true;
        s->rbuf_at = s->rbuf_len = 0; /* Unread bytes are thrown away by a reset. */
    }
    sock_tell(s);
}

void conn_send(struct conn *c, int side, struct segment *seg)
{
    struct dir *d = &c->dir[side];
    uint32_t from = c->host[side];
    uint32_t to = c->host[1 - side];
    const struct link *l = &vnet.links[from][to];
    uint64_t at = max_u64(world.now_ns, d->line_free_ns);
    if (l->bytes_per_s != 0) {
        at += seg->len * NS_PER_S / l->bytes_per_s;
        d->line_free_ns = at;
    }
    at += vnet_delay(from, to);
    for (uint64_t rto = RTO_MIN; rng_chance(&vnet.rng, l->loss_ppm); rto *= 2) {
        at += rto;
    }
    seg->at_ns = max_u64(at, d->last_at_ns);
    d->last_at_ns = seg->at_ns;
    seg->next = NULL;
    if (d->last == NULL) {
        d->first = seg;
        vevent_set(&d->deliver, seg->at_ns);
    } else {
        d->last->next = seg;
    }
    d->last = seg;
}

void conn_send_flag(struct conn *c, int side, bool fin, bool rst)
{
    struct segment *seg = world_new(1, sizeof *seg);
    seg->fin = fin;
    seg->rst = rst;
    conn_send(c, side, seg);
}

/* This end sends a reset: nothing else of it arrives any more. */
void conn_reset(struct conn *c, int side)
{
    dir_clear(&c->dir[side]);
    c->dir[side].last_at_ns = 0;
    conn_send_flag(c, side, false, true);
}

void sock_put(struct sock *s, const uint8_t *data, size_t len)
{
    if (s->rbuf_at > 0 && s->rbuf_at == s->rbuf_len) {
        s->rbuf_at = s->rbuf_len = 0;
    }
    if (s->rbuf_len + len > s->rbuf_cap) {
        size_t have = s->rbuf_len - s->rbuf_at;
        if (s->rbuf_at > 0) {
            memmove(s->rbuf, s->rbuf + s->rbuf_at, have);
            s->rbuf_at = 0;
            s->rbuf_len = have;
        }
        if (have + len > s->rbuf_cap) {
            s->rbuf_cap = max_u64(s->rbuf_cap * 2, have + len);
            s->rbuf = world_grow(s->rbuf, s->rbuf_cap, 1);
        }
    }
    memcpy(s->rbuf + s->rbuf_len, data, len);
    s->rbuf_len += len;
}

static void acked(struct conn *c, int side)
{
    c->dir[side].acked_ns = world.now_ns;
    c->dir[side].ack_lost = !passes(c, 1 - side);
}

/* One segment arrives at the other end of its direction. */
static void arrive(struct conn *c, int side, struct segment *seg)
{
    struct sock *to = c->end[1 - side];
    if (seg->rst) {
        if (to != NULL) {
            end_fail(to, -ECONNRESET);
        }
        return;
    }
    if (to == NULL || to->error != 0) {
        if (c->end[side] != NULL && c->end[side]->error == 0) {
            conn_reset(c, 1 - side); /* Nobody is there. */
        }
        return;
    }
    acked(c, side);
    if (seg->fin) {
        to->fin = true;
        to->peer_ended = true;
    } else {
        sock_put(to, seg->data + seg->at, seg->len - seg->at);
    }
    sock_tell(to);
}

/* Part of the head of the queue arrives now, the rest a little later. */
static void split(struct conn *c, int side, struct segment *seg)
{
    struct sock *to = c->end[1 - side];
    uint64_t n = rng_between(&vnet.rng, 1, seg->len - seg->at - 1);
    sock_put(to, seg->data + seg->at, n);
    seg->at += (uint32_t)n;
    seg->at_ns = world.now_ns + rng_between(&vnet.rng, 1, 300) * NS_PER_US;
    c->dir[side].last_at_ns = max_u64(c->dir[side].last_at_ns, seg->at_ns);
    sock_tell(to);
}

static void deliver(struct vevent *ev)
{
    struct dir *d = CONTAINER_OF(ev, struct dir, deliver);
    struct conn *c = d->conn;
    int side = (int)(d - c->dir);
    bool tears = c->torn && d->first->rst && vnet_path(c->host[side], c->host[1 - side]);
    if (!passes(c, side) && !tears) {
        if (d->first->rst) { /* Never sent again. */
            dir_clear(d);
            conn_maybe_free(c);
            return;
        }
        uint64_t rto = RTO_MIN << min_u64(d->stalls, 10);
        d->stalls++;
        vevent_set(ev, world.now_ns + min_u64(rto, RTO_MAX));
        return;
    }
    d->stalls = 0;
    while (d->first != NULL && d->first->at_ns <= world.now_ns) {
        struct segment *seg = d->first;
        if (seg->len - seg->at > 1 && c->end[1 - side] != NULL && c->end[1 - side]->error == 0 &&
            rng_chance(&vnet.rng, vnet.links[c->host[side]][c->host[1 - side]].split_ppm)) {
            split(c, side, seg);
            break;
        }
        d->first = seg->next;
        if (d->first == NULL) {
            d->last = NULL;
        }
        world_note('s', c->number, seg->len);
        arrive(c, side, seg);
        world_free(seg);
    }
    if (d->first != NULL) {
        vevent_set(ev, d->first->at_ns);
    }
    conn_maybe_free(c);
}

/* The reader made room, and the sender hears of it. */
static void room(struct vevent *ev)
{
    struct dir *d = CONTAINER_OF(ev, struct dir, room);
    struct conn *c = d->conn;
    int side = (int)(d - c->dir);
    if (c->end[side] == NULL) {
        return;
    }
    if (!passes(c, 1 - side)) {
        vevent_set(ev, world.now_ns + RTO_MIN);
        return;
    }
    d->window = d->window_next;
    sock_tell(c->end[side]);
}

/* A sender without room asks again and again, each time after twice as long: what told it of room
 * may have been lost, and so may the reset of a receiver that died. */
void conn_probe_later(struct dir *d)
{
    if (!vevent_is_set(&d->probe)) {
        d->probes = d->asks = 0;
        vevent_set(&d->probe, world.now_ns + RTO_MIN);
    }
}

static void probe(struct vevent *ev)
{
    struct dir *d = CONTAINER_OF(ev, struct dir, probe);
    struct conn *c = d->conn;
    int side = (int)(d - c->dir);
    struct sock *from = c->end[side];
    if (from == NULL || from->error != 0 || d->window > 0) {
        return;
    }
    if (passes(c, side) && passes(c, 1 - side)) {
        if (c->end[1 - side] == NULL) {
            conn_reset(c, 1 - side);
            return;
        }
        d->window = d->window_next;
        d->probes = 0;
        acked(c, side);
    } else {
        d->probes++;
    }
    if (d->window > 0) {
        sock_tell(from);
    } else {
        vevent_set(ev, world.now_ns + min_u64(RTO_MIN << min_u64(d->asks++, 10), RTO_MAX));
    }
}

/* --- connecting */

static struct sock *listener_at(uint32_t host, uint16_t port)
{
    struct sock *s = vnet.listeners[host];
    while (s != NULL && s->port != port) {
        s = s->next_listener;
    }
    return s;
}

static void handshake(struct conn *c)
{
    struct sock *client = c->end[0];
    struct sock *l = listener_at(c->host[1], c->port);
    if (l == NULL || l->n_backlog >= BACKLOG_MAX) {
        conn_reset(c, 1);
        c->refused = true;
        return;
    }
    struct sock *s = sock_new(c->host[1], l->owner);
    s->conn = c;
    s->side = 1;
    s->connected = 1;
    s->port = c->port;
    c->end[1] = s;
    struct sock **p = &l->backlog;
    while (*p != NULL) {
        p = &(*p)->backlog;
    }
    *p = s;
    l->n_backlog++;
    c->established = true;
    world_note('c', c->number, c->host[1]);
    sock_tell(l);
    vevent_set(&c->syn, world.now_ns + vnet_delay(client->host, c->host[1]));
}

static void syn(struct vevent *ev)
{
    struct conn *c = CONTAINER_OF(ev, struct conn, syn);
    struct sock *client = c->end[0];
    if (client == NULL) {
        return;
    }
    if (c->established) {
        if (client->error == 0) {
            client->connected = 1;
            sock_tell(client);
        }
        return;
    }
    if (vnet_path(c->host[0], c->host[1]) && vnet_path(c->host[1], c->host[0])) {
        handshake(c);
    } else if (++c->syns > SYN_MAX) {
        client->connected = -ETIMEDOUT;
        end_fail(client, -ETIMEDOUT);
    } else {
        vevent_set(ev, world.now_ns + (NS_PER_S << (c->syns - 1)));
    }
}

void sock_connect(struct sock *s, uint32_t to, uint16_t port)
{
    struct conn *c = world_new(1, sizeof *c);
    c->next = vnet.conns;
    c->prev = &vnet.conns;
    if (c->next != NULL) {
        c->next->prev = &c->next;
    }
    vnet.conns = c;
    c->number = ++vnet.numbers;
    c->port = port;
    c->host[0] = s->host;
    c->host[1] = to;
    c->end[0] = s;
    c->syn.fire = syn;
    for (int i = 0; i < 2; i++) {
        c->dir[i] = (struct dir){.conn = c, .window = VNET_WINDOW, .window_next = VNET_WINDOW};
        c->dir[i].deliver.fire = deliver;
        c->dir[i].room.fire = room;
        c->dir[i].probe.fire = probe;
        c->dir[i].acked_ns = world.now_ns;
    }
    s->conn = c;
    s->side = 0;
    vevent_set(&c->syn, world.now_ns + vnet_delay(s->host, to));
}

int sock_connected(const struct sock *s)
{
    if (s->error != 0 && s->connected == 0) {
        return s->conn != NULL && s->conn->refused ? -ECONNREFUSED : s->error;
    }
    return s->connected;
}
