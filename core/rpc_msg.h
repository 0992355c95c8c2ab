/* The messages of RPC, to bytes and back (rpc.h has the grammar). Pure. */

#ifndef CORE_RPC_MSG_H
#define CORE_RPC_MSG_H

#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/limits.h"
#include "core/mp.h"

enum rpc_kind {
    RPC_REQUEST = 0,
    RPC_REPLY = 1,
    RPC_NOTICE = 2
};

struct rpc_msg {
    enum rpc_kind kind;
    uint64_t number;
    char method[LIMIT_NAME + 1];
    int code;                /* Reply: 0 or ERR_*. */
    char text[ERR_MSG_SIZE]; /* Its text; cut at the end of a character if it is too long. */
    const uint8_t *body;     /* Params or result: one encoded value, in the payload. */
    size_t body_len;
};

/* Read one payload. ERR_MALFORMED: not exactly one such message, in canonical form, nested at most
 * LIMIT_MP_DEPTH deep. */
int rpc_msg_read(const void *payload, size_t len, struct rpc_msg *ret, struct err *e);

/* Append a whole frame, the length included. `body` of NULL or 0 bytes: an empty map as params of a
 * request, nil else. */
void rpc_put_request(struct buf *b,
                     uint64_t number,
                     const char *method,
                     const void *body,
                     size_t len);
void rpc_put_reply(struct buf *b, uint64_t number, const void *body, size_t len);
void rpc_put_error(struct buf *b, uint64_t number, int code, const char *text);
void rpc_put_notice(struct buf *b, const char *method, const void *body, size_t len);

/* Bytes that a frame needs beside its body, at most. */
#define RPC_OVERHEAD (32 + LIMIT_NAME)

#endif
