#include "chaos-tests/check/scenario.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/util.h"

#include "chaos-tests/check/words.h"

void scenario_done(struct scenario *s)
{
    free(s->decisions);
    *s = (struct scenario){0};
}

void scenario_copy(struct scenario *to, const struct scenario *from)
{
    struct decision *decisions = to->decisions;
    size_t cap = to->cap_decisions;

    assert(to != from);
    if (cap < from->n_decisions) {
        cap = from->n_decisions;
        decisions = mem_grow(decisions, cap, sizeof *decisions);
    }
    if (from->n_decisions > 0) {
        memcpy(decisions, from->decisions, from->n_decisions * sizeof *decisions);
    }
    *to = *from;
    to->decisions = decisions;
    to->cap_decisions = cap;
}

/* --- decisions and settings */

static struct decision *fresh(struct scenario *s)
{
    if (s->n_decisions == s->cap_decisions) {
        s->cap_decisions = s->cap_decisions == 0 ? 64 : s->cap_decisions * 2;
        s->decisions = mem_grow(s->decisions, s->cap_decisions, sizeof *s->decisions);
    }
    s->decisions[s->n_decisions] = (struct decision){0};
    return &s->decisions[s->n_decisions];
}

/* Whether a word reads back as it was written. */
static bool sound_word(const char *word)
{
    size_t len = strlen(word);

    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)word[i] <= ' ') {
            return false;
        }
    }
    return len > 0 && len <= SCENARIO_WORD && word[0] != '#';
}

static int add_word(struct decision *d, const char *word)
{
    if (!sound_word(word)) {
        return ERR_INVALID;
    }
    if (d->action[0] == '\0') {
        (void)str_copy(d->action, sizeof d->action, word);
        return 0;
    }
    if (d->n_args == SCENARIO_ARGS) {
        return ERR_INVALID;
    }
    (void)str_copy(d->args[d->n_args++], SCENARIO_WORD + 1, word);
    return 0;
}

int scenario_add(struct scenario *s, uint64_t at_us, const char *words)
{
    char text[WORDS_LINE];
    char *rest = text;
    char *word;
    struct decision *d;
    int rc = 0;

    if (s->n_decisions >= SCENARIO_DECISIONS) {
        return ERR_TOO_BIG;
    }
    if (str_copy(text, sizeof text, words) >= sizeof text || at_us == UINT64_MAX) {
        return ERR_INVALID;
    }
    d = fresh(s);
    d->at_us = at_us;
    while (rc == 0 && (word = strsep(&rest, " ")) != NULL) {
        rc = word[0] == '\0' ? 0 : add_word(d, word);
    }
    if (rc != 0 || d->action[0] == '\0') {
        return ERR_INVALID;
    }
    s->n_decisions++;
    return 0;
}

/* Insertion from the end: what comes is nearly in order already. */
void scenario_sort(struct scenario *s)
{
    for (size_t i = 1; i < s->n_decisions; i++) {
        struct decision d = s->decisions[i];
        size_t at = i;
        while (at > 0 && s->decisions[at - 1].at_us > d.at_us) {
            s->decisions[at] = s->decisions[at - 1];
            at--;
        }
        s->decisions[at] = d;
    }
}

static struct setting *setting_of(struct scenario *s, const char *name)
{
    for (size_t i = 0; i < s->n_settings; i++) {
        if (strcmp(s->settings[i].name, name) == 0) {
            return &s->settings[i];
        }
    }
    return NULL;
}

int scenario_set(struct scenario *s, const char *name, uint64_t value)
{
    struct setting *set = setting_of(s, name);

    if (!sound_word(name)) {
        return ERR_INVALID;
    }
    if (set == NULL) {
        if (s->n_settings == SCENARIO_SETTINGS) {
            return ERR_TOO_BIG;
        }
        set = &s->settings[s->n_settings++];
        *set = (struct setting){0};
        (void)str_copy(set->name, sizeof set->name, name);
    }
    set->value = value;
    return 0;
}

uint64_t scenario_get(const struct scenario *s, const char *name, uint64_t otherwise)
{
    for (size_t i = 0; i < s->n_settings; i++) {
        if (strcmp(s->settings[i].name, name) == 0) {
            return s->settings[i].value;
        }
    }
    return otherwise;
}

int scenario_host(const char *word)
{
    uint64_t v;

    if (word[0] != 'h' || word[1] == '0' || word_number(word + 1, SCENARIO_HOSTS, &v) != 0) {
        return -1;
    }
    return (int)v - 1;
}

/* --- writing */

static void put_time(uint64_t us, struct buf *out)
{
    if (us % 1000000 == 0) {
        buf_printf(out, "%" PRIu64 "s", us / 1000000);
    } else if (us % 1000 == 0) {
        buf_printf(out, "%" PRIu64 "ms", us / 1000);
    } else {
        buf_printf(out, "%" PRIu64 "us", us);
    }
}

void scenario_write(const struct scenario *s, struct buf *out)
{
    buf_printf(out, "quorate-scenario %d\nseed %" PRIu64 "\nhosts %" PRIu32 "\n", SCENARIO_VERSION,
               s->seed, s->hosts);
    if (s->expect[0] != '\0') {
        buf_printf(out, "expect %s\n", s->expect);
    }
    for (size_t i = 0; i < s->n_settings; i++) {
        buf_printf(out, "set %s %" PRIu64 "\n", s->settings[i].name, s->settings[i].value);
    }
    for (size_t i = 0; i < s->n_decisions; i++) {
        const struct decision *d = &s->decisions[i];
        buf_printf(out, "at ");
        put_time(d->at_us, out);
        buf_printf(out, " %s", d->action);
        for (uint32_t k = 0; k < d->n_args; k++) {
            buf_printf(out, " %s", d->args[k]);
        }
        buf_printf(out, "\n");
    }
}

/* --- reading */

/* The next word, unless a comment begins there. */
static bool next_word(struct words *w)
{
    if (!words_next(w)) {
        return false;
    }
    if (w->word[0] == '#') {
        w->from = w->len;
        return false;
    }
    return true;
}

static int read_number(struct words *w, const char *what, uint64_t most, uint64_t *ret)
{
    if (!next_word(w)) {
        return words_error(w, "expected %s", what);
    }
    if (word_number(w->word, most, ret) != 0) {
        return words_error(w, "\"%s\" is not %s", w->word, what);
    }
    return 0;
}

static int read_decision(struct scenario *s, struct words *w)
{
    struct decision *d;

    if (s->n_decisions >= SCENARIO_DECISIONS) {
        return err_set(w->e, ERR_TOO_BIG, "line %u: more than %d decisions", w->line,
                       SCENARIO_DECISIONS);
    }
    d = fresh(s);
    d->line = w->line;
    if (!next_word(w) || word_time(w->word, &d->at_us) != 0 || d->at_us == UINT64_MAX) {
        return words_error(w, "expected a time such as 1500ms");
    }
    if (s->n_decisions > 0 && d->at_us < d[-1].at_us) {
        return words_error(w, "time goes back");
    }
    while (next_word(w)) {
        if (strlen(w->word) > SCENARIO_WORD) {
            return words_error(w, "a word of more than %d bytes", SCENARIO_WORD);
        }
        if (add_word(d, w->word) != 0) {
            return words_error(w, "more than %d arguments", SCENARIO_ARGS);
        }
    }
    if (d->action[0] == '\0') {
        return words_error(w, "expected an action");
    }
    s->n_decisions++;
    return 0;
}

static int read_setting(struct scenario *s, struct words *w)
{
    char name[SCENARIO_WORD + 1];
    uint64_t value = 0;
    int rc;

    if (!next_word(w) || strlen(w->word) > SCENARIO_WORD) {
        return words_error(w, "expected the name of a setting");
    }
    if (setting_of(s, w->word) != NULL) {
        return words_error(w, "%s is set twice", w->word);
    }
    (void)str_copy(name, sizeof name, w->word);
    rc = read_number(w, "a number", UINT64_MAX, &value);
    if (rc != 0) {
        return rc;
    }
    if (scenario_set(s, name, value) != 0) {
        return words_error(w, "more than %d settings", SCENARIO_SETTINGS);
    }
    s->settings[s->n_settings - 1].line = w->line;
    return 0;
}

static int read_expect(struct scenario *s, struct words *w)
{
    if (!next_word(w) || strlen(w->word) > SCENARIO_WORD) {
        return words_error(w, "expected the name of a checker, or good");
    }
    (void)str_copy(s->expect, sizeof s->expect, w->word);
    return 0;
}

static int read_line(struct scenario *s, struct words *w)
{
    uint64_t hosts = 0;
    int rc;

    if (w->word[0] == '#') {
        return 0;
    }
    if (strcmp(w->word, "at") == 0) {
        return read_decision(s, w);
    }
    if (strcmp(w->word, "set") == 0) {
        rc = read_setting(s, w);
    } else if (strcmp(w->word, "seed") == 0) {
        rc = read_number(w, "a seed", UINT64_MAX, &s->seed);
    } else if (strcmp(w->word, "hosts") == 0) {
        rc = read_number(w, "a number of hosts, at most 64", SCENARIO_HOSTS, &hosts);
        s->hosts = (uint32_t)hosts;
    } else if (strcmp(w->word, "expect") == 0) {
        rc = read_expect(s, w);
    } else {
        return words_error(w, "expected seed, hosts, expect, set or at, not \"%.63s\"", w->word);
    }
    if (rc == 0 && next_word(w)) {
        return words_error(w, "\"%.63s\" is too much", w->word);
    }
    return rc;
}

int scenario_read(struct scenario *s, const char *text, size_t len, struct err *e)
{
    struct words w;
    int rc = words_open(&w, text, len, "quorate-scenario", SCENARIO_VERSION, e);

    while (rc == 0 && words_line(&w, &rc)) {
        rc = read_line(s, &w);
    }
    return rc;
}
