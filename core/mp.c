#include "core/mp.h"

#include <msgpack.h>
#include <string.h>

#include "core/err.h"
#include "core/limits.h"

static int to_buf(void *data, const char *bytes, size_t len)
{
    buf_put(data, bytes, len);
    return 0;
}

static msgpack_packer packer(struct buf *b)
{
    msgpack_packer pk;
    msgpack_packer_init(&pk, b, to_buf);
    return pk;
}

void mp_put_nil(struct buf *b)
{
    msgpack_packer pk = packer(b);
    (void)msgpack_pack_nil(&pk); /* to_buf() cannot fail; the same below. */
}

void mp_put_bool(struct buf *b, bool v)
{
    msgpack_packer pk = packer(b);
    (void)(v ? msgpack_pack_true(&pk) : msgpack_pack_false(&pk));
}

/* Small numbers, short strings and small maps are nearly all there is, and their head is one byte:
 * they are written without the library's detours. */

void mp_put_uint(struct buf *b, uint64_t v)
{
    if (v < 0x80) {
        buf_put_u8(b, (uint8_t)v);
        return;
    }
    msgpack_packer pk = packer(b);
    (void)msgpack_pack_uint64(&pk, v);
}

void mp_put_int(struct buf *b, int64_t v)
{
    msgpack_packer pk = packer(b);
    (void)msgpack_pack_int64(&pk, v);
}

void mp_put_str(struct buf *b, const char *s)
{
    mp_put_strn(b, s, strlen(s));
}

void mp_put_strn(struct buf *b, const char *s, size_t len)
{
    if (len < 32) {
        buf_put_u8(b, (uint8_t)(0xa0 | len));
        buf_put(b, s, len);
        return;
    }
    msgpack_packer pk = packer(b);
    (void)msgpack_pack_str_with_body(&pk, s, len);
}

void mp_put_bin(struct buf *b, const void *data, size_t len)
{
    msgpack_packer pk = packer(b);
    (void)msgpack_pack_bin_with_body(&pk, data, len);
}

void mp_put_array(struct buf *b, size_t n)
{
    msgpack_packer pk = packer(b);
    (void)msgpack_pack_array(&pk, n);
}

void mp_put_map(struct buf *b, size_t n)
{
    if (n < 16) {
        buf_put_u8(b, (uint8_t)(0x80 | n));
        return;
    }
    msgpack_packer pk = packer(b);
    (void)msgpack_pack_map(&pk, n);
}

/* One decoded head: the type byte and what follows it directly. */
struct head {
    enum mp_type type;
    uint64_t number;  /* Value, length or count; a negative value as its two's complement. */
    size_t head_size; /* Bytes of the head. */
};

static uint64_t load_be(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++) {
        v = v << 8 | p[i];
    }
    return v;
}

/* How the type bytes 0xc0..0xdf are read: width of the number behind them, and the smallest number
 * that may not be written in a shorter form. Rows of width 0 have none; MP_INVALID is refused. */
struct wide {
    enum mp_type type;
    uint8_t width;
    uint64_t least;
};

static const struct wide wides[32] = {
    [0x00] = {MP_NIL, 0, 0},        [0x01] = {MP_INVALID, 0, 0},
    [0x02] = {MP_BOOL, 0, 0},       [0x03] = {MP_BOOL, 0, 0},
    [0x04] = {MP_BIN, 1, 0},        [0x05] = {MP_BIN, 2, 0x100},
    [0x06] = {MP_BIN, 4, 0x10000},  [0x07] = {MP_INVALID, 0, 0},
    [0x08] = {MP_INVALID, 0, 0},    [0x09] = {MP_INVALID, 0, 0},
    [0x0a] = {MP_INVALID, 0, 0},    [0x0b] = {MP_INVALID, 0, 0},
    [0x0c] = {MP_UINT, 1, 0x80},    [0x0d] = {MP_UINT, 2, 0x100},
    [0x0e] = {MP_UINT, 4, 0x10000}, [0x0f] = {MP_UINT, 8, 0x100000000ull},
    [0x10] = {MP_INT, 1, 0},        [0x11] = {MP_INT, 2, 0},
    [0x12] = {MP_INT, 4, 0},        [0x13] = {MP_INT, 8, 0},
    [0x14] = {MP_INVALID, 0, 0},    [0x15] = {MP_INVALID, 0, 0},
    [0x16] = {MP_INVALID, 0, 0},    [0x17] = {MP_INVALID, 0, 0},
    [0x18] = {MP_INVALID, 0, 0},    [0x19] = {MP_STR, 1, 32},
    [0x1a] = {MP_STR, 2, 0x100},    [0x1b] = {MP_STR, 4, 0x10000},
    [0x1c] = {MP_ARRAY, 2, 16},     [0x1d] = {MP_ARRAY, 4, 0x10000},
    [0x1e] = {MP_MAP, 2, 16},       [0x1f] = {MP_MAP, 4, 0x10000},
};

/* Signed numbers must be negative and not fit the next shorter form. */
static bool signed_ok(uint64_t raw, size_t width, uint64_t *ret_number)
{
    static const int64_t below[9] = {[1] = -32, [2] = INT8_MIN, [4] = INT16_MIN, [8] = INT32_MIN};
    int64_t v = (int64_t)(raw << (64 - 8 * width)) >> (64 - 8 * width);
    *ret_number = (uint64_t)v;
    return v < below[width];
}

static struct head read_wide(const struct mp_reader *r, uint8_t first)
{
    const struct head invalid = {.type = MP_INVALID};
    const struct wide *w = &wides[first - 0xc0];
    if (w->type == MP_INVALID || (size_t)(r->end - r->p) < 1u + w->width) {
        return invalid;
    }
    struct head h = {.type = w->type, .head_size = 1u + w->width};
    if (w->type == MP_BOOL) {
        h.number = first & 1;
        return h;
    }
    h.number = load_be(r->p + 1, w->width);
    bool ok = w->type == MP_INT ? signed_ok(h.number, w->width, &h.number) : h.number >= w->least;
    return ok ? h : invalid;
}

static struct head read_any(const struct mp_reader *r)
{
    if (r->p >= r->end) {
        return (struct head){.type = MP_END};
    }
    uint8_t c = *r->p;
    if (c <= 0x7f) {
        return (struct head){.type = MP_UINT, .number = c, .head_size = 1};
    }
    if (c <= 0x8f) {
        return (struct head){.type = MP_MAP, .number = c & 0x0f, .head_size = 1};
    }
    if (c <= 0x9f) {
        return (struct head){.type = MP_ARRAY, .number = c & 0x0f, .head_size = 1};
    }
    if (c <= 0xbf) {
        return (struct head){.type = MP_STR, .number = c & 0x1f, .head_size = 1};
    }
    if (c >= 0xe0) {
        return (struct head){
            .type = MP_INT, .number = (uint64_t)(int64_t)(int8_t)c, .head_size = 1};
    }
    return read_wide(r, c);
}

/* The head, or MP_INVALID when what it announces cannot be in the bytes that are left. */
static struct head read_head(const struct mp_reader *r)
{
    struct head h = read_any(r);
    if (h.type == MP_END || h.type == MP_INVALID) {
        return h;
    }
    uint64_t left = (uint64_t)(r->end - r->p) - h.head_size;
    bool fits = true;
    if (h.type == MP_STR || h.type == MP_BIN || h.type == MP_ARRAY) {
        fits = h.number <= left;
    } else if (h.type == MP_MAP) {
        fits = h.number <= left / 2;
    }
    if (fits && h.type == MP_STR) {
        fits = utf8_valid((const char *)r->p + h.head_size, (size_t)h.number);
    }
    if (!fits) {
        h.type = MP_INVALID;
    }
    return h;
}

void mp_reader_init(struct mp_reader *r, const void *data, size_t len)
{
    r->p = data;
    r->end = r->p == NULL ? NULL : r->p + len;
}

enum mp_type mp_peek(const struct mp_reader *r)
{
    return read_head(r).type;
}

static int take(struct mp_reader *r, enum mp_type type, struct head *ret_head)
{
    *ret_head = read_head(r);
    if (ret_head->type != type) {
        return ERR_MALFORMED;
    }
    r->p += ret_head->head_size;
    return 0;
}

int mp_get_nil(struct mp_reader *r)
{
    struct head h;
    return take(r, MP_NIL, &h);
}

int mp_get_bool(struct mp_reader *r, bool *ret_v)
{
    struct head h;
    int rc = take(r, MP_BOOL, &h);
    if (rc == 0) {
        *ret_v = h.number != 0;
    }
    return rc;
}

int mp_get_uint(struct mp_reader *r, uint64_t *ret_v)
{
    if (r->p < r->end && *r->p < 0x80) { /* Nearly all of them. */
        *ret_v = *r->p++;
        return 0;
    }
    struct head h;
    int rc = take(r, MP_UINT, &h);
    if (rc == 0) {
        *ret_v = h.number;
    }
    return rc;
}

int mp_get_int(struct mp_reader *r, int64_t *ret_v)
{
    struct head h = read_head(r);
    if (h.type != MP_INT && (h.type != MP_UINT || h.number > INT64_MAX)) {
        return ERR_MALFORMED;
    }
    r->p += h.head_size;
    *ret_v = (int64_t)h.number;
    return 0;
}

int mp_get_str(struct mp_reader *r, const char **ret_s, size_t *ret_len)
{
    struct head h;
    int rc = take(r, MP_STR, &h);
    if (rc == 0) {
        *ret_s = (const char *)r->p;
        *ret_len = (size_t)h.number;
        r->p += h.number;
    }
    return rc;
}

int mp_get_bin(struct mp_reader *r, const uint8_t **ret_data, size_t *ret_len)
{
    struct head h;
    int rc = take(r, MP_BIN, &h);
    if (rc == 0) {
        *ret_data = r->p;
        *ret_len = (size_t)h.number;
        r->p += h.number;
    }
    return rc;
}

int mp_get_array(struct mp_reader *r, uint32_t *ret_n)
{
    struct head h;
    int rc = take(r, MP_ARRAY, &h);
    if (rc == 0) {
        *ret_n = (uint32_t)h.number;
    }
    return rc;
}

int mp_get_map(struct mp_reader *r, uint32_t *ret_n)
{
    struct head h;
    int rc = take(r, MP_MAP, &h);
    if (rc == 0) {
        *ret_n = (uint32_t)h.number;
    }
    return rc;
}

int mp_copy_str(struct mp_reader *r, char *to, size_t size)
{
    struct mp_reader before = *r;
    const char *s;
    size_t len;
    int rc = mp_get_str(r, &s, &len);
    if (rc != 0) {
        return rc;
    }
    if (len >= size) {
        *r = before;
        return ERR_TOO_BIG;
    }
    memcpy(to, s, len);
    memset(to + len, 0, size - len);
    return 0;
}

int mp_copy_bin(struct mp_reader *r, void *to, size_t len)
{
    struct mp_reader before = *r;
    const uint8_t *data;
    size_t n;
    int rc = mp_get_bin(r, &data, &n);
    if (rc == 0 && n != len) {
        *r = before;
        rc = ERR_MALFORMED;
    }
    if (rc == 0 && len > 0) {
        memcpy(to, data, len);
    }
    return rc;
}

bool mp_match_str(struct mp_reader *r, const char *key)
{
    struct mp_reader after = *r;
    const char *s;
    size_t len;
    if (mp_get_str(&after, &s, &len) != 0 || len != strlen(key) || memcmp(s, key, len) != 0) {
        return false;
    }
    *r = after;
    return true;
}

/* Iterative: a hostile depth must not eat our stack. */
int mp_skip(struct mp_reader *r, const uint8_t **ret_start, size_t *ret_len)
{
    struct mp_reader at = *r;
    uint64_t todo[LIMIT_MP_DEPTH + 1] = {1}; /* Values still to come on each level. */
    int level = 0;
    while (level >= 0) {
        if (todo[level] == 0) {
            level--;
            continue;
        }
        todo[level]--;
        struct head h = read_head(&at);
        if (h.type == MP_END || h.type == MP_INVALID) {
            return ERR_MALFORMED;
        }
        at.p += h.head_size;
        if (h.type == MP_STR || h.type == MP_BIN) {
            at.p += h.number;
        } else if (h.type == MP_ARRAY || h.type == MP_MAP) {
            if (level == LIMIT_MP_DEPTH) {
                return ERR_MALFORMED;
            }
            todo[++level] = h.type == MP_MAP ? h.number * 2 : h.number;
        }
    }
    if (ret_start != NULL) {
        *ret_start = r->p;
    }
    if (ret_len != NULL) {
        *ret_len = (size_t)(at.p - r->p);
    }
    *r = at;
    return 0;
}

bool mp_at_end(const struct mp_reader *r)
{
    return r->p == r->end;
}

bool mp_valid(const void *data, size_t len)
{
    struct mp_reader r;
    mp_reader_init(&r, data, len);
    return len > 0 && mp_skip(&r, NULL, NULL) == 0 && mp_at_end(&r);
}

/* Bytes of the sequence that starts here, or 0 if it is none (RFC 3629). */
static size_t utf8_length(const uint8_t *p, size_t left)
{
    uint8_t c = p[0];
    if (c != 0 && c < 0x80) {
        return 1;
    }
    size_t n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    if (c < 0xc2 || c > 0xf4 || left < n) {
        return 0;
    }
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool bad = (c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] > 0x9f) ||
               (c == 0xf0 && p[1] < 0x90) || (c == 0xf4 && p[1] > 0x8f);
    return bad ? 0 : n;
}

bool utf8_valid(const char *s, size_t len)
{
    const uint8_t *p = (const uint8_t *)s;
    while (len > 0) {
        size_t n = utf8_length(p, len);
        if (n == 0) {
            return false;
        }
        p += n;
        len -= n;
    }
    return true;
}
