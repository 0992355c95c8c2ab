/* Small things that every file needs. */

#ifndef CORE_UTIL_H
#define CORE_UTIL_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* The struct that holds `member` at `ptr`. */
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Run fn(&variable) when the variable goes out of scope. */
#define CLEANUP(fn) __attribute__((cleanup(fn)))

static inline void cleanup_free(void *p)
{
    free(*(void **)p);
}

/* calloc() and realloc() that do not return NULL: out of memory ends the program (the log and the
 * snapshots are on disk, the guests go on, the daemon is restarted and adopts them). */
void *mem_new(size_t count, size_t size);
void *mem_grow(void *p, size_t count, size_t size);
char *mem_strdup(const char *s);

/* Copy at most size - 1 bytes and end with NUL; the rest of `to` is zeroed, so that records can be
 * compared whole. Returns the length of `from`; a value >= size says it was cut. */
size_t str_copy(char *to, size_t size, const char *from);

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

#endif
