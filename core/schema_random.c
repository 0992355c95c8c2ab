/* Random valid records: small and edge values come often, for they find more. */

#include <string.h>

#include "core/schema.h"
#include "core/schema_field.h"
#include "core/util.h"

static uint64_t between(struct rng *rng, uint64_t min, uint64_t max)
{
    if (max - min == UINT64_MAX) {
        return rng_u64(rng);
    }
    return min + rng_below(rng, max - min + 1);
}

/* A length or count: mostly short, sometimes at its limit. */
static uint64_t size_between(struct rng *rng, uint64_t min, uint64_t max)
{
    uint64_t few = min_u64(max, min + 3);
    return rng_below(rng, 8) == 0 ? max : between(rng, min, few);
}

static uint64_t number_between(struct rng *rng, uint64_t min, uint64_t max)
{
    switch (rng_below(rng, 4)) {
    case 0: return min;
    case 1: return max;
    case 2: return between(rng, min, min_u64(max, min + 300));
    default: return between(rng, min, max);
    }
}

static void random_str(struct rng *rng, char *to, size_t len)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-._ :/";
    for (size_t i = 0; i < len; i++) {
        to[i] = letters[rng_below(rng, sizeof letters - 1)];
    }
    if (len >= 3 && rng_below(rng, 4) == 0) {
        static const char euro[] = {'\xe2', '\x82', '\xac'};
        memcpy(to, euro, sizeof euro); /* The sign of the euro: text is not only ASCII. */
    }
}

/* Recursion below goes as deep as tables are nested, never by what the bytes say.
 * NOLINTBEGIN(misc-no-recursion) */

static void random_elements(const struct field *f, struct rng *rng, void *record)
{
    uint8_t *at = field_at(f, record);
    uint64_t n = size_between(rng, f->min, f->max);
    for (uint64_t i = 0; i < n; i++) {
        if (f->kind == FIELD_LIST) {
            schema_random(f->nested, rng, at + i * f->nested->size);
        } else if (f->kind == FIELD_STRS) {
            random_str(rng, (char *)at + i * (LIMIT_NAME + 1), size_between(rng, 1, LIMIT_NAME));
        } else {
            at[i] = (uint8_t)rng_u64(rng);
        }
    }
    field_set_count(f, record, (uint32_t)n);
}

static void random_field(const struct field *f, struct rng *rng, void *record)
{
    switch (f->kind) {
    case FIELD_BOOL: field_set_number(f, record, rng_below(rng, 2)); break;
    case FIELD_U32:
    case FIELD_U64: field_set_number(f, record, number_between(rng, f->min, f->max)); break;
    case FIELD_ENM:
        field_set_number(f, record, between(rng, f->min, min_u64(f->max, f->names->n - 1)));
        break;
    case FIELD_STR: random_str(rng, field_at(f, record), size_between(rng, f->min, f->max)); break;
    case FIELD_ID: *(struct id *)field_at(f, record) = id_new(rng); break;
    case FIELD_REC: schema_random(f->nested, rng, field_at(f, record)); break;
    case FIELD_BIN:
    case FIELD_LIST:
    case FIELD_STRS: random_elements(f, rng, record); break;
    }
}

void schema_random(const struct schema *s, struct rng *rng, void *record)
{
    schema_init(s, record);
    for (size_t i = 0; i < s->n; i++) {
        const struct field *f = &s->fields[i];
        if (f->flags == FIELD_REQ || rng_below(rng, 2) == 0) {
            random_field(f, rng, record);
        }
    }
}

/* NOLINTEND(misc-no-recursion) */
