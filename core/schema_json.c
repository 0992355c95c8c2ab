/* Records to JSON and back. Ids, hashes and bin as text, enumerations by name; a number too large
 * for JSON's integers as text. */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/schema.h"
#include "core/schema_field.h"
#include "core/util.h"

static const char hidden[] = "(secret)";

static json_t *number_to_json(const struct field *f, const void *record)
{
    uint64_t v = field_number(f, record);
    if (f->kind == FIELD_BOOL) {
        return json_boolean(v != 0);
    }
    if (f->kind == FIELD_ENM && v < f->names->n) {
        return json_string(f->names->names[v]);
    }
    if (v > INT64_MAX) {
        char text[24];
        (void)snprintf(text, sizeof text, "%" PRIu64, v);
        return json_string(text);
    }
    return json_integer((json_int_t)v);
}

static json_t *text_to_json(const struct field *f, const void *record)
{
    CLEANUP(buf_done) struct buf text = {0};
    schema_get_text(f, record, &text);
    return text.len == 0 ? json_string("") : json_stringn((const char *)text.data, text.len);
}

/* Recursion below goes as deep as tables are nested, never by what the bytes say.
 * NOLINTBEGIN(misc-no-recursion) */

static json_t *elements_to_json(const struct field *f, const void *record)
{
    json_t *out = json_array();
    for (uint32_t i = 0; i < field_count(f, record); i++) {
        json_t *one = f->kind == FIELD_LIST ? schema_to_json(f->nested, field_list(f, record, i))
                                            : json_string(field_strs(f, record, i));
        if (json_array_append_new(out, one) != 0) {
            json_decref(out);
            return NULL;
        }
    }
    return out;
}

static json_t *field_to_json(const struct field *f, const void *record)
{
    if (field_is_hidden(f, record)) {
        return json_string(hidden);
    }
    switch (f->kind) {
    case FIELD_BOOL:
    case FIELD_U32:
    case FIELD_U64:
    case FIELD_ENM: return number_to_json(f, record);
    case FIELD_STR: return json_string(field_in(f, record));
    case FIELD_BIN:
    case FIELD_ID: return text_to_json(f, record);
    case FIELD_REC: return schema_to_json(f->nested, field_in(f, record));
    case FIELD_LIST:
    case FIELD_STRS: return elements_to_json(f, record);
    }
    return NULL;
}

json_t *schema_to_json(const struct schema *s, const void *record)
{
    json_t *out = json_object();
    for (size_t i = 0; i < s->n; i++) {
        const struct field *f = &s->fields[i];
        if (json_object_set_new(out, f->name, field_to_json(f, record)) != 0) {
            json_decref(out);
            return NULL;
        }
    }
    return out;
}

static int wrong_type(const struct field *f, const char *want, struct err *e)
{
    return err_set(e, ERR_INVALID, "%s: must be %s", f->name, want);
}

static int number_from_json(const struct field *f, const json_t *in, void *record, struct err *e)
{
    if (f->kind == FIELD_BOOL) {
        if (!json_is_boolean(in)) {
            return wrong_type(f, "true or false", e);
        }
        field_set_number(f, record, json_is_true(in));
        return 0;
    }
    if (json_is_string(in)) {
        return schema_set_text(f, json_string_value(in), record, e);
    }
    if (!json_is_integer(in) || f->kind == FIELD_ENM) {
        return wrong_type(f, f->kind == FIELD_ENM ? "a name" : "a number", e);
    }
    json_int_t v = json_integer_value(in);
    bool in_limits = (uint64_t)v >= f->min && (uint64_t)v <= f->max;
    bool unset = f->flags != FIELD_REQ && (uint64_t)v == f->def;
    if (v < 0 || !(in_limits || unset)) {
        return field_out_of_range(f, e);
    }
    field_set_number(f, record, (uint64_t)v);
    return 0;
}

static int elements_from_json(const struct field *f, const json_t *in, void *record, struct err *e)
{
    if (!json_is_array(in)) {
        return wrong_type(f, "a list", e);
    }
    size_t n = json_array_size(in);
    if (n > f->max) {
        return field_out_of_range(f, e);
    }
    uint8_t *at = field_at(f, record);
    for (size_t i = 0; i < n; i++) {
        const json_t *one = json_array_get(in, i);
        int rc = 0;
        if (f->kind == FIELD_LIST) {
            rc = schema_from_json(f->nested, one, at + i * f->nested->size, e);
        } else if (!json_is_string(one) || json_string_length(one) > LIMIT_NAME) {
            rc = wrong_type(f, "a list of names", e);
        } else {
            (void)str_copy((char *)at + i * (LIMIT_NAME + 1), LIMIT_NAME + 1,
                           json_string_value(one));
        }
        if (rc != 0) {
            return f->kind == FIELD_LIST ? err_wrap(e, "%s %zu", f->name, i + 1) : rc;
        }
    }
    field_set_count(f, record, (uint32_t)n);
    return 0;
}

static int field_from_json(const struct field *f, const json_t *in, void *record, struct err *e)
{
    switch (f->kind) {
    case FIELD_BOOL:
    case FIELD_U32:
    case FIELD_U64:
    case FIELD_ENM: return number_from_json(f, in, record, e);
    case FIELD_REC:
        return schema_from_json(f->nested, in, field_at(f, record), e) == 0
                   ? 0
                   : err_wrap(e, "%s", f->name);
    case FIELD_LIST:
    case FIELD_STRS: return elements_from_json(f, in, record, e);
    case FIELD_STR:
    case FIELD_BIN:
    case FIELD_ID: break;
    }
    if (!json_is_string(in)) {
        return wrong_type(f, "text", e);
    }
    const char *text = json_string_value(in);
    if (*text == '\0' || (f->flags == FIELD_SECRET && strcmp(text, hidden) == 0)) {
        return 0; /* Empty is the default; a secret that was hidden is not known. */
    }
    return schema_set_text(f, text, record, e);
}

int schema_from_json(const struct schema *s, const json_t *in, void *record, struct err *e)
{
    schema_init(s, record);
    if (!json_is_object(in)) {
        return err_set(e, ERR_INVALID, "%s: must be an object", s->name);
    }
    size_t found = 0;
    for (size_t i = 0; i < s->n; i++) {
        const json_t *value = json_object_get(in, s->fields[i].name);
        if (value == NULL) {
            continue;
        }
        found++;
        int rc = field_from_json(&s->fields[i], value, record, e);
        if (rc != 0) {
            return rc;
        }
    }
    if (found != json_object_size(in)) {
        union {
            const json_t *in;
            json_t *all; /* jansson's loop wants it so; nothing is written. */
        } object = {in};
        const char *key;
        json_t *value;
        json_object_foreach(object.all, key, value)
        {
            bool known = false;
            for (size_t i = 0; i < s->n; i++) {
                known = known || strcmp(s->fields[i].name, key) == 0;
            }
            if (!known) {
                return err_set(e, ERR_UNKNOWN, "%s has no field \"%.60s\"", s->name, key);
            }
        }
    }
    return schema_check(s, record, e);
}

/* NOLINTEND(misc-no-recursion) */
