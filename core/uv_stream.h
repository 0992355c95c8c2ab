/* Byte streams on libuv: TCP and unix sockets alike, with their buffers. RPC and the streams
 * between members use only this, so that TLS can slide in here, between the bytes of the user and
 * those of the socket.
 *
 * Writing: bytes are appended to the stream's buffer and leave together, in one write for
 * everything appended during a loop turn: after the turn's reads, or before the loop goes to sleep.
 * Reading: the user is handed what came, in a buffer that is borrowed for the call.
 *
 * Ownership: a stream belongs to its user until stream_close(), stream_finish(), stream_reset() or
 * stream_detach(); after any of them no callback fires and the pointer must not be used. They may
 * be called from a callback of the stream. No callback fires from inside a call of this header. */

#ifndef CORE_UV_STREAM_H
#define CORE_UV_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/buf.h"
#include "core/err.h"

struct uv_loop_s;

/* --- groups: streams of one user on one loop */

struct stream_group;

struct stream_group *stream_group_new(struct uv_loop_s *loop);
/* Its streams and listeners must have been closed (or be finishing). `closed` (may be NULL) fires
 * when the last of them is gone; the group's memory is gone then, too. */
void stream_group_close(struct stream_group *g, void (*closed)(void *ctx), void *ctx);
/* Do now what would be done before the loop sleeps: write what was appended, tell ends. Not from a
 * callback of a stream of this group. */
void stream_group_flush(struct stream_group *g);

/* --- streams */

struct stream;

struct stream_handler {
    /* stream_connect(): the result, once. 0, ERR_CLOSED (refused, unreachable), ERR_TIMEOUT,
     * ERR_NOT_FOUND (no such name). The stream must be closed unless it is 0. */
    void (*opened)(void *ctx, int code);
    void (*read)(void *ctx, const uint8_t *data, size_t len);
    /* No more will be read or written: ERR_EOF (the other side ended), ERR_CLOSED (reset),
     * ERR_TIMEOUT (the path is dead), or what stream_break() said. Once; the stream is still to be
     * closed. */
    void (*end)(void *ctx, int code);
    /* The buffer was looked at: bytes were written, or stream_poke() asked. May be NULL. */
    void (*wrote)(void *ctx);
};

/* Take a connected socket. Reading begins at once. NULL (and the descriptor closed): it is none, or
 * no more can be watched. */
struct stream *
stream_adopt(struct stream_group *g, int fd, const struct stream_handler *handler, void *ctx);

/* Connect; `opened` tells the result. Names are looked up off the loop. */
struct stream *stream_connect(struct stream_group *g,
                              const struct addr *to,
                              uint32_t timeout_ms,
                              const struct stream_handler *handler,
                              void *ctx);

/* Hand the stream to another user. */
void stream_handle(struct stream *s, const struct stream_handler *handler, void *ctx);

/* Append bytes, or let the caller append to the buffer returned, before anything else is done with
 * the stream. Nothing is refused: the user bounds what it appends by stream_unsent(). */
void stream_write(struct stream *s, const void *data, size_t len);
struct buf *stream_out(struct stream *s);

/* Bytes appended that the kernel has not taken, and how many it ever took. */
size_t stream_unsent(const struct stream *s);
uint64_t stream_sent(const struct stream *s);

void stream_read_stop(struct stream *s);
void stream_read_start(struct stream *s);

/* Have `wrote` called in this or the next turn. */
void stream_poke(struct stream *s);

/* Have `end` called with this code in this or the next turn; nothing is read from now on. */
void stream_break(struct stream *s, int code);

/* Drop what is unsent and close. */
void stream_close(struct stream *s);
/* The same with a reset: a dead path gets no second chance to deliver the end of the stream. */
void stream_reset(struct stream *s);
/* Send what is unsent, end our side, wait for the other's end (so that the kernel does not throw
 * away what it has not read yet), then close; all that for at most this long. */
void stream_finish(struct stream *s, uint32_t within_ms);
/* Give up the descriptor, which the caller owns then (a duplicate: the watched one is closed by the
 * loop). -1 when out of descriptors; closed then. Nothing may be unsent. */
int stream_detach(struct stream *s);

/* Unix sockets: the user at the other end; false for others. */
bool stream_peer_uid(const struct stream *s, uint32_t *ret_uid);
/* Whether the other side has already ended its side, although its last bytes may be unread. */
bool stream_peer_ended(const struct stream *s);
/* TCP: milliseconds since the other end last acknowledged anything, if bytes are on their way to it
 * or it does not answer for its closed window; else 0. */
uint32_t stream_unacked_ms(const struct stream *s);

/* --- listeners */

struct stream_listener;

/* Take a bound socket (os_net.h) and accept from it. The stream reads only after stream_handle()
 * and stream_read_start(). NULL (descriptor closed) with the error. */
struct stream_listener *stream_listen(struct stream_group *g,
                                      int fd,
                                      void (*accepted)(void *ctx, struct stream *s),
                                      void *ctx,
                                      struct err *e);
void stream_listener_close(struct stream_listener *l);

#endif
