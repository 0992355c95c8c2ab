/* Connections, from the first packet to the last. See vnet.h for what is modelled. */

#include "chaos-tests/sim/vnet.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "core/util.h"

#include "chaos-tests/sim/vnet_impl.h"

struct vnet vnet;

/* --- hosts and links */

void vnet_begin(void)
{
    memset(&vnet, 0, sizeof vnet);
    world_rng(&vnet.rng, "vnet", 0);
    for (uint32_t i = 0; i < VNET_HOSTS; i++) {
        vnet.on[i] = true;
        vnet.next_port[i] = 32768;
        for (uint32_t j = 0; j < VNET_HOSTS; j++) {
            uint32_t us = i == j ? 10 : 60;
            vnet.links[i][j] = (struct link){
                .delay_min_us = us, .delay_max_us = us * 2, .split_ppm = 2000};
        }
    }
}

struct link *vnet_link(uint32_t from, uint32_t to)
{
    assert(from < VNET_HOSTS && to < VNET_HOSTS);
    return &vnet.links[from][to];
}

void vnet_host_on(uint32_t host, bool on)
{
    vnet.on[host] = on;
}

uint32_t vnet_ip(uint32_t host)
{
    return htonl((10u << 24) | (7u << 16) | (host + 1));
}

bool vnet_host_of(uint32_t ip, uint32_t *ret_host)
{
    uint32_t n = ntohl(ip);
    if (n >> 16 != ((10u << 8) | 7u) || (n & 0xffff) == 0 || (n & 0xffff) > VNET_HOSTS) {
        return false;
    }
    *ret_host = (n & 0xffff) - 1;
    return true;
}

bool vnet_path(uint32_t from, uint32_t to)
{
    return vnet.on[from] && vnet.on[to] && !vnet.links[from][to].cut;
}

uint64_t vnet_delay(uint32_t from, uint32_t to)
{
    const struct link *l = &vnet.links[from][to];
    return rng_between(&vnet.rng, l->delay_min_us, l->delay_max_us) * NS_PER_US;
}

/* --- sockets */

static void changed(struct sock *s)
{
    if (s->changed != NULL) {
        s->changed(s->ctx);
    }
}

struct sock *sock_new(uint32_t host, void *owner)
{
    struct sock *s = world_new(1, sizeof *s);
    s->host = host;
    s->owner = owner;
    s->refs = 1;
    s->number = ++vnet.numbers;
    s->next = vnet.socks;
    s->prev = &vnet.socks;
    if (s->next != NULL) {
        s->next->prev = &s->next;
    }
    vnet.socks = s;
    return s;
}

struct sock *sock_ref(struct sock *s)
{
    s->refs++;
    return s;
}

void sock_linger_none(struct sock *s)
{
    s->linger_none = true;
}

void sock_watch(struct sock *s, void (*fn)(void *ctx), void *ctx)
{
    s->changed = fn;
    s->ctx = ctx;
}

void sock_unlink(struct sock *s)
{
    *s->prev = s->next;
    if (s->next != NULL) {
        s->next->prev = s->prev;
    }
}

static bool port_taken(uint32_t host, uint16_t port)
{
    for (const struct sock *s = vnet.socks; s != NULL; s = s->next) {
        if (s->host == host && s->port == port && (s->listening || s->bound)) {
            return true;
        }
    }
    return false;
}

int sock_bind(struct sock *s, uint16_t port)
{
    while (port == 0) {
        uint16_t p = vnet.next_port[s->host]++;
        vnet.next_port[s->host] = p >= 60999 ? 32768 : (uint16_t)(p + 1);
        port = port_taken(s->host, p) ? 0 : p;
    }
    if (port_taken(s->host, port)) {
        return -EADDRINUSE;
    }
    s->port = port;
    s->bound = true;
    return 0;
}

int sock_listen(struct sock *s)
{
    s->listening = true;
    return 0;
}

uint16_t sock_port(const struct sock *s)
{
    return s->port;
}

bool sock_is_listener(const struct sock *s)
{
    return s->listening;
}

struct sock *sock_accept(struct sock *s, void *owner)
{
    struct sock *child = s->backlog;
    if (child != NULL) {
        s->backlog = child->backlog;
        child->backlog = NULL;
        child->owner = owner;
        s->n_backlog--;
    }
    return child;
}

/* --- connections */

static void conn_maybe_free(struct conn *c)
{
    if (c->end[0] != NULL || c->end[1] != NULL || c->dir[0].first != NULL ||
        c->dir[1].first != NULL) {
        return;
    }
    for (int i = 0; i < 2; i++) {
        vevent_clear(&c->dir[i].deliver);
        vevent_clear(&c->dir[i].room);
    }
    vevent_clear(&c->syn);
    world_free(c);
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
static void end_detach(struct sock *s)
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
    changed(s);
}

static void segment_add(struct conn *c, int side, struct segment *seg)
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

static void segment_flag(struct conn *c, int side, bool fin, bool rst)
{
    struct segment *seg = world_new(1, sizeof *seg);
    seg->fin = fin;
    seg->rst = rst;
    segment_add(c, side, seg);
}

/* This end sends a reset: nothing else of it arrives any more. */
static void send_reset(struct conn *c, int side)
{
    dir_clear(&c->dir[side]);
    c->dir[side].last_at_ns = 0;
    segment_flag(c, side, false, true);
}

static void rbuf_put(struct sock *s, const uint8_t *data, size_t len)
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
    c->dir[side].ack_lost = !vnet_path(c->host[1 - side], c->host[side]);
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
            send_reset(c, 1 - side); /* Nobody is there. */
        }
        return;
    }
    acked(c, side);
    if (seg->fin) {
        to->fin = true;
        to->peer_ended = true;
    } else {
        rbuf_put(to, seg->data + seg->at, seg->len - seg->at);
    }
    changed(to);
}

/* Part of the head of the queue arrives now, the rest a little later. */
static void split(struct conn *c, int side, struct segment *seg)
{
    struct sock *to = c->end[1 - side];
    uint64_t n = rng_between(&vnet.rng, 1, seg->len - seg->at - 1);
    rbuf_put(to, seg->data + seg->at, n);
    seg->at += (uint32_t)n;
    seg->at_ns = world.now_ns + rng_between(&vnet.rng, 1, 300) * NS_PER_US;
    c->dir[side].last_at_ns = max_u64(c->dir[side].last_at_ns, seg->at_ns);
    changed(to);
}

static void deliver(struct vevent *ev)
{
    struct dir *d = CONTAINER_OF(ev, struct dir, deliver);
    struct conn *c = d->conn;
    int side = (int)(d - c->dir);
    if (!vnet_path(c->host[side], c->host[1 - side])) {
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
    if (!vnet_path(c->host[1 - side], c->host[side])) {
        vevent_set(ev, world.now_ns + RTO_MIN);
        return;
    }
    d->window = d->window_next;
    changed(c->end[side]);
}

/* --- connecting */

static struct sock *listener_at(uint32_t host, uint16_t port)
{
    for (struct sock *s = vnet.socks; s != NULL; s = s->next) {
        if (s->listening && s->host == host && s->port == port) {
            return s;
        }
    }
    return NULL;
}

static void handshake(struct conn *c)
{
    struct sock *client = c->end[0];
    struct sock *l = listener_at(c->host[1], c->port);
    if (l == NULL || l->n_backlog >= BACKLOG_MAX) {
        send_reset(c, 1);
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
    changed(l);
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
            changed(client);
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

/* --- bytes */

long sock_send(struct sock *s, const void *data, size_t len)
{
    if (s->error != 0 || s->conn == NULL || s->shut) {
        return s->error != 0 && s->error != -EPIPE ? s->error : -EPIPE;
    }
    struct dir *d = &s->conn->dir[s->side];
    size_t n = (size_t)min_u64(len, d->window);
    if (n == 0) {
        d->starved = true;
        return -EAGAIN;
    }
    struct segment *seg = world_new(1, sizeof *seg + n);
    seg->len = (uint32_t)n;
    memcpy(seg->data, data, n);
    d->window -= n;
    d->window_next -= n;
    if (d->first == NULL) {
        d->acked_ns = world.now_ns;
    }
    world_note('w', s->conn->number, n);
    world_note_bytes(data, n);
    segment_add(s->conn, s->side, seg);
    return (long)n;
}

long sock_recv(struct sock *s, void *data, size_t len)
{
    size_t have = s->rbuf_len - s->rbuf_at;
    if (have == 0) {
        if (s->error != 0) {
            return s->error;
        }
        return s->fin || s->conn == NULL ? 0 : -EAGAIN;
    }
    size_t n = (size_t)min_u64(have, len);
    memcpy(data, s->rbuf + s->rbuf_at, n);
    s->rbuf_at += n;
    if (s->conn != NULL) {
        struct dir *d = &s->conn->dir[1 - s->side];
        d->window_next += n;
        if (!vevent_is_set(&d->room)) {
            vevent_set(&d->room, world.now_ns + vnet_delay(s->host, s->conn->host[1 - s->side]));
        }
    }
    return (long)n;
}

void sock_shutdown(struct sock *s)
{
    if (s->conn != NULL && !s->shut && s->error == 0) {
        s->shut = true;
        segment_flag(s->conn, s->side, true, false);
    }
}

bool sock_readable(const struct sock *s)
{
    if (s->listening) {
        return s->backlog != NULL;
    }
    return s->rbuf_len > s->rbuf_at || s->fin || s->error != 0;
}

bool sock_writable(const struct sock *s)
{
    return s->error != 0 || s->shut || s->conn == NULL || s->conn->dir[s->side].window > 0;
}

bool sock_peer_ended(const struct sock *s)
{
    return s->peer_ended;
}

uint32_t sock_unacked_ms(const struct sock *s)
{
    if (s->conn == NULL || s->error != 0) {
        return 0;
    }
    const struct conn *c = s->conn;
    const struct dir *d = &c->dir[s->side];
    bool lost = d->ack_lost && !vnet_path(c->host[1 - s->side], c->host[s->side]);
    if (d->first == NULL && !lost) {
        return 0;
    }
    return (uint32_t)((world.now_ns - d->acked_ns) / NS_PER_MS);
}

/* --- the end */

static void sock_drop(struct sock *s)
{
    while (s->backlog != NULL && s->listening) {
        sock_unref(sock_accept(s, NULL));
    }
    end_detach(s);
    sock_unlink(s);
    world_free(s->rbuf);
    world_free(s);
}

void sock_unref(struct sock *s)
{
    assert(s->refs > 0);
    if (--s->refs > 0) {
        return;
    }
    s->changed = NULL;
    if (s->conn != NULL && s->error == 0 && (s->connected == 1 || s->side == 1)) {
        if (s->linger_none || s->rbuf_len > s->rbuf_at) {
            send_reset(s->conn, s->side);
        } else {
            sock_shutdown(s);
        }
    } else if (s->conn != NULL && s->connected == 0) {
        vevent_clear(&s->conn->syn);
        if (s->conn->established) {
            send_reset(s->conn, s->side);
        }
    }
    sock_drop(s);
}

void vnet_power_off(uint32_t host)
{
    for (struct sock *s = vnet.socks, *next; s != NULL; s = next) {
        next = s->next;
        if (s->host != host) {
            continue;
        }
        if (s->conn != NULL) {
            dir_clear(&s->conn->dir[s->side]);
            vevent_clear(&s->conn->syn);
        }
        s->backlog = NULL; /* They are of this host, and go in this loop themselves. */
        sock_drop(s);
    }
}

bool vnet_reset_some(uint32_t a, uint32_t b, struct rng *rng)
{
    struct conn *found = NULL;
    uint64_t seen = 0;
    for (struct sock *s = vnet.socks; s != NULL; s = s->next) {
        if (s->conn != NULL && s->error == 0 && s->host == a &&
            s->conn->host[1 - s->side] == b && s->connected == 1 &&
            rng_below(rng, ++seen) == 0) {
            found = s->conn;
        }
    }
    if (found == NULL) {
        return false;
    }
    for (int side = 0; side < 2; side++) {
        struct segment *seg = found->dir[side].first;
        struct sock *to = found->end[1 - side];
        if (seg != NULL && to != NULL && seg->len - seg->at > 1) {
            rbuf_put(to, seg->data + seg->at, rng_between(rng, 1, seg->len - seg->at - 1));
        }
        send_reset(found, side);
    }
    return true;
}

void vnet_end(void)
{
    while (vnet.socks != NULL) {
        struct sock *s = vnet.socks;
        if (s->conn != NULL) {
            dir_clear(&s->conn->dir[0]);
            dir_clear(&s->conn->dir[1]);
        }
        s->backlog = NULL;
        sock_drop(s);
    }
}
