/* The scanner in front of libxlutil: bounds, and where things stand.
 *
 * It knows the grammar of libxlutil's files (assignments of strings, numbers and lists, with #
 * before comments), what else of Python people write in them, and nothing of what the keys mean.
 * What it refuses never reaches the library. */

#ifndef CLI_VMCFG_SCAN_H
#define CLI_VMCFG_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"

#define VMCFG_SETTINGS_MAX 256  /* Assignments of a file. */
#define VMCFG_ELEMENTS_MAX 512  /* Elements of all its lists. */
#define VMCFG_STRING_MAX   2048 /* Bytes of one string, as written. */
#define VMCFG_NESTED_MAX   3    /* Lists in lists: some keys of the older system are. */
#define VMCFG_KEY_MAX      31

/* Both begin at 1; columns count characters. */
struct vmcfg_place {
    uint32_t line;
    uint32_t column;
};

struct vmcfg_setting {
    char key[VMCFG_KEY_MAX + 1];
    char name[VMCFG_KEY_MAX + 1]; /* What libxlutil sees of it: vmcfg_fold(). */
    struct vmcfg_place key_at;
    struct vmcfg_place value_at; /* Of a string: its first character after the quote. */
    bool add;                    /* "+=" */
    bool is_list;
    uint32_t
        first; /* A list's elements in vmcfg_scan.elements; those of nested lists not counted. */
    uint32_t n;
    int32_t source; /* -1: the file; else the number of the override. */
};

struct vmcfg_scan {
    struct vmcfg_setting settings[VMCFG_SETTINGS_MAX];
    size_t n;
    struct vmcfg_place elements[VMCFG_ELEMENTS_MAX];
    size_t n_elements;
};

/* libxlutil knows keys in small letters only. A key with a capital, or that does not begin with a
 * letter, becomes another of the same length, which is no key that has a meaning. */
void vmcfg_fold(char *key);

/* Add the settings of this text. `name` is for messages, `source` is stored. What Python allows and
 * libxlutil does not (tuples, three quotes, True, capital keys) is rewritten in the text, byte for
 * byte, so that places stay. ERR_INVALID with "name:line:column: what is wrong". */
int vmcfg_scan_text(struct vmcfg_scan *s,
                    const char *name,
                    int32_t source,
                    struct buf *text,
                    struct err *e);

#endif
