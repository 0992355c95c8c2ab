/* The members of a record that the client looks at by their rows in the field table. */

#ifndef CLI_QUORATE_RECORD_H
#define CLI_QUORATE_RECORD_H

#include "core/schema.h"

static inline const void *record_member(const struct field *f, const void *record)
{
    return (const char *)record + f->offset;
}

/* Of a bool, u32, u64 or enm. */
static inline uint64_t record_number(const struct field *f, const void *record)
{
    const void *at = record_member(f, record);
    switch (f->kind) {
    case FIELD_BOOL: return *(const bool *)at ? 1 : 0;
    case FIELD_U32:
    case FIELD_ENM: return *(const uint32_t *)at;
    case FIELD_U64: return *(const uint64_t *)at;
    case FIELD_STR:
    case FIELD_BIN:
    case FIELD_ID:
    case FIELD_REC:
    case FIELD_LIST:
    case FIELD_STRS: break;
    }
    return 0;
}

/* Elements of a bin, list or strs. */
static inline uint32_t record_count(const struct field *f, const void *record)
{
    return *(const uint32_t *)(const void *)((const char *)record + f->count_offset);
}

#endif
