/* The program quorate-xen, run by driver xen as a child: started, talked to (xen_wire.h), ended.
 * Callbacks fire from the loop, but for those inside xen_link_first(). */

#ifndef HVDRIVER_XEN_LINK_H
#define HVDRIVER_XEN_LINK_H

#include <jansson.h>
#include <stdint.h>

#include "core/err.h"

struct uv_loop_s;
struct xen_link;

struct xen_link_options {
    struct uv_loop_s *loop;
    const char *program; /* NULL: quorate-xen beside this program. */
    const char *run_dir;
    const char *log_dir; /* What it says on stderr goes to xen.log there. */
    /* A message. Non-zero: it makes no sense, the program is ended. */
    int (*heard)(void *ctx, const json_t *msg, struct err *e);
    /* It is no more, or was ended for what it said; all that was asked of it is lost. */
    void (*lost)(void *ctx, const struct err *why);
    void *ctx;
};

/* Start it. ERR_UNSUPPORTED if there is no such program; ERR_IO. */
int xen_link_start(struct xen_link **ret, const struct xen_link_options *options, struct err *e);

/* From now on the loop tells what it says. Once, right after the start. */
void xen_link_listen(struct xen_link *l);

/* Wait until the first message was heard, then listen. 0, ERR_TIMEOUT, ERR_CLOSED, or what `heard`
 * returned; after a failure there are no handles in the loop, and it must be killed. */
int xen_link_first(struct xen_link *l, uint32_t deadline_ms, struct err *e);

/* Send; takes the reference. Only when it is listened to. */
void xen_link_send(struct xen_link *l, json_t *msg);

/* End one that is listened to: it finishes what it does at this moment (kill -9 after 10 s).
 * `closed` fires when the process is gone, and l is gone then. Also after `lost`. */
void xen_link_close(struct xen_link *l, void (*closed)(void *ctx), void *ctx);

/* End one that is not listened to, at once. */
void xen_link_kill(struct xen_link *l);

#endif
