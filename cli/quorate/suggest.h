/* "did you mean": the nearest of some words. */

#ifndef CLI_QUORATE_SUGGEST_H
#define CLI_QUORATE_SUGGEST_H

#include "core/buf.h"

struct suggest {
    const char *typed;
    char best[64];
    unsigned distance; /* Of best; UINT_MAX: none yet. */
};

void suggest_init(struct suggest *s, const char *typed);

/* Consider one word. Longer ones than fit in `best` are passed over. */
void suggest_word(struct suggest *s, const char *word);

/* The nearest word if it is near enough to be meant, else NULL. */
const char *suggest_best(const struct suggest *s);

#endif
