/* Random bytes from the operating system: seeds and one-time keys. */

#ifndef CORE_OS_RANDOM_H
#define CORE_OS_RANDOM_H

#include <stddef.h>

#include "core/rng.h"

/* At most 256 bytes a call. */
void os_random_bytes(void *to, size_t len);

/* Seed from the operating system. */
void rng_seed_os(struct rng *rng);

#endif
