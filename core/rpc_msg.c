#include "core/rpc_msg.h"

#include <string.h>

#include "core/rpc_frame.h"
#include "core/util.h"

/* Copy text, cut where a character ends. */
static void copy_text(char *to, size_t size, const char *from, size_t len)
{
    if (len > size - 1) {
        len = size - 1;
        while (len > 0 && ((unsigned char)from[len] & 0xc0) == 0x80) {
            len--;
        }
    }
    memcpy(to, from, len);
    memset(to + len, 0, size - len);
}

/* nil, or [code, text]. */
static int read_error(struct mp_reader *r, struct rpc_msg *m)
{
    uint32_t n;
    int64_t code;
    const char *text;
    size_t len;
    if (mp_peek(r) == MP_NIL) {
        return mp_get_nil(r);
    }
    if (mp_get_array(r, &n) != 0 || n != 2 || mp_get_int(r, &code) != 0 || code >= 0 ||
        code < INT32_MIN || mp_get_str(r, &text, &len) != 0) {
        return ERR_MALFORMED;
    }
    m->code = (int)code;
    copy_text(m->text, sizeof m->text, text, len);
    return 0;
}

/* What follows the kind, up to the body. */
static int read_head(struct mp_reader *r, uint64_t kind, uint32_t n, struct rpc_msg *m)
{
    switch (kind) {
    case RPC_REQUEST:
        m->kind = RPC_REQUEST;
        return n == 4 && mp_get_uint(r, &m->number) == 0 && m->number > 0 &&
                       mp_copy_str(r, m->method, sizeof m->method) == 0 && m->method[0] != '\0' &&
                       mp_peek(r) == MP_MAP
                   ? 0
                   : ERR_MALFORMED;
    case RPC_REPLY:
        m->kind = RPC_REPLY;
        return n == 4 && mp_get_uint(r, &m->number) == 0 && read_error(r, m) == 0 ? 0
                                                                                  : ERR_MALFORMED;
    case RPC_NOTICE:
        m->kind = RPC_NOTICE;
        return n == 3 && mp_copy_str(r, m->method, sizeof m->method) == 0 && m->method[0] != '\0'
                   ? 0
                   : ERR_MALFORMED;
    default: return ERR_MALFORMED;
    }
}

int rpc_msg_read(const void *payload, size_t len, struct rpc_msg *ret, struct err *e)
{
    struct mp_reader r;
    uint32_t n;
    uint64_t kind;
    memset(ret, 0, sizeof *ret);
    mp_reader_init(&r, payload, len);
    if (mp_get_array(&r, &n) != 0 || mp_get_uint(&r, &kind) != 0) {
        return err_set(e, ERR_MALFORMED, "not a message: no array that begins with its kind");
    }
    if (kind > RPC_NOTICE) {
        return err_set(e, ERR_MALFORMED, "unknown kind of message: %llu", (unsigned long long)kind);
    }
    if (read_head(&r, kind, n, ret) != 0) {
        return err_set(e, ERR_MALFORMED, "malformed %s",
                       kind == RPC_REQUEST ? "request, expected [0, number, method, {params}]"
                       : kind == RPC_REPLY ? "reply, expected [1, number, error, result]"
                                           : "notice, expected [2, method, params]");
    }
    if (mp_skip(&r, &ret->body, &ret->body_len) != 0) {
        return err_set(e, ERR_MALFORMED, "malformed value in a message, or deeper than %d levels",
                       LIMIT_MP_DEPTH);
    }
    return mp_at_end(&r) ? 0 : err_set(e, ERR_MALFORMED, "bytes after the end of a message");
}

static void put_body(struct buf *b, const void *body, size_t len)
{
    if (len == 0) {
        mp_put_nil(b);
    } else {
        buf_put(b, body, len);
    }
}

void rpc_put_request(struct buf *b,
                     uint64_t number,
                     const char *method,
                     const void *body,
                     size_t len)
{
    size_t place = frame_begin(b);
    mp_put_array(b, 4);
    mp_put_uint(b, RPC_REQUEST);
    mp_put_uint(b, number);
    mp_put_str(b, method);
    if (len == 0) {
        mp_put_map(b, 0);
    } else {
        buf_put(b, body, len);
    }
    frame_end(b, place);
}

void rpc_put_reply(struct buf *b, uint64_t number, const void *body, size_t len)
{
    size_t place = frame_begin(b);
    mp_put_array(b, 4);
    mp_put_uint(b, RPC_REPLY);
    mp_put_uint(b, number);
    mp_put_nil(b);
    put_body(b, body, len);
    frame_end(b, place);
}

void rpc_put_error(struct buf *b, uint64_t number, int code, const char *text)
{
    char cut[ERR_MSG_SIZE];
    size_t len = strlen(text);
    copy_text(cut, sizeof cut, utf8_valid(text, len) ? text : err_text(code),
              utf8_valid(text, len) ? len : strlen(err_text(code)));
    size_t place = frame_begin(b);
    mp_put_array(b, 4);
    mp_put_uint(b, RPC_REPLY);
    mp_put_uint(b, number);
    mp_put_array(b, 2);
    mp_put_int(b, code);
    mp_put_str(b, cut);
    mp_put_nil(b);
    frame_end(b, place);
}

void rpc_put_notice(struct buf *b, const char *method, const void *body, size_t len)
{
    size_t place = frame_begin(b);
    mp_put_array(b, 3);
    mp_put_uint(b, RPC_NOTICE);
    mp_put_str(b, method);
    put_body(b, body, len);
    frame_end(b, place);
}
