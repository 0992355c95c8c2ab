/* Reading text line by line and word by word, with line and column in every error. For histories
 * and scenarios: both begin with a line of their name and version. */

#ifndef CHECK_WORDS_H
#define CHECK_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

#define WORDS_LINE 1024 /* Most bytes of a line, the NUL included. */

struct words {
    const char *at, *end; /* What is still to be read. */
    struct err *e;
    unsigned line, column; /* Where `word` begins, from 1. */
    size_t from;           /* Where in `text` the next word is looked for. */
    char *word;            /* The current word; may be changed. */
    char text[WORDS_LINE]; /* The current line, cut into words. */
    size_t len;
};

/* Begin, and read the first line: "<name> <version>". ERR_MALFORMED, ERR_VERSION. Errors go to e.
 */
int words_open(struct words *w,
               const char *text,
               size_t len,
               const char *name,
               unsigned version,
               struct err *e);

/* Go to the next line that has a word, and to its first word. False at the end, or with *ret_rc set
 * when a line is too long or not text. */
bool words_line(struct words *w, int *ret_rc);

/* Go to the next word of the line; false at its end. */
bool words_next(struct words *w);

/* If the next word begins with a bar, pass over all up to the bar after it. False without one. */
bool words_skip_picture(struct words *w);

/* ERR_MALFORMED: "line 3, column 14: <message>". */
int words_error(struct words *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* 0 or ERR_INVALID. Numbers are decimal, or `never` for UINT64_MAX where that is allowed; times may
 * end in us, ms or s. */
int word_number(const char *text, uint64_t most, uint64_t *ret);
int word_time(const char *text, uint64_t *ret);

#endif
