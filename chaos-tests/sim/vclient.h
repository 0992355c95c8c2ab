/* A client of the pool: a process on a machine of its own that speaks the daemons' RPC over the
 * simulated network, with one connection to each host it talks to.
 *
 * Everything here is called from inside the client's process: from its timers and callbacks, or
 * between proc_enter(c->proc) and proc_leave(). */

#ifndef CHAOS_SIM_VCLIENT_H
#define CHAOS_SIM_VCLIENT_H

#include <uv.h>

#include "core/buf.h"
#include "core/rpc_msg.h"

#include "chaos-tests/sim/machine.h"
#include "chaos-tests/sim/proc.h"
#include "chaos-tests/sim/vnet.h"

struct stream_group;
struct vconn;

/* What came of a call: the message when it was answered (code 0 or the daemon's error), NULL when
 * the connection broke (ERR_CLOSED) or nobody answered in time (ERR_TIMEOUT). */
typedef void (*vclient_reply)(void *ctx, int code, const struct rpc_msg *m);
/* A notice; `m->body` is its params. */
typedef void (*vclient_notice)(void *ctx, uint32_t host, const struct rpc_msg *m);

struct vclient {
    struct machine m;
    struct proc *proc;
    uv_loop_t loop;
    struct stream_group *group;
    struct vconn *conns[VNET_HOSTS]; /* NULL: not connected. */
    uint64_t numbers;
    vclient_notice notice;
    void *ctx;
};

/* `index` is the machine's place in the network. Its loop turns from now on. */
void vclient_init(struct vclient *c, uint32_t index, const char *name);
void vclient_done(struct vclient *c);

/* Ask the daemon of this host. `params`: one encoded map, copied; NULL: none. */
void vclient_call(struct vclient *c,
                  uint32_t host,
                  const char *method,
                  const struct buf *params,
                  uint32_t timeout_ms,
                  vclient_reply reply,
                  void *ctx);
/* Hang up: calls under way end with ERR_CLOSED. */
void vclient_hang_up(struct vclient *c, uint32_t host);

#endif
