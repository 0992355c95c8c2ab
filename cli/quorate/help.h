/* Help, the manual page and the completion script: all from the tables of verbs, fields, errors and
 * topics. */

#ifndef CLI_QUORATE_HELP_H
#define CLI_QUORATE_HELP_H

#include "cli/quorate/verb.h"

/* "quorate help". */
void help_overview(FILE *out);

/* "quorate help guest create"; EXIT_STATUS_OK. */
int help_verb(const struct verb *v, FILE *out);

/* Whatever the words name: a verb, a noun or a topic; nothing is the overview. The exit status. */
int help_words(struct cli *cli, const char *const *words, size_t n);

/* The manual page, as roff. */
void help_man(FILE *out);

/* Longer explanations. A NULL text is made from a table. */
struct help_topic {
    const char *name;
    const char *summary;
    const char *text; /* Paragraphs; lines that begin with a space are kept as they are. */
};
extern const struct help_topic help_topics[];
void help_topic_text(const struct help_topic *t, FILE *out);

#endif
