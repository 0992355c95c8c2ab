/* Options of a program: one table, from which the command line, the configuration file, the help
 * and an example file follow.
 *
 * A file holds `key = value` lines; '#' begins a comment; a value may stand in double quotes. The
 * same options are flags: --key=value or --key value ('_' and '-' are the same in a key). Flags win
 * over the file. Errors name file:line:column, or the flag. */

#ifndef CORE_CONFIG_H
#define CORE_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/err.h"

enum config_kind {
    CONFIG_TEXT, /* At most max bytes. */
    CONFIG_NUMBER,
    CONFIG_BOOL /* yes, no, on, off, true, false. */
};

struct config_row {
    const char *key;
    enum config_kind kind;
    const char *def; /* As typed; NULL: must be given. */
    uint64_t min;
    uint64_t max;
    const char *unit;
    const char *help; /* One line. */
};

/* Longest configuration file, and longest value, in bytes. */
#define CONFIG_FILE_MAX  65536u
#define CONFIG_VALUE_MAX 1023u

struct config;

/* All options at their defaults. The table must outlive it. */
struct config *config_new(const struct config_row *rows, size_t n);
struct config *config_free(struct config *c); /* Accepts NULL; returns NULL. */

/* Read the text of a file; `name` is for messages. ERR_UNKNOWN (key), ERR_INVALID (value or
 * syntax), ERR_TOO_BIG. */
int config_parse(struct config *c, const char *name, const char *text, size_t len, struct err *e);

/* Read arguments (without the program's name). What is not a flag is an error. */
int config_arguments(struct config *c, int argc, const char *const argv[], struct err *e);

/* ERR_INVALID names an option that must be given and was not. */
int config_complete(const struct config *c, struct err *e);

/* Values; the key must be in the table (asserted). Texts live as long as the config. */
const char *config_text(const struct config *c, const char *key);
uint64_t config_number(const struct config *c, const char *key);
bool config_bool(const struct config *c, const char *key);
/* Whether it was given, in the file or as a flag. */
bool config_given(const struct config *c, const char *key);

/* One block an option: for --help, for a manual page (roff), and as a configuration file with
 * everything commented. */
void config_help(const struct config_row *rows, size_t n, FILE *out);
void config_man(const struct config_row *rows, size_t n, FILE *out);
void config_example(const struct config_row *rows, size_t n, FILE *out);

#endif
