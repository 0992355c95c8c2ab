/* The simulated network: hosts, links between them, and TCP as programs see it.
 *
 * A connection is two byte streams in order. What may happen to packets shows only as what TCP
 * makes of it: a lost one is a stall of a retransmission timeout, a cut link is a stall that ends
 * with the first retransmission after the cut (timeouts double, from 200 ms up to 120 s), a host
 * without power is silence, and once it is back a reset. There is no reordering and no duplication
 * above TCP, so there is none here.
 *
 * A link is one direction between two hosts. Bytes of one connection share nothing with those of
 * another but the link's delay and rate.
 *
 * Errors are negative errno values. */

#ifndef CHAOS_SIM_VNET_H
#define CHAOS_SIM_VNET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chaos-tests/sim/world.h"

#define VNET_HOSTS 96 /* Hosts of the pool and machines of clients. */
/* Bytes that a sender may have under way or unread at the other end. */
#define VNET_WINDOW ((size_t)256 * 1024)

struct link {
    bool cut;
    uint32_t delay_min_us, delay_max_us;
    uint32_t spike_ppm;   /* Of the delays: they are longer by up to ... */
    uint32_t spike_us;    /* ... this, mostly by much less. */
    uint32_t loss_ppm;    /* Of the segments: each loss is a stall. */
    uint64_t bytes_per_s; /* 0: no limit. */
    uint32_t split_ppm;   /* Of the segments: they come in two pieces. */
};

void vnet_begin(void);
void vnet_end(void);

/* The link from one host to another (which may be the same: the loopback). */
struct link *vnet_link(uint32_t from, uint32_t to);
/* The machine takes packets (or is frozen, or has no power). */
void vnet_host_on(uint32_t host, bool on);
/* "10.7.0.N" of host N - 1, in network byte order, and back; false: nobody's. */
uint32_t vnet_ip(uint32_t host);
bool vnet_host_of(uint32_t ip, uint32_t *ret_host);

struct sock;

/* A socket of a process on this host. `owner` is what sock_each_owned() selects by. Ends when the
 * last reference is given back. */
struct sock *sock_new(uint32_t host, void *owner);
struct sock *sock_ref(struct sock *s);
/* The last one closes: with unread bytes by a reset, else what was sent still arrives, then the
 * end. */
void sock_unref(struct sock *s);
/* From now on the last sock_unref() resets. */
void sock_linger_none(struct sock *s);

/* Whoever is to be told that something changed about the socket; NULL: nobody. */
void sock_watch(struct sock *s, void (*changed)(void *ctx), void *ctx);

/* 0, or -EADDRINUSE. Port 0: any. */
int sock_bind(struct sock *s, uint16_t port);
int sock_listen(struct sock *s);
uint16_t sock_port(const struct sock *s);
bool sock_is_listener(const struct sock *s);
/* The next connection that came in, with one reference; NULL: none waits. */
struct sock *sock_accept(struct sock *s, void *owner);

/* Begin to connect; `changed` is told the end of it. */
void sock_connect(struct sock *s, uint32_t to, uint16_t port);
/* 1: connected; 0: under way; -ECONNREFUSED, -ETIMEDOUT, -ECONNRESET. */
int sock_connected(const struct sock *s);

/* Bytes taken, -EAGAIN, -EPIPE or -ECONNRESET. */
long sock_send(struct sock *s, const void *data, size_t len);
/* Bytes, 0 at the end, -EAGAIN, -ECONNRESET or -ETIMEDOUT. */
long sock_recv(struct sock *s, void *data, size_t len);
/* No more will be sent. */
void sock_shutdown(struct sock *s);
/* Whether sock_recv() (for a listener sock_accept()) has something to say; whether sock_send()
 * would take a byte or fail. */
bool sock_readable(const struct sock *s);
bool sock_writable(const struct sock *s);
/* The other side's end, or a reset, has arrived, though not all bytes before it may be read. */
bool sock_peer_ended(const struct sock *s);
/* Since when the other end has not acknowledged what is on its way to it; 0: nothing is. */
uint32_t sock_unacked_ms(const struct sock *s);

/* The host has lost its power: its sockets are gone without a word. (Those of `owner` only; NULL:
 * all of the host.) Their references must not be used any more. */
void vnet_power_off(uint32_t host);
/* A fault: somebody in the network resets a connection between these two (any, if there are
 * several), in the middle of what is on its way. False: there is none. */
bool vnet_reset_some(uint32_t a, uint32_t b, struct rng *rng);
/* Another: somebody in the network has forgotten such a connection, and drops its packets without a
 * word, for good. Others between the two are not touched. */
bool vnet_forget_some(uint32_t a, uint32_t b, struct rng *rng);

#endif
