/* What every interpreter of the tables needs: members, defaults, limits, names. */

#include "core/schema.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "core/schema_field.h"
#include "core/util.h"

uint64_t field_number(const struct field *f, const void *record)
{
    const void *at = field_in(f, record);
    if (f->kind == FIELD_U64) {
        return *(const uint64_t *)at;
    }
    if (f->kind == FIELD_BOOL) {
        return *(const bool *)at;
    }
    assert(f->kind == FIELD_U32 || f->kind == FIELD_ENM);
    return *(const uint32_t *)at;
}

void field_set_number(const struct field *f, void *record, uint64_t v)
{
    void *at = field_at(f, record);
    if (f->kind == FIELD_U64) {
        *(uint64_t *)at = v;
    } else if (f->kind == FIELD_BOOL) {
        *(bool *)at = v != 0;
    } else {
        assert(f->kind == FIELD_U32 || f->kind == FIELD_ENM);
        *(uint32_t *)at = (uint32_t)v;
    }
}

/* Recursion below goes as deep as tables are nested, never by what the bytes say.
 * NOLINTBEGIN(misc-no-recursion) */

static bool record_is_default(const struct schema *s, const void *record)
{
    for (size_t i = 0; i < s->n; i++) {
        if (!field_is_default(&s->fields[i], record)) {
            return false;
        }
    }
    return true;
}

bool field_is_default(const struct field *f, const void *record)
{
    switch (f->kind) {
    case FIELD_BOOL:
    case FIELD_U32:
    case FIELD_U64:
    case FIELD_ENM: return field_number(f, record) == f->def;
    case FIELD_STR: return *(const char *)field_in(f, record) == '\0';
    case FIELD_BIN:
    case FIELD_LIST:
    case FIELD_STRS: return field_count(f, record) == 0;
    case FIELD_ID: return id_is_none(field_in(f, record));
    case FIELD_REC: return record_is_default(f->nested, field_in(f, record));
    }
    assert(false);
    return false;
}

/* "must be 8 to 16777216 MiB", "must have 1 to 63 bytes". */
int field_out_of_range(const struct field *f, struct err *e)
{
    const char *verb = "have";
    const char *unit = "elements";
    if (f->kind == FIELD_ID) {
        return err_set(e, ERR_INVALID, "%s: must not be empty", f->name);
    }
    if (f->kind == FIELD_STR || f->kind == FIELD_BIN) {
        unit = "bytes";
    } else if (f->kind != FIELD_LIST && f->kind != FIELD_STRS) {
        verb = "be";
        unit = f->unit;
    }
    return err_set(e, ERR_INVALID, "%s: must %s %" PRIu64 " to %" PRIu64 "%s%s", f->name, verb,
                   f->min, f->max, *unit == '\0' ? "" : " ", unit);
}

static int check_str(const struct field *f, const char *at, size_t room, struct err *e)
{
    size_t len = strnlen(at, room);
    if (len == room) {
        return err_set(e, ERR_INVALID, "%s: longer than %zu bytes", f->name, room - 1);
    }
    if (!utf8_valid(at, len)) {
        return err_set(e, ERR_INVALID, "%s: not UTF-8", f->name);
    }
    return 0;
}

static int check_elements(const struct field *f, const void *record, struct err *e)
{
    for (uint32_t i = 0; i < field_count(f, record); i++) {
        int rc = 0;
        if (f->kind == FIELD_LIST) {
            rc = schema_check(f->nested, field_list(f, record, i), e);
        } else if (*field_strs(f, record, i) == '\0') {
            rc = err_set(e, ERR_INVALID, "%s: has an empty element", f->name);
        } else {
            rc = check_str(f, field_strs(f, record, i), LIMIT_NAME + 1, e);
        }
        if (rc != 0) {
            return f->kind == FIELD_LIST ? err_wrap(e, "%s %" PRIu32, f->name, i + 1) : rc;
        }
    }
    return 0;
}

int field_check(const struct field *f, const void *record, struct err *e)
{
    if (f->kind == FIELD_REC) {
        return schema_check(f->nested, field_in(f, record), e) == 0 ? 0
                                                                    : err_wrap(e, "%s", f->name);
    }
    uint64_t size = 0;
    switch (f->kind) {
    case FIELD_BOOL:
    case FIELD_U32:
    case FIELD_U64: size = field_number(f, record); break;
    case FIELD_ENM:
        size = field_number(f, record);
        if (size >= f->names->n) {
            return field_out_of_range(f, e);
        }
        break;
    case FIELD_STR: {
        int rc = check_str(f, field_in(f, record), f->max + 1, e);
        if (rc != 0) {
            return rc;
        }
        size = strlen(field_in(f, record));
        break;
    }
    case FIELD_BIN:
    case FIELD_LIST:
    case FIELD_STRS: size = field_count(f, record); break;
    case FIELD_ID: size = id_is_none(field_in(f, record)) ? 0 : sizeof(struct id); break;
    case FIELD_REC: break;
    }
    if (f->flags != FIELD_REQ && field_is_default(f, record)) {
        return 0;
    }
    if (size < f->min || size > f->max) {
        return field_out_of_range(f, e);
    }
    return f->kind == FIELD_LIST || f->kind == FIELD_STRS ? check_elements(f, record, e) : 0;
}

int schema_check(const struct schema *s, const void *record, struct err *e)
{
    for (size_t i = 0; i < s->n; i++) {
        int rc = field_check(&s->fields[i], record, e);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static bool same_name(const char *a, const char *b)
{
    for (; *a != '\0' && *b != '\0'; a++, b++) {
        char x = *a == '-' ? '_' : *a;
        char y = *b == '-' ? '_' : *b;
        if (x != y) {
            return false;
        }
    }
    return *a == *b;
}

const struct field *schema_find(const struct schema *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++) {
        if (same_name(s->fields[i].name, name)) {
            return &s->fields[i];
        }
    }
    return NULL;
}

/* NOLINTEND(misc-no-recursion) */
