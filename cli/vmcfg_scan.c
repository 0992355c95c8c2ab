#include "cli/vmcfg_scan.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/util.h"

/* Where the scanner is. */
struct at {
    struct vmcfg_scan *scan;
    const char *name;
    char *p; /* What libxlutil's grammar lacks is rewritten in place, so that columns stay. */
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

static bool is_capital(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_key(char c)
{
    return (c >= 'a' && c <= 'z') || is_capital(c) || c == '_' || is_digit(c);
}

static bool is_word(const char *word, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(words[i], word) == 0) {
            return true;
        }
    }
    return false;
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
        if (!is_key(*p) && *p != '.') {
            break;
        }
        word[n++] = *p;
    }
    word[n] = '\0';
    if (n > 0) {
        return wrong(a, &a->place,
                     "\"%s\" is no value; text stands in quotes, and Python code is not "
                     "carried out",
                     word);
    }
    if (peek(a) == '-' || peek(a) == '+') {
        return wrong(a, &a->place, "a number has no sign here");
    }
    if (peek(a) == '{') {
        return wrong(a, &a->place, "a value in {} is not read; only texts, numbers and lists are");
    }
    return wrong(a, &a->place, "a value is missing: text in quotes, a number, or a list in []");
}

/* Python's constants, as libxlutil writes them: 1, 0 and an empty text. False if there is none. */
static bool scan_constant(struct at *a)
{
    static const char *const constants[][2] = {
        {"True", "1   "}, {"False", "0    "}, {"None", "\"\"  "}};
    for (size_t i = 0; i < ARRAY_LEN(constants); i++) {
        size_t n = strlen(constants[i][0]);
        bool here = (size_t)(a->end - a->p) >= n && memcmp(a->p, constants[i][0], n) == 0;
        if (here && (a->p + n == a->end || !is_key(a->p[n]))) {
            memcpy(a->p, constants[i][1], n);
            a->p += n;
            a->place.column += (uint32_t)n;
            return true;
        }
    }
    return false;
}

static bool at_triple(const struct at *a)
{
    return a->end - a->p >= 3 && (*a->p == '"' || *a->p == '\'') && a->p[1] == *a->p &&
           a->p[2] == *a->p;
}

/* '''text''' becomes   'text'  . */
static int scan_triple(struct at *a, struct vmcfg_place *ret_at)
{
    struct vmcfg_place open = a->place;
    char quote = *a->p;
    a->p[0] = a->p[1] = ' ';
    a->p += 3;
    a->place.column += 3;
    *ret_at = a->place;
    const char *begin = a->p;
    while (!at_triple(a) || *a->p != quote) {
        if (a->p == a->end) {
            return wrong(a, &open, "text without its closing %c%c%c", quote, quote, quote);
        }
        if (*a->p == '\n' || *a->p == '\\' || *a->p == quote) {
            return wrong(a, &a->place, "text in three quotes holds no %s here",
                         *a->p == '\n'   ? "line break"
                         : *a->p == '\\' ? "backslash"
                                         : "quote of its kind");
        }
        step(a);
        if (a->p - begin > VMCFG_STRING_MAX) {
            return wrong(a, &open, "text of more than %d bytes", VMCFG_STRING_MAX);
        }
    }
    a->p[1] = a->p[2] = ' ';
    a->p += 3;
    a->place.column += 3;
    return 0;
}

/* A text in three quotes that is the value of nothing: how Python's files are described. */
static int skip_description(struct at *a)
{
    struct vmcfg_place open = a->place;
    char quote = *a->p;
    for (int quotes = 0; quotes < 6;) {
        if (a->p == a->end) {
            return wrong(a, &open, "text without its closing %c%c%c", quote, quote, quote);
        }
        if (*a->p == quote && (quotes < 3 || quotes > 3 || at_triple(a))) {
            quotes++;
        }
        char c = *a->p;
        step(a);
        if (c != '\n') {
            a->p[-1] = ' ';
        }
    }
    return 0;
}

static int scan_string(struct at *a, struct vmcfg_place *ret_at)
{
    if (at_triple(a)) {
        return scan_triple(a, ret_at);
    }
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
    } else if (c == '[' || c == '(') {
        rc = scan_list(a, s, depth + 1);
    } else {
        rc = scan_constant(a) ? 0 : not_a_value(a);
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

/* Between two elements. */
static int scan_comma(struct at *a, char close)
{
    skip_blanks(a, /*newlines=*/true);
    char c = peek(a);
    if (c == ',') {
        step(a);
        skip_blanks(a, /*newlines=*/true);
        return 0;
    }
    if (c == '+' || c == '%' || c == '*') {
        return wrong(a, &a->place, "nothing is computed here: write the value itself");
    }
    return c == close || a->p == a->end
               ? 0
               : wrong(a, &a->place, "a comma is missing between the elements of a list");
}

/* A tuple is read as a list. */
// NOLINTNEXTLINE(misc-no-recursion): bounded by VMCFG_NESTED_MAX.
static int scan_list(struct at *a, struct vmcfg_setting *s, unsigned depth)
{
    struct vmcfg_place open = a->place;
    char close = *a->p == '(' ? ')' : ']';
    size_t n = 0;
    if (depth > VMCFG_NESTED_MAX) {
        return wrong(a, &open, "lists more than %d deep", VMCFG_NESTED_MAX);
    }
    *a->p = '[';
    step(a);
    skip_blanks(a, /*newlines=*/true);
    while (peek(a) != close) {
        if (a->p == a->end) {
            return wrong(a, &open, "a list without its closing %c", close);
        }
        int rc = scan_element(a, s, depth);
        const char *after = a->p;
        if (rc == 0) {
            rc = scan_comma(a, close);
        }
        if (rc != 0) {
            return rc;
        }
        bool comma = memchr(after, ',', (size_t)(a->p - after)) != NULL;
        if (close == ')' && n++ == 0 && !comma && a->p < a->end) {
            return wrong(a, &open, "one value in () is no list; leave the () away or use []");
        }
    }
    *a->p = ']';
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
    if (c == '[' || c == '(') {
        s->is_list = true;
        return scan_list(a, s, 1);
    }
    return scan_constant(a) ? 0 : not_a_value(a);
}

void vmcfg_fold(char *key)
{
    bool capital = !(key[0] >= 'a' && key[0] <= 'z');
    for (char *p = key; *p != '\0'; p++) {
        if (is_capital(*p)) {
            capital = true;
            *p = (char)(*p - 'A' + 'a');
        }
    }
    if (capital) {
        key[0] = 'z';
    }
}

static int scan_key(struct at *a, struct vmcfg_setting *s)
{
    static const char *const python[] = {"import", "from", "def",   "if",  "for",  "while",
                                         "class",  "with", "print", "try", "exec", "del"};
    s->key_at = a->place;
    size_t n = 0;
    char *begin = a->p;
    if (!is_key(peek(a)) || is_digit(peek(a))) {
        return wrong(a, &a->place, "a line is KEY = VALUE");
    }
    while (is_key(peek(a))) {
        if (n == VMCFG_KEY_MAX) {
            return wrong(a, &s->key_at, "a key of more than %d letters", VMCFG_KEY_MAX);
        }
        s->key[n++] = *a->p;
        step(a);
    }
    memcpy(s->name, s->key, sizeof s->name);
    vmcfg_fold(s->name);
    memcpy(begin, s->name, n);
    skip_blanks(a, /*newlines=*/false);
    if (peek(a) == '+') {
        s->add = true;
        step(a);
    }
    if (is_word(s->key, python, ARRAY_LEN(python)) && peek(a) != '=') {
        return wrong(a, &s->key_at,
                     "%s: Python code is not carried out; write the values themselves", s->key);
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
    if (peek(a) != '\0' && strchr("+-*/%.", peek(a)) != NULL) {
        return wrong(a, &a->place, "nothing is computed here: write the value itself");
    }
    if (a->p < a->end && *a->p != '\n' && *a->p != ';') {
        return wrong(a, &a->place, "the line should end after the value");
    }
    return 0;
}

int vmcfg_scan_text(struct vmcfg_scan *s,
                    const char *name,
                    int32_t source,
                    struct buf *text,
                    struct err *e)
{
    char *p = (char *)text->data;
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
        } else if (at_triple(&a)) {
            int rc = skip_description(&a);
            if (rc != 0) {
                return rc;
            }
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
