/* Inside the simulated network. */

#ifndef CHAOS_SIM_VNET_IMPL_H
#define CHAOS_SIM_VNET_IMPL_H

#include "chaos-tests/sim/vnet.h"

/* Linux: first and longest retransmission timeout; first packets that a connect sends. */
#define RTO_MIN     (200 * NS_PER_MS)
#define RTO_MAX     (120 * NS_PER_S)
#define SYN_MAX     6
#define BACKLOG_MAX 256

struct segment {
    struct segment *next;
    uint64_t at_ns; /* When it would arrive. */
    uint32_t len;
    uint32_t at; /* Bytes of it that have arrived. */
    bool fin, rst;
    uint8_t data[];
};

struct conn;

/* One direction of a connection: what end[side] sends. */
struct dir {
    struct conn *conn;
    struct segment *first, *last;
    struct vevent deliver; /* Of the first. */
    struct vevent room;    /* The sender learns of room at the receiver. */
    struct vevent probe;   /* It asks whether there is some, or anybody. */
    uint32_t probes;       /* Unanswered ones, in a row. */
    uint32_t asks;         /* All, while there is no room. */
    size_t window;         /* Bytes the sender may still send, as it knows. */
    size_t window_next;    /* As it will know. */
    uint64_t line_free_ns;
    uint64_t last_at_ns; /* Bytes arrive in order. */
    uint64_t acked_ns;   /* When the receiver last got something. */
    bool ack_lost;
    bool starved;
    uint32_t stalls;
};

struct conn {
    struct conn *next, **prev; /* Of all. */
    uint64_t number;
    uint32_t host[2]; /* 0 connected to 1. */
    uint16_t port;
    struct sock *end[2]; /* NULL: that side knows nothing of it. */
    struct dir dir[2];
    struct vevent syn; /* The first packet arrives; later, its answer. */
    uint32_t syns;
    bool established;
    bool refused;
    bool forgotten; /* Nothing of it passes any more. */
    bool torn;      /* Nothing but the resets of whoever tore it, if they get through. */
};

struct sock {
    uint64_t number;
    uint32_t host;
    void *owner;
    uint32_t refs;
    uint16_t port;
    bool bound, listening;
    struct sock *backlog; /* Listener: the first that waits. Waiting: the next. */
    uint32_t n_backlog;
    struct conn *conn;
    int side;
    int connected; /* 1, 0 or an error. */
    int error;
    bool fin;        /* The other side's end came. */
    bool shut;       /* Our side's was sent. */
    bool peer_ended; /* fin, or a reset. */
    bool linger_none;
    uint8_t *rbuf;
    size_t rbuf_at, rbuf_len, rbuf_cap;
    void (*changed)(void *ctx);
    void *ctx;
    struct sock *next, **prev;
    struct sock *next_listener, **prev_listener; /* Of its host. */
};

struct vnet {
    struct rng rng;
    struct link links[VNET_HOSTS][VNET_HOSTS];
    bool on[VNET_HOSTS];
    uint16_t next_port[VNET_HOSTS];
    struct sock *socks;
    struct sock *listeners[VNET_HOSTS];
    struct conn *conns;
    uint64_t numbers;
};

extern struct vnet vnet;

bool vnet_path(uint32_t from, uint32_t to);
uint64_t vnet_delay(uint32_t from, uint32_t to);
void sock_unlink(struct sock *s);
void sock_tell(struct sock *s);

/* vnet_conn.c */
void conn_free(struct conn *c);
void dir_clear(struct dir *d);
/* These bytes have arrived. */
void sock_put(struct sock *s, const uint8_t *data, size_t len);
/* The socket has no connection any more. */
void sock_detach(struct sock *s);
/* This side sends a segment; its end or a reset; a reset after which nothing else arrives. */
void conn_send(struct conn *c, int side, struct segment *seg);
void conn_send_flag(struct conn *c, int side, bool fin, bool rst);
void conn_reset(struct conn *c, int side);
void conn_probe_later(struct dir *d);

#endif
