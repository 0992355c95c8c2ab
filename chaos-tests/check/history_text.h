/* The fields of records as data, for the text form, the fuzzers and the tests. */

#ifndef CHECK_HISTORY_TEXT_H
#define CHECK_HISTORY_TEXT_H

#include "chaos-tests/check/history.h"

#define REC_FIELDS 10 /* Most fields of one kind. */

enum rec_type {
    REC_T_HOST,
    REC_T_NAME,
    REC_T_U32,
    REC_T_U64,
    REC_T_TIME,
    REC_T_HOSTS,
    REC_T_ENUM
};

struct rec_field {
    const char *name;
    size_t at; /* Offset in struct rec. */
    enum rec_type type;
    const char *const *names; /* Of an enumeration; ends with NULL. */
};

struct rec_layout {
    const char *name;
    struct rec_field fields[REC_FIELDS + 1]; /* The end has name NULL. */
};

extern const struct rec_layout rec_layouts[REC_KINDS];

uint64_t rec_field_get(const struct rec *r, const struct rec_field *f);
void rec_field_set(struct rec *r, const struct rec_field *f, uint64_t v);

/* Whether the value is one that the field may have in this history. */
bool rec_field_sound(const struct hist *h, const struct rec_field *f, uint64_t v);

#endif
