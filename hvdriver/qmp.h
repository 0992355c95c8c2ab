/* A client of QEMU's monitor: connects, keeps connected, sends one command at a time.
 *
 * The connection may break (an operator took QEMU's socket, QEMU hangs up at its end): commands
 * under way fail with ERR_CLOSED, and the client connects again, and again, until it is freed.
 * `ready` is called after every connection; what happened meanwhile must be asked for then.
 * Callbacks fire from the loop; qmp_free() may be called from any of them. */

#ifndef HVDRIVER_QMP_H
#define HVDRIVER_QMP_H

#include <jansson.h>
#include <stdbool.h>

#include "core/err.h"

struct uv_loop_s;
struct qmp;

struct qmp_owner {
    void *ctx;
    void (*ready)(void *ctx);
    void (*event)(void *ctx, const char *name, json_t *data); /* data is an object or NULL. */
};

/* e->code 0: value is what was returned (borrowed). Else value is NULL: ERR_HYPERVISOR with QEMU's
 * sentence, or ERR_CLOSED. */
typedef void (*qmp_reply_fn)(void *ctx, json_t *value, const struct err *e);

struct qmp *qmp_new(struct uv_loop_s *loop, const char *path, const struct qmp_owner *owner);

/* Commands not answered are forgotten: their callbacks do not fire. */
void qmp_free(struct qmp *q);

/* Send a command, after those before it were answered. Takes args (NULL: none). `reply` may be
 * NULL. Not connected: fails with ERR_CLOSED, from the loop. */
void qmp_call(struct qmp *q, const char *command, json_t *args, qmp_reply_fn reply, void *ctx);

bool qmp_is_ready(const struct qmp *q);

#endif
