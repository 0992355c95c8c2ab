/* Field tables: one description of a record, many interpreters.
 *
 * A record is a plain struct plus a const table of its fields. Everything that walks it (encode,
 * decode, limits, command-line arguments, JSON, help, fuzz seeds) is an ordinary function over the
 * table. Macros build the table and the struct, and nothing else:
 *
 *     #define GUEST_SET_FIELDS(F)                                                                \
 *         F(str,  name,   _,           REQ, 1,  63,      0, "",    "Name of the guest")          \
 *         F(u32,  vcpus,  _,           OPT, 1,  512,     0, "",    "Virtual CPUs")               \
 *         F(enm,  policy, on_exit,     OPT, 0,  3,       0, "",    "What to do when it exits")   \
 *         F(list, disks,  disk,        OPT, 0,  16,      0, "",    "Disks")
 *     SCHEMA_STRUCT(guest_set, GUEST_SET_FIELDS)      // in a header: struct guest_set
 *     SCHEMA_DEFINE(guest_set, GUEST_SET_FIELDS)      // in one .c: const struct schema
 * schema_guest_set
 *
 * Kinds: bool, u32, u64, enm (index into a table of names), str (UTF-8, char[max + 1]), bin (up to
 * max bytes with a count), id (16 bytes), rec (a nested record), list (up to max nested records),
 * strs (up to max names of at most LIMIT_NAME bytes). The third column names the value table of an
 * enm (enum_<aux>), or the nested schema of a rec or list (schema_<aux>); "_" for none.
 *
 * Encoding: a map whose keys stand in table order; an OPT field that equals its default is left
 * out, a REQ field is always there. That is the only accepted form, so equal records are equal
 * bytes, and a field added later leaves old bytes as they were. */

#ifndef CORE_SCHEMA_H
#define CORE_SCHEMA_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/id.h"
#include "core/limits.h"
#include "core/mp.h"
#include "core/rng.h"

enum field_kind {
    FIELD_BOOL,
    FIELD_U32,
    FIELD_U64,
    FIELD_ENM,
    FIELD_STR,
    FIELD_BIN,
    FIELD_ID,
    FIELD_REC,
    FIELD_LIST,
    FIELD_STRS
};

enum field_flag {
    FIELD_REQ = 1,    /* Always encoded; must be given. */
    FIELD_OPT = 2,    /* Left out when it equals its default. */
    FIELD_SECRET = 4, /* As OPT, and never printed: JSON and text show "(secret)". */
    FIELD_AUTO = 8    /* As OPT; filled in by the daemon, not an option of the command line. */
};

struct enum_names {
    const char *const *names; /* Indexed by value. */
    size_t n;
};

struct schema;

struct field {
    const char *name; /* Key on the wire, flag on the command line ('_' typed as '-'). */
    enum field_kind kind;
    unsigned flags;
    size_t offset;       /* Of the member in its record. */
    size_t count_offset; /* bin, list, strs: of the member NAME_n. */
    uint64_t min;        /* Smallest value, shortest length, fewest elements. */
    uint64_t max;        /* Largest value, longest length in bytes, most elements. */
    uint64_t def;        /* Default of bool, u32, u64, enm. Strings and lists: empty. */
    const char *unit;    /* "MiB", "ms", or "". */
    const char *help;    /* One line, no full stop. */
    const struct enum_names *names;
    const struct schema *nested;
};

struct schema {
    const char *name;
    const struct field *fields;
    size_t n;    /* Fields. */
    size_t size; /* Bytes of the record. */
};

/* Members. */
#define SCHEMA_M_bool(NAME, AUX, MAX) bool NAME;
#define SCHEMA_M_u32(NAME, AUX, MAX)  uint32_t NAME;
#define SCHEMA_M_u64(NAME, AUX, MAX)  uint64_t NAME;
#define SCHEMA_M_enm(NAME, AUX, MAX)  uint32_t NAME;
#define SCHEMA_M_str(NAME, AUX, MAX)  char NAME[(MAX) + 1];
#define SCHEMA_M_bin(NAME, AUX, MAX) \
    uint8_t NAME[MAX];               \
    uint32_t NAME##_n;
#define SCHEMA_M_id(NAME, AUX, MAX)  struct id NAME;
#define SCHEMA_M_rec(NAME, AUX, MAX) struct AUX NAME;
#define SCHEMA_M_list(NAME, AUX, MAX) \
    struct AUX NAME[MAX];             \
    uint32_t NAME##_n;
#define SCHEMA_M_strs(NAME, AUX, MAX) \
    char NAME[MAX][LIMIT_NAME + 1];   \
    uint32_t NAME##_n;
#define SCHEMA_MEMBER(KIND, NAME, AUX, FLAGS, MIN, MAX, DEF, UNIT, HELP) \
    SCHEMA_M_##KIND(NAME, AUX, MAX)
#define SCHEMA_STRUCT(RECORD, FIELDS) \
    struct RECORD {                   \
        FIELDS(SCHEMA_MEMBER)         \
    };

/* Rows. SCHEMA_RECORD must be the record's name where the table is defined. */
#define SCHEMA_K_bool FIELD_BOOL
#define SCHEMA_K_u32  FIELD_U32
#define SCHEMA_K_u64  FIELD_U64
#define SCHEMA_K_enm  FIELD_ENM
#define SCHEMA_K_str  FIELD_STR
#define SCHEMA_K_bin  FIELD_BIN
#define SCHEMA_K_id   FIELD_ID
#define SCHEMA_K_rec  FIELD_REC
#define SCHEMA_K_list FIELD_LIST
#define SCHEMA_K_strs FIELD_STRS
#define SCHEMA_A_bool(NAME, AUX)
#define SCHEMA_A_u32(NAME, AUX)
#define SCHEMA_A_u64(NAME, AUX)
#define SCHEMA_A_enm(NAME, AUX) .names = &enum_##AUX,
#define SCHEMA_A_str(NAME, AUX)
#define SCHEMA_A_bin(NAME, AUX) .count_offset = offsetof(struct SCHEMA_RECORD, NAME##_n),
#define SCHEMA_A_id(NAME, AUX)
#define SCHEMA_A_rec(NAME, AUX) .nested = &schema_##AUX,
#define SCHEMA_A_list(NAME, AUX) \
    .nested = &schema_##AUX, .count_offset = offsetof(struct SCHEMA_RECORD, NAME##_n),
#define SCHEMA_A_strs(NAME, AUX) .count_offset = offsetof(struct SCHEMA_RECORD, NAME##_n),
#define SCHEMA_ROW(KIND, NAME, AUX, FLAGS, MIN, MAX, DEF, UNIT, HELP) \
    {.name = #NAME,                                                   \
     .kind = SCHEMA_K_##KIND,                                         \
     .flags = FIELD_##FLAGS,                                          \
     .offset = offsetof(struct SCHEMA_RECORD, NAME),                  \
     SCHEMA_A_##KIND(NAME, AUX).min = (MIN),                          \
     .max = (MAX),                                                    \
     .def = (DEF),                                                    \
     .unit = (UNIT),                                                  \
     .help = (HELP)},
#define SCHEMA_DEFINE(RECORD, FIELDS)                                                              \
    static const struct field fields_##RECORD[] = {FIELDS(SCHEMA_ROW)};                            \
    const struct schema schema_##RECORD = {.name = #RECORD,                                        \
                                           .fields = fields_##RECORD,                              \
                                           .n =                                                    \
                                               sizeof fields_##RECORD / sizeof fields_##RECORD[0], \
                                           .size = sizeof(struct RECORD)};

/* Zero the record and set every default. */
void schema_init(const struct schema *s, void *record);

/* Append the record's one encoding. The record must pass schema_check(). */
void schema_encode(const struct schema *s, const void *record, struct buf *out);

/* Whether both records have the same encoding. */
bool schema_same(const struct schema *s, const void *x, const void *y);

/* Read one record at the cursor. ERR_UNKNOWN for a key that is no field, ERR_INVALID for a value
 * out of its limits, ERR_MALFORMED for a wrong type, order, a missing REQ field, or a default
 * written out; the message names the field. The record's bytes are fully set, padding included. */
int schema_decode(const struct schema *s, struct mp_reader *in, void *record, struct err *e);

/* schema_decode() of exactly these bytes. */
int schema_decode_all(const struct schema *s,
                      const void *data,
                      size_t len,
                      void *record,
                      struct err *e);

/* The same, telling the field at fault instead of a sentence: its name in the table, "" when it is
 * no field's fault. For outcomes, which are replicated and so must not hold prose. */
int schema_decode_field(const struct schema *s,
                        const void *data,
                        size_t len,
                        void *record,
                        const char **ret_field);

/* The same limits over a record made by a program: ERR_INVALID names the field. */
int schema_check(const struct schema *s, const void *record, struct err *e);

/* The field of this name ('-' and '_' are the same), or NULL. */
const struct field *schema_find(const struct schema *s, const char *name);

/* Set one field from text, as typed: "512", "2GiB" where the unit is MiB, "on"/"off", an enum's
 * name, hex for bin, commas between strs. ERR_INVALID says what would be right. Not for rec/list.
 */
int schema_set_text(const struct field *f, const char *text, void *record, struct err *e);

/* The field's value as text for a table cell; "" when it equals an empty default. */
void schema_get_text(const struct field *f, const void *record, struct buf *out);

/* The record as a JSON object (every field, also defaults; ids and hashes as text, enums by name).
 * The caller owns the reference. NULL only when out of memory. */
json_t *schema_to_json(const struct schema *s, const void *record);

/* Read an object made by schema_to_json(); missing keys are defaults, unknown ones an error. */
int schema_from_json(const struct schema *s, const json_t *in, void *record, struct err *e);

/* One line of help per field that is an option: limits, unit, default. */
void schema_help(const struct schema *s, FILE *out);

/* A random valid record, for tests and fuzz seeds. */
void schema_random(const struct schema *s, struct rng *rng, void *record);

#endif
