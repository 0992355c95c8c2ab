/* Waiting for an operation, with its progress on standard error. */

#ifndef CLI_QUORATE_WAIT_H
#define CLI_QUORATE_WAIT_H

#include "cli/api.h"
#include "cli/quorate/link.h"

/* Wait until operation `id` ended; *ret is then its last state. ERR_CANCELLED: Ctrl-C; the
 * operation goes on. ERR_TIMEOUT: --timeout passed. ERR_NOT_FOUND, ... */
int wait_op(struct link *l, uint64_t id, struct api_op *ret, struct err *e);

/* Say how an ended operation ended: success on cli->out (unless --quiet or --json), failure on
 * cli->err. The exit status. */
int wait_report(struct cli *cli, const struct api_op *op);

/* Say that waiting failed, and how to look at the operation later. The exit status. */
int wait_broken(struct cli *cli, uint64_t id, const struct err *e);

/* One line of progress without its end, for a terminal `width` columns wide. */
void wait_line(const struct api_op *op, unsigned width, struct buf *out);

#endif
