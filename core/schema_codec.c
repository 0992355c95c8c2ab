/* Records to bytes and back.
 *
 * The decoder walks the keys and the table together: a key must be that of a later field than the
 * one before, so order, repetition and missing fields are found in one pass without a lookup. */

#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "core/schema.h"
#include "core/schema_field.h"
#include "core/util.h"

/* Recursion below goes as deep as tables are nested, never by what the bytes say.
 * NOLINTBEGIN(misc-no-recursion) */

/* The defaults that are not zero, in a record of zeros. */
static void set_defaults(const struct schema *s, void *record)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct field *f = &s->fields[i];
        if (f->kind == FIELD_REC) {
            set_defaults(f->nested, field_at(f, record));
        } else if (f->def != 0) {
            field_set_number(f, record, f->def);
        }
    }
}

void schema_init(const struct schema *s, void *record)
{
    memset(record, 0, s->size);
    set_defaults(s, record);
}

static void put_field(const struct field *f, const void *record, struct buf *out)
{
    const void *at = field_in(f, record);
    switch (f->kind) {
    case FIELD_BOOL: mp_put_bool(out, field_number(f, record) != 0); break;
    case FIELD_U32:
    case FIELD_U64:
    case FIELD_ENM: mp_put_uint(out, field_number(f, record)); break;
    case FIELD_STR: mp_put_str(out, at); break;
    case FIELD_BIN: mp_put_bin(out, at, field_count(f, record)); break;
    case FIELD_ID: mp_put_bin(out, at, sizeof(struct id)); break;
    case FIELD_REC: schema_encode(f->nested, at, out); break;
    case FIELD_LIST:
        mp_put_array(out, field_count(f, record));
        for (uint32_t i = 0; i < field_count(f, record); i++) {
            schema_encode(f->nested, field_list(f, record, i), out);
        }
        break;
    case FIELD_STRS:
        mp_put_array(out, field_count(f, record));
        for (uint32_t i = 0; i < field_count(f, record); i++) {
            mp_put_str(out, field_strs(f, record, i));
        }
        break;
    }
}

/* Fields beyond this would need a wider set in schema_encode(). */
#define MAX_FIELDS 64

void schema_encode(const struct schema *s, const void *record, struct buf *out)
{
    assert(s->n <= MAX_FIELDS);
    uint64_t given = 0; /* Bit i: field i is written. */
    for (size_t i = 0; i < s->n; i++) {
        const struct field *f = &s->fields[i];
        if (f->flags == FIELD_REQ || !field_is_default(f, record)) {
            given |= UINT64_C(1) << i;
        }
    }
    mp_put_map(out, (size_t)__builtin_popcountll(given));
    for (; given != 0; given &= given - 1) {
        const struct field *f = &s->fields[__builtin_ctzll(given)];
        mp_put_str(out, f->name);
        put_field(f, record, out);
    }
}

static bool same_field(const struct field *f, const void *x, const void *y)
{
    const void *a = field_in(f, x);
    const void *b = field_in(f, y);
    switch (f->kind) {
    case FIELD_BOOL:
    case FIELD_U32:
    case FIELD_U64:
    case FIELD_ENM: return field_number(f, x) == field_number(f, y);
    case FIELD_STR: return strcmp(a, b) == 0;
    case FIELD_ID: return memcmp(a, b, sizeof(struct id)) == 0;
    case FIELD_REC: return schema_same(f->nested, a, b);
    case FIELD_BIN:
    case FIELD_LIST:
    case FIELD_STRS: break;
    }
    uint32_t n = field_count(f, x);
    bool same = n == field_count(f, y);
    if (f->kind == FIELD_BIN) {
        return same && memcmp(a, b, n) == 0;
    }
    for (uint32_t i = 0; same && i < n; i++) {
        same = f->kind == FIELD_LIST
                   ? schema_same(f->nested, field_list(f, x, i), field_list(f, y, i))
                   : strcmp(field_strs(f, x, i), field_strs(f, y, i)) == 0;
    }
    return same;
}

bool schema_same(const struct schema *s, const void *x, const void *y)
{
    for (size_t i = 0; i < s->n; i++) {
        if (!same_field(&s->fields[i], x, y)) {
            return false;
        }
    }
    return true;
}

/* Where a decoder tells what was wrong: a sentence, if somebody wants one, and the field. */
struct trouble {
    struct err *e; /* May be NULL. */
    const char *field;
};

__attribute__((format(printf, 4, 5))) static int
fail(struct trouble *t, int code, const char *field, const char *fmt, ...)
{
    t->field = field;
    if (t->e != NULL) {
        char text[ERR_MSG_SIZE];
        va_list ap;
        va_start(ap, fmt);
        (void)vsnprintf(text, sizeof text, fmt, ap);
        va_end(ap);
        (void)err_set(t->e, code, "%s%s%s", field, *field == '\0' ? "" : ": ", text);
    }
    return code;
}

static int decode(const struct schema *s, struct mp_reader *in, void *record, struct trouble *t);

static int wrong_type(const struct field *f, struct trouble *t)
{
    return fail(t, ERR_MALFORMED, f->name, "wrong type or form");
}

static int invalid(const struct field *f, struct trouble *t)
{
    struct err e = {0};
    t->field = f->name;
    (void)field_out_of_range(f, t->e == NULL ? &e : t->e);
    return ERR_INVALID;
}

static int get_number(const struct field *f, struct mp_reader *in, void *record, struct trouble *t)
{
    uint64_t v = 0;
    bool b = false;
    if (f->kind == FIELD_BOOL) {
        if (mp_get_bool(in, &b) != 0) {
            return wrong_type(f, t);
        }
        v = b;
    } else if (mp_get_uint(in, &v) != 0) {
        return wrong_type(f, t);
    }
    if (v < f->min || v > f->max || (f->kind == FIELD_ENM && v >= f->names->n)) {
        return invalid(f, t);
    }
    field_set_number(f, record, v);
    return 0;
}

static int get_str(const struct field *f, struct mp_reader *in, void *record, struct trouble *t)
{
    const char *s;
    size_t len;
    if (mp_get_str(in, &s, &len) != 0) {
        return wrong_type(f, t);
    }
    if (len < f->min || len > f->max) {
        return invalid(f, t);
    }
    memcpy(field_at(f, record), s, len); /* schema_init() zeroed the rest. */
    return 0;
}

static int get_bin(const struct field *f, struct mp_reader *in, void *record, struct trouble *t)
{
    const uint8_t *data;
    size_t len;
    if (mp_get_bin(in, &data, &len) != 0) {
        return wrong_type(f, t);
    }
    if (f->kind == FIELD_ID) {
        static const struct id none;
        if (len != sizeof none) {
            return wrong_type(f, t);
        }
        if (memcmp(data, &none, len) == 0 && f->flags == FIELD_REQ) {
            return invalid(f, t);
        }
    } else if (len < f->min || len > f->max) {
        return invalid(f, t);
    } else {
        field_set_count(f, record, (uint32_t)len);
    }
    memcpy(field_at(f, record), data, len);
    return 0;
}

static int get_array(const struct field *f, struct mp_reader *in, void *record, struct trouble *t)
{
    uint32_t n;
    if (mp_get_array(in, &n) != 0) {
        return wrong_type(f, t);
    }
    if (n < f->min || n > f->max) {
        return invalid(f, t);
    }
    uint8_t *at = field_at(f, record);
    for (uint32_t i = 0; i < n; i++) {
        int rc = 0;
        if (f->kind == FIELD_LIST) {
            set_defaults(f->nested, at + (size_t)i * f->nested->size);
            rc = decode(f->nested, in, at + (size_t)i * f->nested->size, t);
        } else {
            const char *s;
            size_t len;
            if (mp_get_str(in, &s, &len) != 0) {
                return wrong_type(f, t);
            }
            if (len < 1 || len > LIMIT_NAME) {
                return fail(t, ERR_INVALID, f->name, "each must have 1 to %d bytes", LIMIT_NAME);
            }
            memcpy(at + (size_t)i * (LIMIT_NAME + 1), s, len);
        }
        if (rc != 0) {
            return rc;
        }
    }
    field_set_count(f, record, n);
    return 0;
}

static int get_field(const struct field *f, struct mp_reader *in, void *record, struct trouble *t)
{
    int rc = 0;
    switch (f->kind) {
    case FIELD_BOOL:
    case FIELD_U32:
    case FIELD_U64:
    case FIELD_ENM: rc = get_number(f, in, record, t); break;
    case FIELD_STR: rc = get_str(f, in, record, t); break;
    case FIELD_BIN:
    case FIELD_ID: rc = get_bin(f, in, record, t); break;
    case FIELD_REC: rc = decode(f->nested, in, field_at(f, record), t); break;
    case FIELD_LIST:
    case FIELD_STRS: rc = get_array(f, in, record, t); break;
    }
    if (rc == 0 && f->flags != FIELD_REQ && field_is_default(f, record)) {
        return fail(t, ERR_MALFORMED, f->name, "a default is left out");
    }
    return rc;
}

static bool is_key(const struct field *f, const char *key, size_t len)
{
    return strncmp(f->name, key, len) == 0 && f->name[len] == '\0';
}

/* The key is none of the fields from `next` on. Its bytes come from outside: what people read shows
 * only harmless ones. */
static int
wrong_key(const struct schema *s, size_t next, const char *key, size_t len, struct trouble *t)
{
    for (size_t i = 0; i < next; i++) {
        if (is_key(&s->fields[i], key, len)) {
            return fail(t, ERR_MALFORMED, s->fields[i].name, "twice, or not in its place");
        }
    }
    char shown[48] = "";
    for (size_t i = 0; i < len && i < sizeof shown - 1; i++) {
        shown[i] = '?';
        if (key[i] > ' ' && key[i] < 0x7f) {
            shown[i] = key[i];
        }
    }
    return fail(t, ERR_UNKNOWN, "", "%s has no field \"%s\"", s->name, shown);
}

static int missing(const struct field *f, struct trouble *t)
{
    return fail(t, ERR_MALFORMED, f->name, "missing");
}

/* The record is as schema_init() leaves it. */
static int decode(const struct schema *s, struct mp_reader *in, void *record, struct trouble *t)
{
    uint32_t n;
    if (mp_get_map(in, &n) != 0) {
        return fail(t, ERR_MALFORMED, "", "%s is not a map", s->name);
    }
    size_t next = 0;                    /* First field that may still come. */
    const struct field *skipped = NULL; /* First REQ field that did not come. */
    for (; n > 0; n--) {
        const char *key;
        size_t len;
        if (mp_get_str(in, &key, &len) != 0) {
            return fail(t, ERR_MALFORMED, "", "a key of %s is no string", s->name);
        }
        size_t i = next;
        while (i < s->n && !is_key(&s->fields[i], key, len)) {
            if (s->fields[i].flags == FIELD_REQ && skipped == NULL) {
                skipped = &s->fields[i];
            }
            i++;
        }
        if (i == s->n) {
            return wrong_key(s, next, key, len, t);
        }
        if (skipped != NULL) {
            return missing(skipped, t);
        }
        int rc = get_field(&s->fields[i], in, record, t);
        if (rc != 0) {
            return rc;
        }
        next = i + 1;
    }
    for (; next < s->n; next++) {
        if (s->fields[next].flags == FIELD_REQ) {
            return missing(&s->fields[next], t);
        }
    }
    return 0;
}

int schema_decode(const struct schema *s, struct mp_reader *in, void *record, struct err *e)
{
    struct trouble t = {.e = e, .field = ""};
    schema_init(s, record);
    return decode(s, in, record, &t);
}

static int
decode_all(const struct schema *s, const void *data, size_t len, void *record, struct trouble *t)
{
    struct mp_reader in;
    mp_reader_init(&in, data, len);
    schema_init(s, record);
    int rc = decode(s, &in, record, t);
    if (rc == 0 && !mp_at_end(&in)) {
        rc = fail(t, ERR_MALFORMED, "", "bytes behind the end of %s", s->name);
    }
    return rc;
}

int schema_decode_all(const struct schema *s,
                      const void *data,
                      size_t len,
                      void *record,
                      struct err *e)
{
    struct trouble t = {.e = e, .field = ""};
    return decode_all(s, data, len, record, &t);
}

int schema_decode_field(const struct schema *s,
                        const void *data,
                        size_t len,
                        void *record,
                        const char **ret_field)
{
    struct trouble t = {.field = ""};
    int rc = decode_all(s, data, len, record, &t);
    *ret_field = t.field;
    return rc;
}

/* NOLINTEND(misc-no-recursion) */
