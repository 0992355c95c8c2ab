#include "cli/quorate/args_set.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/util.h"

/* The name of a field whose last part is its unit, without that part. */
size_t args_bare_length(const struct field *f)
{
    static const struct {
        const char *unit;
        const char *suffix;
    } units[] = {{"MiB", "_mib"}, {"ms", "_ms"}, {"MiB/s", "_mib_per_s"}};
    size_t len = strlen(f->name);
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        size_t n = strlen(units[i].suffix);
        if (strcmp(f->unit, units[i].unit) == 0 && len > n &&
            strcmp(f->name + len - n, units[i].suffix) == 0) {
            return len - n;
        }
    }
    return len;
}

void args_option_name(const struct field *f, struct buf *out)
{
    size_t at = out->len;
    size_t len = args_bare_length(f);
    if (f->kind == FIELD_LIST && f->name[len - 1] == 's') {
        len--;
    }
    buf_put(out, f->name, len);
    for (; at < out->len; at++) {
        out->data[at] = out->data[at] == '_' ? '-' : out->data[at];
    }
    if (f->flags == FIELD_SECRET) {
        buf_printf(out, "-file");
    }
}

void args_option_value(const struct field *f, struct buf *out)
{
    if (f->flags == FIELD_SECRET) {
        buf_printf(out, "FILE");
        return;
    }
    switch (f->kind) {
    case FIELD_BOOL: buf_printf(out, "on|off"); break;
    case FIELD_ENM:
        for (size_t i = 0; i < f->names->n; i++) {
            buf_printf(out, "%s%s", i == 0 ? "" : "|", f->names->names[i]);
        }
        break;
    case FIELD_U32:
    case FIELD_U64: buf_printf(out, "%s", *f->unit == '\0' ? "N" : f->unit); break;
    case FIELD_STR: buf_printf(out, "TEXT"); break;
    case FIELD_BIN: buf_printf(out, "HEX"); break;
    case FIELD_ID: buf_printf(out, "ID"); break;
    case FIELD_STRS: buf_printf(out, "NAME,..."); break;
    case FIELD_LIST: buf_printf(out, "KEY=VALUE,..."); break;
    case FIELD_REC: break;
    }
}

static bool is_option(const struct field *f)
{
    return f->flags != FIELD_AUTO && f->kind != FIELD_REC;
}

/* Whether `name` (with '-') is how this field is typed, in full or without its unit. */
static bool is_typed_as(const struct field *f, const char *name)
{
    CLEANUP(buf_done) struct buf shortest = {0};
    args_option_name(f, &shortest);
    if (strlen(name) == shortest.len && memcmp(name, shortest.data, shortest.len) == 0) {
        return true;
    }
    if (f->kind == FIELD_LIST || f->flags == FIELD_SECRET || strlen(name) != strlen(f->name)) {
        return false;
    }
    for (size_t i = 0; name[i] != '\0'; i++) {
        if (name[i] != (f->name[i] == '_' ? '-' : f->name[i])) {
            return false;
        }
    }
    return true;
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as records are nested in the table.
bool args_option(const struct schema *s, const char *name, struct option_target *ret)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct field *f = &s->fields[i];
        if (f->kind == FIELD_REC && f->flags != FIELD_AUTO && args_option(f->nested, name, ret)) {
            ret->base += f->offset;
            return true;
        }
        if (!is_option(f)) {
            continue;
        }
        bool negated =
            f->kind == FIELD_BOOL && strncmp(name, "no-", 3) == 0 && is_typed_as(f, name + 3);
        if (negated || is_typed_as(f, name)) {
            *ret = (struct option_target){.field = f, .negated = negated};
            return true;
        }
    }
    return false;
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as records are nested in the table.
static void each_option(const struct schema *s,
                        const char *extra,
                        void (*fn)(void *ctx, const struct field *f),
                        void *ctx)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct field *f = &s->fields[i];
        if (f->kind == FIELD_REC && f->flags != FIELD_AUTO) {
            each_option(f->nested, NULL, fn, ctx);
        } else if (is_option(f) && f->flags != FIELD_REQ &&
                   (extra == NULL || strcmp(f->name, extra) != 0)) {
            fn(ctx, f);
        }
    }
}

void args_each_option(const struct verb *v, void (*fn)(void *ctx, const struct field *f), void *ctx)
{
    each_option(v->args, v->extra, fn, ctx);
}

bool args_is_empty(const struct field *f, const void *record)
{
    CLEANUP(buf_done) struct buf text = {0};
    schema_get_text(f, record, &text);
    bool number = f->kind == FIELD_U32 || f->kind == FIELD_U64;
    return text.len == 0 || (number && text.len == 1 && text.data[0] == '0' && f->min > 0);
}

int args_set_text(const struct field *f, const char *text, void *record, struct err *e)
{
    if (f->kind == FIELD_STR && !utf8_valid(text, strlen(text))) {
        return err_set(e, ERR_INVALID, "%s is not UTF-8", f->name);
    }
    if (f->kind == FIELD_STR && strlen(text) > f->max) {
        return err_set(e, ERR_INVALID, "%s is too long: %zu bytes, at most %llu", f->name,
                       strlen(text), (unsigned long long)f->max);
    }
    if (f->kind == FIELD_STR && f->flags == FIELD_REQ && *text == '\0') {
        return err_set(e, ERR_INVALID, "%s is empty", f->name);
    }
    return schema_set_text(f, text, record, e);
}

/* The first line of a small file. */
static int read_secret(const char *path, char *to, size_t size, struct err *e)
{
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (f == NULL) {
        return err_sys(e, ERR_NOT_FOUND, errno, "cannot read %s", path);
    }
    size_t n = fread(to, 1, size - 1, f);
    bool more = n == size - 1 && fgetc(f) != EOF;
    bool bad = ferror(f) != 0;
    if (f != stdin) {
        (void)fclose(f); /* Only read from. */
    }
    to[n] = '\0';
    char *end = strpbrk(to, "\r\n");
    if (end != NULL) {
        *end = '\0';
    }
    if (bad || (more && end == NULL) || strlen(to) + (end == NULL ? 0 : 1) > n) {
        return err_set(e, ERR_INVALID, "%s does not hold one line of text", path);
    }
    return 0;
}

static int set_secret(const struct field *f, const char *path, void *record, struct err *e)
{
    char text[512];
    int rc = read_secret(path, text, sizeof text, e);
    if (rc == 0) {
        rc = args_set_text(f, text, record, e);
    }
    explicit_bzero(text, sizeof text);
    return rc;
}

/* "path=/a.img,device=hda": one element of a list of records. A first part without '=' is the
 * element's first field. */
static int
set_element_part(const struct schema *s, size_t part, char *text, void *element, struct err *e)
{
    assert(s->fields != NULL);
    char *equals = strchr(text, '=');
    const struct field *f = NULL;
    const char *value = text;
    if (equals == NULL && part == 0) {
        f = &s->fields[0];
    } else if (equals == NULL) {
        f = schema_find(s, text);
        value = f != NULL && f->kind == FIELD_BOOL ? "on" : NULL;
    } else {
        *equals = '\0';
        f = schema_find(s, text);
        value = equals + 1;
    }
    if (f == NULL) {
        CLEANUP(buf_done) struct buf keys = {0};
        for (size_t i = 0; i < s->n; i++) {
            buf_printf(&keys, "%s%s", i == 0 ? "" : ", ", s->fields[i].name);
        }
        return err_set(e, ERR_UNKNOWN, "unknown key \"%.40s\"; there are %.*s", text, (int)keys.len,
                       (const char *)keys.data);
    }
    if (value == NULL) {
        return err_set(e, ERR_INVALID, "%s needs a value: %s=...", f->name, f->name);
    }
    return args_set_text(f, value, element, e);
}

static int add_element(const struct field *f, const char *text, void *record, struct err *e)
{
    const struct schema *nested = f->nested;
    assert(nested != NULL);
    uint32_t *count = (uint32_t *)(void *)((char *)record + f->count_offset);
    if (*count >= f->max) {
        return err_set(e, ERR_TOO_BIG, "more than %llu %s", (unsigned long long)f->max, f->name);
    }
    void *element = (char *)record + f->offset + (size_t)*count * nested->size;
    schema_init(nested, element);
    CLEANUP(cleanup_free) char *copy = mem_strdup(text);
    size_t part = 0;
    char *save = NULL;
    for (char *p = strtok_r(copy, ",", &save); p != NULL; p = strtok_r(NULL, ",", &save)) {
        int rc = set_element_part(nested, part++, p, element, e);
        if (rc != 0) {
            return rc;
        }
    }
    int rc = schema_check(nested, element, e);
    if (rc == 0) {
        (*count)++;
    }
    return rc;
}

int args_set_option(const struct option_target *t,
                    const char *option,
                    const char *value,
                    void *record,
                    struct err *e)
{
    const struct field *f = t->field;
    void *at = (char *)record + t->base;
    int rc;
    if (f->kind == FIELD_BOOL && value == NULL) {
        rc = args_set_text(f, t->negated ? "off" : "on", at, e);
    } else if (f->flags == FIELD_SECRET) {
        rc = set_secret(f, value, at, e);
    } else if (f->kind == FIELD_LIST) {
        rc = add_element(f, value, at, e);
    } else {
        rc = args_set_text(f, value, at, e);
    }
    if (rc == 0) {
        return 0;
    }
    /* The option is named once: as it was typed. */
    char why[ERR_MSG_SIZE];
    size_t len = strlen(f->name);
    bool named = strncmp(e->msg, f->name, len) == 0 && strncmp(e->msg + len, ": ", 2) == 0;
    (void)str_copy(why, sizeof why, e->msg + (named ? len + 2 : 0));
    return err_set(e, rc, "%.*s: %s", (int)strcspn(option, "="), option, why);
}
