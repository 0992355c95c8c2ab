/* 128-bit identifiers: guests, operations, requests, pools. All zero means "none". */

#ifndef CORE_ID_H
#define CORE_ID_H

#include <stdbool.h>
#include <stdint.h>

#include "core/rng.h"

/* Bytes of the text form "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", the final NUL included. */
#define ID_TEXT_SIZE 37

struct id {
    uint8_t b[16];
};

/* A random (version 4) identifier. */
struct id id_new(struct rng *rng);

bool id_is_none(const struct id *id);
bool id_equal(const struct id *a, const struct id *b);

/* Lower-case text into `out`; returns out. */
const char *id_text(const struct id *id, char out[ID_TEXT_SIZE]);

/* Accepts the text form in either case, and 32 bare hex digits. 0 or ERR_INVALID. */
int id_parse(const char *text, struct id *ret_id);

#endif
