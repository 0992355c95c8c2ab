#include "cli/quorate/suggest.h"

#include <limits.h>
#include <stdint.h>
#include <string.h>

#include "core/util.h"

#define WORD_MAX (sizeof(((struct suggest *)NULL)->best) - 1)

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;
    return m < c ? m : c;
}

/* Insertions, deletions, changes and swaps of neighbours that make one word of the other. */
static unsigned distance(const char *a, const char *b)
{
    size_t la = strlen(a);
    size_t lb = strlen(b);
    unsigned row[3][WORD_MAX + 1]; /* The last two rows and the one being made. */
    for (unsigned j = 0; j <= lb; j++) {
        row[0][j] = j;
        row[1][j] = j; /* Never used as "two above" before it is overwritten. */
    }
    unsigned *above2 = row[1];
    unsigned *above = row[0];
    unsigned *cur = row[2];
    for (unsigned i = 1; i <= la; i++) {
        cur[0] = i;
        for (unsigned j = 1; j <= lb; j++) {
            unsigned change = a[i - 1] == b[j - 1] ? 0 : 1;
            cur[j] = min3(above[j] + 1, cur[j - 1] + 1, above[j - 1] + change);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                above2[j - 2] + 1 < cur[j]) {
                cur[j] = above2[j - 2] + 1;
            }
        }
        unsigned *oldest = above2;
        above2 = above;
        above = cur;
        cur = oldest;
    }
    return above[lb];
}

void suggest_init(struct suggest *s, const char *typed)
{
    *s = (struct suggest){.typed = typed, .distance = UINT_MAX};
}

void suggest_word(struct suggest *s, const char *word)
{
    if (strlen(word) > WORD_MAX || strlen(s->typed) > WORD_MAX) {
        return;
    }
    unsigned d = distance(s->typed, word);
    /* A word cut short is as near as a slip of the finger. */
    size_t typed_len = strlen(s->typed);
    if (typed_len >= 2 && strncmp(word, s->typed, typed_len) == 0 && d > 1) {
        d = 1;
    }
    if (d < s->distance) {
        s->distance = d;
        (void)str_copy(s->best, sizeof s->best, word);
    }
}

const char *suggest_best(const struct suggest *s)
{
    size_t len = strlen(s->typed);
    unsigned most = len < 4 ? 1 : (unsigned)(len / 4) + (len < 8 ? 1 : 0);
    return s->distance <= most ? s->best : NULL;
}
