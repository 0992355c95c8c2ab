#include "chaos-tests/check/words.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static bool blank(char c)
{
    return c == ' ' || c == '\t';
}

int words_error(struct words *w, const char *format, ...)
{
    char message[ERR_MSG_SIZE];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(message, sizeof message, format, args); // NOLINT(clang-analyzer-valist.*)
    va_end(args);
    return err_set(w->e, ERR_MALFORMED, "line %u, column %u: %s", w->line, w->column, message);
}

/* Copy the next line to text[]. */
static int take_line(struct words *w)
{
    const char *end = memchr(w->at, '\n', (size_t)(w->end - w->at));
    size_t len = (size_t)((end == NULL ? w->end : end) - w->at);

    w->line++;
    w->column = 1;
    if (len >= sizeof w->text) {
        return words_error(w, "longer than %zu bytes", sizeof w->text - 1);
    }
    memcpy(w->text, w->at, len);
    w->at = end == NULL ? w->end : end + 1;
    if (len > 0 && w->text[len - 1] == '\r') {
        len--;
    }
    w->text[len] = '\0';
    w->len = len;
    w->from = 0;
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)w->text[i] < ' ' && w->text[i] != '\t') {
            w->column = (unsigned)i + 1;
            return words_error(w, "a byte that is no text");
        }
    }
    return 0;
}

bool words_next(struct words *w)
{
    while (w->from < w->len && blank(w->text[w->from])) {
        w->from++;
    }
    if (w->from >= w->len) {
        w->column = (unsigned)w->len + 1;
        return false;
    }
    w->column = (unsigned)w->from + 1;
    w->word = &w->text[w->from];
    while (w->from < w->len && !blank(w->text[w->from])) {
        w->from++;
    }
    w->text[w->from] = '\0';
    w->from++;
    return true;
}

bool words_skip_picture(struct words *w)
{
    char *end;

    while (w->from < w->len && blank(w->text[w->from])) {
        w->from++;
    }
    if (w->from >= w->len || w->text[w->from] != '|') {
        return true;
    }
    end = memchr(&w->text[w->from + 1], '|', w->len - w->from - 1);
    if (end != NULL) {
        w->from = (size_t)(end - w->text) + 1;
    }
    return end != NULL;
}

bool words_line(struct words *w, int *ret_rc)
{
    while (w->at < w->end) {
        *ret_rc = take_line(w);
        if (*ret_rc != 0) {
            return false;
        }
        if (words_next(w)) {
            return true;
        }
    }
    return false;
}

int words_open(struct words *w,
               const char *text,
               size_t len,
               const char *name,
               unsigned version,
               struct err *e)
{
    uint64_t found = 0;
    int rc = 0;

    *w = (struct words){.at = text, .end = text + len, .e = e, .line = 0, .column = 1};
    if (!words_line(w, &rc) || strcmp(w->word, name) != 0) {
        return rc != 0 ? rc : words_error(w, "expected \"%s %u\"", name, version);
    }
    if (!words_next(w) || word_number(w->word, UINT32_MAX, &found) != 0) {
        return words_error(w, "expected the version of this %s", name);
    }
    if (found != version) {
        return err_set(e, ERR_VERSION, "this is version %u of %s; this program reads version %u",
                       (unsigned)found, name, version);
    }
    return 0;
}

static int digits(const char **text, uint64_t *ret)
{
    uint64_t v = 0;
    const char *at = *text;

    for (; *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(*at - '0'), &v)) {
            return ERR_INVALID;
        }
    }
    if (at == *text) {
        return ERR_INVALID;
    }
    *text = at;
    *ret = v;
    return 0;
}

int word_number(const char *text, uint64_t most, uint64_t *ret)
{
    uint64_t v;

    if (most == UINT64_MAX && strcmp(text, "never") == 0) {
        *ret = UINT64_MAX;
        return 0;
    }
    if (digits(&text, &v) != 0 || *text != '\0' || v > most) {
        return ERR_INVALID;
    }
    *ret = v;
    return 0;
}

int word_time(const char *text, uint64_t *ret)
{
    static const struct {
        const char *unit;
        uint64_t us;
    } units[] = {{"", 1}, {"us", 1}, {"ms", 1000}, {"s", 1000000}};
    uint64_t v;

    if (strcmp(text, "never") == 0) {
        *ret = UINT64_MAX;
        return 0;
    }
    if (digits(&text, &v) != 0) {
        return ERR_INVALID;
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(text, units[i].unit) == 0) {
            return __builtin_mul_overflow(v, units[i].us, ret) ? ERR_INVALID : 0;
        }
    }
    return ERR_INVALID;
}
