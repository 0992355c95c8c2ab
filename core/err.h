/* Errors: a code for the program, a sentence for the person.
 *
 * A function that can fail returns 0 or one of the negative ERR_* below. Where a person will read
 * about it, its last parameter is a `struct err *` (never NULL), filled only on failure. The layer
 * that knows the fact states it; each layer above may say what it was doing with err_wrap(). Never
 * branch on the text. */

#ifndef CORE_ERR_H
#define CORE_ERR_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of a message, the final NUL included. Longer ones are cut. */
#define ERR_MSG_SIZE 320

enum err_code {
    ERR_OK = 0,
#define E(NAME, NUMBER, EXIT, RETRY, TEXT) ERR_##NAME = -(NUMBER),
#include "core/err.def"
#undef E
};

struct err {
    int code; /* 0 or ERR_*. */
    char msg[ERR_MSG_SIZE];
};

/* Store code and formatted message; returns code, so that one can write
 * `return err_set(e, ERR_NOT_FOUND, "guest %s", name);`. */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* As err_set(), with the message of `errnum` (an errno value) appended. ENOSPC becomes
 * ERR_NO_SPACE and ENOMEM ERR_NO_MEMORY whatever `code` says. */
int err_sys(struct err *e, int code, int errnum, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Put "<formatted>: " in front of the message; returns e->code. */
int err_wrap(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* "NOT_FOUND"; "UNKNOWN_CODE" for a number that is none. */
const char *err_name(int code);

/* The table's text: "not found". */
const char *err_text(int code);

/* Exit status of the command line for this code. */
int err_exit_status(int code);

/* Whether sending the same request again may help. */
bool err_may_retry(int code);

/* Whether the number is 0 or a code of the table. */
bool err_is_known(int code);

#endif
