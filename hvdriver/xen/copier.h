/* Bytes between a file and a socket, in a thread of the loop's pool: files block. */

#ifndef HVDRIVER_XEN_COPIER_H
#define HVDRIVER_XEN_COPIER_H

#include <stdint.h>
#include <uv.h>

#include "core/err.h"

/* Copy until the end of `from`; both descriptors are closed then, and `done` is called from the
 * loop: code 0, or e->code and why. */
void copier_start(uv_loop_t *loop,
                  int from,
                  int to,
                  void (*done)(void *ctx, const struct err *e),
                  void *ctx,
                  _Atomic uint64_t *bytes);

#endif
