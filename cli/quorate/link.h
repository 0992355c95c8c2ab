/* The way to the pool: a list of addresses, and a call that outlives a dead host.
 *
 * A call is tried at one address after the other, without waiting long for one that is silent,
 * until somebody answers or its deadline passes. What is sent again is always the same bytes, so a
 * command keeps its request id. Nothing is connected before the first call. */

#ifndef CLI_QUORATE_LINK_H
#define CLI_QUORATE_LINK_H

#include "core/addr.h"
#include "core/rpc.h"

#include "cli/quorate/cli.h"

#define LINK_ADDRESSES_MAX 64
/* Hosts that are asked at a time. */
#define LINK_LANES 4

/* One host that was asked. */
struct lane {
    struct rpc_conn *conn; /* NULL: free. */
    size_t at;             /* Its address. */
    uint64_t number;       /* Of the request, and of the hello before it; 0: there was none. */
    uint64_t hello;
    uint64_t until; /* When its silence ends its turn. */
    bool connected;
    bool heard;
};

struct link {
    struct cli *cli;
    size_t n;
    size_t at; /* The address that comes next. */
    char address[LINK_ADDRESSES_MAX][LIMIT_ADDRESS + 1];
    /* Private. Between two calls there is at most one connection: of the host that answered. */
    struct lane lane[LINK_LANES];
    const struct lane *newest;
    uint64_t next_ms; /* When another host may be asked. */
    bool sent;        /* Something of the call under way may have arrived somewhere. */
    bool spoken;      /* A host refused the call with a reason of its own. */
    struct err worth; /* The last such reason: better than "connection refused". */
    size_t failures;  /* In a row. */
    size_t refusals;  /* In a row, each its host's own. */
};

/* Take the list of cli->opt.connect. ERR_INVALID names the address that is wrong. */
int link_init(struct link *l, struct cli *cli, struct err *e);
void link_done(struct link *l);

struct link_call {
    const char *method;
    const struct buf *params;
    uint64_t deadline; /* On cli->clock's mono_ms. */
    bool once;         /* Not to be sent a second time once it may have arrived. */
    uint32_t idle_ms;  /* Silence after which a host counts as dead; 0: only with others at hand. */
    /* Notices that come before the answer; may be NULL. Not 0 ends the call with that code. */
    int (*notice)(void *ctx, const char *method, const struct buf *body, struct err *e);
    void *ctx;
};

/* 0 with the result; a final error of the server; ERR_CANCELLED when Ctrl-C was pressed; or, when
 * the deadline passed, the last reason. *ret_unknown (may be NULL) is set when the call failed and
 * may have been carried out all the same. */
int link_call(struct link *l,
              const struct link_call *call,
              struct buf *result,
              bool *ret_unknown,
              struct err *e);

/* Milliseconds for a call: --timeout, or this default. */
uint64_t link_deadline(const struct link *l, uint64_t default_ms);

/* The whole list, for messages. */
const char *link_where(const struct link *l);

#endif
