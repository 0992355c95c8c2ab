/* msgpack, the strict way: one canonical encoding per value, bounded before anything is allocated.
 *
 * Writing goes through msgpack-c. Reading is a cursor over the bytes: it never allocates, and it
 * refuses what msgpack-c would accept (longer forms of a number or a length, extension types,
 * floats, text that is not UTF-8), so that equal values are always equal bytes. msgpack-c's own
 * unpacker reserves memory from a length it has not checked: five bytes make it ask for 8 GiB.
 *
 * Types used: nil, bool, unsigned and signed integers, str (UTF-8), bin, array, map. */

#ifndef CORE_MP_H
#define CORE_MP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"

enum mp_type {
    MP_NIL,
    MP_BOOL,
    MP_UINT,
    MP_INT, /* Negative. */
    MP_STR,
    MP_BIN,
    MP_ARRAY,
    MP_MAP,
    MP_END,    /* All bytes are read. */
    MP_INVALID /* Malformed, or not canonical. */
};

/* Writers. Each appends one value to `b` in its shortest form. */
void mp_put_nil(struct buf *b);
void mp_put_bool(struct buf *b, bool v);
void mp_put_uint(struct buf *b, uint64_t v);
void mp_put_int(struct buf *b, int64_t v);
void mp_put_str(struct buf *b, const char *s); /* NUL-terminated. */
void mp_put_strn(struct buf *b, const char *s, size_t len);
void mp_put_bin(struct buf *b, const void *data, size_t len);
void mp_put_array(struct buf *b, size_t n); /* n values follow. */
void mp_put_map(struct buf *b, size_t n);   /* n pairs of values follow. */

/* A cursor over one or more values. The bytes are borrowed and must outlive it. */
struct mp_reader {
    const uint8_t *p;
    const uint8_t *end;
};

void mp_reader_init(struct mp_reader *r, const void *data, size_t len);

/* Type of the next value; does not move. */
enum mp_type mp_peek(const struct mp_reader *r);

/* Readers: 0 and move on, or ERR_MALFORMED and stay. Strings and binaries point into the bytes and
 * are not NUL-terminated; strings are valid UTF-8 without NUL bytes. An array or map whose count
 * could not fit in the bytes that are left is refused. */
int mp_get_nil(struct mp_reader *r);
int mp_get_bool(struct mp_reader *r, bool *ret_v);
int mp_get_uint(struct mp_reader *r, uint64_t *ret_v);
int mp_get_int(struct mp_reader *r, int64_t *ret_v);
int mp_get_str(struct mp_reader *r, const char **ret_s, size_t *ret_len);
int mp_get_bin(struct mp_reader *r, const uint8_t **ret_data, size_t *ret_len);
int mp_get_array(struct mp_reader *r, uint32_t *ret_n);
int mp_get_map(struct mp_reader *r, uint32_t *ret_n);

/* A string copied into a NUL-terminated array of `size` bytes; ERR_TOO_BIG if it does not fit. The
 * rest of the array is zeroed. */
int mp_copy_str(struct mp_reader *r, char *to, size_t size);

/* A binary of exactly `len` bytes copied out. */
int mp_copy_bin(struct mp_reader *r, void *to, size_t len);

/* Whether the next string is `key`; moves only if it is. */
bool mp_match_str(struct mp_reader *r, const char *key);

/* Skip one value with everything in it, at most LIMIT_MP_DEPTH deep. On success *ret_start and
 * *ret_len (either may be NULL) tell where its bytes are. */
int mp_skip(struct mp_reader *r, const uint8_t **ret_start, size_t *ret_len);

/* Whether all bytes are read. */
bool mp_at_end(const struct mp_reader *r);

/* Whether the bytes are exactly one well-formed canonical value. */
bool mp_valid(const void *data, size_t len);

/* Whether the bytes are valid UTF-8 (no surrogates, no overlong forms) without NUL. */
bool utf8_valid(const char *s, size_t len);

#endif
