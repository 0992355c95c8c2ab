/* What the interpreters of field tables share: where a member is, and whether it has its default.
 * Not for other code: use core/schema.h. */

#ifndef CORE_SCHEMA_FIELD_H
#define CORE_SCHEMA_FIELD_H

#include "core/schema.h"

static inline void *field_at(const struct field *f, void *record)
{
    return (uint8_t *)record + f->offset;
}

static inline const void *field_in(const struct field *f, const void *record)
{
    return (const uint8_t *)record + f->offset;
}

/* Elements of a bin, list or strs. */
static inline uint32_t field_count(const struct field *f, const void *record)
{
    return *(const uint32_t *)(const void *)((const uint8_t *)record + f->count_offset);
}

static inline void field_set_count(const struct field *f, void *record, uint32_t n)
{
    *(uint32_t *)(void *)((uint8_t *)record + f->count_offset) = n;
}

/* The number in a bool, u32, u64 or enm. */
uint64_t field_number(const struct field *f, const void *record);
void field_set_number(const struct field *f, void *record, uint64_t v);

/* Element i of a strs. */
static inline const char *field_strs(const struct field *f, const void *record, uint32_t i)
{
    return (const char *)field_in(f, record) + (size_t)i * (LIMIT_NAME + 1);
}

/* Element i of a list. */
static inline const void *field_list(const struct field *f, const void *record, uint32_t i)
{
    return (const uint8_t *)field_in(f, record) + (size_t)i * f->nested->size;
}

/* Whether the value is the default: such a field is left out unless it is REQ. */
bool field_is_default(const struct field *f, const void *record);

/* Whether a value of this field must be hidden from people. */
static inline bool field_is_hidden(const struct field *f, const void *record)
{
    return f->flags == FIELD_SECRET && !field_is_default(f, record);
}

/* The limits of one field: ERR_INVALID with the reason. */
int field_check(const struct field *f, const void *record, struct err *e);

/* ERR_INVALID "name: must be min to max unit". */
int field_out_of_range(const struct field *f, struct err *e);

#endif
