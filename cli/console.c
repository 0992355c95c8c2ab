#include "cli/console.h"

#include <string.h>

#include "core/util.h"

#define FRAME_HEAD 3

void console_put_hello(struct buf *out, const struct console_hello *h)
{
    size_t n = strnlen(h->guest, LIMIT_NAME);
    buf_put(out, CONSOLE_MAGIC, CONSOLE_MAGIC_LEN);
    buf_put_u8(out, (uint8_t)h->flags);
    buf_put_u8(out, (uint8_t)n);
    buf_put(out, h->guest, n);
}

int console_get_hello(const uint8_t *data, size_t len, struct console_hello *ret)
{
    if (memcmp(data, CONSOLE_MAGIC, min_u64(len, CONSOLE_MAGIC_LEN)) != 0) {
        return ERR_MALFORMED;
    }
    if (len < CONSOLE_MAGIC_LEN + 2) {
        return 0;
    }
    unsigned flags = data[CONSOLE_MAGIC_LEN];
    size_t n = data[CONSOLE_MAGIC_LEN + 1];
    const uint8_t *name = data + CONSOLE_MAGIC_LEN + 2;
    if (n == 0 || n > LIMIT_NAME || flags > (CONSOLE_FORCE | CONSOLE_RELAYED | CONSOLE_SCREEN)) {
        return ERR_MALFORMED;
    }
    if (len < CONSOLE_MAGIC_LEN + 2 + n) {
        return 0;
    }
    if (memchr(name, '\0', n) != NULL) {
        return ERR_MALFORMED;
    }
    *ret = (struct console_hello){.flags = flags};
    memcpy(ret->guest, name, n);
    return (int)(CONSOLE_MAGIC_LEN + 2 + n);
}

static void put_head(struct buf *out, enum console_kind kind, size_t len)
{
    buf_put_u8(out, (uint8_t)kind);
    buf_put_u8(out, (uint8_t)(len & 0xff));
    buf_put_u8(out, (uint8_t)(len >> 8));
}

void console_put_frame(struct buf *out, enum console_kind kind, const void *data, size_t len)
{
    const uint8_t *at = data;
    do {
        size_t n = min_u64(len, CONSOLE_FRAME_MAX);
        put_head(out, kind, n);
        buf_put(out, at, n);
        at += n;
        len -= n;
    } while (len > 0);
}

void console_put_end(struct buf *out, const struct err *why)
{
    size_t n = strlen(why->msg);
    unsigned code = (unsigned)-why->code;
    put_head(out, CONSOLE_END, 2 + n);
    buf_put_u8(out, (uint8_t)(code & 0xff));
    buf_put_u8(out, (uint8_t)(code >> 8));
    buf_put(out, why->msg, n);
}

int console_get_frame(const uint8_t *data, size_t len, struct console_frame *ret)
{
    if (len < FRAME_HEAD) {
        return 0;
    }
    size_t n = data[1] | (size_t)data[2] << 8;
    if (data[0] > CONSOLE_END || n > CONSOLE_FRAME_MAX || (data[0] == CONSOLE_END && n < 2)) {
        return ERR_MALFORMED;
    }
    if (len < FRAME_HEAD + n) {
        return 0;
    }
    *ret = (struct console_frame){
        .kind = (enum console_kind)data[0], .data = data + FRAME_HEAD, .len = n};
    if (ret->kind == CONSOLE_END) {
        ret->code = -(int)(ret->data[0] | (unsigned)ret->data[1] << 8);
        ret->data += 2;
        ret->len -= 2;
    }
    return (int)(FRAME_HEAD + n);
}

bool console_comes_back(int code)
{
    return code == ERR_EOF || code == ERR_STALE || code == ERR_NOT_READY || code == ERR_CLOSED ||
           code == ERR_TIMEOUT;
}
