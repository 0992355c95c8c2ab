/* Connections, from the first packet to the last. See vnet.h for what is modelled. */

#include "chaos-tests/sim/vnet.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "core/util.h"

#include "chaos-tests/sim/seam.h"
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
            vnet.links[i][j] =
                (struct link){.delay_min_us = us, .delay_max_us = us * 2, .split_ppm = 2000};
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
    uint64_t us = rng_between(&vnet.rng, l->delay_min_us, l->delay_max_us);
    if (rng_chance(&vnet.rng, l->spike_ppm)) {
        us += rng_between(&vnet.rng, 0, l->spike_us >> rng_below(&vnet.rng, 8));
    }
    return us * NS_PER_US;
}

/* --- sockets */

void sock_tell(struct sock *s)
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

void sock_watch(struct sock *s, void (*changed)(void *ctx), void *ctx)
{
    s->changed = changed;
    s->ctx = ctx;
}

void sock_unlink(struct sock *s)
{
    if (s->listening) {
        *s->prev_listener = s->next_listener;
        if (s->next_listener != NULL) {
            s->next_listener->prev_listener = s->prev_listener;
        }
    }
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
    struct sock **list = &vnet.listeners[s->host];
    if (!s->listening) {
        s->listening = true;
        s->next_listener = *list;
        s->prev_listener = list;
        if (s->next_listener != NULL) {
            s->next_listener->prev_listener = &s->next_listener;
        }
        *list = s;
    }
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

/* --- bytes */

long sock_send(struct sock *s, const void *data, size_t len)
{
    seam_call(SEAM_NET);
    if (s->error != 0 || s->conn == NULL || s->shut) {
        return s->error != 0 && s->error != -EPIPE ? s->error : -EPIPE;
    }
    struct dir *d = &s->conn->dir[s->side];
    size_t n = (size_t)min_u64(len, d->window);
    if (n == 0) {
        d->starved = true;
        conn_probe_later(d);
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
    conn_send(s->conn, s->side, seg);
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
        conn_send_flag(s->conn, s->side, true, false);
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
    bool lost = d->ack_lost &&
                (c->forgotten || c->torn || !vnet_path(c->host[1 - s->side], c->host[s->side]));
    bool asks_in_vain = d->window == 0 && d->probes > 1;
    if (d->first == NULL && !lost && !asks_in_vain) {
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
    sock_detach(s);
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
            conn_reset(s->conn, s->side);
        } else {
            sock_shutdown(s);
        }
    } else if (s->conn != NULL && s->connected == 0) {
        vevent_clear(&s->conn->syn);
        if (s->conn->established) {
            conn_reset(s->conn, s->side);
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

/* Any of those that lead from a to b. */
static struct conn *some_conn(uint32_t a, uint32_t b, struct rng *rng)
{
    struct conn *found = NULL;
    uint64_t seen = 0;
    for (struct sock *s = vnet.socks; s != NULL; s = s->next) {
        if (s->conn != NULL && s->error == 0 && s->host == a && s->conn->host[1 - s->side] == b &&
            s->connected == 1 && !s->conn->forgotten && !s->conn->torn &&
            rng_below(rng, ++seen) == 0) {
            found = s->conn;
        }
    }
    return found;
}

bool vnet_forget_some(uint32_t a, uint32_t b, struct rng *rng)
{
    struct conn *c = some_conn(a, b, rng);
    if (c != NULL) {
        c->forgotten = true;
    }
    return c != NULL;
}

bool vnet_reset_some(uint32_t a, uint32_t b, struct rng *rng)
{
    struct conn *found = some_conn(a, b, rng);
    if (found == NULL) {
        return false;
    }
    for (int side = 0; side < 2; side++) {
        struct segment *seg = found->dir[side].first;
        struct sock *to = found->end[1 - side];
        if (seg != NULL && to != NULL && seg->len - seg->at > 1) {
            sock_put(to, seg->data + seg->at, rng_between(rng, 1, seg->len - seg->at - 1));
        }
        conn_reset(found, side);
    }
    found->torn = true; /* What was thrown away is never made up for. */
    return true;
}

void vnet_end(void)
{
    while (vnet.socks != NULL) {
        vnet.socks->backlog = NULL; /* They are in the list themselves. */
        sock_drop(vnet.socks);
    }
    while (vnet.conns != NULL) {
        conn_free(vnet.conns);
    }
}
