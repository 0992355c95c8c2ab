/* A map from two numbers to one: what checkers look things up in.
 *
 * Zero-initialised is empty; map_done() gives the memory back. Keys are never taken out. The order
 * in which it is walked is that of insertion, so that nothing depends on a hash. */

#ifndef CHECK_MAP_H
#define CHECK_MAP_H

#include <stddef.h>
#include <stdint.h>

struct map_row {
    uint64_t a, b;
    uint64_t value;
};

struct map {
    struct map_row *rows; /* In the order of insertion. */
    size_t n, cap;
    uint32_t *slot; /* Number of a row plus one, or 0. */
    size_t n_slots;
};

/* The row's value, to read or set: a new row has `fresh`. The pointer holds until the next
 * map_at(). */
uint64_t *map_at(struct map *m, uint64_t a, uint64_t b, uint64_t fresh);

/* NULL if there is no such row. */
const uint64_t *map_get(const struct map *m, uint64_t a, uint64_t b);

void map_done(struct map *m);

#endif
