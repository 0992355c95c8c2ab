/* What a simulated process holds of the real process that simulates it: memory, descriptors, LMDB
 * environments and transactions. A process that is killed runs no closing code; heap_drop() gives
 * back what it held, as the kernel would.
 *
 * The program is linked with --wrap for the functions below, so every call of them in production
 * code (and in static libraries) comes here and is booked on the heap in force. Calls inside shared
 * libraries do not; what those allocate lives for one call or belongs to an environment. */

#ifndef CHAOS_SIM_HEAP_H
#define CHAOS_SIM_HEAP_H

#include <stddef.h>

struct heap;

struct heap *heap_new(void);
/* Free, close and abort everything it still holds, then the heap itself. NULL is allowed. */
void heap_drop(struct heap *h);
/* From now on allocations are booked on `h`; NULL: on nobody. Returns the one before. */
struct heap *heap_switch(struct heap *h);
/* Bytes it holds, for the curious. */
size_t heap_bytes(const struct heap *h);

#endif
