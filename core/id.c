#include "core/id.h"

#include <stdio.h>
#include <string.h>

#include "core/err.h"

struct id id_new(struct rng *rng)
{
    struct id id;
    uint64_t hi = rng_u64(rng);
    uint64_t lo = rng_u64(rng);
    memcpy(id.b, &hi, 8);
    memcpy(id.b + 8, &lo, 8);
    id.b[6] = (uint8_t)((id.b[6] & 0x0f) | 0x40);
    id.b[8] = (uint8_t)((id.b[8] & 0x3f) | 0x80);
    return id;
}

bool id_is_none(const struct id *id)
{
    static const struct id none;
    return id_equal(id, &none);
}

bool id_equal(const struct id *a, const struct id *b)
{
    return memcmp(a->b, b->b, sizeof a->b) == 0;
}

const char *id_text(const struct id *id, char out[ID_TEXT_SIZE])
{
    static const char hex[] = "0123456789abcdef";
    char *p = out;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *p++ = '-';
        }
        *p++ = hex[id->b[i] >> 4];
        *p++ = hex[id->b[i] & 15];
    }
    *p = '\0';
    return out;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

int id_parse(const char *text, struct id *ret_id)
{
    size_t len = strlen(text);
    bool dashes = len == 36;
    if (!dashes && len != 32) {
        return ERR_INVALID;
    }
    struct id id;
    const char *p = text;
    for (int i = 0; i < 16; i++) {
        if (dashes && (i == 4 || i == 6 || i == 8 || i == 10) && *p++ != '-') {
            return ERR_INVALID;
        }
        int hi = hex_value(p[0]);
        int lo = hi < 0 ? -1 : hex_value(p[1]);
        if (lo < 0) {
            return ERR_INVALID;
        }
        id.b[i] = (uint8_t)(hi << 4 | lo);
        p += 2;
    }
    *ret_id = id;
    return 0;
}
