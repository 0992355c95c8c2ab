/* One option or word into the field of a record. */

#ifndef CLI_QUORATE_ARGS_SET_H
#define CLI_QUORATE_ARGS_SET_H

#include "cli/quorate/args.h"

/* schema_set_text() with limits said in the words of the command line. */
int args_set_text(const struct field *f, const char *text, void *record, struct err *e);

/* An option as typed. A secret is read from the file that `value` names, an element of a list is
 * added to it; a NULL value is that of a bool without one. */
int args_set_option(const struct option_target *t,
                    const char *option,
                    const char *value,
                    void *record,
                    struct err *e);

/* Whether a REQ field has not been set yet. */
bool args_is_empty(const struct field *f, const void *record);

#endif
