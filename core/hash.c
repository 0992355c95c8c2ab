#include "core/hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <xxhash.h>

#include "core/buf.h"

static struct hash128 from_xxh(XXH128_hash_t h)
{
    return (struct hash128){.lo = h.low64, .hi = h.high64};
}

struct hash128 hash_bytes(const void *data, size_t len)
{
    return from_xxh(XXH3_128bits(data, len));
}

struct hash128 hash_row(const void *key, size_t key_len, const void *value, size_t value_len)
{
    struct hash128 k = hash_bytes(key, key_len);
    struct hash128 v = hash_bytes(value, value_len);
    uint8_t both[48]; /* Fixed layout, so that every architecture hashes the same bytes. */
    store_u64(both, k.lo);
    store_u64(both + 8, k.hi);
    store_u64(both + 16, v.lo);
    store_u64(both + 24, v.hi);
    store_u64(both + 32, key_len);
    store_u64(both + 40, value_len);
    return hash_bytes(both, sizeof both);
}

void hash_add(struct hash128 *sum, struct hash128 row)
{
    uint64_t lo = sum->lo + row.lo;
    sum->hi += row.hi + (lo < row.lo ? 1 : 0);
    sum->lo = lo;
}

void hash_sub(struct hash128 *sum, struct hash128 row)
{
    uint64_t borrow = sum->lo < row.lo ? 1 : 0;
    sum->lo -= row.lo;
    sum->hi -= row.hi + borrow;
}

bool hash_equal(struct hash128 a, struct hash128 b)
{
    return a.lo == b.lo && a.hi == b.hi;
}

const char *hash_text(struct hash128 h, char out[HASH_TEXT_SIZE])
{
    (void)snprintf(out, HASH_TEXT_SIZE, "%016" PRIx64 "%016" PRIx64, h.hi, h.lo);
    return out;
}
