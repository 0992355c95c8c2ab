#include "core/config.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/mp.h"
#include "core/roff.h"
#include "core/util.h"

struct value {
    char *text;
    bool from_file;
    bool from_flag;
};

struct config {
    const struct config_row *rows;
    size_t n;
    struct value *values;
};

struct config *config_new(const struct config_row *rows, size_t n)
{
    struct config *c = mem_new(1, sizeof *c);
    c->rows = rows;
    c->n = n;
    c->values = mem_new(n, sizeof *c->values);
    return c;
}

struct config *config_free(struct config *c)
{
    if (c != NULL) {
        for (size_t i = 0; i < c->n; i++) {
            free(c->values[i].text);
        }
        free(c->values);
        free(c);
    }
    return NULL;
}

static bool key_is(const char *key, const char *text, size_t len)
{
    if (strlen(key) != len) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if ((text[i] == '-' ? '_' : text[i]) != key[i]) {
            return false;
        }
    }
    return true;
}

/* Index of the row, or n. */
static size_t row_find(const struct config *c, const char *text, size_t len)
{
    size_t i = 0;
    while (i < c->n && !key_is(c->rows[i].key, text, len)) {
        i++;
    }
    return i;
}

static int bool_of(const char *text, bool *ret)
{
    static const char *const words[] = {"no", "yes", "off", "on", "false", "true", "0", "1"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strcmp(words[i], text) == 0) {
            *ret = i % 2 == 1;
            return 0;
        }
    }
    return ERR_INVALID;
}

static int number_of(const char *text, uint64_t *ret)
{
    uint64_t v = 0;
    for (const char *p = text; *p != '\0'; p++) {
        unsigned digit = (unsigned char)*p - (unsigned)'0';
        if (digit > 9 || v > (UINT64_MAX - digit) / 10) {
            return ERR_INVALID;
        }
        v = v * 10 + digit;
    }
    *ret = v;
    return text[0] == '\0' ? ERR_INVALID : 0;
}

static int value_check(const struct config_row *row, const char *text, struct err *e)
{
    bool b;
    uint64_t n;
    switch (row->kind) {
    case CONFIG_BOOL:
        return bool_of(text, &b) == 0
                   ? 0
                   : err_set(e, ERR_INVALID, "%s: %s is neither yes nor no", row->key, text);
    case CONFIG_TEXT:
        return strlen(text) >= row->min && strlen(text) <= row->max
                   ? 0
                   : err_set(e, ERR_INVALID, "%s: must be %" PRIu64 " to %" PRIu64 " bytes long",
                             row->key, row->min, row->max);
    case CONFIG_NUMBER: break;
    }
    if (number_of(text, &n) == 0 && n >= row->min && n <= row->max) {
        return 0;
    }
    return err_set(e, ERR_INVALID, "%s: %.40s is not a whole number from %" PRIu64 " to %" PRIu64,
                   row->key, text, row->min, row->max);
}

/* Set a row from `len` bytes of text. */
static int
value_set(struct config *c, size_t i, const char *text, size_t len, bool flag, struct err *e)
{
    char copy[CONFIG_VALUE_MAX + 1];
    struct value *v = &c->values[i];
    if (len > CONFIG_VALUE_MAX || !utf8_valid(text, len)) {
        return err_set(e, ERR_INVALID, "%s: not text of at most %u bytes", c->rows[i].key,
                       CONFIG_VALUE_MAX);
    }
    memcpy(copy, text, len);
    copy[len] = '\0';
    int rc = value_check(&c->rows[i], copy, e);
    if (rc != 0) {
        return rc;
    }
    bool *given = flag ? &v->from_flag : &v->from_file;
    if (*given) {
        return err_set(e, ERR_INVALID, "%s: given twice", c->rows[i].key);
    }
    *given = true;
    if (flag || !v->from_flag) {
        free(v->text);
        v->text = mem_strdup(copy);
    }
    return 0;
}

/* --- the file */

struct line {
    const char *file;
    unsigned number;
    const char *start;
    const char *end;
};

static int
line_error(const struct line *l, const char *at, int code, const char *what, struct err *e)
{
    return err_set(e, code, "%s:%u:%d: %s", l->file, l->number, (int)(at - l->start) + 1, what);
}

static const char *skip_space(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\r')) {
        p++;
    }
    return p;
}

/* The value from p on: quoted, or up to a comment, without the space around it. */
static int line_value(const struct line *l,
                      const char *p,
                      const char **ret_value,
                      size_t *ret_len,
                      struct err *e)
{
    const char *q = p;
    *ret_value = p;
    *ret_len = 0;
    if (p < l->end && *p == '"') {
        q = memchr(p + 1, '"', (size_t)(l->end - p - 1));
        if (q == NULL) {
            return line_error(l, p, ERR_INVALID, "quote without an end", e);
        }
        *ret_value = p + 1;
        *ret_len = (size_t)(q - p - 1);
        q = skip_space(q + 1, l->end);
        return q == l->end || *q == '#' ? 0
                                        : line_error(l, q, ERR_INVALID, "text behind the value", e);
    }
    while (q < l->end && *q != '#') {
        q++;
    }
    while (q > p && (q[-1] == ' ' || q[-1] == '\t' || q[-1] == '\r')) {
        q--;
    }
    *ret_len = (size_t)(q - p);
    return 0;
}

static int line_parse(struct config *c, const struct line *l, struct err *e)
{
    const char *key = skip_space(l->start, l->end);
    if (key == l->end || *key == '#') {
        return 0;
    }
    const char *p = key;
    while (p < l->end && (*p == '_' || *p == '-' || (*p >= 'a' && *p <= 'z'))) {
        p++;
    }
    size_t i = row_find(c, key, (size_t)(p - key));
    if (i == c->n) {
        return line_error(l, key, ERR_UNKNOWN, "unknown option", e);
    }
    p = skip_space(p, l->end);
    if (p == l->end || *p != '=') {
        return line_error(l, p, ERR_INVALID, "'=' expected behind the option's name", e);
    }
    p = skip_space(p + 1, l->end);
    const char *value = p;
    size_t len = 0;
    int rc = line_value(l, p, &value, &len, e);
    if (rc == 0 && value_set(c, i, value, len, /*flag=*/false, e) != 0) {
        rc = err_wrap(e, "%s:%u:%d", l->file, l->number, (int)(value - l->start) + 1);
    }
    return rc;
}

int config_parse(struct config *c, const char *name, const char *text, size_t len, struct err *e)
{
    if (len > CONFIG_FILE_MAX) {
        return err_set(e, ERR_TOO_BIG, "%s: larger than %u bytes", name, CONFIG_FILE_MAX);
    }
    struct line l = {.file = name};
    for (size_t at = 0; at < len; at = (size_t)(l.end - text) + 1) {
        l.start = text + at;
        const char *nl = memchr(l.start, '\n', len - at);
        l.end = nl == NULL ? text + len : nl;
        l.number++;
        int rc = line_parse(c, &l, e);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

/* --- the command line */

int config_arguments(struct config *c, int argc, const char *const argv[], struct err *e)
{
    for (int a = 0; a < argc; a++) {
        const char *arg = argv[a];
        if (strncmp(arg, "--", 2) != 0) {
            return err_set(e, ERR_INVALID, "%.80s: not an option; see --help", arg);
        }
        const char *key = arg + 2;
        const char *eq = strchr(key, '=');
        size_t len = eq == NULL ? strlen(key) : (size_t)(eq - key);
        size_t i = row_find(c, key, len);
        if (i == c->n) {
            return err_set(e, ERR_UNKNOWN, "--%.*s: unknown option; see --help",
                           (int)(len > 60 ? 60 : len), key);
        }
        const char *value = eq != NULL ? eq + 1 : a + 1 < argc ? argv[++a] : NULL;
        if (value == NULL) {
            return err_set(e, ERR_INVALID, "--%s: a value is missing", c->rows[i].key);
        }
        if (value_set(c, i, value, strlen(value), /*flag=*/true, e) != 0) {
            return e->code;
        }
    }
    return 0;
}

int config_complete(const struct config *c, struct err *e)
{
    for (size_t i = 0; i < c->n; i++) {
        if (c->values[i].text == NULL && c->rows[i].def == NULL) {
            return err_set(e, ERR_INVALID, "%s must be given (--%s or in the configuration file)",
                           c->rows[i].key, c->rows[i].key);
        }
    }
    return 0;
}

/* --- values */

static size_t row_must(const struct config *c, const char *key)
{
    size_t i = row_find(c, key, strlen(key));
    assert(i < c->n);
    return i;
}

const char *config_text(const struct config *c, const char *key)
{
    size_t i = row_must(c, key);
    const char *text = c->values[i].text != NULL ? c->values[i].text : c->rows[i].def;
    return text == NULL ? "" : text;
}

uint64_t config_number(const struct config *c, const char *key)
{
    uint64_t v = 0;
    int rc = number_of(config_text(c, key), &v);
    assert(rc == 0);
    return v;
}

bool config_bool(const struct config *c, const char *key)
{
    bool v = false;
    int rc = bool_of(config_text(c, key), &v);
    assert(rc == 0);
    return v;
}

bool config_given(const struct config *c, const char *key)
{
    return c->values[row_must(c, key)].text != NULL;
}

/* --- help */

static void put_flag(const char *key, const char *dash, FILE *out)
{
    for (; *key != '\0'; key++) {
        (void)(*key == '_' ? fputs(dash, out) : fputc(*key, out));
    }
}

static void put_default(const struct config_row *r, FILE *out)
{
    if (r->def == NULL) {
        (void)fputs("must be given", out);
    } else if (r->def[0] == '\0') {
        (void)fputs("default: none", out);
    } else {
        (void)fprintf(out, "default: %s%s%s", r->def, r->unit[0] == '\0' ? "" : " ", r->unit);
    }
    if (r->kind == CONFIG_NUMBER) {
        (void)fprintf(out, "; %" PRIu64 " to %" PRIu64, r->min, r->max);
    }
}

static const char *value_word(const struct config_row *r)
{
    return r->kind == CONFIG_BOOL ? "yes|no" : r->kind == CONFIG_NUMBER ? "NUMBER" : "TEXT";
}

void config_help(const struct config_row *rows, size_t n, FILE *out)
{
    for (size_t i = 0; i < n; i++) {
        (void)fputs("  --", out);
        put_flag(rows[i].key, "-", out);
        (void)fprintf(out, "=%s\n      %s (", value_word(&rows[i]), rows[i].help);
        put_default(&rows[i], out);
        (void)fputs(")\n", out);
    }
}

void config_man(const struct config_row *rows, size_t n, FILE *out)
{
    for (size_t i = 0; i < n; i++) {
        (void)fputs(".TP\n\\fB\\-\\-", out);
        put_flag(rows[i].key, "\\-", out);
        (void)fprintf(out, "\\fR=\\fI%s\\fR\n", value_word(&rows[i]));
        roff_put(rows[i].help, out);
        (void)fputs(" (", out);
        put_default(&rows[i], out);
        (void)fputs(")\n", out);
    }
}

void config_example(const struct config_row *rows, size_t n, FILE *out)
{
    for (size_t i = 0; i < n; i++) {
        (void)fprintf(out, "# %s (", rows[i].help);
        put_default(&rows[i], out);
        (void)fprintf(out, ")\n#%s = %s\n\n", rows[i].key, rows[i].def == NULL ? "" : rows[i].def);
    }
}
