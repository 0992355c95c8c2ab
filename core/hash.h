/* A 128-bit order-independent hash of a set of key/value rows.
 *
 * The hash of a set is the sum, modulo 2^128, of the hash of each row; so a row is added or taken
 * away in O(1), in any order. The row hash is XXH3-128 (not against an adversary: it finds replicas
 * that differ, it does not prove who lies). */

#ifndef CORE_HASH_H
#define CORE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hash128 {
    uint64_t lo;
    uint64_t hi;
};

/* Hex digits of the text form and the final NUL. */
#define HASH_TEXT_SIZE 33

/* Hash of one row. Key and value are framed by their lengths: ("ab","c") is not ("a","bc"). */
struct hash128 hash_row(const void *key, size_t key_len, const void *value, size_t value_len);

/* Hash of a run of bytes. */
struct hash128 hash_bytes(const void *data, size_t len);

void hash_add(struct hash128 *sum, struct hash128 row);
void hash_sub(struct hash128 *sum, struct hash128 row);
bool hash_equal(struct hash128 a, struct hash128 b);
const char *hash_text(struct hash128 h, char out[HASH_TEXT_SIZE]);

#endif
