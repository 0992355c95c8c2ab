/* How long the turns of a loop take: a turn that blocks is felt by every client and every peer. */

#ifndef CORE_UV_LOOP_H
#define CORE_UV_LOOP_H

#include <stdint.h>

struct uv_loop_s;
struct loop_meter;

/* Begin to measure this loop. */
struct loop_meter *loop_meter_new(struct uv_loop_s *loop);

/* Longest turn since the last call, in microseconds: from the end of waiting for input to the next
 * waiting. */
uint64_t loop_meter_take_us(struct loop_meter *m);

/* Stop measuring; the memory goes when the loop has run once more. Accepts NULL; returns NULL. */
struct loop_meter *loop_meter_free(struct loop_meter *m);

#endif
