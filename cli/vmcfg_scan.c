#include "cli/vmcfg_scan.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Where the scanner is. */
struct at {
    struct vmcfg_scan *scan;
    const char *name;
    const char *p;
    const char *end;
    struct vmcfg_place place; /* Of *p. */
    struct err *e;
};

__attribute__((format(printf, 3, 4))) static int
wrong(struct at *a, const struct vmcfg_place *where, const char *fmt, ...)
{
    char text[ERR_MSG_SIZE];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return err_set(a->e, ERR_INVALID, "%s:%u:%u: %s", a->name, where->line, where->column, text);
}

static char peek(const struct at *a)
{
    return a->p < a->end ? *a->p : '\0'; /* The text holds no NUL. */
}

static void step(struct at *a)
{
    char c = *a->p++;
    if (c == '\n') {
        a->place.line++;
        a->place.column = 1;
    } else if (((unsigned char)c & 0xc0) != 0x80) {
        a->place.column++;
    }
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_key(char c)
{
    return (c >= 'a' && c <= 'z') || c == '_' || is_digit(c);
}

/* Blanks and comments; newlines too where a list is open. */
static void skip_blanks(struct at *a, bool newlines)
{
    for (;;) {
        char c = peek(a);
        if (c == '#') {
            while (a->p < a->end && *a->p != '\n') {
                step(a);
            }
        } else if (c == ' ' || c == '\t' || (newlines && c == '\n')) {
            step(a);
        } else {
            return;
        }
    }
}

/* What stands where a value should: people leave Python in their files. */
static int not_a_value(struct at *a)
{
    char word[24];
    size_t n = 0;
    for (const char *p = a->p; p < a->end && n < sizeof word - 1; p++) {
        bool of_word = is_key(*p) || (*p >= 'A' && *p <= 'Z') || *p == '.';
        if (!of_word) {
            break;
        }
        word[n++] = *p;
    }
    word[n] = '\0';
    if (strcmp(word, "True") == 0 || strcmp(word, "False") == 0) {
        return wrong(a, &a->place, "%s is no value here; write %d", word, word[0] == 'T');
    }
    if (n > 0) {
        return wrong(a, &a->place,
                     "\"%s\" is no value; text stands in quotes, and Python code is not "
                     "carried out",
                     word);
    }
    return wrong(a, &a->place, "a value is missing: text in quotes, a number, or a list in []");
}

static int scan_string(struct at *a, struct vmcfg_place *ret_at)
{
    struct vmcfg_place open = a->place;
    char quote = *a->p;
    step(a);
    *ret_at = a->place;
    const char *begin = a->p;
    while (peek(a) != quote) {
        if (a->p == a->end || *a->p == '\n') {
            return wrong(a, &open, "text without its closing %c", quote);
        }
        if (*a->p == '\\') {
            step(a);
            if (a->p == a->end || *a->p == '\n') {
                return wrong(a, &open, "text without its closing %c", quote);
            }
        }
        step(a);
        if (a->p - begin > VMCFG_STRING_MAX) {
            return wrong(a, &open, "text of more than %d bytes", VMCFG_STRING_MAX);
        }
    }
    step(a);
    if (peek(a) == quote) {
        return wrong(a, &open, "text in three quotes is not read; use one pair");
    }
    return 0;
}

static int scan_number(struct at *a)
{
    struct vmcfg_place begin = a->place;
    size_t n = 0;
    for (; is_digit(peek(a)) || (peek(a) >= 'a' && peek(a) <= 'f') || peek(a) == 'x'; n++) {
        step(a);
    }
    return n > 20 ? wrong(a, &begin, "a number of more than 20 digits") : 0;
}

static int scan_list(struct at *a, struct vmcfg_setting *s, unsigned depth);

/* One element, which is noted only at the outermost level. */
// NOLINTNEXTLINE(misc-no-recursion): bounded by VMCFG_NESTED_MAX.
static int scan_element(struct at *a, struct vmcfg_setting *s, unsigned depth)
{
    struct vmcfg_place at = a->place;
    int rc;
    char c = peek(a);
    if (c == '\'' || c == '"') {
        rc = scan_string(a, &at);
    } else if (is_digit(c)) {
        rc = scan_number(a);
    } else if (c == '[') {
        rc = scan_list(a, s, depth + 1);
    } else {
        rc = not_a_value(a);
    }
    if (rc != 0 || depth > 1) {
        return rc;
    }
    if (a->scan->n_elements == VMCFG_ELEMENTS_MAX) {
        return wrong(a, &at, "more than %d elements of lists", VMCFG_ELEMENTS_MAX);
    }
    a->scan->elements[a->scan->n_elements++] = at;
    s->n++;
    return 0;
}

// NOLINTNEXTLINE(misc-no-recursion): bounded by VMCFG_NESTED_MAX.
static int scan_list(struct at *a, struct vmcfg_setting *s, unsigned depth)
{
    struct vmcfg_place open = a->place;
    if (depth > VMCFG_NESTED_MAX) {
        return wrong(a, &open, "lists more than %d deep", VMCFG_NESTED_MAX);
    }
    step(a);
    skip_blanks(a, /*newlines=*/true);
    while (peek(a) != ']') {
        if (a->p == a->end) {
            return wrong(a, &open, "a list without its closing ]");
        }
        int rc = scan_element(a, s, depth);
        if (rc != 0) {
            return rc;
        }
        skip_blanks(a, /*newlines=*/true);
        if (peek(a) == ',') {
            step(a);
            skip_blanks(a, /*newlines=*/true);
        } else if (peek(a) != ']' && a->p < a->end) {
            return wrong(a, &a->place, "a comma is missing between the elements of a list");
        }
    }
    step(a);
    return 0;
}

static int scan_value(struct at *a, struct vmcfg_setting *s)
{
    s->value_at = a->place;
    s->first = (uint32_t)a->scan->n_elements;
    char c = peek(a);
    if (c == '\'' || c == '"') {
        return scan_string(a, &s->value_at);
    }
    if (is_digit(c)) {
        return scan_number(a);
    }
    if (c == '[') {
        s->is_list = true;
        return scan_list(a, s, 1);
    }
    return not_a_value(a);
}

static int scan_key(struct at *a, struct vmcfg_setting *s)
{
    s->key_at = a->place;
    size_t n = 0;
    if (peek(a) < 'a' || peek(a) > 'z') {
        return wrong(a, &a->place, "a line is KEY = VALUE, with the key in small letters");
    }
    while (is_key(peek(a))) {
        if (n == VMCFG_KEY_MAX) {
            return wrong(a, &s->key_at, "a key of more than %d letters", VMCFG_KEY_MAX);
        }
        s->key[n++] = *a->p;
        step(a);
    }
    skip_blanks(a, /*newlines=*/false);
    if (peek(a) == '+') {
        s->add = true;
        step(a);
    }
    if (peek(a) != '=') {
        return wrong(a, &a->place, "a line is KEY = VALUE; Python code is not carried out");
    }
    step(a);
    skip_blanks(a, /*newlines=*/false);
    return 0;
}

static int scan_setting(struct at *a, int32_t source)
{
    if (a->scan->n == VMCFG_SETTINGS_MAX) {
        return wrong(a, &a->place, "more than %d assignments", VMCFG_SETTINGS_MAX);
    }
    struct vmcfg_setting *s = &a->scan->settings[a->scan->n];
    *s = (struct vmcfg_setting){.source = source};
    int rc = scan_key(a, s);
    if (rc == 0) {
        rc = scan_value(a, s);
    }
    if (rc != 0) {
        return rc;
    }
    a->scan->n++;
    skip_blanks(a, /*newlines=*/false);
    if (a->p < a->end && *a->p != '\n' && *a->p != ';') {
        return wrong(a, &a->place, "the line should end after the value");
    }
    return 0;
}

int vmcfg_scan_text(struct vmcfg_scan *s,
                    const char *name,
                    int32_t source,
                    const struct buf *text,
                    struct err *e)
{
    const char *p = (const char *)text->data;
    struct at a = {.scan = s,
                   .name = name,
                   .p = p,
                   .end = p + text->len,
                   .place = {.line = 1, .column = 1},
                   .e = e};
    for (;;) {
        skip_blanks(&a, /*newlines=*/true);
        if (peek(&a) == ';') {
            step(&a);
        } else if (a.p == a.end) {
            return 0;
        } else {
            int rc = scan_setting(&a, source);
            if (rc != 0) {
                return rc;
            }
        }
    }
}
