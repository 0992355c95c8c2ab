/* Splitting a stream of bytes into frames: a length (u32, little endian) and that many bytes.
 *
 *     frame_feed(&f, data, len);
 *     while ((r = frame_next(&f, &payload, &n)) > 0) { ... }
 *
 * A length is checked before anything is kept, and memory grows with the bytes that have really
 * come, so that a length alone costs nothing. Each byte is copied at most once, and none of a frame
 * that lies whole in the bytes fed. Shared by RPC and by the streams between members. */

#ifndef CORE_RPC_FRAME_H
#define CORE_RPC_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"

#define FRAME_HEAD 4

struct frame_reader {
    uint32_t max;     /* Largest payload in bytes. */
    struct buf part;  /* The beginning of a frame whose end has not come. */
    struct buf rest;  /* What frame_pause() kept. */
    const uint8_t *p; /* Bytes fed and not yet looked at: borrowed, or in `rest`. */
    size_t n;
    bool part_done; /* `part` holds a frame that was handed out. */
};

void frame_reader_init(struct frame_reader *f, uint32_t max);
void frame_reader_done(struct frame_reader *f);

/* These bytes come next. They are borrowed until frame_next() says 0, or frame_pause(); nothing may
 * be left from an earlier feed. */
void frame_feed(struct frame_reader *f, const void *data, size_t len);

/* 1: a frame, valid until the next call. 0: all bytes are used up. ERR_TOO_BIG: a length above max
 * (in *ret_len); nothing after it can be read. */
int frame_next(struct frame_reader *f, const uint8_t **ret_payload, size_t *ret_len);

/* Keep what was fed and not yet returned; frame_next() goes on with it later. */
void frame_pause(struct frame_reader *f);

/* Begin a frame at the end of `b`; returns its place for frame_end(), which fills in the length. */
size_t frame_begin(struct buf *b);
void frame_end(struct buf *b, size_t place);

#endif
