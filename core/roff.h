/* Text in a manual page. */

#ifndef CORE_ROFF_H
#define CORE_ROFF_H

#include <stddef.h>
#include <stdio.h>

/* Put text so that nothing in it is a request of roff: '-' stays a minus that can be copied, a
 * backslash is one, and so are a '.' and an apostrophe at the beginning, which must be that of a
 * line only if the text begins with one of these. */
void roff_put(const char *text, FILE *out);
void roff_put_n(const char *text, size_t len, FILE *out);

/* Paragraphs: empty lines part them, lines that begin with a space stay as they are. */
void roff_put_paragraphs(const char *text, FILE *out);

#endif
