#include "core/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct row {
    int code;
    int exit_status;
    bool retry;
    const char *name;
    const char *text;
};

static const struct row rows[] = {
    {0, 0, false, "OK", "ok"},
#define E(NAME, NUMBER, EXIT, RETRY, TEXT) {ERR_##NAME, EXIT, RETRY, #NAME, TEXT},
#include "core/err.def"
#undef E
};

static const struct row *find(int code)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].code == code) {
            return &rows[i];
        }
    }
    return NULL;
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
    char text[ERR_MSG_SIZE]; /* The arguments may point into e->msg. */
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    e->code = code;
    memcpy(e->msg, text, sizeof text);
    return code;
}

int err_sys(struct err *e, int code, int errnum, const char *fmt, ...)
{
    char what[ERR_MSG_SIZE];
    char why[128];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    if (errnum == ENOSPC || errnum == EDQUOT) {
        code = ERR_NO_SPACE;
    } else if (errnum == ENOMEM) {
        code = ERR_NO_MEMORY;
    }
    return err_set(e, code, "%.180s: %.120s", what, strerror_r(errnum, why, sizeof why));
}

int err_wrap(struct err *e, const char *fmt, ...)
{
    char what[ERR_MSG_SIZE];
    char rest[ERR_MSG_SIZE];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    memcpy(rest, e->msg, sizeof rest);
    size_t n = strnlen(what, sizeof what);
    size_t room = sizeof e->msg - 1;
    if (n > room / 2) {
        n = room / 2; /* The fact at the end is worth more than the prefix. */
    }
    (void)snprintf(e->msg, sizeof e->msg, "%.*s: %.*s", (int)n, what, (int)(room - n - 2), rest);
    return e->code;
}

const char *err_name(int code)
{
    const struct row *r = find(code);
    return r == NULL ? "UNKNOWN_CODE" : r->name;
}

const char *err_text(int code)
{
    const struct row *r = find(code);
    return r == NULL ? "unknown error" : r->text;
}

int err_exit_status(int code)
{
    const struct row *r = find(code);
    return r == NULL ? 8 : r->exit_status;
}

bool err_may_retry(int code)
{
    const struct row *r = find(code);
    return r != NULL && r->retry;
}

bool err_is_known(int code)
{
    return find(code) != NULL;
}
