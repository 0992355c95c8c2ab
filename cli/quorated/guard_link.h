/* The daemon's connection to the guard of this host, a process of its own (cli/guard/main.c): finds
 * the one that serves, or starts one, carries messages. Knows nothing of leases; what is said is
 * warden.c's. Loop thread; nothing is called back from inside these calls. */

#ifndef CLI_QUORATED_GUARD_LINK_H
#define CLI_QUORATED_GUARD_LINK_H

#include <stdbool.h>

#include "core/err.h"

#include "cli/guard/wire.h"

struct uv_loop_s;
struct guard_link;

struct guard_link_options {
    struct uv_loop_s *loop;
    const char *path;     /* The guard's socket. Texts are borrowed. */
    const char *program;  /* quorate-guard. */
    const char *watchdog; /* Device that the guard is to use; NULL or "": none. */
    /* A message of the guard; `copies` are the n of a GUARD_TABLE, the first thing it says. */
    void (*heard)(void *ctx, const struct guard_msg *m, const struct guard_copy *copies);
    /* There is no connection, or none any more: guard_link_connect() tries again. */
    void (*lost)(void *ctx, const struct err *e);
    void *ctx;
};

struct guard_link *guard_link_new(const struct guard_link_options *options);

/* Begin to connect; ends in `heard` (a GUARD_TABLE) or in `lost`. Not while connected. */
void guard_link_connect(struct guard_link *l);

/* Say this; a GUARD_ADD takes the process of its pid along. Without a connection nothing happens:
 * `lost` told so, or will. Nothing was said when there is no such process any more (ERR_NOT_FOUND),
 * or the copy has neither process nor domain (driver sim: ERR_UNSUPPORTED). */
int guard_link_send(struct guard_link *l, const struct guard_msg *m, struct err *e);

/* The guard goes on. `closed` fires from the loop, and l is gone then. */
void guard_link_close(struct guard_link *l, void (*closed)(void *ctx), void *ctx);

#endif
