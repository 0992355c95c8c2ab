/* The first byte chooses the schema of an entity or a command; the rest is decoded. What is
 * accepted passes the check, encodes to the same bytes, and can be shown. */

#include <stdlib.h>
#include <string.h>

#include "core/util.h"

#include "fsm/commands.h"
#include "fsm/rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

static const struct schema *choose(uint8_t n)
{
    static const struct schema *const entities[] = {
        &schema_sys,  &schema_pool, &schema_host,  &schema_guest,  &schema_guest_config,
        &schema_repo, &schema_op,   &schema_event, &schema_outcome};
    size_t i = n % (ARRAY_LEN(entities) + n_commands);
    return i < ARRAY_LEN(entities) ? entities[i] : commands[i - ARRAY_LEN(entities)].schema;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static _Alignas(16) uint8_t record[65536];
    struct err e = {0};
    if (len == 0) {
        return 0;
    }
    const struct schema *s = choose(data[0]);
    if (s->size > sizeof record) {
        abort();
    }
    memset(record, 0xa5, s->size);
    if (schema_decode_all(s, data + 1, len - 1, record, &e) != 0) {
        return 0;
    }
    CLEANUP(buf_done) struct buf again = {0};
    schema_encode(s, record, &again);
    if (again.len != len - 1 || memcmp(again.data, data + 1, again.len) != 0 ||
        schema_check(s, record, &e) != 0) {
        abort();
    }
    json_t *json = schema_to_json(s, record);
    json_decref(json);
    return 0;
}

/* Half of the inputs are made from a random valid record, so that depth is reached at once. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
    static _Alignas(16) uint8_t record[65536];
    struct rng rng;
    rng_seed(&rng, seed);
    if (size == 0 || seed % 8 != 0) {
        return LLVMFuzzerMutate(data, size, max_size);
    }
    const struct schema *s = choose(data[0]);
    CLEANUP(buf_done) struct buf b = {0};
    schema_random(s, &rng, record);
    schema_encode(s, record, &b);
    if (b.len + 1 > max_size) {
        return LLVMFuzzerMutate(data, size, max_size);
    }
    memcpy(data + 1, b.data, b.len);
    return seed % 16 == 0 ? b.len + 1 : 1 + LLVMFuzzerMutate(data + 1, b.len, max_size - 1);
}
