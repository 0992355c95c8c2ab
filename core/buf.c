#include "core/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/util.h"

uint8_t *buf_reserve(struct buf *b, size_t more)
{
    assert(more <= SIZE_MAX / 4 && b->len <= SIZE_MAX / 4);
    if (b->cap - b->len < more) {
        size_t cap = b->cap == 0 ? 64 : b->cap;
        while (cap < b->len + more) {
            cap *= 2;
        }
        b->data = mem_grow(b->data, cap, 1);
        b->cap = cap;
    }
    return b->data + b->len;
}

void buf_put(struct buf *b, const void *data, size_t len)
{
    if (len > 0) {
        memcpy(buf_reserve(b, len), data, len);
        b->len += len;
    }
}

void buf_put_u8(struct buf *b, uint8_t v)
{
    *buf_reserve(b, 1) = v;
    b->len++;
}

void buf_put_u32(struct buf *b, uint32_t v)
{
    store_u32(buf_reserve(b, 4), v);
    b->len += 4;
}

void buf_put_u64(struct buf *b, uint64_t v)
{
    store_u64(buf_reserve(b, 8), v);
    b->len += 8;
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    assert(n >= 0);
    char *to = (char *)buf_reserve(b, (size_t)n + 1);
    va_start(ap, fmt);
    (void)vsnprintf(to, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->len += (size_t)n;
}

void buf_consume(struct buf *b, size_t n)
{
    assert(n <= b->len);
    if (n > 0) {
        memmove(b->data, b->data + n, b->len - n);
        b->len -= n;
    }
}

void buf_clear(struct buf *b)
{
    b->len = 0;
}

void buf_done(struct buf *b)
{
    free(b->data);
    *b = (struct buf){0};
}

uint8_t *buf_take(struct buf *b)
{
    uint8_t *p = b->data;
    *b = (struct buf){0};
    return p;
}
