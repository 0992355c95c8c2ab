/* A growing run of bytes. Zero-initialised is empty; buf_done() gives the memory back. */

#ifndef CORE_BUF_H
#define CORE_BUF_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct buf {
    uint8_t *data;
    size_t len; /* Bytes in use. */
    size_t cap; /* Bytes allocated. */
};

/* Room for `more` bytes after len; returns where they go. len does not move. */
uint8_t *buf_reserve(struct buf *b, size_t more);

void buf_put(struct buf *b, const void *data, size_t len);
void buf_put_u8(struct buf *b, uint8_t v);
void buf_put_u32(struct buf *b, uint32_t v); /* Little endian. */
void buf_put_u64(struct buf *b, uint64_t v); /* Little endian. */
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Drop the first n bytes (n <= len). */
void buf_consume(struct buf *b, size_t n);

/* Forget the content, keep the memory. */
void buf_clear(struct buf *b);

/* Give the memory back. Idempotent; also for CLEANUP(). */
void buf_done(struct buf *b);

/* Hand over the memory: the caller frees it, `b` is empty again. */
uint8_t *buf_take(struct buf *b);

/* Little-endian loads and stores for fixed layouts. */
static inline uint32_t load_u32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return le32toh(v);
}

static inline uint64_t load_u64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return le64toh(v);
}

static inline void store_u32(uint8_t *p, uint32_t v)
{
    v = htole32(v);
    memcpy(p, &v, sizeof v);
}

static inline void store_u64(uint8_t *p, uint64_t v)
{
    v = htole64(v);
    memcpy(p, &v, sizeof v);
}

#endif
