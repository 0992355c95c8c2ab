/* Bytes between two sockets, one way, in the pace of the slower one: between the network and the
 * socket that libxl writes to or reads from. */

#ifndef HVDRIVER_XEN_RELAY_H
#define HVDRIVER_XEN_RELAY_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct relay;

/* Read from `from`, write to `to`, at most `rate` bytes a second (0: no limit), until `from` ends
 * or one fails. Then `ended` is called from the loop, once: rc 0 for an end, or an error of libuv;
 * all that was read has been written by then if rc is 0. Both streams are borrowed. */
struct relay *relay_start(uv_loop_t *loop,
                          uv_stream_t *from,
                          uv_stream_t *to,
                          uint64_t rate,
                          void (*ended)(void *ctx, int rc),
                          void *ctx);

/* Bytes written so far. */
uint64_t relay_bytes(const struct relay *r);

/* Bytes that were read before it began: first of all. */
void relay_put(struct relay *r, const char *bytes, size_t n);

/* Stop, if it has not ended, and free it. `ended` is not called any more. Its streams must be
 * closed next: a write may be under way. */
void relay_free(struct relay *r);

#endif
