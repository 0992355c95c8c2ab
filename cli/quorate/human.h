/* Sizes, spans and moments as people read them. */

#ifndef CLI_QUORATE_HUMAN_H
#define CLI_QUORATE_HUMAN_H

#include <stdint.h>

#include "core/buf.h"

void human_mib(uint64_t mib, struct buf *out);        /* "512 MiB", "2 GiB", "1.5 TiB" */
void human_bytes(uint64_t bytes, struct buf *out);    /* "0 B", "128 MiB" */
void human_span(uint64_t ms, struct buf *out);        /* "7ms", "1.3s", "3m12s", "2h05m", "4d3h" */
void human_moment(uint64_t wall_ms, struct buf *out); /* "2026-11-23 07:01:02", UTC */

#endif
