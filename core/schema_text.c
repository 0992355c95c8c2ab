/* Fields as people type and read them. */

#include <assert.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "core/schema.h"
#include "core/schema_field.h"
#include "core/util.h"

/* Suffixes of numbers, per unit of the field; the plain number is in that unit. A suffix smaller
 * than the unit divides, and must divide without rest. */
struct suffix {
    const char *unit;
    const char *text;
    uint64_t times;
    uint64_t divide;
};

static const struct suffix suffixes[] = {
    {"MiB", "MiB", 1, 1},
    {"MiB", "M", 1, 1},
    {"MiB", "GiB", 1024, 1},
    {"MiB", "G", 1024, 1},
    {"MiB", "TiB", UINT64_C(1024) * 1024, 1},
    {"MiB", "T", UINT64_C(1024) * 1024, 1},
    {"MiB", "KiB", 1, 1024},
    {"MiB", "K", 1, 1024},
    {"MiB/s", "MiB/s", 1, 1},
    {"MiB/s", "GiB/s", 1024, 1},
    {"ms", "ms", 1, 1},
    {"ms", "s", 1000, 1},
    {"ms", "m", 60000, 1},
    {"ms", "min", 60000, 1},
    {"ms", "h", 3600000, 1},
};

static const struct suffix *find_suffix(const struct field *f, const char *text)
{
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        if (strcmp(suffixes[i].unit, f->unit) == 0 && strcasecmp(suffixes[i].text, text) == 0) {
            return &suffixes[i];
        }
    }
    return NULL;
}

static int no_number(const struct field *f, const char *text, struct err *e)
{
    const char *example = strcmp(f->unit, "MiB") == 0  ? " such as 512 or 2GiB"
                          : strcmp(f->unit, "ms") == 0 ? " such as 500 or 30s"
                                                       : "";
    return err_set(e, ERR_INVALID, "%s: \"%.60s\" is not a number%s", f->name, text, example);
}

static int set_number(const struct field *f, const char *text, void *record, struct err *e)
{
    uint64_t v = 0;
    const char *p = text;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (__builtin_mul_overflow(v, 10u, &v) ||
            __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v)) {
            return field_out_of_range(f, e);
        }
    }
    if (p == text) {
        return no_number(f, text, e);
    }
    if (*p != '\0') {
        const struct suffix *s = find_suffix(f, p);
        if (s == NULL || v % s->divide != 0) {
            return no_number(f, text, e);
        }
        if (__builtin_mul_overflow(v, s->times, &v)) {
            return field_out_of_range(f, e);
        }
        v /= s->divide;
    }
    if ((v < f->min || v > f->max) && (f->flags == FIELD_REQ || v != f->def)) {
        return field_out_of_range(f, e);
    }
    field_set_number(f, record, v);
    return 0;
}

static int set_bool(const struct field *f, const char *text, void *record, struct err *e)
{
    static const char *const words[][2] = {
        {"off", "on"}, {"no", "yes"}, {"false", "true"}, {"0", "1"}};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        for (unsigned v = 0; v < 2; v++) {
            if (strcmp(words[i][v], text) == 0) {
                field_set_number(f, record, v);
                return 0;
            }
        }
    }
    return err_set(e, ERR_INVALID, "%s: \"%.60s\" is neither on nor off", f->name, text);
}

static int set_enum(const struct field *f, const char *text, void *record, struct err *e)
{
    char names[160] = "";
    size_t used = 0;
    for (size_t i = 0; i < f->names->n && i <= f->max; i++) {
        if (strcmp(f->names->names[i], text) == 0) {
            field_set_number(f, record, i);
            return 0;
        }
        if (used < sizeof names) {
            int r = snprintf(names + used, sizeof names - used, "%s%s", i == 0 ? "" : ", ",
                             f->names->names[i]);
            used += (size_t)r;
        }
    }
    return err_set(e, ERR_INVALID, "%s: \"%.60s\" is none of %s", f->name, text, names);
}

static int set_str(const struct field *f, const char *text, void *record, struct err *e)
{
    size_t len = strlen(text);
    if (len > f->max || (len < f->min && (len > 0 || f->flags == FIELD_REQ))) {
        return field_out_of_range(f, e);
    }
    if (!utf8_valid(text, len)) {
        return err_set(e, ERR_INVALID, "%s: not UTF-8", f->name);
    }
    (void)str_copy(field_at(f, record), f->max + 1, text);
    return 0;
}

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *p = c == '\0' ? NULL : strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c);
    return p == NULL ? -1 : (int)(p - digits);
}

static int set_bin(const struct field *f, const char *text, void *record, struct err *e)
{
    size_t n = strlen(text) / 2;
    if (strlen(text) % 2 != 0 || n > f->max || (n < f->min && n > 0)) {
        return field_out_of_range(f, e);
    }
    for (size_t i = 0; i < 2 * n; i++) {
        if (hex_digit(text[i]) < 0) {
            return err_set(e, ERR_INVALID, "%s: not hexadecimal", f->name);
        }
    }
    uint8_t *at = field_at(f, record);
    memset(at, 0, f->max);
    for (size_t i = 0; i < n; i++) {
        at[i] = (uint8_t)(16 * hex_digit(text[2 * i]) + hex_digit(text[2 * i + 1]));
    }
    field_set_count(f, record, (uint32_t)n);
    return 0;
}

static int set_id(const struct field *f, const char *text, void *record, struct err *e)
{
    struct id id;
    if (id_parse(text, &id) != 0 || (id_is_none(&id) && f->flags == FIELD_REQ)) {
        return err_set(e, ERR_INVALID, "%s: \"%.60s\" is not an identifier of 32 hex digits",
                       f->name, text);
    }
    memcpy(field_at(f, record), &id, sizeof id);
    return 0;
}

static int set_strs(const struct field *f, const char *text, void *record, struct err *e)
{
    char *at = field_at(f, record);
    uint32_t n = 0;
    /* Checked whole before anything is stored. */
    for (const char *p = text; *text != '\0' && p != NULL; n++) {
        size_t len = strcspn(p, ",");
        if (len == 0 || len > LIMIT_NAME || !utf8_valid(p, len)) {
            return err_set(e, ERR_INVALID, "%s: names of 1 to %d bytes, with commas between them",
                           f->name, LIMIT_NAME);
        }
        p = p[len] == ',' ? p + len + 1 : NULL;
    }
    if (n > f->max || (n < f->min && (n > 0 || f->flags == FIELD_REQ))) {
        return field_out_of_range(f, e);
    }
    memset(at, 0, f->max * (LIMIT_NAME + 1));
    const char *p = text;
    for (uint32_t i = 0; i < n; i++) {
        size_t len = strcspn(p, ",");
        memcpy(at + (size_t)i * (LIMIT_NAME + 1), p, len);
        p += len + 1;
    }
    field_set_count(f, record, n);
    return 0;
}

int schema_set_text(const struct field *f, const char *text, void *record, struct err *e)
{
    switch (f->kind) {
    case FIELD_BOOL: return set_bool(f, text, record, e);
    case FIELD_U32:
    case FIELD_U64: return set_number(f, text, record, e);
    case FIELD_ENM: return set_enum(f, text, record, e);
    case FIELD_STR: return set_str(f, text, record, e);
    case FIELD_BIN: return set_bin(f, text, record, e);
    case FIELD_ID: return set_id(f, text, record, e);
    case FIELD_STRS: return set_strs(f, text, record, e);
    case FIELD_REC:
    case FIELD_LIST: break;
    }
    return err_set(e, ERR_INVALID, "%s: cannot be given as one word", f->name);
}

static void get_bin(const struct field *f, const void *record, struct buf *out)
{
    const uint8_t *at = field_in(f, record);
    for (uint32_t i = 0; i < field_count(f, record); i++) {
        buf_printf(out, "%02x", at[i]);
    }
}

static void get_strs(const struct field *f, const void *record, struct buf *out)
{
    for (uint32_t i = 0; i < field_count(f, record); i++) {
        buf_printf(out, "%s%s", i == 0 ? "" : ",", field_strs(f, record, i));
    }
}

static void get_list(const struct field *f, const void *record, struct buf *out)
{
    if (field_count(f, record) > 0) {
        buf_printf(out, "%" PRIu32, field_count(f, record));
    }
}

void schema_get_text(const struct field *f, const void *record, struct buf *out)
{
    if (field_is_hidden(f, record)) {
        buf_printf(out, "(secret)");
        return;
    }
    char text[ID_TEXT_SIZE];
    switch (f->kind) {
    case FIELD_BOOL: buf_printf(out, "%s", field_number(f, record) != 0 ? "on" : "off"); break;
    case FIELD_ENM:
        if (field_number(f, record) < f->names->n) {
            buf_printf(out, "%s", f->names->names[field_number(f, record)]);
            break;
        }
        __attribute__((fallthrough)); /* A value of a newer version: its number. */
    case FIELD_U32:
    case FIELD_U64: buf_printf(out, "%" PRIu64, field_number(f, record)); break;
    case FIELD_STR: buf_printf(out, "%s", (const char *)field_in(f, record)); break;
    case FIELD_BIN: get_bin(f, record, out); break;
    case FIELD_ID:
        if (!field_is_default(f, record)) {
            buf_printf(out, "%s", id_text(field_in(f, record), text));
        }
        break;
    case FIELD_STRS: get_strs(f, record, out); break;
    case FIELD_LIST: get_list(f, record, out); break;
    case FIELD_REC: break;
    }
}

/* What kind of value the option takes. */
static void help_value(const struct field *f, struct buf *out)
{
    switch (f->kind) {
    case FIELD_BOOL: buf_printf(out, "on|off"); break;
    case FIELD_ENM:
        for (size_t i = 0; i < f->names->n && i <= f->max; i++) {
            buf_printf(out, "%s%s", i == 0 ? "" : "|", f->names->names[i]);
        }
        break;
    case FIELD_U32:
    case FIELD_U64: buf_printf(out, "%s", *f->unit == '\0' ? "N" : f->unit); break;
    case FIELD_STR: buf_printf(out, "TEXT"); break;
    case FIELD_BIN: buf_printf(out, "HEX"); break;
    case FIELD_ID: buf_printf(out, "ID"); break;
    case FIELD_STRS: buf_printf(out, "NAME,..."); break;
    case FIELD_REC:
    case FIELD_LIST: assert(false); break;
    }
}

static void help_limits(const struct field *f, FILE *out)
{
    if (f->flags == FIELD_REQ) {
        (void)fputs(" (required", out);
    } else if (f->kind == FIELD_BOOL) {
        (void)fprintf(out, " (default %s", f->def != 0 ? "on" : "off");
    } else if (f->kind == FIELD_ENM) {
        (void)fprintf(out, " (default %s", f->names->names[f->def]);
    } else if (f->kind == FIELD_U32 || f->kind == FIELD_U64) {
        (void)fprintf(out, " (%" PRIu64 " to %" PRIu64 ", default %" PRIu64, f->min, f->max,
                      f->def);
    } else if (f->kind == FIELD_STRS) {
        (void)fprintf(out, " (up to %" PRIu64, f->max);
    } else {
        (void)fprintf(out, " (up to %" PRIu64 " bytes", f->max);
    }
    (void)fputs(")\n", out);
}

/* Recursion below goes as deep as tables are nested, never by what the bytes say.
 * NOLINTBEGIN(misc-no-recursion) */

void schema_help(const struct schema *s, FILE *out)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct field *f = &s->fields[i];
        if (f->kind == FIELD_REC) {
            schema_help(f->nested, out);
        }
        if (f->flags == FIELD_AUTO || f->kind == FIELD_REC || f->kind == FIELD_LIST) {
            continue;
        }
        CLEANUP(buf_done) struct buf flag = {0};
        buf_printf(&flag, "--%s ", f->name);
        for (size_t c = 2; c < flag.len; c++) {
            flag.data[c] = flag.data[c] == '_' ? '-' : flag.data[c];
        }
        help_value(f, &flag);
        (void)fprintf(out, "  %-32.*s %s", (int)flag.len, (const char *)flag.data, f->help);
        help_limits(f, out);
    }
}

/* NOLINTEND(misc-no-recursion) */
