/* One line from QEMU's monitor (QMP), decoded. QEMU runs guests, so what it says is treated as
 * bytes from outside: bounded in length, depth and number of values before anything is allocated.
 */

#ifndef HVDRIVER_QMP_MSG_H
#define HVDRIVER_QMP_MSG_H

#include <jansson.h>

#include "core/err.h"

/* Bytes of a line: the longest we ask for (query-migrate, query-vnc) have some hundreds. */
#define QMP_LINE_MAX 65536u

enum qmp_kind {
    QMP_GREETING,
    QMP_RETURN, /* value: what the command returned. */
    QMP_ERROR,  /* text: QEMU's sentence, printable. */
    QMP_EVENT   /* name, value: its data or NULL. */
};

struct qmp_msg {
    enum qmp_kind kind;
    json_int_t id; /* Of the command; -1 if none. */
    char name[48];
    char text[256];
    json_t *value; /* Lives as long as root. */
    json_t *root;
};

/* Decode `len` bytes without the newline. 0, ERR_TOO_BIG or ERR_MALFORMED; qmp_msg_done() after
 * success. */
int qmp_msg_parse(const char *line, size_t len, struct qmp_msg *ret, struct err *e);
void qmp_msg_done(struct qmp_msg *msg);

/* Copy text for a person: control and non-ASCII bytes become '?', runs of blanks one blank. */
void qmp_clean_text(char *to, size_t size, const char *from);

#endif
