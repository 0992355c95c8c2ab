/* A scenario: what was decided in a run, as lines that people can read, edit and keep.
 *
 *     quorate-scenario 1
 *     seed 4711
 *     hosts 3
 *     expect execution
 *     set loss_permille 20
 *     at 12500ms power_off h2
 *     at 13s cut h1 h3 2s
 *
 * `expect` names the checker that must find something, or is `good`. A setting that is not given
 * has its default. Decisions are in the order of their times; what an action and its arguments mean
 * is the simulator's to say, but hosts are called h1, h2, ... everywhere. Text behind # is a
 * comment. */

#ifndef CHECK_SCENARIO_H
#define CHECK_SCENARIO_H

#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"

#define SCENARIO_VERSION   1
#define SCENARIO_WORD      63 /* Most bytes of a word. */
#define SCENARIO_NAME      (SCENARIO_WORD + 1)
#define SCENARIO_ARGS      8
#define SCENARIO_SETTINGS  64
#define SCENARIO_DECISIONS 100000
#define SCENARIO_HOSTS     64

struct decision {
    uint64_t at_us;
    char action[SCENARIO_WORD + 1];
    char args[SCENARIO_ARGS][SCENARIO_WORD + 1];
    uint32_t n_args;
    uint32_t line; /* Where it stands in the file; 0: nowhere. */
};

struct setting {
    char name[SCENARIO_WORD + 1];
    uint64_t value;
    uint32_t line;
};

struct scenario {
    uint64_t seed;
    uint32_t hosts;
    char expect[SCENARIO_WORD + 1]; /* "" for nothing in particular. */
    struct setting settings[SCENARIO_SETTINGS];
    size_t n_settings;
    struct decision *decisions;
    size_t n_decisions, cap_decisions;
};

/* Zero-initialised is empty; this gives the memory back. Idempotent. */
void scenario_done(struct scenario *s);

/* `to` must be empty or a scenario of its own; its memory is used again. */
void scenario_copy(struct scenario *to, const struct scenario *from);

/* Append; words are separated by blanks, the first is the action. ERR_INVALID: no word, one that is
 * too long or begins a comment, or too many; ERR_TOO_BIG. Times need not be in order:
 * scenario_sort(). */
int scenario_add(struct scenario *s, uint64_t at_us, const char *words);

/* By time; equal times stay in their order. */
void scenario_sort(struct scenario *s);

/* Give a setting a value. ERR_INVALID: no such name can be; ERR_TOO_BIG: there are too many. */
int scenario_set(struct scenario *s, const char *name, uint64_t value);

/* The value, or `otherwise` if it is not given. */
uint64_t scenario_get(const struct scenario *s, const char *name, uint64_t otherwise);

void scenario_write(const struct scenario *s, struct buf *out);

/* Into an empty scenario. ERR_MALFORMED with line and column, ERR_VERSION, ERR_TOO_BIG. What was
 * read until then is left in it: scenario_done(). */
int scenario_read(struct scenario *s, const char *text, size_t len, struct err *e);

/* The host that a word names, from 0; -1 if it is not of the form h<number>. */
int scenario_host(const char *word);

#endif
