/* The handshake of the streams between members, to bytes and back. Pure. */

#ifndef RAFTLOG_PEERS_MSG_H
#define RAFTLOG_PEERS_MSG_H

#include "core/buf.h"
#include "core/err.h"

#include "raftlog/peers.h"

/* Bytes of a hello or an answer, at most; checked before either is kept. */
#define PEERS_HELLO_MAX 1024

/* Append a frame with the message. The strings must be UTF-8. */
void peers_put_hello(struct buf *b, const struct peers_hello *h);
void peers_put_answer(struct buf *b, const struct peers_answer *a);

/* Read the payload of such a frame: the one canonical form, all bytes used. ERR_VERSION: another
 * protocol; ERR_MALFORMED; ERR_INVALID for what nobody may say (member 0, no such channel). */
int peers_read_hello(const void *payload, size_t len, struct peers_hello *ret, struct err *e);
int peers_read_answer(const void *payload, size_t len, struct peers_answer *ret, struct err *e);

#endif
